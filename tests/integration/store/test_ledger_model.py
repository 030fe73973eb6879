"""The ledger and its model, the ledger in memory: the same calls, the same answers, whatever befalls the file."""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.store import SqliteStore
from gateway.store.ledger import SqliteLedger
from protocol.codes import ErrorCode
from protocol.errors import ConflictError, NotFoundError, StoreUnavailableError
from protocol.events import ErrorBody, ResultEvent
from protocol.inbound import Claim
from protocol.ledger import Attempt, Changes, Ledger, Receipt, Setback
from protocol.subjects import Priority
from protocol.views import CommandState
from tests.fakes.memory_entries import ENDED
from tests.fakes.memory_ledger import MemoryLedger
from tests.integration.store.samples import NOW, ended, keys_of, message, offer

CHANNELS = ("one", "two")
IDS = ("a", "b", "c", "d", "e", "f")
RECIPIENTS = ("5511987654321", "+5511987654321", "123@lid", "5511-77@g.us")
JIDS = ("5511987654321@s.whatsapp.net", "123@lid")
WA_IDS = ("W1", "W2", "W3")
KEYS = ("k1", "k2", "k3", "k4")
CODES = (ErrorCode.SERVER_ERROR, ErrorCode.REJECTED, ErrorCode.CANCELLED, ErrorCode.OUTCOME_UNKNOWN)
RUNNING = (CommandState.WAITING, CommandState.IN_FLIGHT, CommandState.SCHEDULED)
WRONG = 9
"""A pick of something that is not there, or not in the right state."""

channels = st.sampled_from(["one", "one", "one", "two"])
ids = st.sampled_from(IDS)
picks = st.integers(0, WRONG)
delays = st.none() | st.integers(-60, 200)
wa_ids = st.sampled_from(WA_IDS)
errors = st.sampled_from(CODES).map(lambda code: ErrorBody.of(code, "in words"))
endings = st.lists(
    st.tuples(
        picks, st.sampled_from(["sent", "sent", "failed", "failed", "expired", "held"]), wa_ids, st.sampled_from(CODES)
    ),
    min_size=1,
    max_size=3,
)


