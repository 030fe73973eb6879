"""What a WhatsApp message holds, read out of its protobuf. Pure; takes the message as whatsmeow unwrapped it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.whatsapp.jids import bare_jid
from gateway.whatsapp.library import e2e
from gateway.whatsapp.strangers import file_name, name, words
from protocol.port import MediaKind, Quote
from protocol.port_events import LONGEST_REFERENCE, MediaReference


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The part of a ``MessageReceived`` that comes from the message itself."""

    type: str
    text: str | None = None
    media: MediaReference | None = None
    quote: Quote | None = None
    target: str | None = None
    edited: bool = False
    revoked: bool = False
    forwarded: bool = False


UNKNOWN: Final = Content(type="unknown")

_NOT_CONTENT: Final = frozenset({"messageContextInfo", "senderKeyDistributionMessage"})
"""Fields that accompany a message; one that holds nothing else is the first half of a group message."""


def read(message: Any) -> Content | None:
    """What ``message`` (a ``waE2E.Message``) says; None if it is only talk between devices (key distribution, history,
    app state) and nothing that a person said."""
    fields = [(field.name, value) for field, value in message.ListFields() if field.name not in _NOT_CONTENT]
    if not fields:
        return None
    for field_name, value in fields:
        if reader := READERS.get(field_name):
            return reader(value)
    return UNKNOWN


def _conversation(value: str) -> Content:
    return Content(type="text", text=words(value))


def _text(value: Any) -> Content:
    return _with_context(Content(type="text", text=words(value.text)), value)


def _media(field: str, kind: MediaKind) -> Callable[[Any], Content]:
    def read_media(value: Any) -> Content:
        caption = words(getattr(value, "caption", "") or None)
        bare = e2e.Message()
        part = getattr(bare, field)
        part.CopyFrom(value)
        for large in ("JPEGThumbnail", "contextInfo", "caption", "pngThumbnail", "waveform", "scansSidecar"):
            if large in part.DESCRIPTOR.fields_by_name:
                part.ClearField(large)
        reference = bare.SerializeToString()
        if len(reference) > LONGEST_REFERENCE:  # no client writes such a thing
            return _with_context(Content(type=kind, text=caption), value)
        media = MediaReference(
            kind=kind,
            mime=name(value.mimetype),
            size=value.fileLength,
            sha256=name(value.fileSHA256.hex()),
            filename=file_name(getattr(value, "fileName", "")),
            caption=caption,
            reference=reference,
        )
        return _with_context(Content(type=kind, text=caption, media=media), value)

    return read_media


def _said(type: str, *fields: str) -> Callable[[Any], Content]:
    def read_said(value: Any) -> Content:
        text = next((said for field in fields if (said := getattr(value, field))), None)
        return _with_context(Content(type=type, text=words(text)), value)

    return read_said


def _reaction(value: Any) -> Content:
    return Content(type="reaction", text=words(value.text), target=name(value.key.ID))


def _protocol(value: Any) -> Content | None:
    kinds = e2e.ProtocolMessage
    if value.type == kinds.REVOKE and value.HasField("key"):
        return Content(type="revoke", target=name(value.key.ID), revoked=True)
    if value.type == kinds.MESSAGE_EDIT:
        new = read(value.editedMessage) or UNKNOWN
        return replace(new, type="edit", target=name(value.key.ID), edited=True)
    return None


def _edited(value: Any) -> Content | None:
    return read(value.message)


def _with_context(content: Content, value: Any) -> Content:
    if not value.HasField("contextInfo"):
        return content
    context = value.contextInfo
    quote = None
    if context.stanzaID:
        quote = Quote(wa_id=name(context.stanzaID), author=name(bare_jid(context.participant)))
    return replace(content, quote=quote, forwarded=context.isForwarded)


READERS: Final[Mapping[str, Callable[[Any], Content | None]]] = {
    "conversation": _conversation,
    "extendedTextMessage": _text,
    "imageMessage": _media("imageMessage", "image"),
    "videoMessage": _media("videoMessage", "video"),
    "ptvMessage": _media("ptvMessage", "video"),
    "audioMessage": _media("audioMessage", "audio"),
    "documentMessage": _media("documentMessage", "document"),
    "stickerMessage": _media("stickerMessage", "sticker"),
    "locationMessage": _said("location", "name", "address"),
    "liveLocationMessage": _said("location", "caption"),
    "contactMessage": _said("contact", "displayName"),
    "contactsArrayMessage": _said("contact", "displayName"),
    "pollCreationMessage": _said("poll", "name"),
    "pollCreationMessageV2": _said("poll", "name"),
    "pollCreationMessageV3": _said("poll", "name"),
    "reactionMessage": _reaction,
    "editedMessage": _edited,
    "protocolMessage": _protocol,
}
"""By field of ``waE2E.Message``. A field that is not here is a kind of message without a name yet: ``unknown``."""
