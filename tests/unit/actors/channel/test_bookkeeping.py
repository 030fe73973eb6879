"""The group commit, step by step and against any interleaving of failures and crashes."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from actors.channel.bookkeeping import MARK_WITHIN_S, Bookkeeping, MarkDue, Outcome, RecordDue, Recorded
from protocol.errors import ConflictError
from protocol.events import ResultEvent
from protocol.ledger import Attempt, Setback
from protocol.port import Failed
from protocol.port_events import SendAnswered
from tests.fakes.memory_ledger import Entry
from tests.unit.actors.channel.bench import CHANNEL, CLINIC, Bench
from tests.unit.actors.channel.commands import AT, accepted


class Office(Bench):
    """``launched``, ``told``: what followed from transactions, in order."""

    def __init__(self, before: Bench | None = None) -> None:
        super().__init__(before)
        self.launched: list[str] = []
        self.told: list[str] = []
        self.books = Bookkeeping(self.context, self.committed)
        self.handlers = {
            Recorded: self.books.recorded,
            RecordDue: lambda _: self.books.due(),
            MarkDue: lambda _: self.books.mark(),
        }

    def committed(self, outcomes: Sequence[Outcome]) -> None:
        self.told += [outcome.result.id for outcome in outcomes]

    def know(self, *ids: str) -> None:
        for each in ids:
            self.ledger.entries[CHANNEL, each] = Entry(accepted(each))

    def begin(self, *ids: str) -> None:
        attempts = [Attempt(id=each, run=1, secret=each.encode()) for each in ids]
        self.books.begin(attempts, lambda: self.launched.extend(ids))

    def finish(self, id: str) -> None:
        self.books.finish(ResultEvent(clinic=CLINIC, channel=CHANNEL, id=id, status="sent", wa_id=id), {})

    def transactions(self) -> list[list[str]]:
        """What was recorded, in words."""
        return [[name, *ids] for name, ids in self.ledger.calls]


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    office = Office()
    office.know("1", "2", "3")
    yield office
    await office.loop.end()


async def test_what_comes_while_a_transaction_is_out_goes_together_in_the_next(office: Office) -> None:
    recorded: list[tuple[int, int]] = []
    original = office.ledger.record

    async def counting(channel: str, changes: object) -> None:
        recorded.append((len(changes.begun), len(changes.results)))  # type: ignore[attr-defined]  # Changes
        await original(channel, changes)  # type: ignore[arg-type]  # Changes

    office.ledger.record = counting  # type: ignore[method-assign]  # to count
    office.begin("1")
    office.books.flush()
    for each in "23":
        office.begin(each)
        office.books.flush()
    office.finish("1")
    office.books.flush()
    await office.run()
    assert recorded == [(1, 0), (2, 1)]
    assert (office.launched, office.told) == (["1", "2", "3"], ["1"])
    assert office.books.idle


async def test_what_can_go_with_a_transaction_is_asked_for_at_the_last_moment(office: Office) -> None:
    asked: list[int] = []

    def gather() -> None:
        asked.append(len(asked))
        if len(asked) == 1:
            office.begin("1")

    office.books.gather = gather
    office.books.flush()
    office.books.flush()
    assert asked == [0], "not while one is out"
    await office.run()
    assert office.launched == ["1"]
    assert asked == [0, 1]


async def test_journal_records_are_done_once_what_they_say_is_committed(office: Office) -> None:
    record = office.remains.write(SendAnswered(key="k", answer=Failed(code="rejected", message="")))
    office.ledger.failing = True
    office.finish("1")
    office.books.settle("k", record.number)
    office.books.flush()
    await office.run()
    assert (office.remains.finished, office.told, office.books.trouble) == ([], [], "disk full")
    office.ledger.failing = False
    await office.fire("record")
    assert (office.remains.finished, office.told, office.books.trouble) == ([record.number], ["1"], None)


async def test_what_was_given_up_records_nothing_more_not_even_what_is_under_way(office: Office) -> None:
    office.ledger.failing = True
    office.begin("1")
    office.books.flush()
    await office.run()
    office.ledger.failing = False
    office.books.due()
    office.books.close()
    await office.loop.rest()
    office.books.flush()
    await office.loop.rest()
    assert (office.launched, office.transactions()) == ([], [])


async def test_of_two_lives_the_one_that_was_given_up_flushes_nothing(office: Office) -> None:
    office.begin("1")
    office.books.close()
    office.books.flush()
    await office.run()
    assert (office.launched, office.transactions()) == ([], [])


async def test_a_failed_transaction_is_repeated_as_it_was_before_anything_newer(office: Office) -> None:
    office.ledger.failing = True
    office.begin("1")
    office.books.flush()
    await office.run()
    office.begin("2")
    office.books.flush()
    for _ in range(3):
        await office.fire("record")
    assert office.launched == []
    assert not office.books.idle
    office.ledger.failing = False
    await office.fire("record")
    assert office.launched == ["1", "2"]
    assert office.transactions() == [["begun", "1"], ["begun", "2"]]


async def test_records_alone_need_no_transaction(office: Office) -> None:
    office.books.done([7, 8])
    office.books.flush()
    await office.run()
    assert (office.remains.finished, office.ledger.calls) == ([7, 8], [])
    assert office.books.idle


async def test_what_nats_has_waits_from_the_last_transaction_on_for_one_to_go_with(office: Office) -> None:
    for each in "12":
        office.finish(each)
    office.books.flush()
    await office.run()
    office.books.publish([("1", 1)])
    office.books.flush()
    office.begin("3")
    office.books.flush()
    await office.run()
    del office.timers["mark"]  # its time is still to come when there is something again
    office.books.publish([("2", 1)])
    office.books.flush()
    await office.run()
    assert office.timers["mark"] == (MARK_WITHIN_S, MarkDue())
    assert office.transactions()[-1] != ["published", "2"]
    await office.fire("mark")
    assert office.transactions()[-1] == ["published", "2"]
    assert office.books.idle


async def test_when_nothing_waits_to_be_marked_the_time_for_it_may_come(office: Office) -> None:
    office.books.mark()
    await office.run()
    assert office.transactions() == []


async def test_a_ledger_that_knows_better_ends_the_channel(office: Office) -> None:
    office.begin("nobody")
    office.books.flush()
    with pytest.raises(ConflictError):
        await office.run()


class BookkeepingModel(RuleBasedStateMachine):
    """Commands are begun, set back and finished while the disk fails and the channel crashes; a command is taken up
    again by a successor as the ledger has it."""

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.count = 0
        self.launched: list[str] = []
        self.runner.run(self.born(None))

    async def born(self, before: Office | None) -> None:
        self.office = Office(before)
        self.office.launched = self.launched
        unfinished = await self.office.ledger.unfinished(CHANNEL)
        self.idle = [each.command.id for each in unfinished if not each.uncertain]
        self.away: list[str] = [each.command.id for each in unfinished if each.uncertain]
        self.launches = dict.fromkeys(self.away, 0)

    def run(self) -> None:
        self.runner.run(self.office.run())
        self.check()

    def check(self) -> None:
        entries = self.office.ledger.entries
        begun = [ids[0] for name, ids in self.office.ledger.calls if name == "begun"]
        for each in set(self.launched):
            assert self.launched.count(each) <= begun.count(each), "what is sent was begun"
        for each in self.office.told:
            assert entries[CHANNEL, each].final, "what is told was recorded"

    @rule()
    def a_command_comes(self) -> None:
        self.count += 1
        self.office.know(str(self.count))
        self.idle.append(str(self.count))

    @precondition(lambda self: self.idle)
    @rule(flush=st.booleans())
    def it_begins(self, flush: bool) -> None:
        name = self.idle.pop(0)
        self.away.append(name)
        self.launches[name] = self.launched.count(name) + 1
        self.office.begin(name)
        self.flush(flush)

    @precondition(lambda self: self.ready)
    @rule(outcome=st.sampled_from(["sent", "setback"]), flush=st.booleans())
    def it_is_settled(self, outcome: str, flush: bool) -> None:
        name = self.ready[0]
        self.away.remove(name)
        if outcome == "sent":
            self.office.finish(name)
        else:
            self.office.books.set_back(Setback(id=name, run=1, spent=True, uncertain=False, at=AT))
            self.idle.append(name)
        self.flush(flush)

    @property
    def ready(self) -> list[str]:
        """Those whose attempt was launched: only they can have been answered."""
        return [name for name in self.away if self.launched.count(name) >= self.launches[name]]

    def flush(self, flush: bool) -> None:
        async def go() -> None:
            self.office.books.flush()

        if flush:
            self.runner.run(go())
            self.run()

    @rule(failing=st.booleans())
    def the_disk_fails_or_heals(self, failing: bool) -> None:
        self.office.ledger.failing = failing

    @precondition(lambda self: "record" in self.office.timers)
    @rule()
    def it_is_tried_again(self) -> None:
        self.runner.run(self.office.fire("record"))
        self.run()

    @rule(rarely=st.integers(0, 2))
    def the_channel_crashes(self, rarely: int) -> None:
        if not rarely:
            failing, self.office.ledger.failing = self.office.ledger.failing, False
            self.runner.run(self.office.loop.end())
            self.runner.run(self.born(self.office))
            self.office.ledger.failing = failing

    def teardown(self) -> None:
        if not hasattr(self, "runner"):
            return
        try:
            self.office.ledger.failing = False
            self.flush(True)
            if "record" in self.office.timers:
                self.it_is_tried_again()
            assert self.office.books.idle
            for (_, name), entry in self.office.ledger.entries.items():
                assert entry.final == (name not in self.idle and name not in self.away), "nothing is forgotten"
        finally:
            self.runner.run(self.office.loop.end())
            self.runner.close()


TestBookkeeping = BookkeepingModel.TestCase
TestBookkeeping.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
