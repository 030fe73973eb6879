"""A port as main sees it. Everything here runs on the loop's thread, except ``kill``.

A port may hang, die or go mute at any moment, so nothing waits for it without a limit: calls have deadlines, beats have
a silence that is too long, an exit has a time in which it must happen. Whatever limit is missed, the process is killed,
and its end is the one way in which a port's life ends here: ``PortExited``, once, as the last event. Before it comes
what the port had written into its journal and not said, and the outcome of every send.

Whatever arrives together is handed on together, since every message that is sent or comes in passes here.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeVar

from gateway.process_memory import resident_bytes
from gateway.whatsapp import exits, send_line
from gateway.whatsapp.calls import Calls
from gateway.whatsapp.conduct import BreachError, Conduct, words
from gateway.whatsapp.frames import (
    Answered,
    Beat,
    Ended,
    Frame,
    FrameDecoder,
    FrameError,
    FromPort,
    Grant,
    Happened,
    NotReady,
    Outcome,
    Ready,
    Send,
    Stop,
    pack,
)
from gateway.whatsapp.remains import StoreRemains
from gateway.whatsapp.send_line import SendLine
from protocol.codes import ErrorCode
from protocol.errors import PortGoneError
from protocol.interfaces import SendOutcome
from protocol.port import Failed, PortAnswer, PortRequest, SendRequest
from protocol.port_events import PortEvent, PortExited, Record, SendAnswered
from supervisor.heartbeat import Heartbeat
from supervisor.process import ChildProcess, ProcessError, ProcessExit, ProcessStartError

T = TypeVar("T")

Deliver = Callable[[Sequence[PortEvent]], None]

_AFTER_EOF_S: Final = 10.0
"""A port that has closed its socket is ending: at most 5 s for the send in flight, and some more."""
_OUTGROWN_S: Final = 10.0
"""How long a port that takes too much memory has for its orderly end."""
_AFTER_EXIT_S: Final = 1.0
"""What a dead port had sent is there to be read at once, unless something else still holds its socket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds. ``start``: from the request to fork until ready to connect, and how long the nursery may take to start;
    ``beat``: between beats, both ways; ``silence``: without a word from the other side, until it is given up;
    ``orphan_grace``: how long a port whose main is gone may hold the store that a new one wants."""

    start: float = 15.0
    beat: float = 5.0
    silence: float = 20.0
    orphan_grace: float = 6.0

    @property
    def heartbeat(self) -> Heartbeat:
        """Of a port and of the nursery, as main watches them."""
        return Heartbeat(every=self.beat, silence=self.silence)


class PortProcess(asyncio.Protocol):
    """One running port (``protocol.interfaces.Port``). Made by ``Nursery.open`` alone, for a child of this process."""

    def __init__(
        self,
        pid: int,
        incarnation: int,
        log: int,
        timings: Timings,
        deliver: Deliver,
        remains: StoreRemains,
        *,
        most_bytes: int | None = None,
    ) -> None:
        """``most_bytes``: with more memory than that (None: no limit) it is ended, in order.

        Raises OSError: ``pid`` cannot be watched; then ``log``, else this object's from now on, is the caller's."""
        self._loop = asyncio.get_running_loop()
        self._process = ChildProcess(pid)
        self._incarnation = incarnation
        self._log = log
        self._timings = timings
        self._deliver = deliver
        self._remains = remains
        self._most_bytes = most_bytes
        self._outgrown: str | None = None
        self._recycling: asyncio.Task[None] | None = None
        self._conduct = Conduct()
        self._broke_off = False
        self._events: list[PortEvent] = []
        self._listened_to = False
        self._decoder: FrameDecoder[FromPort] = FrameDecoder(FromPort)  # type: ignore[arg-type]  # a union is no type[]
        self._transport: asyncio.Transport | None = None
        self._calls = Calls(self._write, self.kill)
        self._line = SendLine()
        self._line_timer: asyncio.TimerHandle | None = None
        self._late: str | None = None
        self._expected = False
        self._said: str | None = None
        self._dead: str | None = None
        self._winding_up: asyncio.Task[None] | None = None
        self._closed = self._loop.create_future()
        self.readiness: asyncio.Future[Ready | NotReady] = self._loop.create_future()
        self._process.when_ended(self._on_end)
        remains.opening()

    async def attach(self, sock: socket.socket, opening: Frame) -> None:
        """Begin the conversation over ``sock``, which is this object's from now on, with ``opening``."""
        await self._loop.create_unix_connection(lambda: self, sock=sock)
        self._write(opening)
        self._process.beat(lambda: self._write(Beat()), self._timings.heartbeat)

    async def until_ready(self, timeout: float) -> Ready | NotReady:
        """What it says to its opening; if that does not come within ``timeout`` seconds it is killed, and not ready.

        Raises:
            ProcessStuckError: it was killed and does not end.
        """
        try:
            return await self._process.until_ready(asyncio.shield(self.readiness), timeout=timeout)
        except ProcessStartError:
            await self.closed()  # what it had said before it ended is read by then
            return await self.readiness

    def mute(self) -> None:
        """Deliver nothing any more: whoever asked for the port was told that it did not come up."""
        self._listened_to = False

    # -- Port --

    @property
    def pid(self) -> int:
        """Of the OS process."""
        return self._process.pid

    @property
    def incarnation(self) -> int:
        """From its ``PortSpec``."""
        return self._incarnation

    def send(self, requests: Sequence[SendRequest], deliver: send_line.Deliver, *, deadline: float) -> None:
        """See ``protocol.interfaces.Port``. What waits in line is not late."""
        if self._is_over:
            answer = Failed(code=ErrorCode.NOT_CONNECTED.value, message="the port is gone; nothing was sent")
            refused = [SendOutcome(key=request.key, answer=answer) for request in requests]
            self._loop.call_soon(self._hand, deliver, refused)
            return
        assert self._transport is not None
        self._line.join(requests, deliver, deadline, self._loop.time())
        self._transport.write(b"".join([pack(Send(request=request)) for request in requests]))
        if self._line_timer is None:
            self._watch_line()

    async def call(self, request: PortRequest, *, deadline: float) -> PortAnswer:
        """See ``protocol.interfaces.Port``."""
        if self._is_over:
            raise PortGoneError("nothing was done", reached=False)
        return await self._calls.make(request, deadline=deadline)

    def grant(self, count: int) -> None:
        """Let ``count`` more ``Record`` events through."""
        self._conduct.granted(count)
        self._write(Grant(count=count))

    async def stop(self, *, timeout: float) -> None:
        """See ``protocol.interfaces.Port``."""
        self._expected = True
        await self._process.end(timeout=timeout, ask=lambda: self._write(Stop()))
        await self.closed()

    def kill(self, reason: str) -> None:
        """SIGKILL it; ``PortExited`` follows. Callable from any thread; harmless if it is gone."""
        self._process.kill(reason)

    # -- the conversation --

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the socket is there."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """asyncio: the port says something."""
        if self._broke_off:
            return
        self._process.heard()
        try:
            for frame in self._decoder.feed(data):
                self._take(frame)
        except FrameError as error:
            self._break_off(f"sent what is not a frame: {words(str(error))}")
        except BreachError as error:
            self._break_off(f"sent {error}")
        self._hand_on()

    def _break_off(self, reason: str) -> None:
        self._broke_off = True
        self.kill(reason)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the port's end of the socket is closed, which is how its end begins; or ended."""
        self._transport = None
        if self._dead:
            self._finish()
        else:
            self._process.must_end(_AFTER_EOF_S, "closed its socket and did not end")

    @property
    def _is_over(self) -> bool:
        return bool(self._dead or self._said is not None or self._transport is None or self._transport.is_closing())

    def _take(self, frame: FromPort) -> None:
        """Raises BreachError."""
        if not self._took(frame):
            self._conduct.unasked(self._loop.time())

    def _took(self, frame: FromPort) -> bool:
        """Whether it was asked for, or there was credit for it."""
        match frame:
            case Outcome():
                return self._line.answered(frame.key, frame.answer, frame.record, self._loop.time())
            case Happened():
                return self._happened(frame.event)
            case Answered():
                return self._calls.answered(frame.id, frame.answer)
            case Ready() | NotReady():
                self._begun(frame)
            case Ended():
                self._said = words(frame.reason)
                self._process.must_end(_AFTER_EOF_S, f"{self._said}, and did not end")
            case Beat():
                self._weigh()
        return False

    def _happened(self, event: PortEvent) -> bool:
        if isinstance(event, PortExited):
            raise BreachError("word of its own end, which is not its to give")
        if isinstance(event, Record):
            if isinstance(event.what, SendAnswered):
                raise BreachError("the outcome of a send as something that came in")
            self._conduct.record()
            if self._listened_to:
                self._remains.heard(event)
        self._events.append(event)
        return isinstance(event, Record)

    def _begun(self, frame: Ready | NotReady) -> None:
        if self._listened_to:
            raise BreachError("word of its beginning twice")
        self._listened_to = isinstance(frame, Ready)
        if not self.readiness.done():
            if isinstance(frame, NotReady):
                frame = NotReady(reason=words(frame.reason), holder=frame.holder)
            self.readiness.set_result(frame)

    def _write(self, frame: Frame) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(pack(frame))

    def _hand_on(self) -> None:
        """Everything that has gathered, to those whom it concerns."""
        events, self._events = self._events, []
        if events and self._listened_to:  # else it never was ready, and who asked for it is told that by ``open``
            self._hand(self._deliver, events)
        for deliver, outcomes in self._line.take_outcomes().items():
            self._hand(deliver, outcomes)

    def _hand(self, deliver: Callable[[Sequence[T]], None], what: Sequence[T]) -> None:
        try:
            deliver(what)
        except Exception as error:  # noqa: BLE001 - a listener's fault must not stop the port from being looked after
            self._loop.call_exception_handler({"message": "a port's listener failed", "exception": error})

    # -- limits --

    def _weigh(self) -> None:
        """Have a port that has outgrown its memory end: what is under way may come to its end, nothing is lost."""
        size = None if self._most_bytes is None or self._recycling is not None else resident_bytes(self.pid)
        if size is not None and self._most_bytes is not None and size > self._most_bytes:
            self._outgrown = f"it took {size >> 20} MiB of memory, more than limits.port_bytes"
            self._recycling = self._loop.create_task(self._recycle())

    async def _recycle(self) -> None:
        with suppress(ProcessError):  # it survives even SIGKILL: its channel hears of no end
            await self.stop(timeout=_OUTGROWN_S)

    def _watch_line(self) -> None:
        """One timer for all sends: it runs to when the head of the line would be late, if nothing moved before."""
        due = self._line.due()
        if due is None or self._dead:
            self._line_timer = None
        elif due > self._loop.time():
            self._line_timer = self._loop.call_at(due, self._watch_line)
        else:
            self._late, deadline = self._line.late()
            self.kill(f"missed the deadline of a send ({deadline:g} s)")

    # -- the end --

    def _on_end(self, how: ProcessExit) -> None:
        """It is gone and reaped; what it had said may not have been read yet."""
        written = exits.read_log(self._log)
        os.close(self._log)
        self._dead = self._outgrown or how.killed_for or self._said or exits.reason(how, written)
        if self._transport is None:
            self._finish()
        else:
            self._loop.call_later(_AFTER_EXIT_S, self._finish)

    def _finish(self) -> None:
        """Once: the process is reaped, and all that it had said is read."""
        if self._winding_up is not None or self._dead is None:
            return
        if not self.readiness.done():
            self.readiness.set_result(NotReady(reason=self._dead))
        self._calls.end(self._dead)
        if self._transport is not None:
            self._transport.abort()
        if self._line_timer is not None:
            self._line_timer.cancel()
        self._winding_up = self._loop.create_task(self._wind_up(self._dead))

    async def _wind_up(self, reason: str) -> None:
        """What it had written down and not said comes first, then what can't be known any more, then its end."""
        try:
            unheard, last_row = await self._remains.ended(read=self._listened_to)
            for record in unheard:
                if isinstance(record.what, SendAnswered):
                    self._line.answered(record.what.key, record.what.answer, record.number, self._loop.time())
                else:
                    self._events.append(record)
            self._line.end(reason, late=self._late)
            self._hand_on()
            self._events.append(PortExited(reason=reason, expected=self._expected, last_row=last_row))
            self._hand_on()
        finally:
            self._closed.set_result(None)

    async def closed(self) -> None:
        """Returns when ``PortExited`` has been delivered."""
        await asyncio.shield(self._closed)
