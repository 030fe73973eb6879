"""The kinds of messages: how each is written by a contact, and how it looks in a contact's inbox.

To add a kind: a reader in :data:`READERS`, and a writer if contacts should send it.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.emulator.addresses import lid
from tests.emulator.api import File
from tests.emulator.media import MediaError, MediaKind, seal, unseal
from tests.emulator.media_store import MediaStore
from tests.emulator.schemas import Message

KINDS: Mapping[str, MediaKind] = {
    "image": MediaKind.IMAGE,
    "audio": MediaKind.AUDIO,
    "video": MediaKind.VIDEO,
    "document": MediaKind.DOCUMENT,
}


@dataclass(frozen=True, slots=True)
class Written:
    """A message a contact wrote, with what its stanza says of it in clear. ``edit``: what it does to another one."""

    message: Message
    stanza_type: str
    media_type: str = ""
    edit: str = ""


def write_text(text: str, about: str, about_author: str) -> Written:
    """A text; a reply if ``about`` (the id of a message by the number ``about_author``) is not empty."""
    message = Message()
    if about:
        message.extendedTextMessage.text = text
        _quote(message.extendedTextMessage.contextInfo, about, about_author)
    else:
        message.conversation = text
    return Written(message, "text")


def write_file(file: File, about: str, about_author: str, media: MediaStore) -> Written:
    sealed = seal(file.data, KINDS[file.kind])
    path = media.put(sealed.blob)
    message = Message()
    part = getattr(message, f"{file.kind}Message")
    part.URL = f"https://mmg.whatsapp.net{path}?ccb=11-4"
    part.directPath = f"{path}?ccb=11-4"
    part.mediaKey, part.fileSHA256, part.fileEncSHA256 = sealed.key, sealed.plain_sha256, sealed.sealed_sha256
    part.fileLength, part.mimetype = sealed.plain_length, file.mime
    if file.caption:
        part.caption = file.caption
    if file.filename:
        part.fileName = file.filename
    if file.kind == "audio":
        part.PTT = file.voice
    if about:
        _quote(part.contextInfo, about, about_author)
    if file.kind == "document" and file.caption:
        envelope = Message()
        envelope.documentWithCaptionMessage.message.CopyFrom(message)
        message = envelope
    return Written(message, "media", "ptt" if file.voice else file.kind)


def write_reaction(emoji: str, about: str, about_author: str, now: float) -> Written:
    """A reaction to a message the account sent."""
    message = Message()
    reaction = message.reactionMessage
    reaction.key.ID, reaction.key.remoteJID, reaction.key.fromMe = about, str(lid(about_author)), False
    reaction.text, reaction.senderTimestampMS = emoji, int(now * 1000)
    return Written(message, "reaction")


def write_edit(text: str, about: str, to: str, now: float) -> Written:
    """Another text for a message that the contact sent."""
    message = Message()
    change = message.editedMessage.message.protocolMessage
    _name(change.key, about, to)
    change.type, change.timestampMS = change.MESSAGE_EDIT, int(now * 1000)
    change.editedMessage.conversation = text
    return Written(message, "text", edit="1")


def write_revocation(about: str, to: str) -> Written:
    """A message that the contact sent is to be gone for everybody."""
    message = Message()
    change = message.protocolMessage
    _name(change.key, about, to)
    change.type = change.REVOKE
    return Written(message, "text", edit="7")


def _name(key: Any, about: str, to: str) -> None:
    key.ID, key.remoteJID, key.fromMe = about, str(lid(to)), True


def _quote(context: Any, about: str, author: str) -> None:
    context.stanzaID, context.participant = about, str(lid(author))
    context.quotedMessage.conversation = ""


Seen = dict[str, Any]
"""Fields of an InboxItem."""


def read(message: Message, media: MediaStore) -> Seen:
    """What a contact sees of ``message``; an unknown kind shows as its field's name."""
    for field, _ in message.ListFields():
        reader = READERS.get(field.name)
        if reader is not None:
            return reader(message, media)
    names = [field.name for field, _ in message.ListFields()]
    return {"type": names[0] if names else "empty"}


def _read_conversation(message: Message, _media: MediaStore) -> Seen:
    return {"type": "text", "text": message.conversation}


def _read_extended_text(message: Message, _media: MediaStore) -> Seen:
    text = message.extendedTextMessage
    return {"type": "text", "text": text.text, **_read_quote(text.contextInfo)}


def _read_file(kind: str) -> "Reader":
    def read_file(message: Message, media: MediaStore) -> Seen:
        part = getattr(message, f"{kind}Message")
        caption = getattr(part, "caption", "")
        seen: Seen = {
            "type": kind, "caption": caption, "text": caption, "mime": part.mimetype,
            **_read_quote(part.contextInfo),
        }  # fmt: skip
        if kind == "document":
            seen["filename"] = part.fileName
        if kind == "audio":
            seen |= {"voice": part.PTT, "seconds": part.seconds}
        blob = media.get(part.directPath)
        if blob is None:
            return {**seen, "type": f"{kind}_missing"}
        try:
            plain = unseal(blob, part.mediaKey, KINDS[kind])
        except MediaError:
            return {**seen, "type": f"{kind}_unreadable"}
        return {**seen, "sha256": hashlib.sha256(plain).hexdigest(), "size": len(plain)}

    return read_file


def _read_envelope(message: Message, media: MediaStore) -> Seen:
    return read(message.documentWithCaptionMessage.message, media)


def _read_reaction(message: Message, _media: MediaStore) -> Seen:
    reaction = message.reactionMessage
    return {"type": "reaction", "text": reaction.text, "about": reaction.key.ID}


def _read_quote(context: Any) -> Seen:
    if not context.stanzaID:
        return {}
    quoted = context.quotedMessage
    return {
        "about": context.stanzaID,
        "about_text": quoted.conversation or quoted.extendedTextMessage.text or quoted.imageMessage.caption,
    }


Reader = Callable[[Message, MediaStore], Seen]

READERS: Mapping[str, Reader] = {
    "conversation": _read_conversation,
    "extendedTextMessage": _read_extended_text,
    **{f"{kind}Message": _read_file(kind) for kind in KINDS},
    "documentWithCaptionMessage": _read_envelope,
    "reactionMessage": _read_reaction,
}
