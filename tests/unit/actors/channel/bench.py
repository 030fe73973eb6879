"""The parts of a channel on a bench: with fakes around them, in the test's own thread, step by step."""

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any

import structlog

from actors.channel.context import Context
from actors.channel.flights import Flights
from actors.meters import ChannelCount
from actors.turns import AT_ONCE, Turns
from protocol.telemetry import Telemetry
from tests.fakes.memory_bus import MemoryClinicBus
from tests.fakes.memory_ledger import MemoryLedger
from tests.fakes.memory_web import MemoryWeb
from tests.fakes.scripted_remains import ScriptedRemains
from tests.fakes.stepping_loop import SteppingLoop

CLINIC, CHANNEL = "acme", "reception"


class Bench:
    """``run`` does all that can be done now; ``fire`` lets the time of a timer come.

    ``timers``: (seconds, message) by name.
    """

    telemetry: Telemetry | None = None
    media_at_once = AT_ONCE

    def __init__(self, before: "Bench | None" = None) -> None:
        """``before``: an earlier life, whose queue, ledger and ports' remains are taken over."""
        self.bus: MemoryClinicBus = before.bus if before else MemoryClinicBus()
        self.ledger: MemoryLedger = before.ledger if before else MemoryLedger(self.bus.bell)
        self.remains: ScriptedRemains = before.remains if before else ScriptedRemains()
        self.web = MemoryWeb()
        self.loop = SteppingLoop()
        self.handlers: dict[type, Callable[[Any], None]] = {}
        self.timers: dict[str, tuple[float, Any]] = {}
        self._told: deque[Any] = deque()
        self.context = Context(
            clinic=CLINIC,
            channel=CHANNEL,
            bus=self.bus,
            ledger=self.ledger,
            web=self.web,
            loop=self.loop,
            remains=self.remains,
            flights=Flights(),
            count=ChannelCount(),
            tell=self._told.append,
            timer=self._timer,
            random=Random(1),
            log=structlog.get_logger(),
            telemetry=self.telemetry,
            media_turns=Turns(self.media_at_once),
        )

    def _timer(self, name: str, seconds: float, message: Any) -> None:
        assert seconds >= 0
        self.timers[name] = (seconds, message)

    async def run(self) -> None:
        """Do what can be done without time passing."""
        while True:
            await self.loop.rest()
            if not self._told:
                return
            while self._told:
                message = self._told.popleft()
                self.handlers[type(message)](message)

    async def fire(self, name: str) -> None:
        """The time of a timer has come."""
        _, message = self.timers.pop(name)
        self.handlers[type(message)](message)
        await self.run()
