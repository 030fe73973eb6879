"""The send command: what a service asks a channel to send.

``parse`` checks everything that can be known without asking anybody; what it accepts can be tried.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from math import isfinite
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from protocol.codec import Encoding, Moment, decode, encode, encoding_of, skim
from protocol.errors import InvalidBodyError, InvalidInputError
from protocol.ids import ADDRESS_PATTERN, Address, CommandId

MAX_TEXT: Final = 65_536
"""Characters of text or caption that WhatsApp's clients show."""
MAX_INLINE_MEDIA: Final = 512 * 1024
"""Bytes of ``media.data``; larger media goes through the clinic's Object Store."""
MAX_META: Final = 8
"""Levels of nesting in ``meta``."""
MAX_META_VALUES: Final = 1000
"""Values in ``meta``, at all levels: it is decoded and encoded again and again on a thread that all clinics share."""
MAX_META_BYTES: Final = 65_536
"""Bytes of ``meta`` as msgpack: it is echoed in every event of the command, and those have to fit NATS."""

MAX_REST: Final = {Encoding.MSGPACK: 96 * 1024, Encoding.JSON: 256 * 1024}
"""Bytes of a body beside its text and media: ``meta``, which JSON may write with escapes, and what is small."""

ContentType = Literal[
    "text",
    "image",
    "audio",
    "video",
    "document",
    "sticker",
    "location",
    "contact",
    "poll",
    "reaction",
    "edit",
    "revoke",
]
SUPPORTED_TYPES: Final = frozenset({"text", "image", "audio", "video", "document", "reaction"})
"""Types this version sends; the others are valid commands answered with ``unsupported``."""

MEDIA_URL_PATTERN: Final = r"^https?://[A-Za-z0-9._:%\[\]-]+([/?][!-~]*)?$(?!\n)"
"""Without a user and a password; what else an address has to be, whoever fetches it says."""

ShortText = Annotated[str, Meta(min_length=1, max_length=256)]


class Media(Struct, frozen=True, kw_only=True):
    """Where the bytes are: exactly one of ``object`` (key in the Object Store ``media``), ``url`` and ``data``."""

    object: ShortText | None = None
    url: Annotated[str, Meta(max_length=2048, pattern=MEDIA_URL_PATTERN)] | None = None
    data: Annotated[bytes, Meta(min_length=1, max_length=MAX_INLINE_MEDIA)] | None = None
    mime: Annotated[str, Meta(pattern=r"^[a-z]+/[a-zA-Z0-9.+-]{1,100}$(?!\n)")] | None = None
    filename: ShortText | None = None
    caption: Annotated[str, Meta(max_length=MAX_TEXT)] | None = None
    voice: bool = False


class ReplyTo(Struct, frozen=True, kw_only=True):
    """The message that is quoted: its WhatsApp id and its author (number or JID; empty: the chat's person)."""

    id: ShortText
    from_: str | None = msgspec.field(default=None, name="from")


class SendCommand(Struct, frozen=True, kw_only=True):
    """One message to send. ``id`` is the idempotency key, unique per channel; ``meta`` is echoed in every event."""

    v: Literal[1]
    id: CommandId
    to: Annotated[str, Meta(min_length=1, max_length=64, extra_json_schema={"pattern": ADDRESS_PATTERN})]
    type: ContentType
    text: Annotated[str, Meta(max_length=MAX_TEXT)] | None = None
    media: Media | None = None
    reply_to: ReplyTo | None = None
    mentions: Annotated[list[str], Meta(max_length=256)] = msgspec.field(default_factory=list)
    target: ShortText | None = None
    not_before: Moment | None = None
    expires_at: Moment | None = None
    deliver_by: Moment | None = None
    on_uncertain: Literal["resend", "hold"] | None = None
    meta: dict[str, Any] | None = None

    @property
    def address(self) -> Address:
        """``to``, parsed; cannot fail for a command that came out of ``parse``."""
        return Address.parse(self.to)

    def expired(self, now: datetime) -> bool:
        """True once ``expires_at`` has passed."""
        return self.expires_at is not None and now >= self.expires_at


class _MediaBulk(Struct, frozen=True):
    data: Raw = Raw()
    caption: Raw = Raw()


class _Bulk(Struct, frozen=True):
    """What a body may be large for: text and bytes."""

    text: Raw = Raw()
    media: _MediaBulk | None = None


class _Named(Struct, frozen=True):
    id: CommandId


def parse(body: bytes) -> SendCommand:
    """A body from ``.send`` as a command that can be tried.

    Raises:
        InvalidBodyError: unreadable, of a wrong shape, or with fields that do not go together; names the field.
        InvalidInputError: ``to`` is no address, or another field that should be one is none.
    """
    _check_rest(body)
    command = decode(body, SendCommand)
    Address.parse(command.to)
    if command.reply_to is not None and command.reply_to.from_:
        Address.parse(command.reply_to.from_, "reply_to.from")
    for index, mention in enumerate(command.mentions):
        Address.parse(mention, f"mentions[{index}]")
    _check_time("not_before", command.not_before)
    _check_time("expires_at", command.expires_at)
    _check_time("deliver_by", command.deliver_by)
    if command.not_before is not None:
        _check_order(command, command.not_before)
    _check_content(command)
    if command.meta is not None:
        _check_meta(command.meta, MAX_META, count())
        size = len(encode(command.meta))
        _require(size <= MAX_META_BYTES, "meta", f"at most {MAX_META_BYTES} bytes as msgpack, got {size}")
    return command


