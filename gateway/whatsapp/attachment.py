"""Media that we send: what WhatsApp's phones take for an image, a video and so on. Pure.

neonize would look into a file with ffmpeg for its length and a preview. Nothing here does: messages are built from what
the caller says, and phones find out the rest when they have the file.
"""

import re
from collections.abc import Mapping
from typing import Final

from gateway.whatsapp.errors import failed
from gateway.whatsapp.frames import MAX_MEDIA
from protocol.codes import ErrorCode
from protocol.port import Failed, MediaKind, SendMedia

VOICE: Final = "audio/ogg; codecs=opus"
"""The one format in which phones play a voice note."""

TYPES: Final[Mapping[MediaKind, frozenset[str]]] = {
    "image": frozenset({"image/jpeg", "image/png", "image/webp"}),
    "video": frozenset({"video/mp4", "video/3gpp"}),
    "audio": frozenset({"audio/aac", "audio/mp4", "audio/mpeg", "audio/amr", "audio/ogg"}),
}
"""What phones show or play as such; a document may be of any type."""

_MIME: Final = re.compile(
    r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}(?: *;[^\r\n]{1,100})?", re.I
)
_OGG: Final = b"OggS"
_OPUS_RATE: Final = 48_000
_LONGEST_S: Final = 86_400
"""An Ogg file that says more is damaged: nothing of ``MAX_MEDIA`` bytes plays for a day."""


def refusal(request: SendMedia) -> Failed | None:
    """Why ``request`` cannot be sent; None if it can."""
    if request.kind == "sticker":
        return failed(ErrorCode.UNSUPPORTED, "stickers cannot be sent")
    if not request.data or len(request.data) > MAX_MEDIA:
        return failed(ErrorCode.MEDIA_INVALID, f"media must have 1 to {MAX_MEDIA} bytes")
    if not _MIME.fullmatch(request.mime):
        return failed(ErrorCode.MEDIA_INVALID, "the media's type is not a media type (as image/jpeg)")
    allowed = TYPES.get(request.kind)
    if request.voice:
        allowed = frozenset({"audio/ogg"})
    if allowed is not None and bare_type(request.mime) not in allowed:
        what = "voice note" if request.voice else request.kind
        return failed(ErrorCode.MEDIA_INVALID, f"the type of {what} must be one of {', '.join(sorted(allowed))}")
    return None


def mime(request: SendMedia) -> str:
    """What the message says of its type: phones play Ogg only if its codec is named."""
    return VOICE if bare_type(request.mime) == "audio/ogg" else request.mime


def bare_type(mime: str) -> str:
    """A media type without its parameters, in lower case."""
    return mime.partition(";")[0].strip().lower()


def seconds(data: bytes) -> int:
    """How long an Ogg file with Opus plays, from its last page, rounded up; 0 for anything else. Anybody's bytes."""
    at = data.rfind(_OGG)
    if not data.startswith(_OGG) or len(data) < at + 14:
        return 0
    samples = int.from_bytes(data[at + 6 : at + 14], "little", signed=True)
    plays_s = -(-samples // _OPUS_RATE)
    return plays_s if 0 <= plays_s <= _LONGEST_S else 0
