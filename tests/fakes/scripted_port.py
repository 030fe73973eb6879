"""Ports that say and do what the test wants, and the opener that opens them."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from protocol import port as p
from protocol.errors import PortGoneError
from protocol.port import PortAnswer, PortEvent, PortExited, PortRequest, PortSpec
from tests.fakes.bell import Bell

AT = datetime(2026, 1, 1, tzinfo=UTC)
UP = p.Connected(jid="5511999990000:7@s.whatsapp.net", lid="1:7@lid", phone="5511999990000", profile_name="Acme")
PAIRED = p.PairingSucceeded(jid="5511999990000:7@s.whatsapp.net", lid="1:7@lid")

Answer = Callable[[PortRequest], Awaitable[PortAnswer]]

_wa_ids = itertools.count(1)


async def obliging(request: PortRequest) -> PortAnswer:
    """Everything succeeds."""
    match request:
        case p.RequestPairingCode():
            return p.PairingCodeIssued(code="ABCD-EFGH")
        case p.FetchMedia(reference=reference):
            return p.MediaFetched(data=b"media of " + reference)
        case p.Probe() | p.LogOut():
            return p.Done()
        case _:
            return p.Sent(wa_id=f"WA{next(_wa_ids)}", at=AT)


async def silent(_: PortRequest) -> PortAnswer:
    """Never answers."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


class ScriptedPort:
    """Lives on the loop that opened it; ``say`` and what is for tests may be called from any thread.

    ``calls``: every request; ``granted``: credit given; ``ended``: how it ended. ``answer`` decides what it answers.
    ``deaf``: it does not end when it is told to stop, but only when it is killed.
    """

    def __init__(self, spec: PortSpec, deliver: Callable[[PortEvent], None], bell: Bell, answer: Answer) -> None:
        self.spec = spec
        self.bell = bell
        self.answer = answer
        self.deaf = False
        self.calls: list[PortRequest] = []
        self.granted = 0
        self.told_to_stop = False
        self.killed: str | None = None
        self.ended: PortExited | None = None
        self._deliver = deliver
        self._loop = asyncio.get_running_loop()
        self._gone = asyncio.Event()

    # -- for tests --

    @property
    def alive(self) -> bool:
        return self.ended is None

    def say(self, *events: PortEvent) -> None:
        for event in events:
            self._loop.call_soon_threadsafe(self._tell, event)

    def die(self, reason: str = "killed by signal 9") -> None:
        """It ends by itself."""
        self._loop.call_soon_threadsafe(self._end, reason, False)

    def wait_call(self, kind: type[PortRequest], count: int = 1) -> PortRequest:
        """The ``count``th request of this kind."""

        def look() -> list[PortRequest] | None:
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
                return answering.result()
            raise PortGoneError(self.ended.reason if self.ended else "")
        finally:
            answering.cancel()
            ending.cancel()

    def grant(self, count: int) -> None:
        self.granted += count
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

    def _tell(self, event: PortEvent) -> None:
        if self.alive:
            self._deliver(event)

    def _end(self, reason: str, expected: bool) -> None:
        if self.ended is not None:
            return
        self.ended = PortExited(reason=reason, expected=expected)
        self._deliver(self.ended)
        self._gone.set()
        self.bell.ring()


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

    async def open(self, spec: PortSpec, deliver: Callable[[PortEvent], None]) -> ScriptedPort:
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
        port = ScriptedPort(spec, deliver, self.bell, self.answer)
        self.ports.append(port)
        self.bell.ring()
        port.say(*self.first_words)
        return port
