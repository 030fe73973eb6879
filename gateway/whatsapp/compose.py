"""Outgoing messages as WhatsApp protobufs. Pure but for the message secret and the clock, which are arguments."""

import time
from collections.abc import Callable
from os import urandom
from typing import Any, Final

from gateway.whatsapp.library import MessageKey, e2e, proto
from protocol.ids import Address
from protocol.port import Quote, SendImage, SendReaction, SendText

IMAGE_TYPES: Final = frozenset({"image/jpeg", "image/png", "image/webp"})
"""What WhatsApp shows as an image."""

_SECRET: Final = 32


def jid(address: Address) -> Any:
    """A neonize JID, without a device."""
    return proto.JID(User=address.user, Server=address.server, Device=0, RawAgent=0, Integrator=0, IsEmpty=False)


def text_message(request: SendText, *, random: Callable[[int], bytes] = urandom) -> Any:
    """Plain text goes as ``conversation``, as phones send it; a reply needs the extended form, for its context."""
    if request.quote is None:
        return _with_secret(e2e.Message(conversation=request.text), random)
    extended = e2e.ExtendedTextMessage(text=request.text, contextInfo=_context(request.quote))
    return _with_secret(e2e.Message(extendedTextMessage=extended), random)


def image_message(request: SendImage, upload: Any, *, random: Callable[[int], bytes] = urandom) -> Any:
    """``upload`` is neonize's response to having uploaded ``request.data``."""
    image = e2e.ImageMessage(
        URL=upload.url,
        directPath=upload.DirectPath,
        mediaKey=upload.MediaKey,
        fileEncSHA256=upload.FileEncSHA256,
        fileSHA256=upload.FileSHA256,
        fileLength=upload.FileLength,
        mimetype=request.mime,
    )
    if request.caption:
        image.caption = request.caption
    if request.quote is not None:
        image.contextInfo.CopyFrom(_context(request.quote))
    return _with_secret(e2e.Message(imageMessage=image), random)


def reaction_message(
    request: SendReaction, *, random: Callable[[int], bytes] = urandom, now: Callable[[], float] = time.time
) -> Any:
    """A reaction to a message of the chat ``request.to``."""
    reaction = e2e.ReactionMessage(
        key=MessageKey(remoteJID=request.to, fromMe=request.from_me, ID=request.target),
        text=request.emoji,
        senderTimestampMS=int(now() * 1000),
    )
    return _with_secret(e2e.Message(reactionMessage=reaction), random)


def _context(quote: Quote) -> Any:
    """Phones show the quoted text from their own history if they have it; we keep none, so we send none."""
    return e2e.ContextInfo(stanzaID=quote.wa_id, participant=quote.author, quotedMessage=e2e.Message(conversation=""))


def _with_secret(message: Any, random: Callable[[int], bytes]) -> Any:
    """whatsmeow stores the secret of a message under its id before it encrypts or sends anything. After a kill, no row
    for a message means that it was never sent."""
    message.messageContextInfo.messageSecret = random(_SECRET)
    return message
