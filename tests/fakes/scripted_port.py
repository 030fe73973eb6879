"""Ports that say and do what the test wants, and the opener that opens them."""

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from protocol import port as p
from protocol import port_events
from protocol.codes import ErrorCode
from protocol.errors import PortGoneError
from protocol.interfaces import INBOUND_CREDIT, SendOutcome
from protocol.port import PortAnswer, PortRequest, PortSpec, SendRequest
from protocol.port_events import PortEvent, PortExited
from tests.fakes.bell import Bell
from tests.fakes.scripted_remains import AT, DEVICE, ScriptedRemains

__all__ = ["AT", "PAIRED", "UP", "Answer", "ScriptedOpener", "ScriptedPort", "obliging", "silent"]

UP = port_events.Connected(jid=DEVICE, lid="1:7@lid", phone="5511999990000", profile_name="Acme")
PAIRED = port_events.PairingSucceeded(jid=DEVICE, lid="1:7@lid")

Anything = PortRequest | SendRequest
Answer = Callable[[Anything], Awaitable[PortAnswer | p.Sent]]
Deliver = Callable[[Sequence[PortEvent]], None]

_wa_ids = itertools.count(1)


async def obliging(request: Anything) -> PortAnswer | p.Sent:
    """Everything succeeds."""
    match request:
        case p.RequestPairingCode():
            return p.PairingCodeIssued(code="ABCD-EFGH")
        case p.FetchMedia(reference=reference):
            return p.MediaFetched(data=b"media of " + reference)
        case p.CheckNumbers(phones=phones):
            return p.NumbersChecked(items=[p.NumberFound(phone=n, jid=f"{n}@s.whatsapp.net") for n in phones])
        case p.SendMessage():
            return p.Sent(wa_id=f"WA{next(_wa_ids)}", at=AT)
        case _:
            return p.Done()


async def silent(_: Anything) -> PortAnswer | p.Sent:
    """Never answers."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


@dataclass(slots=True)
class _Send:
    """A send that the port has; ``begun``: it reached WhatsApp's library."""

    request: SendRequest
    deliver: Callable[[Sequence[SendOutcome]], None]
    begun: bool = False


