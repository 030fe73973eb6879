"""WebSocket framing (RFC 6455), the server's side, without I/O and without extensions."""

import base64
import hashlib
from enum import IntEnum

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_FIN, _MASKED = 0x80, 0x80
_LARGEST = 1 << 24


class Opcode(IntEnum):
    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class WebSocketError(Exception):
    """The client broke the protocol."""


def accept_key(key: str) -> str:
    """The Sec-WebSocket-Accept for a Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()


def encode(opcode: Opcode, payload: bytes) -> bytes:
    """One unfragmented, unmasked frame."""
    length = len(payload)
    head = bytes([_FIN | opcode])
    if length < 126:
        return head + bytes([length]) + payload
    if length < 1 << 16:
        return head + b"\x7e" + length.to_bytes(2) + payload
    return head + b"\x7f" + length.to_bytes(8) + payload


class Reader:
    """Turns bytes as they arrive into whole messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._opcode = Opcode.BINARY
        self._fragments: list[bytes] = []

    def feed(self, data: bytes) -> list[tuple[Opcode, bytes]]:
        """The messages that are complete now; WebSocketError if it is none the server understands."""
        self._buffer += data
        messages = []
        while (frame := self._next_frame()) is not None:
            final, opcode, payload = frame
            if opcode >= Opcode.CLOSE:
                messages.append((opcode, payload))
                continue
            if opcode is not Opcode.CONTINUATION:
                self._opcode = opcode
            self._fragments.append(payload)
            if final:
                messages.append((self._opcode, b"".join(self._fragments)))
                self._fragments = []
        return messages

    def _next_frame(self) -> tuple[bool, Opcode, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        length, at = buffer[1] & 127, 2
        if length >= 126:
            at = 4 if length == 126 else 10
            length = int.from_bytes(buffer[2:at])
        if length > _LARGEST or not buffer[1] & _MASKED:
            raise WebSocketError("a frame that is too large or not masked")
        end = at + 4 + length
        if len(buffer) < end:
            return None
        try:
            opcode = Opcode(buffer[0] & 15)
        except ValueError as error:
            raise WebSocketError(f"opcode {buffer[0] & 15}") from error
        final = bool(buffer[0] & _FIN)
        payload = _unmask(bytes(buffer[at + 4 : end]), bytes(buffer[at : at + 4]))
        del buffer[:end]
        return final, opcode, payload


def _unmask(payload: bytes, mask: bytes) -> bytes:
    length = len(payload)
    repeated = (mask * (length // 4 + 1))[:length]
    return (int.from_bytes(payload) ^ int.from_bytes(repeated)).to_bytes(length)
