"""The sending part of a channel on the bench, and a clock."""

from datetime import datetime, timedelta

import pytest

from actors.channel import context as context_module
from actors.channel import publishing
from actors.channel.outbox import OutboxPolicy
from actors.channel.pacing import OFF, PacingPolicy
from actors.channel.publishing import Publishing
from actors.channel.sending import Sending, SendingPolicy
from protocol.port import PortSpec, SendText
from protocol.port_events import SendAnswered
from supervisor.backoff import Backoff
from supervisor.breaker import Breaker, Consecutive
from tests.fakes.memory_ledger import Entry
from tests.fakes.scripted_port import ScriptedPort, obliging
from tests.fakes.scripted_remains import DEVICE
from tests.unit.actors.channel.bench import CHANNEL, Bench
from tests.unit.actors.channel.commands import AT

SPEC = PortSpec(clinic="acme", channel="reception", incarnation=1, store="x.db", device_name="Plantão")
NEVER_OPENS = Breaker(trip=Consecutive(1_000_000))


class Mouth(Bench):
    """The sending part with its publishing part, and a port to send through. ``wait_s``: ``uncertain.wait``."""

    def __init__(
        self,
        before: Bench | None = None,
        breaker: Breaker = NEVER_OPENS,
        wait_s: float = 30.0,
        pacing: PacingPolicy = OFF,
        **outbox: object,
    ) -> None:
        super().__init__(before)
        settings = {"backoff": Backoff(base_s=0.0)} | outbox
        self.policy = SendingPolicy(
            outbox=OutboxPolicy(**settings),  # type: ignore[arg-type]  # a test's
            breaker=breaker,
            uncertain_wait_s=wait_s,
            pacing=pacing,
        )
        self.publishing = Publishing(self.context)
        self.part = Sending(self.context, self.policy, self.publishing)
        self.part.linked(DEVICE)
        self.port = self.new_port()
        self.handlers = {
            **self.part.handlers,
            publishing.Flushed: self.publishing.flushed,
            publishing.FlushDue: lambda _: self.publishing.due(),
        }

    def new_port(self) -> ScriptedPort:
        return ScriptedPort(SPEC, lambda _: None, self.bus.bell, obliging, self.remains)

    async def start(self, *, connected: bool = True) -> "Mouth":
        journal = await self.remains.journal()
        self.part.recover([(each.number, each.what) for each in journal if isinstance(each.what, SendAnswered)])
        if connected:
            self.part.use(self.port)
        await self.run()
        return self

    async def send(self, *bodies: bytes) -> None:
        for body in bodies:
            self.bus.put(CHANNEL, body)
        await self.run()

    @property
    def sent(self) -> list[str]:
        return [call.text for call in self.port.calls if isinstance(call, SendText)]

    @property
    def results(self) -> list[tuple[str, str]]:
        return [(result.id, result.status) for result in self.bus.results()]

    def own(self, *entries: Entry) -> None:
        """The ledger knows these from an earlier life."""
        for entry in entries:
            self.ledger.entries[CHANNEL, entry.accepted.command.id] = entry

    def state(self, id: str) -> str:
        return self.ledger.entry(CHANNEL, id).state


class Clock:
    """Stands until a test moves it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def utc_now(self) -> datetime:
        return AT + timedelta(seconds=self.seconds)

    def rule(self, patch: pytest.MonkeyPatch) -> None:
        """Be the clock of every channel from now on."""
        patch.setattr(context_module, "monotonic", lambda: self.seconds)
        patch.setattr(context_module, "utc_now", self.utc_now)
