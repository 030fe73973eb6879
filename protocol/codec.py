"""Bodies on NATS, HTTP and port sockets: msgpack maps or JSON objects, told apart by the first byte.

A JSON object begins with ``{``; no msgpack map does (0x7b is the integer 123), so ``nats pub`` by hand works.
msgpack does the unpacking; msgspec the types, and the packing. In msgpack, bytes are bytes; in JSON, base64. Times are
RFC 3339 UTC.
"""

import re
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar

import msgpack
import msgspec

from protocol.choices import choices
from protocol.errors import InvalidBodyError
from protocol.ids import mask

T = TypeVar("T")

Moment = Annotated[datetime, msgspec.Meta(extra_json_schema={"format": "date-time"})]
"""A time as bodies have it: RFC 3339, in UTC where it is ours."""

MAX_BODY: Final = 1 << 20
"""Largest body of a request, in bytes (1 MiB)."""

_PATH: Final = re.compile(r" - at (?:`key` in )?`\$\.?([^`]*)`$")
_MISSING: Final = re.compile(r"Object missing required field `([^`]*)`")
_ENUM: Final = re.compile(r"Invalid enum value '?(.*?)'?$", re.DOTALL)
_SHOWN: Final = 64

_pack: Final = msgspec.msgpack.Encoder().encode


class Encoding(StrEnum):
    """How a body is written; the value is what settings and the command line say."""

    MSGPACK = "msgpack"
    JSON = "json"

    @property
    def content_type(self) -> str:
        """The value of the ``Content-Type`` header."""
        return "application/msgpack" if self is Encoding.MSGPACK else "application/json"


def encoding_of(body: bytes) -> Encoding:
    """Which of the two encodings ``body`` is in, by its first byte (leading white space is JSON's)."""
    return Encoding.JSON if body.lstrip(b" \t\r\n")[:1] in (b"{", b"[") else Encoding.MSGPACK


def encode(value: Any, encoding: Encoding = Encoding.MSGPACK) -> bytes:
    """A msgspec Struct (or builtin) as a body. Fields that hold ``None`` are written as null."""
    if encoding is Encoding.JSON:
        return msgspec.json.encode(value)
    return _pack(msgspec.to_builtins(value, builtin_types=(bytes,)))


def decode(body: bytes, kind: type[T], *, limit: int = MAX_BODY) -> T:
    """``body``, in either encoding, as a ``kind``. Unknown fields are ignored.

    Raises:
        InvalidBodyError: too large, not readable, or not of that shape; names the field.
    """
    if len(body) > limit:
        raise InvalidBodyError("body", f"at most {limit} bytes, got {len(body)}")
    if encoding_of(body) is Encoding.JSON:
        return _checked(kind, lambda: msgspec.json.decode(body, type=kind))
    loaded = _unpacked(body)
    return _checked(kind, lambda: msgspec.convert(loaded, kind, builtin_types=(bytes,)))


def decode_raw(body: bytes, *, limit: int = MAX_BODY) -> Any:
    """``body`` as builtins, without a type: to salvage an id from a body that is otherwise wrong.

    Raises:
        InvalidBodyError: too large or not readable.
    """
    if len(body) > limit:
        raise InvalidBodyError("body", f"at most {limit} bytes, got {len(body)}")
    if encoding_of(body) is Encoding.JSON:
        return _checked(object, lambda: msgspec.json.decode(body, type=object))
    return _unpacked(body)


def _unpacked(body: bytes) -> Any:
    try:
        return msgpack.unpackb(body, strict_map_key=True)
    except (ValueError, RecursionError, msgpack.exceptions.UnpackException) as error:
        raise InvalidBodyError("body", "a msgpack map or a JSON object") from error


def skim(body: bytes, kind: type[T], *, limit: int = MAX_BODY) -> T:
    """What ``body`` says of the fields of ``kind``. The others are not built, which makes it cheap however many values
    there are: a million empty lists take a second to build, and two milliseconds to pass over.

    Raises:
        InvalidBodyError: as ``decode``.
    """
    if len(body) > limit:
        raise InvalidBodyError("body", f"at most {limit} bytes, got {len(body)}")
    if encoding_of(body) is Encoding.JSON:
        return _checked(kind, lambda: msgspec.json.decode(body, type=kind))
    return _checked(kind, lambda: msgspec.msgpack.decode(body, type=kind))


def _checked(kind: Any, read: Callable[[], T]) -> T:
    try:
        return read()
    except msgspec.ValidationError as error:
        raise _wrong_shape(kind, str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidBodyError("body", "a msgpack map or a JSON object") from error


def _wrong_shape(kind: Any, text: str) -> InvalidBodyError:
    """The error for what msgspec says of a body that is no ``kind``, which names the field in JSONPath at its end."""
    found = _PATH.search(text)
    path = found[1] if found else ""
    text = _PATH.sub("", text)
    if missing := _MISSING.match(text):
        return InvalidBodyError(f"{path}.{missing[1]}" if path else missing[1], "a value: it is required")
    if enum := _ENUM.match(text):
        known = ", ".join(choices(kind, path)) or "its known values"
        expected = f"one of {known}; got {mask(enum[1][:_SHOWN])!r}"
    elif text.startswith("Expected "):
        expected = text.removeprefix("Expected ")
    else:
        expected = f"a valid value: {text[:1].lower()}{text[1:]}"
    return InvalidBodyError(path or "body", expected)
