import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from actors.channel import publishing as publishing_module
from actors.channel.bookkeeping import MarkDue, RecordDue, Recorded
from actors.channel.fitting import TOO_LARGE
from actors.channel.publishing import FlushDue, Flushed, Publishing
from protocol.channel import Breaker, ChannelState
from protocol.codes import ErrorCode
from protocol.errors import NotFoundError
from protocol.events import DeadLetter, ErrorBody, Event, ResultEvent, ResultStatus, StateEvent
from protocol.ledger import Changes
from protocol.subjects import EventKind
from tests.fakes.memory_ledger import Entry
from tests.unit.actors.channel.bench import CHANNEL, CLINIC, Bench
from tests.unit.actors.channel.commands import AT, accepted


def state(reason: str) -> StateEvent:
    return StateEvent(
        clinic=CLINIC,
        channel=CHANNEL,
        state=ChannelState.CONNECTED,
        previous=ChannelState.INITIALIZING,
        reason=reason,
        since=AT,
        attempt=0,
        next_retry_at=None,
        breaker=Breaker.CLOSED,
    )


def _name(event: Event) -> str:
    assert isinstance(event, ResultEvent | StateEvent)
    return event.id if isinstance(event, ResultEvent) else event.reason


class Press(Bench):
    """The publishing part, with a ledger that knows every command whose result it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.part = Publishing(self.context)
        self.handlers = {
            Flushed: self.part.flushed,
            FlushDue: lambda _: self.part.due(),
            Recorded: self.part.recorded,
            RecordDue: lambda _: self.part.books.due(),
            MarkDue: lambda _: self.part.books.mark(),
        }

    def result(self, id: str, status: ResultStatus = "sent", meta: dict[str, Any] | None = None) -> None:
        self.ledger.entries.setdefault((CHANNEL, id), Entry(accepted(id, meta=meta), "in_flight"))
        error = ErrorBody.of(ErrorCode.REJECTED, "no") if status == "failed" else None
        result = ResultEvent(clinic=CLINIC, channel=CHANNEL, id=id, status=status, meta=meta, error=error)
        self.part.books.finish(result, {"h": id})
        self.part.books.flush()

    async def run(self) -> None:
        """As the bench's, and then the moment passes after which the ledger is told what NATS has."""
        await super().run()
        if "mark" in self.timers:
            await self.fire("mark")

    def event(self, reason: str) -> None:
        self.part.event(EventKind.STATE, state(reason), reason)

    @property
    def order(self) -> list[str]:
        return [_name(publication.event) for publication in self.bus.published]

    def recorded(self, id: str) -> bool:
        return self.ledger.entry(CHANNEL, id).final


@pytest.fixture
async def press() -> AsyncIterator[Press]:
    press = Press()
    yield press
    await press.loop.end()


async def test_a_result_is_recorded_then_published_then_marked(press: Press) -> None:
    press.result("1")
    await press.run()
    assert press.ledger.calls == [("result", ("1",)), ("published", ("1",))]
    (publication,) = press.bus.published
    assert (publication.kind, publication.headers, publication.since) == (EventKind.RESULT, {"h": "1"}, None)
    assert press.part.idle
    assert not press.part.stuck


async def test_events_and_results_keep_their_order(press: Press) -> None:
    press.event("a")
    press.result("1")
    await press.run()
    press.event("b")
    press.result("2")
    await press.run()
    assert press.order == ["a", "1", "b", "2"]


async def test_results_that_are_recorded_together_are_published_together(press: Press) -> None:
    for number in "123456":
        press.result(number)
    await press.run()
    assert press.bus.publish_calls == 2
    assert press.order == list("123456")


async def test_if_the_ledger_fails_no_result_is_published_before_it_is_recorded(press: Press) -> None:
    press.ledger.failing = True
    press.result("1")
    await press.run()
    assert (press.bus.published, press.part.stuck, press.part.idle) == ([], True, False)
    press.ledger.failing = False
    await press.fire("record")
    assert press.order == ["1"]
    assert press.part.idle
    assert not press.part.stuck


async def test_while_nats_is_away_all_is_tried_again_in_order_and_published_once(press: Press) -> None:
    press.bus.away = True
    press.event("a")
    press.result("1")
    await press.run()
    for _ in range(3):
        seconds, _due = press.timers["flush"]
        assert 0.0 <= seconds <= 10.0
        await press.fire("flush")
    press.event("b")
    press.bus.away = False
    await press.fire("flush")
    assert press.order == ["a", "1", "b"]
    assert press.part.idle


