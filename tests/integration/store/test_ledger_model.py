"""The ledger and its model, the ledger in memory: the same calls, the same answers, whatever befalls the file."""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.store import SqliteStore
from gateway.store.ledger import SqliteLedger
from protocol.codes import ErrorCode
from protocol.errors import ConflictError, NotFoundError, StoreUnavailableError
from protocol.events import ErrorBody, ResultEvent
from protocol.ledger import Attempt, Changes, Claim, Ledger, Receipt, Setback
from protocol.subjects import Priority
from protocol.views import CommandState
from tests.fakes.memory_ledger import MemoryLedger
from tests.integration.store.samples import NOW, ended, message, offer

CHANNELS = ("one", "two")
IDS = ("a", "b", "c", "d", "e")
RECIPIENTS = ("5511987654321", "+5511987654322", "123@lid", "5511-77@g.us")
JIDS = ("5511987654321@s.whatsapp.net", "5511987654322@s.whatsapp.net", "123@lid")
WA_IDS = ("W1", "W2", "W3", "W4")
KEYS = ("k1", "k2", "k3", "k4", "k5")
CODES = (ErrorCode.SERVER_ERROR, ErrorCode.REJECTED, ErrorCode.CANCELLED, ErrorCode.OUTCOME_UNKNOWN)

