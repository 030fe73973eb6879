"""What main and a port say to each other over their socket pair: a 4-byte big-endian length, then a msgpack body.

Two laws. A length is never trusted: one beyond the limit ends the conversation before a byte of the body is kept.
And nothing but a complete, valid frame of a known type is ever seen by the code behind the decoder.

Frames are msgspec's own msgpack, not ``protocol.codec``'s: nobody else reads them, and every message that is sent or
comes in crosses here, so what a frame costs main is what a message costs.
"""

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

import msgspec
from msgspec import Struct

from protocol.port import Failed, PortAnswer, PortRequest, PortSpec, SendRequest, Sent
from protocol.port_events import PortEvent

MAX_MEDIA: Final = 16 << 20
"""Largest media that travels through a port, in bytes (16 MiB)."""

MAX_FRAME: Final = MAX_MEDIA + (1 << 20)
"""Largest frame, in bytes: the largest media and what goes with it."""

_HEADER: Final = 4


class FrameError(Exception):
    """The other side sent something that is no frame; nothing after it can be read."""


class Frame(Struct, frozen=True, kw_only=True, tag=True, tag_field="frame"):
    """Base of all frames; the class name is the tag."""


class Beat(Frame, frozen=True, kw_only=True):
    """Still here. Sent both ways every ``beat_s`` seconds, whatever else is sent."""


# -- main to port --


class Open(Frame, frozen=True, kw_only=True):
    """The first frame: become the port of ``spec``, and connect.

    ``beat_s``: seconds between beats; ``silence_s``: how long main may be silent before the port ends itself;
    ``credit``: how many ``Record`` events may be under way before the first ``Grant``; ``main_pid`` and
    ``main_started`` (clock ticks since boot) name the process that owns the port.
    """

    spec: PortSpec
    beat_s: float
    silence_s: float
    credit: int
    main_pid: int
    main_started: int


class Call(Frame, frozen=True, kw_only=True):
    """Do ``request`` and answer with an ``Answered`` of the same ``id``."""

    id: int
    request: PortRequest


class Send(Frame, frozen=True, kw_only=True):
    """Send this after those that came before, and say what came of it with an ``Outcome`` of the same key."""

    request: SendRequest


class Grant(Frame, frozen=True, kw_only=True):
    """``count`` more ``Record`` events may come."""

    count: int


class Stop(Frame, frozen=True, kw_only=True):
    """End in an orderly way: no more sends, finish the one in flight, let what has arrived through, disconnect."""


# -- port to main --


class Holder(Struct, frozen=True, kw_only=True):
    """Who holds the lock on a session store: a port, and the main process that opened it."""

    pid: int
    main_pid: int
    main_started: int


class Ready(Frame, frozen=True, kw_only=True):
    """The library is loaded and the store locked; ``connect()`` is called next."""


class NotReady(Frame, frozen=True, kw_only=True):
    """The port could not be set up for ``reason`` and ends; ``holder``: because this one holds its store."""

    reason: str
    holder: Holder | None = None


class Answered(Frame, frozen=True, kw_only=True):
    """The outcome of the call ``id``."""

    id: int
    answer: PortAnswer


class Outcome(Frame, frozen=True, kw_only=True):
    """What came of the send ``key``, and under which number that stands in the journal; None if it could not be written
    there."""

    key: str
    answer: Sent | Failed
    record: int | None


class Happened(Frame, frozen=True, kw_only=True):
    """An event."""

    event: PortEvent


class Ended(Frame, frozen=True, kw_only=True):
    """The last frame: the port ends itself for ``reason``."""

    reason: str


ToPort = Open | Call | Send | Grant | Stop | Beat
FromPort = Ready | NotReady | Answered | Outcome | Happened | Ended | Beat

F = TypeVar("F")

_ENCODER: Final = msgspec.msgpack.Encoder()


def pack(frame: Frame) -> bytes:
    """``frame`` with its length before it."""
    body = _ENCODER.encode(frame)
    return len(body).to_bytes(_HEADER, "big") + body


class FrameDecoder(Generic[F]):
    """Cuts a byte stream, fed in pieces of any size, into frames of the union ``kind``. Not thread-safe."""

    def __init__(self, kind: type[F], *, limit: int = MAX_FRAME) -> None:
        self._body_decoder = msgspec.msgpack.Decoder(kind)
        self._limit = limit
        self._buffer = bytearray()
        self._broken = False

    def feed(self, data: bytes) -> Iterator[F]:
        """The frames that ``data`` completes, one at a time.

        Raises:
            FrameError: too long a frame, or not one of ``kind``; then, and on every later call.
        """
        if self._broken:
            raise FrameError("the stream is broken already")
        self._buffer += data
        at = 0
        try:
            while end := self._end_of_frame(at):
                body = self._buffer[at + _HEADER : end]
                at = end
                yield self._frame(body)
        except FrameError:
            self._broken = True
            raise
        finally:
            del self._buffer[:at]

    def _end_of_frame(self, at: int) -> int:
        """Where the frame that begins ``at`` ends; 0 if not all of it is there."""
        start = at + _HEADER
        if len(self._buffer) < start:
            return 0
        length = int.from_bytes(self._buffer[at:start], "big")
        if length > self._limit:
            raise FrameError(f"a frame of {length} bytes; at most {self._limit} are allowed")
        end = start + length
        return end if end <= len(self._buffer) else 0

    def _frame(self, body: bytearray) -> F:
        try:
            return self._body_decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise FrameError(f"not a frame: {error}") from error