async def test_results_that_come_while_nats_is_away_or_hangs_are_recorded_at_once(press: Press) -> None:
    press.bus.hanging = True
    press.event("a")
    await press.run()
    press.result("1")
    await press.run()
    assert press.recorded("1")
    assert not press.part.idle
    press.bus.hanging = False
    press.bus.away = True
    press.loop.time_out("_flush")
    await press.run()
    assert press.part.stuck, "what waits is known to the ledger"
    press.bus.away = False
    await press.fire("flush")
    assert press.order == ["a", "1"]


async def test_what_is_published_again_says_since_when_it_may_be_there(press: Press) -> None:
    press.event("a")
    await press.run()
    press.bus.breaking = 0
    press.event("b")
    await press.run()
    press.event("c")
    await press.run()
    await press.fire("flush")
    await press.run()
    assert press.order == ["a", "b", "c"]
    assert len(press.bus.looked_up) == 1, "b alone was tried before"


async def test_what_an_earlier_life_left_is_published_as_of_then(press: Press) -> None:
    press.result("1", "failed")
    await press.run()
    press.ledger.entry(CHANNEL, "1").outcomes[1].published = False
    left = await press.ledger.unpublished(CHANNEL)
    press.bus.looked_up.clear()
    press.part.recovered(left)
    await press.run()
    assert len(press.bus.published) == 2, "the dead letter and the result, once each"
    assert len(press.bus.looked_up) == 2
    assert press.ledger.entry(CHANNEL, "1").published


async def test_a_dead_letter_goes_before_the_result_and_is_the_ledgers(press: Press) -> None:
    press.result("1", "failed", {"a": 1})
    await press.run()
    assert [publication.kind for publication in press.bus.published] == [None, EventKind.RESULT]
    (letter,) = press.bus.dead()
    assert (letter.id, letter.run, letter.error.code, letter.meta) == ("1", 1, "rejected", {"a": 1})
    assert [each.number for each in letter.history] == [0]


async def test_a_failed_run_without_a_dead_letter_is_told_all_the_same(press: Press) -> None:
    async def none(channel: str, id: str, run: int) -> DeadLetter:
        raise NotFoundError("dead letter")

    press.ledger.letter = none  # type: ignore[method-assign]  # a ledger that lost it
    press.result("1", "failed")
    await press.run()
    assert press.order == ["1"]


async def test_a_transaction_of_which_nobody_knows_whether_it_was_committed_ends_the_channel(press: Press) -> None:
    async def hangs(channel: str, changes: Changes) -> None:
        await asyncio.Event().wait()

    press.ledger.record = hangs  # type: ignore[method-assign]  # never answers
    press.result("1")
    await press.run()
    press.loop.time_out("_record")
    with pytest.raises(TimeoutError):
        await press.run()


async def test_a_result_that_is_too_large_for_nats_is_told_without_its_meta(press: Press) -> None:
    press.bus.max_bytes = 400
    press.event("a")
    press.result("1", meta={"large": "x" * 1000})
    press.result("2")
    await press.run()
    assert press.order == ["a", "1", "2"]
    assert press.part.idle
    first, second = press.bus.results()
    assert (first.meta, first.error.message if first.error else None) == (None, TOO_LARGE)
    assert second.error is None
    assert press.ledger.entry(CHANNEL, "1").published


async def test_a_dead_letter_that_is_too_large_is_told_without_its_body(press: Press) -> None:
    press.bus.max_bytes = 400
    press.result("1", "failed", {"large": "x" * 1000})
    await press.run()
    (letter,), (result,) = press.bus.dead(), press.bus.results()
    assert (letter.body, letter.meta, letter.error.code) == (b"", None, "rejected")
    assert result.error is not None
    assert result.error.code == "rejected"


async def test_another_event_that_is_too_large_is_dropped(press: Press) -> None:
    press.bus.max_bytes = 400
    press.event("x" * 1000)
    press.event("a")
    await press.run()
    assert press.order == ["a"]
    assert press.part.idle


async def test_when_too_much_waits_events_go_and_results_stay(press: Press, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing_module, "MOST_WAITING", 2)
    press.bus.away = True
    press.event("first")
    await press.run()
    press.result("1")
    await press.run()
    for reason in "abc":
        press.event(reason)
    press.result("2")
    await press.run()
    press.bus.away = False
    await press.fire("flush")
    assert press.order == ["1", "b", "c", "2"]


async def test_events_differ_by_what_tells_them_apart(press: Press) -> None:
    press.event("a")
    press.event("b")
    await press.run()
    assert len({publication.message_id for publication in press.bus.published}) == 2