class LedgerMachine(RuleBasedStateMachine):
    """One clinic, worked on by its channels, closed and killed now and then. Its clock moves by ``pass_time`` alone."""

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.root = Path(tempfile.mkdtemp())
        self.life = 0
        self.now = NOW
        self.model = MemoryLedger(clock=self.clock, keep=timedelta(days=30), remember=timedelta(days=14))
        self.start()
        first = [
            offer("a", deliver_by=self.after(50)),
            offer("b", to="123@lid", deliver_by=self.after(100)),
            offer("c", not_before=self.after(20)),
            offer("d", meta={"visit": 7}),
        ]
        self.both(lambda it: it.accept("one", first, self.now))
        self.record("one", begun=self.attempts([("a", 1), ("b", 1)]))

    def there_are(self, *states: CommandState) -> bool:
        return any(entry.state in states for entry in self.model.entries.values())

    def there_is_some_of(self, channel: str) -> bool:
        return channel in self.model.channels or any(of == channel for of, _ in self.model.entries)

    def clock(self) -> datetime:
        return self.now

    def after(self, seconds: int | None) -> datetime | None:
        return None if seconds is None else self.now + timedelta(seconds=seconds)

    @property
    def data(self) -> Path:
        return self.root / str(self.life)

    def start(self) -> None:
        self.store = SqliteStore(self.data, keys_of, clock=self.clock)
        self.runner.run(self.store.start())
        self.ledger: SqliteLedger = self.runner.run(self.store.open_clinic("acme"))

    def answer(self, ledger: Ledger, call: Callable[[Any], Awaitable[Any]]) -> Any:
        async def work() -> Any:
            return await call(ledger)

        try:
            return self.runner.run(work())
        except (ConflictError, NotFoundError) as error:
            return type(error)

    def both(self, call: Callable[[Any], Awaitable[Any]]) -> Any:
        """What both answer, and it is the same."""
        there, expected = self.answer(self.ledger, call), self.answer(self.model, call)
        assert there == expected
        return there

    def record(self, channel: str, **changes: Any) -> None:
        self.both(lambda it: it.record(channel, Changes(**changes)))

    # -- commands --

    @rule(
        channel=channels,
        batch=st.lists(
            st.tuples(ids, st.sampled_from("xxxy"), st.sampled_from(RECIPIENTS), delays, delays), min_size=2, max_size=4
        ),
        priority=st.sampled_from(Priority),
    )
    def accept(
        self, channel: str, batch: list[tuple[str, str, str, int | None, int | None]], priority: Priority
    ) -> None:
        offers = [
            offer(
                key,
                text,
                to=to,
                priority=priority,
                meta={"visit": text} if text == "x" else None,
                not_before=self.after(not_before),
                deliver_by=self.after(_deadline(not_before, deliver_by)),
            )
            for key, text, to, not_before, deliver_by in batch
        ]
        self.both(lambda it: it.accept(channel, offers, self.now))

    def pick(self, channel: str, pick: int, *states: CommandState) -> tuple[str, int]:
        """The id and run of a command in one of the states, if there is one and it is not to be a wrong one."""
        fit = [(e.id, e.run) for (of, _), e in self.model.entries.items() if of == channel and e.state in states]
        return fit[pick % len(fit)] if fit and pick != WRONG else ("f", 1 + pick % 2)

    def pick_some(self, channel: str, chosen: list[int], *states: CommandState) -> list[tuple[str, int]]:
        return list(dict.fromkeys(self.pick(channel, each, *states) for each in chosen))

    @precondition(lambda self: self.there_are(CommandState.SCHEDULED))
    @rule(channel=channels, chosen=st.lists(picks, max_size=2))
    def wake(self, channel: str, chosen: list[int]) -> None:
        self.both(lambda it: it.wake(channel, self.pick_some(channel, chosen, CommandState.SCHEDULED)))

    def attempts(self, pairs: list[tuple[str, int]]) -> list[Attempt]:
        return [Attempt(id=key, run=run, secret=f"{key}{run}{self.life}".encode()) for key, run in pairs]

    @precondition(lambda self: self.there_are(CommandState.WAITING))
    @rule(channel=channels, chosen=st.lists(picks, min_size=1, max_size=3))
    def begin_some(self, channel: str, chosen: list[int]) -> None:
        self.record(channel, begun=self.attempts(self.pick_some(channel, chosen, CommandState.WAITING)))

    @precondition(lambda self: self.there_are(CommandState.WAITING))
    @rule(channel=channels)
    def begin_all(self, channel: str) -> None:
        entries = [entry for (of, _), entry in self.model.entries.items() if of == channel]
        pairs = [(entry.id, entry.run) for entry in entries if entry.state is CommandState.WAITING]
        self.record(channel, begun=self.attempts(pairs))

    @precondition(lambda self: self.there_are(CommandState.IN_FLIGHT))
    @rule(
        channel=channels,
        drawn=st.lists(
            st.tuples(picks, st.booleans(), st.booleans(), st.none() | wa_ids, st.none() | errors),
            min_size=1,
            max_size=3,
        ),
    )
    def set_back(self, channel: str, drawn: list[tuple[int, bool, bool, str | None, ErrorBody | None]]) -> None:
        setbacks = []
        for chosen, spent, uncertain, wa_id, error in drawn:
            key, run = self.pick(channel, chosen, CommandState.IN_FLIGHT)
            setbacks.append(
                Setback(id=key, run=run, spent=spent, uncertain=uncertain, at=self.now, wa_id=wa_id, error=error)
            )
        self.record(channel, setbacks=setbacks)

    def results(self, channel: str, drawn: list[tuple[int, Any, str, ErrorCode]]) -> list[ResultEvent]:
        found = []
        for chosen, status, wa_id, code in drawn:
            key, run = self.pick(channel, chosen, *RUNNING)
            entry = self.model.entries.get((channel, key))
            result = ended(
                key,
                status,
                run=run,
                code=None if status == "sent" else code,
                wa_id=wa_id if status in ("sent", "held") else None,
                sent_at=self.now if status == "sent" else None,
                attempts=entry.accepted.attempts if entry else 0,
            )
            found.append(result)
        return found

    @precondition(lambda self: self.there_are(*RUNNING))
    @rule(channel=channels, drawn=endings)
    def finish(self, channel: str, drawn: list[tuple[int, Any, str, ErrorCode]]) -> None:
        self.record(channel, results=self.results(channel, drawn))

    @precondition(lambda self: self.there_are(*RUNNING))
    @rule(channel=channels, drawn=endings, done=st.lists(picks, max_size=2), chosen=st.lists(picks, max_size=2))
    def change(
        self, channel: str, drawn: list[tuple[int, Any, str, ErrorCode]], done: list[int], chosen: list[int]
    ) -> None:
        """Several things in one go: all of it, or nothing."""
        self.record(
            channel,
            results=self.results(channel, drawn),
            published=self.pick_some(channel, done, *CommandState),
            begun=self.attempts(self.pick_some(channel, chosen, CommandState.WAITING)),
        )

    @precondition(lambda self: self.there_are(*ENDED))
    @rule(channel=channels, chosen=st.lists(picks, max_size=4), run=st.none() | st.just(1))
    def publish(self, channel: str, chosen: list[int], run: int | None) -> None:
        pairs = self.pick_some(channel, chosen, *CommandState)
        self.record(channel, published=[(key, run or present) for key, present in pairs])

    @precondition(lambda self: self.there_are(*ENDED))
    @rule(channel=channels, chosen=picks, state=st.sampled_from(CommandState))
    def again(self, channel: str, chosen: int, state: CommandState) -> None:
        key, _ = self.pick(channel, chosen, CommandState.FAILED, CommandState.HELD, CommandState.DISCARDED)
        entry = self.model.entries.get((channel, key))
        if entry is not None and chosen != WRONG:
            state = entry.state
        self.both(lambda it: it.again(channel, key, state, self.now))

    @precondition(lambda self: self.there_are(*ENDED))
    @rule(channel=channels, chosen=picks)
    def discard(self, channel: str, chosen: int) -> None:
        key, _ = self.pick(channel, chosen, CommandState.FAILED, CommandState.HELD)
        self.both(lambda it: it.discard(channel, key))

    @precondition(lambda self: self.there_are(*ENDED))
    @rule(channel=channels, chosen=picks, run=st.none() | st.just(1))
    def letter(self, channel: str, chosen: int, run: int | None) -> None:
        key, present = self.pick(channel, chosen, *CommandState)
        self.both(lambda it: it.letter(channel, key, run or present))

    @precondition(lambda self: self.there_are(CommandState.SENT, CommandState.IN_FLIGHT))
    @rule(
        channel=channels,
        drawn=st.lists(
            st.tuples(picks, st.sampled_from(["delivered", "read", "played"]), st.integers(0, 100)), max_size=3
        ),
    )
    def receipted(self, channel: str, drawn: list[tuple[int, str, int]]) -> None:
        mine = [entry for (of, _), entry in self.model.entries.items() if of == channel]
        known = [outcome.result.wa_id for entry in mine for outcome in entry.outcomes.values()]
        known += [entry.accepted.wa_id for entry in mine]
        there = [wa_id for wa_id in known if wa_id is not None] or ["W1"]
        receipts = [
            Receipt(
                wa_id=WA_IDS[after % len(WA_IDS)] if chosen == WRONG else there[chosen % len(there)],
                kind=kind,
                at=NOW + timedelta(seconds=after),
            )
            for chosen, kind, after in drawn
        ]
        self.both(lambda it: it.receipted(channel, receipts))

    @precondition(lambda self: self.there_are(CommandState.SENT))
    @rule(channel=channels, chosen=st.lists(picks, max_size=3))
    def lateness(self, channel: str, chosen: list[int]) -> None:
        self.both(lambda it: it.lateness(channel, self.pick_some(channel, chosen, CommandState.SENT)))

    # -- what came in --

    @rule(
        channel=channels,
        drawn=st.lists(
            st.tuples(
                st.sampled_from(KEYS),
                st.lists(st.sampled_from(JIDS), max_size=2),
                st.none() | st.booleans(),
                st.integers(-100, 100),
            ),
            max_size=4,
        ),
    )
    def claim(self, channel: str, drawn: list[tuple[str, list[str], bool | None, int]]) -> None:
        claims = [
            Claim(
                key=key,
                what=message(key, at=self.now + timedelta(seconds=after)),
                people=people,
                opted_out=opted_out,
            )
            for key, people, opted_out, after in drawn
        ]

        async def taken(it: Ledger) -> list[bool]:
            return [place is not None for place in await it.claim(channel, claims, self.now)]

        self.both(taken)

    @rule(channel=channels, keys=st.lists(st.sampled_from(KEYS), max_size=3))
    def stored(self, channel: str, keys: list[str]) -> None:
        self.both(lambda it: it.stored(channel, keys))

    @rule(channel=channels, row=st.integers(0, 9))
    def trace(self, channel: str, row: int) -> None:
        self.both(lambda it: it.trace(channel, row))

    # -- the whole --

    @rule(seconds=st.sampled_from([1, 1, 30, 100, 100, 86_400, 31 * 86_400]))
    def pass_time(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def sweep(self) -> None:
        self.both(lambda it: it.sweep(self.now))

    @precondition(lambda self: len(self.model.entries) > 3)
    @rule()
    def forget_channel(self) -> None:
        self.both(lambda it: it.forget_channel("two"))

    @rule()
    def reopen(self) -> None:
        self.runner.run(self.store.close_clinic("acme"))
        try:
            self.store.clinic("acme")
            raise AssertionError("it is closed")
        except StoreUnavailableError:
            assert self.runner.run(self.store.open_clinic("acme")) is self.ledger

    @rule()
    def be_killed(self) -> None:
        """The files as they are between two calls are what a killed process leaves."""
        before = self.data
        self.life += 1
        shutil.copytree(before, self.data, ignore=shutil.ignore_patterns("*-shm"))
        self.runner.run(self.store.stop(timeout=5))
        self.start()

    @invariant()
    def both_say_the_same(self) -> None:
        for channel in CHANNELS:
            if channel == "one" or self.there_is_some_of(channel):
                self.both(partial(self.said_of, channel=channel))
        self.both(self.said_of_all)

    async def said_of(self, it: Ledger, channel: str) -> Any:
        return (
            await it.unfinished(channel),
            await it.scheduled(channel),
            [await it.asleep(channel, key) for key in IDS],
            await it.unpublished(channel),
            await it.overdue(channel, self.now),
            await it.next_deadline(channel),
            await it.sendings(channel, minute=self.now - timedelta(minutes=1), day=self.now - timedelta(days=1)),
            [(each.key, each.what, each.at) for each in await it.spooled(channel, 0, 100)],
            await it.claimed(channel, KEYS),
            await it.proven(channel, WA_IDS),
            await it.traced(channel),
            [await it.command(channel, key) for (of, key) in self.model.entries if of == channel],
            [await self.pages(it, channel, state) for state in (None, CommandState.FAILED)],
        )

    async def pages(self, it: Ledger, channel: str, state: CommandState | None) -> Any:
        """A list, page by page."""
        found: list[Any] = []
        page = await it.commands(channel, state=state, before=None, limit=2)
        found.append(page.items)
        while page.next is not None:
            page = await it.commands(channel, state=state, before=page.next, limit=2)
            found.append(page.items)
        return found

    async def said_of_all(self, it: Ledger) -> Any:
        counts = await it.counts()
        return counts.commands, counts.spooled

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.run(self.store.stop(timeout=5))
            self.runner.close()
            shutil.rmtree(self.root)


def _deadline(not_before: int | None, deliver_by: int | None) -> int | None:
    """One that is not after ``not_before`` would be refused before it comes to the ledger."""
    return deliver_by if not_before is None or deliver_by is None else not_before + abs(deliver_by) + 1


TestLedgerAgainstItsModel = pytest.mark.timeout(300)(LedgerMachine.TestCase)
TestLedgerAgainstItsModel.settings = settings(
    max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
