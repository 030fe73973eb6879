"""Publishing to streams: many messages under way at once, in order, each acknowledged by its stream.

The client library's own ``publish_async`` costs three times as much for each.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Struct

from gateway.nats import wire
from gateway.nats.link import Connection
from gateway.nats.translate import translating
from protocol.errors import BusUnavailableError, InvalidInputError, PlantaoError

WINDOW_MESSAGES: Final = 256
WINDOW_BYTES: Final = 4 << 20
"""What one call may have under way."""
_GATHERED_MESSAGES: Final = 64
_GATHERED_BYTES: Final = 64 << 10
"""What is written at once; other work on the loop gets its turn in between."""
_TOO_LARGE: Final = 10054
"""JetStream's error code for a message that is larger than its stream allows."""
_NOBODY: Final = "503"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to a stream. ``name`` is what it is called in an error."""

    subject: str
    block: bytes
    body: bytes
    name: str


class _Refused(Struct, frozen=True):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _Answer(Struct, frozen=True):
    """What a stream answers; a ``stream`` without an ``error`` means that it has the message."""

    stream: str = ""
    error: _Refused | None = None


_read = msgspec.json.Decoder(_Answer).decode


def refusal(message: Outgoing, block: bytes | None, body: bytes) -> PlantaoError | None:
    """Why a stream did not take ``message``, by its answer; None if it has it."""
    doing = f"publishing to {message.subject}"
    if (status := wire.status_of(block)).startswith(_NOBODY):
        return BusUnavailableError(f"{doing}: no stream takes it")
    try:
        said = _read(body)
    except msgspec.DecodeError:
        return BusUnavailableError(f"{doing}: an answer that cannot be read ({status})")
    if said.error is None:
        return None if said.stream else BusUnavailableError(f"{doing}: no stream answered")
    if said.error.err_code == _TOO_LARGE:
        return InvalidInputError(message.name, "less than its stream's limit of bytes")
    return BusUnavailableError(f"{doing}: {said.error.description} ({said.error.err_code})")


class Flight:
    """What one call has under way: pure but for the future on which the call waits."""

    def __init__(self) -> None:
        self._out: dict[int, tuple[Outgoing, int]] = {}
        self._bytes = 0
        self._goal = 0
        self._room = 0
        self._waiter: asyncio.Future[None] | None = None
        self._unavailable: PlantaoError | None = None
        self._refused: PlantaoError | None = None

    @property
    def failure(self) -> PlantaoError | None:
        """The first that came. That something can never be stored is told only if all that is before it is."""
        return self._unavailable or self._refused

    @property
    def numbers(self) -> Iterable[int]:
        """Of those not acknowledged."""
        return self._out

    def sent(self, number: int, message: Outgoing, size: int) -> None:
        """This one is on its way."""
        self._out[number] = (message, size)
        self._bytes += size

    def answered(self, number: int, block: bytes | None, body: bytes) -> None:
        """Its stream has answered; one that is not under way is not ours."""
        found = self._out.pop(number, None)
        if found is None:
            return
        message, size = found
        self._bytes -= size
        failure = refusal(message, block, body)
        if isinstance(failure, InvalidInputError):
            self._refused = self._refused or failure
        else:
            self._unavailable = self._unavailable or failure
        self._look()

    def fail(self, said: str) -> None:
        """Nothing more is to be waited for."""
        self._unavailable = self._unavailable or BusUnavailableError(said)
        self._look()

    def full(self, size: int) -> bool:
        """True if ``size`` more bytes have to wait."""
        return bool(self._out) and (len(self._out) >= WINDOW_MESSAGES or self._bytes + size > WINDOW_BYTES)

    async def room(self, size: int) -> None:
        """Wait until there is room for ``size`` more bytes and many more messages. Raises the failure, if there is."""
        await self._until(WINDOW_MESSAGES // 2, max(0, WINDOW_BYTES - size))

    async def landed(self) -> None:
        """Wait until everything is answered. Raises the failure, if there is."""
        await self._until(0, 0)

    @property
    def _arrived(self) -> bool:
        if self._unavailable is not None:
            return True
        if self._refused is not None:
            return not self._out
        return len(self._out) <= self._goal and self._bytes <= self._room

    def _look(self) -> None:
        if self._waiter is not None and not self._waiter.done() and self._arrived:
            self._waiter.set_result(None)

    async def _until(self, messages: int, size: int) -> None:
        self._goal, self._room = messages, size
        if not self._arrived:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self.failure is not None:
            raise self.failure


class Publisher:
    """Publishes on one connection; ``start`` it before use. On the loop's thread."""

    def __init__(self, connection: Connection) -> None:
        self.connection: Final = connection
        self._nc = connection.nc
        self._inbox = self._nc.new_inbox()
        self._number = 0
        self._flights: dict[int, Flight] = {}
        self._calls: set[Flight] = set()

    async def start(self) -> None:
        """Listen for acknowledgements, for as long as the connection lives. Raises the client library's errors."""
        await self._nc.listen(f"{self._inbox}.*", self._receive)
        self.connection.lost.add_done_callback(self._lost)

    async def publish(self, messages: Iterable[Outgoing], doing: str, *, timeout: float) -> None:
        """Publish in this order and return when all are stored; the first that fails stops those that are not under
        way yet. ``doing`` says in errors what for.

        Raises:
            BusUnavailableError: some may not have been stored: refused, the connection was lost, or not all were within
                ``timeout`` seconds.
            InvalidInputError: the message that ``field`` names can never be; those before it are.
        """
        # No task, which `Connection.during` takes: it would cost as much as a dozen messages.
        flight = Flight()
        clock = asyncio.get_running_loop().call_later(timeout, flight.fail, f"{doing}: no answer in time")
        self._calls.add(flight)
        try:
            with translating(doing):
                await self._send(flight, messages)
        finally:
            clock.cancel()
            self._calls.discard(flight)
            for number in flight.numbers:
                self._flights.pop(number, None)

    async def _send(self, flight: Flight, messages: Iterable[Outgoing]) -> None:
        frames: list[bytes] = []
        gathered = 0
        for message in messages:
            size = len(message.block) + len(message.body)
            if size > self._nc.max_payload:
                self._nc.write(frames)
                await flight.landed()
                raise InvalidInputError(message.name, f"at most {self._nc.max_payload} bytes with headers, got {size}")
            if flight.full(size):
                self._nc.write(frames)
                frames, gathered = [], 0
                await flight.room(size)
            frames.append(self._frame(flight, message, size))
            gathered += size
            if len(frames) >= _GATHERED_MESSAGES or gathered >= _GATHERED_BYTES:
                self._nc.write(frames)
                frames, gathered = [], 0
                await asyncio.sleep(0)
            if flight.failure is not None:
                break
        self._nc.write_within(0, frames)
        await flight.landed()

    def _frame(self, flight: Flight, message: Outgoing, size: int) -> bytes:
        self._number = number = self._number + 1
        self._flights[number] = flight
        flight.sent(number, message, size)
        return wire.publish(message.subject, f"{self._inbox}.{number}", message.block, message.body)

    def _lost(self, _: asyncio.Future[None]) -> None:
        for flight in self._calls:
            flight.fail("publishing: connection lost")

    def _receive(self, subject: bytes, reply: bytes, body: bytes, block: bytes | None) -> None:
        del reply
        number = int(subject[len(self._inbox) + 1 :])
        flight = self._flights.pop(number, None)
        if flight is not None:
            flight.answered(number, block, body)
