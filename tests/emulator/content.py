"""The kinds of messages: how each is written by a contact, and how it looks in a contact's inbox.

To add a kind: a reader in :data:`READERS`, and a writer if contacts should send it.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.emulator.addresses import lid
from tests.emulator.media import MediaError, MediaKind, seal, unseal
from tests.emulator.media_store import MediaStore
from tests.emulator.schemas import Message


@dataclass(frozen=True, slots=True)
class Written:
    """A message a contact wrote, with what its stanza says of it in clear."""

    message: Message
    stanza_type: str
    media_type: str = ""


def write_text(text: str, about: str, about_author: str) -> Written:
    """A text; a reply if ``about`` (the id of a message by the number ``about_author``) is not empty."""
    message = Message()
    if about:
        message.extendedTextMessage.text = text
        _quote(message.extendedTextMessage.contextInfo, about, about_author)
    else:
        message.conversation = text
    return Written(message, "text")


def write_image(plain: bytes, caption: str, mime: str, about: str, about_author: str, media: MediaStore) -> Written:
    file = seal(plain, MediaKind.IMAGE)
    path = media.put(file.blob)
    message = Message()
    image = message.imageMessage
    image.URL = f"https://mmg.whatsapp.net{path}?ccb=11-4"
    image.directPath = f"{path}?ccb=11-4"
    image.mediaKey, image.fileSHA256, image.fileEncSHA256 = file.key, file.plain_sha256, file.sealed_sha256
    image.fileLength, image.mimetype = file.plain_length, mime
    if caption:
        image.caption = caption
    if about:
        _quote(image.contextInfo, about, about_author)
    return Written(message, "media", "image")


def write_reaction(emoji: str, about: str, about_author: str, now: float) -> Written:
    """A reaction to a message the account sent."""
    message = Message()
    reaction = message.reactionMessage
    reaction.key.ID, reaction.key.remoteJID, reaction.key.fromMe = about, str(lid(about_author)), False
    reaction.text, reaction.senderTimestampMS = emoji, int(now * 1000)
    return Written(message, "reaction")


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


def _read_image(message: Message, media: MediaStore) -> Seen:
    image = message.imageMessage
    seen: Seen = {
        "type": "image", "caption": image.caption, "text": image.caption, "mime": image.mimetype,
        **_read_quote(image.contextInfo),
    }  # fmt: skip
    blob = media.get(image.directPath)
    if blob is None:
        return {**seen, "type": "image_missing"}
    try:
        plain = unseal(blob, image.mediaKey, MediaKind.IMAGE)
    except MediaError:
        return {**seen, "type": "image_unreadable"}
    return {**seen, "sha256": hashlib.sha256(plain).hexdigest(), "size": len(plain)}


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


READERS: Mapping[str, Callable[[Message, MediaStore], Seen]] = {
    "conversation": _read_conversation,
    "extendedTextMessage": _read_extended_text,
    "imageMessage": _read_image,
    "reactionMessage": _read_reaction,
}
