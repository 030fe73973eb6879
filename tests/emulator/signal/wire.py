"""The bytes of Signal messages, version 3: a version byte, then a small protobuf, then (for some) a MAC."""

from dataclasses import dataclass
from typing import TypeVar

from tests.emulator.curve import KEY_TYPE

VERSION = b"\x33"
MAC_LENGTH = 8

_Number = TypeVar("_Number", int, bytes)
Fields = dict[int, int | bytes]


class WireError(ValueError):
    """The bytes are not a Signal message."""


@dataclass(frozen=True, slots=True)
class RatchetMessage:
    """One message of a conversation; ``ratchet_key`` is 32 raw bytes."""

    ratchet_key: bytes
    counter: int
    previous_counter: int
    ciphertext: bytes

    def encode(self) -> bytes:
        """Version and body, still without the MAC."""
        return VERSION + _write(
            {
                1: KEY_TYPE + self.ratchet_key,
                2: self.counter,
                3: self.previous_counter,
                4: self.ciphertext,
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> "RatchetMessage":
        """From the whole message, MAC included (it is not checked here)."""
        if len(data) <= MAC_LENGTH:
            raise WireError("too short")
        fields = _read(data[:-MAC_LENGTH])
        return cls(
            _key(fields, 1),
            _get(fields, 2, int, 0),
            _get(fields, 3, int, 0),
            _get(fields, 4, bytes),
        )


@dataclass(frozen=True, slots=True)
class FirstMessage:
    """A message that carries what the receiver needs to begin the conversation."""

    one_time_id: int | None
    signed_id: int
    base_key: bytes
    identity: bytes
    registration: int
    message: bytes

    def encode(self) -> bytes:
        fields: Fields = {
            2: KEY_TYPE + self.base_key,
            3: KEY_TYPE + self.identity,
            4: self.message,
            5: self.registration,
            6: self.signed_id,
        }
        if self.one_time_id is not None:
            fields = {1: self.one_time_id, **fields}
        return VERSION + _write(fields)

    @classmethod
    def decode(cls, data: bytes) -> "FirstMessage":
        fields = _read(data)
        return cls(
            one_time_id=_get(fields, 1, int) if 1 in fields else None,
            signed_id=_get(fields, 6, int),
            base_key=_key(fields, 2),
            identity=_key(fields, 3),
            registration=_get(fields, 5, int),
            message=_get(fields, 4, bytes),
        )


def _key(fields: Fields, number: int) -> bytes:
    key = _get(fields, number, bytes)
    if len(key) != 33 or key[:1] != KEY_TYPE:
        raise WireError(f"field {number} is not a public key")
    return key[1:]


def _get(fields: Fields, number: int, kind: type[_Number], default: _Number | None = None) -> _Number:
    value = fields.get(number, default)
    if not isinstance(value, kind):
        raise WireError(f"field {number} is missing or of another type")
    return value


def _write(fields: Fields) -> bytes:
    out = bytearray()
    for number, value in fields.items():
        if isinstance(value, int):
            out += _varint(number << 3) + _varint(value)
        else:
            out += _varint(number << 3 | 2) + _varint(len(value)) + value
    return bytes(out)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _read(data: bytes) -> Fields:
    if data[:1] != VERSION:
        raise WireError("not version 3")
    fields: Fields = {}
    at = 1
    while at < len(data):
        key, at = _read_varint(data, at)
        value, at = _read_varint(data, at)
        if key & 7 == 0:
            fields[key >> 3] = value
        elif key & 7 == 2:
            if at + value > len(data):
                raise WireError("cut off")
            fields[key >> 3] = data[at : at + value]
            at += value
        else:
            raise WireError(f"wire type {key & 7}")
    return fields


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise WireError("cut off")
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
    raise WireError("a number of more than ten bytes")
