"""No command is lost and none is doubled, whatever fails: NATS, the disk, sessions, answers, and the channel itself."""

import asyncio
from collections import defaultdict

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from protocol.codes import ErrorCode
from protocol.port import Failed, PortAnswer, PortRequest, SendText
from supervisor.breaker import Breaker, FailureRate
from tests.fakes.memory_bus import body_of
from tests.fakes.scripted_port import obliging
from tests.unit.actors.channel.bench import CHANNEL
from tests.unit.actors.channel.mouth import Clock, Mouth

CHATS = ["5511900000001", "5511900000002"]
BREAKER = Breaker(trip=FailureRate(threshold=0.5, minimum=3), pause_s=5.0)
CODES = [
    ErrorCode.SERVER_ERROR,
    ErrorCode.NOT_CONNECTED,
    ErrorCode.OUTCOME_UNKNOWN,
    ErrorCode.REJECTED,
    ErrorCode.NOT_ENCRYPTED,
]


class SendingModel(RuleBasedStateMachine):
    """``sent``: commands that WhatsApp took, per chat, as often as it took them; ``crashes``: so far."""

    @initialize()
    def begin(self) -> None:
        self.patch = pytest.MonkeyPatch()
        self.clock = Clock()
        self.clock.rule(self.patch)
        self.runner = asyncio.Runner()
        self.count = 0
        self.uncertain: set[str] = set()
        self.answers: list[ErrorCode] = []
        self.sent: dict[str, list[int]] = defaultdict(list)
        self.runner.run(self.born(None))

    async def born(self, before: Mouth | None) -> None:
        self.mouth = Mouth(before, BREAKER, window=8, in_flight=2, attempts=3)
        self.mouth.port.answer = self.answer
        await self.mouth.start()

    async def answer(self, request: PortRequest) -> PortAnswer:
        assert isinstance(request, SendText)
        code = self.answers.pop(0) if self.answers else None
        if code is ErrorCode.OUTCOME_UNKNOWN:
            self.uncertain.add(request.text)
            self.sent[request.to].append(int(request.text))
        if code is not None:
            return Failed(code=code.value, message="")
        self.sent[request.to].append(int(request.text))
        return await obliging(request)

    def run(self) -> None:
        self.runner.run(self.mouth.run())

    # -- what can happen --

    @rule(to=st.sampled_from(CHATS), number=st.integers(1, 3), on_uncertain=st.sampled_from(["resend", "hold"]))
    def commands_come(self, to: str, number: int, on_uncertain: str) -> None:
        for _ in range(number):
            self.count += 1
            name = str(self.count)
            self.mouth.bus.put(CHANNEL, body_of(id=name, text=name, to=to, on_uncertain=on_uncertain))
        self.run()

    @rule(codes=st.lists(st.sampled_from(CODES), min_size=1, max_size=3))
    def the_next_answers_are_bad(self, codes: list[ErrorCode]) -> None:
        self.answers = codes

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

    @rule(connected=st.booleans())
    def the_session_goes_or_comes(self, connected: bool) -> None:
        async def use() -> None:
            self.mouth.part.use(self.mouth.port if connected else None)
            await self.mouth.run()

        self.runner.run(use())

    @rule()
    def what_was_not_acknowledged_comes_again(self) -> None:
        self.mouth.bus.redeliver(CHANNEL)
        self.run()

    @precondition(lambda self: self.mouth.timers)
    @rule(data=st.data())
    def a_timer_is_due(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.mouth.timers)))
        self.clock.seconds += self.mouth.timers[name][0]
        self.runner.run(self.mouth.fire(name))

    @rule(rarely=st.integers(0, 2))
    def the_channel_crashes(self, rarely: int) -> None:
        """At a quiet moment: what it had sent is known to the ledger, or counts as uncertain. What it had fetched and
        not acknowledged comes again before anything newer (the server's order is not this part's to keep)."""
        if rarely:
            return
        ledger = self.mouth.ledger
        self.mouth.bus.redeliver(CHANNEL)
        self.uncertain |= {key for (_, key), entry in ledger.entries.items() if entry.state == "in_flight"}
        self.runner.run(self.mouth.loop.end())
        self.runner.run(self.born(self.mouth))

    # -- what holds in the end --

    def teardown(self) -> None:
        if not hasattr(self, "runner"):
            return
        try:
            self.all_heals()
            self.check()
        finally:
            self.runner.run(self.mouth.loop.end())
            self.runner.close()
            self.patch.undo()

    def all_heals(self) -> None:
        mouth = self.mouth
        self.answers = []
        mouth.ledger.failing = False
        self.nats_goes_or_comes(False)
        self.the_session_goes_or_comes(True)
        for _ in range(5 * self.count + 5):
            self.what_was_not_acknowledged_comes_again()
            self.clock.seconds += 100.0
            for name in sorted(mouth.timers):
                self.runner.run(mouth.fire(name))
        assert len(mouth.part) == 0
        assert mouth.publishing.idle

    def check(self) -> None:
        bus, ledger = self.mouth.bus, self.mouth.ledger
        results = [result for result in bus.results() if not result.repeat]
        everybody = [str(number) for number in range(1, self.count + 1)]
        assert sorted((result.id for result in results), key=int) == everybody, "exactly one final result each"
        assert len(set(bus.acked)) == self.count
        for result in results:
            entry = ledger.entry(CHANNEL, result.id)
            assert (entry.state, entry.published, entry.result) == ("final", True, result)
        for numbers in self.sent.values():
            certain = [number for number in numbers if str(number) not in self.uncertain]
            assert len(certain) == len(set(certain)), "nothing was sent twice but what may not have been sent"
            firsts = list(dict.fromkeys(numbers))
            assert firsts == sorted(firsts), "in order within a chat"
        sent = {str(number) for numbers in self.sent.values() for number in numbers}
        assert {result.id for result in results if result.status == "sent"} <= sent


TestSending = SendingModel.TestCase
TestSending.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
