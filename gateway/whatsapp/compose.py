"""Outgoing messages as WhatsApp protobufs. Pure but for the clock, which is an argument.

Each carries the secret of its request: whatsmeow stores that under the message's id before it encrypts or sends
anything. After a kill, no row for a secret means that the message was never sent.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.whatsapp import attachment
from gateway.whatsapp.library import MediaType, MessageKey, e2e, proto
from protocol.ids import Address
from protocol.port import MediaKind, Quote, SendMedia, SendMessage, SendReaction, SendText

UPLOADS: Final[Mapping[MediaKind, Any]] = {
    "image": MediaType.MediaImage,
    "audio": MediaType.MediaAudio,
    "video": MediaType.MediaVideo,
    "document": MediaType.MediaDocument,
}
"""As what each kind is uploaded: it goes into the file's key."""


def jid(address: Address) -> Any:
    """A neonize JID, without a device."""
    return proto.JID(User=address.user, Server=address.server, Device=0, RawAgent=0, Integrator=0, IsEmpty=False)


def text_message(request: SendText) -> Any:
    """Plain text goes as ``conversation``, as phones send it; a reply needs the extended form, for its context."""
    if request.quote is None:
        return _with_secret(e2e.Message(conversation=request.text), request)
    extended = e2e.ExtendedTextMessage(text=request.text, contextInfo=_context(request.quote))
    return _with_secret(e2e.Message(extendedTextMessage=extended), request)


def media_message(request: SendMedia, upload: Any) -> Any:
    """``upload`` is neonize's response to having uploaded ``request.data``."""
    part = _PARTS[request.kind](
        URL=upload.url,
        directPath=upload.DirectPath,
        mediaKey=upload.MediaKey,
        fileEncSHA256=upload.FileEncSHA256,
        fileSHA256=upload.FileSHA256,
        fileLength=upload.FileLength,
        mimetype=attachment.mime(request),
    )
    if request.caption and request.kind != "audio":
        part.caption = request.caption
    if request.quote is not None:
        part.contextInfo.CopyFrom(_context(request.quote))
    if request.kind == "audio":
        part.PTT = request.voice
        part.seconds = attachment.seconds(request.data)
    if request.kind == "document":
        part.fileName = part.title = request.filename or "document"
    message = e2e.Message(**{f"{request.kind}Message": part})
    if request.kind == "document" and request.caption:
        message = e2e.Message(documentWithCaptionMessage=e2e.FutureProofMessage(message=message))
    return _with_secret(message, request)


_PARTS: Final[Mapping[MediaKind, Any]] = {
    "image": e2e.ImageMessage,
    "audio": e2e.AudioMessage,
    "video": e2e.VideoMessage,
    "document": e2e.DocumentMessage,
}


def reaction_message(request: SendReaction, *, now: Callable[[], float] = time.time) -> Any:
    """A reaction to a message of the chat ``request.to``."""
    reaction = e2e.ReactionMessage(
        key=MessageKey(remoteJID=request.to, fromMe=request.from_me, ID=request.target),
        text=request.emoji,
        senderTimestampMS=int(now() * 1000),
    )
    return _with_secret(e2e.Message(reactionMessage=reaction), request)


def _context(quote: Quote) -> Any:
    """Phones show the quoted text from their own history if they have it; we keep none, so we send none."""
    return e2e.ContextInfo(stanzaID=quote.wa_id, participant=quote.author, quotedMessage=e2e.Message(conversation=""))


def _with_secret(message: Any, request: SendMessage) -> Any:
    message.messageContextInfo.messageSecret = request.secret
    return message
