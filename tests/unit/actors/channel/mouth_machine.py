"""A state machine around the sending part of a channel: what its models share."""

import asyncio

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.unit.actors.channel.mouth import Clock, Mouth


class MouthMachine(RuleBasedStateMachine):
    """Whoever inherits begins with ``rule_time`` and says what holds ``in_the_end``, when it has let all heal."""

    mouth: Mouth

    def rule_time(self) -> None:
        self.patch = pytest.MonkeyPatch()
        self.clock = Clock()
        self.clock.rule(self.patch)
        self.runner = asyncio.Runner()

    def run(self) -> None:
        self.runner.run(self.mouth.run())

    def in_the_end(self) -> None:
        raise NotImplementedError

    @rule(away=st.booleans())
    def nats_goes_or_comes(self, away: bool) -> None:
        self.mouth.bus.away = away
        if not away:
            self.mouth.bus.come_back()
        self.run()

    @rule(failing=st.booleans())
    def the_disk_fails_or_heals(self, failing: bool) -> None:
        self.mouth.ledger.failing = failing
        self.run()

    def teardown(self) -> None:
        if not hasattr(self, "runner"):
            return
        try:
            self.mouth.ledger.failing = False
            self.nats_goes_or_comes(False)
            self.in_the_end()
        finally:
            self.runner.run(self.mouth.loop.end())
            self.runner.close()
            self.patch.undo()