class ScriptedPort:
    """Lives on the loop that opened it; ``say``, ``hear`` and what is for tests may be called from any thread.

    ``calls``: every request, sends too, as they began; ``batches``: how many sends were given at once; ``granted``:
    credit given; ``ended``: how it ended. ``answer`` decides what it answers, to one send after another. What was sent
    has its trace in ``remains``, as its outcome has its record in the journal there. ``deaf``: it does not end when it
    is told to stop, but only when it is killed.
    """

    def __init__(
        self,
        spec: PortSpec,
        deliver: Deliver,
        bell: Bell,
        answer: Answer,
        remains: ScriptedRemains | None = None,
    ) -> None:
        self.spec = spec
        self.bell = bell
        self.answer = answer
        self.remains = remains or ScriptedRemains()
        self.deaf = False
        self.calls: list[Anything] = []
        self.batches: list[int] = []
        self.granted = 0
        self.told_to_stop = False
        self.killed: str | None = None
        self.ended: PortExited | None = None
        self._deliver = deliver
        self._loop = asyncio.get_running_loop()
        self._gone = asyncio.Event()
        self._credit = INBOUND_CREDIT
        self._unsaid: deque[port_events.Record] = deque()
        self._sends: deque[_Send] = deque()
        self._sending: asyncio.Task[None] | None = None

    # -- for tests --

    @property
    def alive(self) -> bool:
        return self.ended is None

    def say(self, *events: PortEvent) -> None:
        """These events come, together."""
        self._loop.call_soon_threadsafe(self._tell, events)

    def hear(
        self, *whats: port_events.MessageReceived | port_events.ReceiptReceived | port_events.Undecryptable
    ) -> None:
        """These come in from WhatsApp: into the journal first, then said as far as there is credit."""
        self._loop.call_soon_threadsafe(self._hear, whats)

    def die(self, reason: str = "killed by signal 9") -> None:
        """It ends by itself."""
        self._loop.call_soon_threadsafe(self._end, reason, False)

    def wait_call(self, kind: type[Anything], count: int = 1) -> Anything:
        """The ``count``th request of this kind."""

        def look() -> list[Anything] | None:
            found = [call for call in self.calls if isinstance(call, kind)]
            return found if len(found) >= count else None

        return self.bell.wait(look, f"{count} {kind.__name__}")[count - 1]

    def wait_ended(self) -> PortExited:
        return self.bell.wait(lambda: self.ended, f"the end of port {self.incarnation}")

    # -- Port --

    @property
    def pid(self) -> int:
        return 1_000_000 + self.spec.incarnation

    @property
    def incarnation(self) -> int:
        return self.spec.incarnation

    def send(
        self, requests: Sequence[SendRequest], deliver: Callable[[Sequence[SendOutcome]], None], *, deadline: float
    ) -> None:
        assert deadline > 0
        assert requests
        if not self.alive:
            gone = [_cut(request.key, ErrorCode.NOT_CONNECTED) for request in requests]
            self._loop.call_soon(deliver, gone)
            return
        self.batches.append(len(requests))
        self._sends.extend(_Send(request, deliver) for request in requests)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.ensure_future(self._send_all())

    async def _send_all(self) -> None:
        while self._sends:
            send = self._sends[0]
            send.begun = True
            self.calls.append(send.request)
            self.bell.ring()
            answer = await self.answer(send.request)
            self._sends.popleft()
            assert isinstance(answer, p.Sent | p.Failed)
            if isinstance(answer, p.Sent):
                self.remains.trace(answer.wa_id, send.request.secret, send.request.to, UP.jid)
            record = self.remains.write(port_events.SendAnswered(key=send.request.key, answer=answer))
            send.deliver([SendOutcome(key=send.request.key, answer=answer, record=record.number)])
            self.bell.ring()

    async def call(self, request: PortRequest, *, deadline: float) -> PortAnswer:
        assert deadline > 0
        if not self.alive:
            raise PortGoneError("nothing was done", reached=False)
        self.calls.append(request)
        self.bell.ring()
        answering = asyncio.ensure_future(self.answer(request))
        ending = asyncio.ensure_future(self._gone.wait())
        try:
            await asyncio.wait((answering, ending), return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                answer = answering.result()
                assert not isinstance(answer, p.Sent)
                return answer
            raise PortGoneError(self.ended.reason if self.ended else "")
        finally:
            answering.cancel()
            ending.cancel()

    def grant(self, count: int) -> None:
        self.granted += count
        self._credit += count
        self._say_heard()
        self.bell.ring()

    async def stop(self, *, timeout: float) -> None:
        self.told_to_stop = True
        self.bell.ring()
        if not self.deaf:
            self._end("stopped", True)
        await self._gone.wait()

    def kill(self, reason: str) -> None:
        self.killed = self.killed or reason
        self._loop.call_soon_threadsafe(self._end, reason, False)

    def _tell(self, events: Sequence[PortEvent]) -> None:
        if self.alive and events:
            self._deliver(list(events))

    def _hear(
        self, whats: Sequence[port_events.MessageReceived | port_events.ReceiptReceived | port_events.Undecryptable]
    ) -> None:
        if self.alive:
            self._unsaid.extend(self.remains.write(what) for what in whats)
            self._say_heard()

    def _say_heard(self) -> None:
        count = min(self._credit, len(self._unsaid))
        self._credit -= count
        self._tell([self._unsaid.popleft() for _ in range(count)])

    def _end(self, reason: str, expected: bool) -> None:
        if self.ended is not None:
            return
        if self._sending is not None:
            self._sending.cancel()
        for send in self._sends:
            code = ErrorCode.OUTCOME_UNKNOWN if send.begun else ErrorCode.NOT_CONNECTED
            send.deliver([_cut(send.request.key, code)])
        self._sends.clear()
        self._tell(list(self._unsaid))
        self.ended = PortExited(reason=reason, expected=expected, last_row=len(self.remains.rows))
        self._deliver([self.ended])
        self._gone.set()
        self.bell.ring()


def _cut(key: str, code: ErrorCode) -> SendOutcome:
    return SendOutcome(key=key, answer=p.Failed(code=code.value, message="the port is gone"), cut=True)


class ScriptedOpener:
    """Opens ``ScriptedPort``s. ``refusal``: raised instead; ``held``: opening waits until ``let_go``.

    ``first_words``: what a new port says at once. Of each channel at most one port may be alive.
    """

    def __init__(self, bell: Bell | None = None) -> None:
        self.bell = bell or Bell()
        self.ports: list[ScriptedPort] = []
        self.asked: list[PortSpec] = []
        self.refusal: Exception | None = None
        self.held = False
        self.answer: Answer = obliging
        self.first_words: list[PortEvent] = []
        self._remains: dict[str, ScriptedRemains] = {}
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def wait_port(self, count: int = 1, channel: str | None = None) -> ScriptedPort:
        """The ``count``th port (of a channel)."""

        def look() -> list[ScriptedPort] | None:
            found = [port for port in self.ports if channel in (None, port.spec.channel)]
            return found if len(found) >= count else None

        return self.bell.wait(look, f"port {count}")[count - 1]

    def let_go(self) -> None:
        self.held = False
        waiting, self._waiting = self._waiting, []
        for loop, go_on in waiting:
            loop.call_soon_threadsafe(go_on.set)

    @property
    def alive(self) -> list[ScriptedPort]:
        return [port for port in self.ports if port.alive]

    def remains(self, store: str) -> ScriptedRemains:
        return self._remains.setdefault(store, ScriptedRemains())

    async def open(self, spec: PortSpec, deliver: Deliver) -> ScriptedPort:
        self.asked.append(spec)
        self.bell.ring()
        if self.held:
            go_on = asyncio.Event()
            self._waiting.append((asyncio.get_running_loop(), go_on))
            await go_on.wait()
        if self.refusal is not None:
            raise self.refusal
        same = [port for port in self.alive if (port.spec.clinic, port.spec.channel) == (spec.clinic, spec.channel)]
        assert not same, f"two ports of {spec.clinic}/{spec.channel}"
        port = ScriptedPort(spec, deliver, self.bell, self.answer, self.remains(spec.store))
        self.ports.append(port)
        self.bell.ring()
        if self.first_words:
            port.say(*self.first_words)
        return port
