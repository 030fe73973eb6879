"""No command is lost and none is doubled, whatever fails: NATS, the disk, sessions, answers, ports, the channel itself.

A second copy is allowed for what the ledger recorded as uncertain before, and for nothing else.
"""

from collections import defaultdict
from enum import Enum
from itertools import count

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import initialize, precondition, rule

from protocol.codes import ErrorCode
from protocol.ledger import Changes, Receipt
from protocol.port import Failed, PortAnswer, SendText, Sent
from supervisor.breaker import Breaker, FailureRate
from tests.fakes.memory_bus import body_of
from tests.fakes.memory_ledger import MemoryLedger
from tests.fakes.scripted_port import Anything, obliging, silent
from tests.unit.actors.channel.bench import CHANNEL
from tests.unit.actors.channel.commands import AT
from tests.unit.actors.channel.mouth import Mouth
from tests.unit.actors.channel.mouth_machine import MouthMachine

CHATS = ["5511900000001", "5511900000002"]
BREAKER = Breaker(trip=FailureRate(threshold=0.5, minimum=3), pause_s=5.0)
CODES = [
    ErrorCode.SERVER_ERROR,
    ErrorCode.NOT_CONNECTED,
    ErrorCode.REJECTED,
    ErrorCode.NOT_ENCRYPTED,
]


class Fate(Enum):
    """What comes of a send without a clear answer. ``stored``: whatsmeow wrote it into the session store; ``sent``:
    WhatsApp has it; ``dies``: the port ends, else it answers that the outcome is unknown."""

    stored: bool
    sent: bool
    dies: bool

    def __new__(cls, name: str, stored: bool, sent: bool, dies: bool) -> "Fate":
        fate = object.__new__(cls)
        fate._value_ = name
        fate.stored, fate.sent, fate.dies = stored, sent, dies
        return fate

    LOST = "lost", False, False, True
    STORED = "stored", True, False, True
    SENT = "sent", True, True, True
    NO_ANSWER = "no answer", True, True, False
    NOT_BEGUN = "not begun", False, False, False


class SendingModel(MouthMachine):
    """``sent``: commands that WhatsApp took, per chat, as often as it took them; ``uncertain``: those that the ledger
    recorded as such."""

    @initialize()
    def begin(self) -> None:
        self.rule_time()
        self.count = 0
        self.uncertain: set[str] = set()
        self.traces = count()
        self.wa_ids: dict[str, str] = {}
        self.answers: list[ErrorCode | Fate] = []
        self.sent: dict[str, list[int]] = defaultdict(list)
        self.runner.run(self.born(None))

    async def born(self, before: Mouth | None) -> None:
        self.mouth = Mouth(before, BREAKER, window=8, in_flight=2, attempts=3)
        if before is None:
            self.watch(self.mouth.ledger)
        self.mouth.port.answer = self.answer
        await self.mouth.start()
        self.mouth.part.backlog_in()

    def watch(self, ledger: MemoryLedger) -> None:
        original = ledger.record

        async def record(channel: str, changes: Changes) -> None:
            await original(channel, changes)
            self.uncertain |= {setback.id for setback in changes.setbacks if setback.uncertain}

        ledger.record = record  # type: ignore[method-assign]  # to see

    async def answer(self, request: Anything) -> PortAnswer | Sent:
        assert isinstance(request, SendText)
        fate = self.answers.pop(0) if self.answers else None
        if isinstance(fate, ErrorCode):
            return Failed(code=fate.value, message="")
        if fate is None or fate.sent:
            self.sent[request.to].append(int(request.text))
        if fate is None:
            return await obliging(request)
        if fate.stored:
            wa_id = f"F{next(self.traces)}"
            self.mouth.remains.trace(wa_id, request.secret)
            if fate.sent:
                self.wa_ids[wa_id] = request.text
        if fate.dies:
            self.mouth.port.die()
            return await silent(request)
        return Failed(code=ErrorCode.OUTCOME_UNKNOWN.value, message="")

    # -- what can happen --

    @rule(to=st.sampled_from(CHATS), number=st.integers(1, 3), on_uncertain=st.sampled_from(["resend", "hold"]))
    def commands_come(self, to: str, number: int, on_uncertain: str) -> None:
        for _ in range(number):
            self.count += 1
            name = str(self.count)
            self.mouth.bus.put(CHANNEL, body_of(id=name, text=name, to=to, on_uncertain=on_uncertain))
        self.run()

    @rule(codes=st.lists(st.sampled_from([*CODES, *Fate]), min_size=1, max_size=3))
    def the_next_answers_are_bad(self, codes: list[ErrorCode | Fate]) -> None:
        self.answers = codes

    @rule(connected=st.booleans())
    def the_session_goes_or_comes(self, connected: bool) -> None:
        async def use() -> None:
            mouth = self.mouth
            mouth.part.use(None)
            if connected:
                if not mouth.port.alive:
                    mouth.port = mouth.new_port()
                    mouth.port.answer = self.answer
                mouth.part.use(mouth.port)
                await mouth.run()
                mouth.part.backlog_in()
            await mouth.run()

        self.runner.run(use())

    @rule()
    def what_was_not_acknowledged_comes_again(self) -> None:
        self.mouth.bus.redeliver(CHANNEL)
        self.run()

    @precondition(lambda self: self.wa_ids)
    @rule(data=st.data())
    def a_receipt_comes(self, data: st.DataObject) -> None:
        """As receiving deals with it: the ledger notes it first."""
        wa_id = data.draw(st.sampled_from(sorted(self.wa_ids)))
        self.runner.run(self.receipt(wa_id))

    async def receipt(self, wa_id: str) -> None:
        mouth = self.mouth
        if not mouth.ledger.failing:
            noted = await mouth.ledger.receipted(CHANNEL, [Receipt(wa_id=wa_id, kind="delivered", at=AT)])
            mouth.part.receipted(wa_id, "delivered", noted.get(wa_id))
            await mouth.run()

    @precondition(lambda self: self.mouth.timers)
    @rule(data=st.data())
    def a_timer_is_due(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.mouth.timers)))
        self.clock.seconds += self.mouth.timers[name][0]
        self.runner.run(self.mouth.fire(name))

    @rule(rarely=st.integers(0, 2))
    def the_channel_crashes(self, rarely: int) -> None:
        """What it had fetched and not acknowledged comes again before anything newer (the server's order is not this
        part's to keep). Its port dies with it."""
        if rarely:
            return
        self.mouth.bus.redeliver(CHANNEL)
        self.mouth.part.close()
        self.mouth.port.die()
        self.runner.run(self.mouth.loop.end())
        self.runner.run(self.born(self.mouth))

    # -- what holds in the end --

    def in_the_end(self) -> None:
        self.all_heals()
        self.check()

    def all_heals(self) -> None:
        mouth = self.mouth
        self.answers = []
        self.the_session_goes_or_comes(True)
        for _ in range(5 * self.count + 10):
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
            assert (entry.final, entry.published, entry.result) == (True, True, result)
        for numbers in self.sent.values():
            certain = [number for number in numbers if str(number) not in self.uncertain]
            assert len(certain) == len(set(certain)), "nothing was sent twice but what was recorded as uncertain"
            firsts = list(dict.fromkeys(numbers))
            assert firsts == sorted(firsts), "in order within a chat"
        sent = {str(number) for numbers in self.sent.values() for number in numbers}
        assert {result.id for result in results if result.status == "sent"} <= sent, "what is told was sent"
        assert not self.mouth.remains.records, "every record of the journal is done"


TestSending = SendingModel.TestCase
TestSending.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
