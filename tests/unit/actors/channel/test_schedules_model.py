"""Every command for later is sent, once and not before its time, whatever is lost: schedules, rings, NATS, the disk."""

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import initialize, precondition, rule

from actors.channel.schedules import LATE_S
from protocol.port import PortAnswer, SendText, Sent
from tests.fakes.memory_bus import body_of
from tests.fakes.scripted_port import Anything, obliging
from tests.unit.actors.channel.bench import CHANNEL
from tests.unit.actors.channel.mouth import Clock, Mouth
from tests.unit.actors.channel.mouth_machine import MouthMachine


class SchedulesModel(MouthMachine):
    """``times``: when each command may be sent at the earliest, in seconds; ``sent``: when it was, as often as it was;
    ``asked_at``: when the ledger was asked for what is scheduled by the life that is now."""

    @initialize()
    def begin(self) -> None:
        self.rule_time()
        self.times: list[float] = []
        self.sent: list[tuple[int, float]] = []
        self.asked_at: list[float] = []
        self.runner.run(self.born(None))

    async def born(self, before: Mouth | None) -> None:
        self.mouth = Mouth(before, window=4)
        self.mouth.port.answer = self.answer
        await self.mouth.start()
        self.asked_at = []
        original = self.mouth.ledger.scheduled if before is None else None
        if original is not None:

            async def scheduled(channel: str) -> object:
                self.asked_at.append(self.clock.seconds)
                return await original(channel)

            self.mouth.ledger.scheduled = scheduled  # type: ignore[method-assign, assignment]  # to see

    async def answer(self, request: Anything) -> PortAnswer | Sent:
        assert isinstance(request, SendText)
        self.sent.append((int(request.text), self.clock.seconds))
        return await obliging(request)

    # -- what can happen --

    @rule(waits=st.lists(st.integers(1, 300), min_size=1, max_size=6))
    def commands_come(self, waits: list[int]) -> None:
        for wait in waits:
            at = round(self.clock.seconds) + wait
            name = str(len(self.times))
            self.times.append(at)
            self.mouth.bus.put(CHANNEL, body_of(id=name, text=name, not_before=self.moment(at)))
        self.run()

    def moment(self, seconds: float) -> str:
        there = Clock()
        there.seconds = seconds
        return there.utc_now().isoformat()

    @rule(seconds=st.integers(1, 200))
    def time_passes(self, seconds: int) -> None:
        until = self.clock.seconds + seconds
        timers = self.mouth.timers
        while timers and min(wait for wait, _ in timers.values()) <= until - self.clock.seconds:
            name = min(timers, key=lambda name: timers[name][0])
            self.pass_to(self.clock.seconds + timers[name][0])
            self.runner.run(self.mouth.fire(name))
        self.pass_to(until)

    def pass_to(self, seconds: float) -> None:
        passed, self.clock.seconds = seconds - self.clock.seconds, seconds
        for name, (wait, message) in self.mouth.timers.items():
            self.mouth.timers[name] = (max(0.0, wait - passed), message)
        self.mouth.bus.pass_time(self.clock.utc_now())
        self.run()

    @rule(data=st.data())
    @precondition(lambda self: self.mouth.bus.scheduled)
    def a_schedule_is_lost(self, data: st.DataObject) -> None:
        del self.mouth.bus.scheduled[data.draw(st.sampled_from(sorted(self.mouth.bus.scheduled)))]

    @rule()
    def what_was_not_settled_rings_again(self) -> None:
        self.mouth.bus.redeliver(CHANNEL)
        self.run()

    @precondition(lambda self: not self.mouth.ledger.failing)
    @rule()
    def the_channel_begins_anew(self) -> None:
        self.mouth.bus.redeliver(CHANNEL)
        self.mouth.part.close()
        self.runner.run(self.mouth.loop.end())
        self.runner.run(self.born(self.mouth))

    # -- what holds in the end --

    def in_the_end(self) -> None:
        self.what_was_not_settled_rings_again()
        self.time_passes(300 + 6 * int(LATE_S))
        assert sorted(number for number, _ in self.sent) == list(range(len(self.times)))
        assert all(at > self.times[number] - 0.001 for number, at in self.sent), "none before its time"
        pauses = [later - earlier for earlier, later in zip(self.asked_at, self.asked_at[1:], strict=False)]
        assert all(pause > LATE_S - 0.001 for pause in pauses), "the ledger is asked once a minute at most"
        assert "late" not in self.mouth.timers, "who has no schedules is not woken"


TestSchedules = SchedulesModel.TestCase
TestSchedules.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