def salvage_id(body: bytes) -> str | None:
    """The ``id`` of a body that ``parse`` refused, if it has a valid one: the refusal can then be a result event."""
    try:
        return skim(body, _Named).id
    except InvalidInputError:
        return None


def _check_rest(body: bytes) -> None:
    """Raise InvalidBodyError if much of ``body`` is neither text nor bytes: it is not worth building."""
    encoding = encoding_of(body)
    most = MAX_REST[encoding]
    if len(body) <= most:
        return
    found = skim(body, _Bulk)
    media = found.media or _MediaBulk()
    bulk = sum(
        len(raw) for raw in map(bytes, (found.text, media.data, media.caption)) if not _holds_values(encoding, raw)
    )
    rest = len(body) - bulk
    _require(rest <= most, "body", f"at most {most} bytes beside text, caption and media.data, got {rest}")


def _holds_values(encoding: Encoding, raw: bytes) -> bool:
    """Whether it is a list or a map."""
    first = raw[:1]
    if encoding is Encoding.JSON:
        return first in (b"{", b"[")
    return b"\x80" <= first <= b"\x9f" or b"\xdc" <= first <= b"\xdf"


def _check_time(field: str, value: datetime | None) -> None:
    if value is not None and value.tzinfo is None:
        raise InvalidBodyError(field, "a time with an offset, such as 2026-11-20T12:00:00Z")


def _check_order(command: SendCommand, begin: datetime) -> None:
    """A command that could never be sent, or be delivered in time, is a mistake."""
    for field in ("expires_at", "deliver_by"):
        end = getattr(command, field)
        _require(end is None or begin < end, field, "a time after not_before")


def _check_content(command: SendCommand) -> None:
    match command.type:
        case "text" | "edit":
            _require(bool(command.text), "text", f"text, for type {command.type}")
        case "reaction":
            _require(command.text is not None, "text", "an emoji, or an empty text to take a reaction back")
        case "image" | "audio" | "video" | "document" | "sticker":
            media = command.media
            _require(media is not None, "media", f"media, for type {command.type}")
            assert media is not None
            given = [name for name in ("object", "url", "data") if getattr(media, name) is not None]
            _require(len(given) == 1, "media", f"exactly one of object, url and data, got {given or 'none'}")
            _check_media(command.type, media)
        case _:
            pass
    if command.type in ("reaction", "edit", "revoke"):
        _require(command.target is not None, "target", f"the id of a message, for type {command.type}")


def _check_media(kind: str, media: Media) -> None:
    """What is given must be shown: WhatsApp has no caption for audio, and calls a document without a name untitled."""
    _require(not media.voice or kind == "audio", "media.voice", "false, or type audio")
    _require(kind != "document" or media.filename is not None, "media.filename", "a name, for type document")
    without = media.caption is None or kind not in ("audio", "sticker")
    _require(without, "media.caption", f"none, for type {kind}: WhatsApp shows none")


def _check_meta(value: Any, levels: int, counted: Iterator[int]) -> None:
    """What can be echoed in both encodings; the others (msgpack extensions, huge integers, NaN) would fail there.
    ``counted``: how many values were looked at before."""
    _require(next(counted) <= MAX_META_VALUES, "meta", f"at most {MAX_META_VALUES} values, at all levels together")
    match value:
        case dict() | list():
            _require(levels > 0, "meta", f"at most {MAX_META} levels of nesting")
            for key in value if isinstance(value, dict) else ():
                _require(isinstance(key, str), "meta", "text as keys")
            for item in value.values() if isinstance(value, dict) else value:
                _check_meta(item, levels - 1, counted)
        case int():
            _require(-(2**63) <= value < 2**64, "meta", "integers of at most 64 bits")
        case float():
            _require(isfinite(value), "meta", "finite numbers")
        case _:
            _require(value is None or isinstance(value, str | bytes), "meta", "JSON's types and bytes")


def _require(holds: bool, field: str, expected: str) -> None:
    if not holds:
        raise InvalidBodyError(field, expected)


def unsupported(command: SendCommand) -> str | None:
    """What this version cannot do of ``command``, as words for the error; None if it can do all.

    What cannot be kept is refused rather than ignored.
    """
    if command.type not in SUPPORTED_TYPES:
        return f"type {command.type} (supported: {', '.join(sorted(SUPPORTED_TYPES))})"
    return "mentions" if command.mentions else None


def utc_now() -> datetime:
    """The present time with its offset, as every time on the wire has one."""
    return datetime.now(UTC)