channels = st.sampled_from(CHANNELS)
ids = st.sampled_from(IDS)
runs = st.integers(1, 3)
named = st.tuples(ids, runs)
delays = st.none() | st.integers(-60, 200)
wa_ids = st.sampled_from(WA_IDS)
errors = st.sampled_from(CODES).map(lambda code: ErrorBody.of(code, "in words"))


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

    def clock(self) -> datetime:
        return self.now

    def after(self, seconds: int | None) -> datetime | None:
        return None if seconds is None else self.now + timedelta(seconds=seconds)

    @property
    def data(self) -> Path:
        return self.root / str(self.life)

    def start(self) -> None:
        self.store = SqliteStore(self.data, clock=self.clock)
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
            st.tuples(ids, st.sampled_from("xy"), st.sampled_from(RECIPIENTS), delays, delays), min_size=1, max_size=4
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
                deliver_by=self.after(deliver_by),
            )
            for key, text, to, not_before, deliver_by in batch
        ]
        self.both(lambda it: it.accept(channel, offers, self.now))

    @rule(channel=channels, items=st.lists(named, max_size=3))
    def wake(self, channel: str, items: list[tuple[str, int]]) -> None:
        self.both(lambda it: it.wake(channel, items))

    def attempts(self, pairs: list[tuple[str, int]]) -> list[Attempt]:
        return [Attempt(id=key, run=run, secret=f"{key}{run}{self.life}".encode()) for key, run in pairs]

    @rule(channel=channels, pairs=st.lists(named, min_size=1, max_size=3, unique=True))
    def begin_some(self, channel: str, pairs: list[tuple[str, int]]) -> None:
        self.record(channel, begun=self.attempts(pairs))

    @rule(channel=channels)
    def begin_all(self, channel: str) -> None:
        entries = [entry for (of, _), entry in self.model.entries.items() if of == channel]
        pairs = [(entry.id, entry.run) for entry in entries if entry.state is CommandState.WAITING]
        self.record(channel, begun=self.attempts(pairs))

    @rule(
        channel=channels,
        setbacks=st.lists(
            st.builds(
                Setback,
                id=ids,
                run=st.just(1) | runs,
                spent=st.booleans(),
                uncertain=st.booleans(),
                at=st.just(NOW),
                wa_id=st.none() | wa_ids,
                error=st.none() | errors,
            ),
            min_size=1,
            max_size=3,
        ),
    )
    def set_back(self, channel: str, setbacks: list[Setback]) -> None:
        self.record(channel, setbacks=setbacks)

    def results(self, channel: str, drawn: list[tuple[str, int, Any, str, ErrorCode]]) -> list[ResultEvent]:
        found = []
        for key, run, status, wa_id, code in drawn:
            entry = self.model.entries.get((channel, key))
            result = ended(
                key,
                status,
                run=entry.run if entry and run == 0 else max(run, 1),
                code=None if status == "sent" else code,
                wa_id=wa_id if status in ("sent", "held") else None,
                sent_at=self.now if status == "sent" else None,
                attempts=entry.accepted.attempts if entry else 0,
            )
            found.append(result)
        return found

    drawn_results = st.lists(
        st.tuples(
            ids,
            st.just(0) | runs,
            st.sampled_from(["sent", "sent", "failed", "expired", "held"]),
            wa_ids,
            st.sampled_from(CODES),
        ),
        min_size=1,
        max_size=3,
    )

    @rule(channel=channels, drawn=drawn_results)
    def finish(self, channel: str, drawn: list[tuple[str, int, Any, str, ErrorCode]]) -> None:
        self.record(channel, results=self.results(channel, drawn))

    @rule(channel=channels, drawn=drawn_results, done=st.lists(named, max_size=2), pairs=st.lists(named, max_size=2))
    def change(
        self,
        channel: str,
        drawn: list[tuple[str, int, Any, str, ErrorCode]],
        done: list[tuple[str, int]],
        pairs: list[tuple[str, int]],
    ) -> None:
        """Several things in one go: all of it, or nothing."""
        results = self.results(channel, drawn)
        self.record(channel, results=results, published=done, begun=self.attempts(list(dict.fromkeys(pairs))))

    @rule(channel=channels, pairs=st.lists(named, max_size=4))
    def publish(self, channel: str, pairs: list[tuple[str, int]]) -> None:
        self.record(channel, published=pairs)

    @rule(channel=channels, key=ids, state=st.sampled_from(CommandState))
    def again(self, channel: str, key: str, state: CommandState) -> None:
        entry = self.model.entries.get((channel, key))
        if entry is not None and entry.final:
            state = CommandState(entry.state)
        self.both(lambda it: it.again(channel, key, state, self.now))

    @rule(channel=channels, key=ids)
    def discard(self, channel: str, key: str) -> None:
        self.both(lambda it: it.discard(channel, key))

    @rule(channel=channels, key=ids, run=runs)
    def letter(self, channel: str, key: str, run: int) -> None:
        self.both(lambda it: it.letter(channel, key, run))

    @rule(
        channel=channels,
        receipts=st.lists(
            st.builds(
                Receipt,
                wa_id=wa_ids,
                kind=st.sampled_from(["delivered", "read", "played"]),
                at=st.integers(0, 100).map(lambda s: NOW + timedelta(seconds=s)),
            ),
            max_size=3,
        ),
    )
    def receipted(self, channel: str, receipts: list[Receipt]) -> None:
        self.both(lambda it: it.receipted(channel, receipts))

    @rule(channel=channels, items=st.lists(named, max_size=3))
    def lateness(self, channel: str, items: list[tuple[str, int]]) -> None:
        self.both(lambda it: it.lateness(channel, items))

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

    @rule(seconds=st.sampled_from([1, 30, 100, 86_400, 15 * 86_400, 31 * 86_400]))
    def pass_time(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def sweep(self) -> None:
        self.both(lambda it: it.sweep(self.now))

    @precondition(lambda self: len(self.model.entries) > 3)
    @rule(channel=channels)
    def forget_channel(self, channel: str) -> None:
        self.both(lambda it: it.forget_channel(channel))

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
            self.both(partial(self.said_of, channel=channel))
        self.both(self.said_of_all)

    async def said_of(self, it: Ledger, channel: str) -> Any:
        return (
            await it.unfinished(channel),
            await it.scheduled(channel),
            await it.unpublished(channel),
            await it.overdue(channel, self.now),
            await it.next_deadline(channel),
            await it.sendings(channel, minute=self.now - timedelta(minutes=1), day=self.now - timedelta(days=1)),
            [(each.key, each.what, each.at) for each in await it.spooled(channel, 0, 100)],
            await it.claimed(channel, KEYS),
            await it.traced(channel),
            [await it.command(channel, key) for (of, key) in self.model.entries if of == channel],
            [await self.pages(it, channel, state) for state in (None, *CommandState)],
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


TestLedgerAgainstItsModel = LedgerMachine.TestCase
TestLedgerAgainstItsModel.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
