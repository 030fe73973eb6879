from collections.abc import AsyncIterator

import pytest

from actors.channel import publishing as publishing_module
from actors.channel.publishing import FlushDue, Flushed, Publishing, Recorded
from protocol.channel import Breaker, ChannelState
from protocol.events import Event, ResultEvent, StateEvent
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
        }

    def result(self, id: str) -> None:
        self.ledger.entries.setdefault((CHANNEL, id), Entry(accepted(id)))
        self.part.result(ResultEvent(clinic=CLINIC, channel=CHANNEL, id=id, status="sent", wa_id=f"WA-{id}"), {"h": id})

    def event(self, reason: str) -> None:
        self.part.event(EventKind.STATE, state(reason), reason)

    @property
    def order(self) -> list[str]:
        return [_name(publication.event) for publication in self.bus.published]

    def recorded(self, id: str) -> bool:
        return self.ledger.entry(CHANNEL, id).state == "final"


@pytest.fixture
async def press() -> AsyncIterator[Press]:
    press = Press()
    yield press
    await press.loop.end()


async def test_a_result_is_recorded_then_published_then_marked(press: Press) -> None:
    press.result("1")
    await press.run()
    assert press.ledger.calls == [("finish", ("1",)), ("published", ("1",))]
    (publication,) = press.bus.published
    assert (publication.kind, publication.headers) == (EventKind.RESULT, {"h": "1"})
    assert press.part.idle
    assert not press.part.stuck


async def test_events_and_results_keep_their_order_over_many_flushes(press: Press) -> None:
    press.event("a")
    press.result("1")
    press.event("b")
    await press.run()
    press.result("2")
    await press.run()
    assert press.order == ["a", "1", "b", "2"]


async def test_what_comes_while_a_flush_is_out_goes_together_in_the_next(press: Press) -> None:
    for number in "123456":
        press.result(number)
    await press.run()
    assert press.bus.publish_calls == 2
    assert press.order == list("123456")


async def test_if_the_ledger_fails_no_result_is_published_before_it_is_recorded(press: Press) -> None:
    press.ledger.failing = True
    press.result("1")
    await press.run()
    assert (press.bus.published, press.part.stuck, press.part.idle) == ([], False, False)
    press.ledger.failing = False
    await press.fire("flush")
    assert press.order == ["1"]
    assert press.part.idle


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


async def test_results_that_come_while_nats_is_away_are_recorded_at_once(press: Press) -> None:
    press.bus.away = True
    press.event("a")
    await press.run()
    press.result("1")
    press.result("2")
    assert not press.part.stuck, "what memory alone knows must not be left"
    await press.run()
    assert press.recorded("1")
    assert press.recorded("2")
    assert press.part.stuck


async def test_results_that_come_while_a_flush_hangs_are_recorded_at_once(press: Press) -> None:
    press.bus.hanging = True
    press.event("a")
    await press.run()
    press.result("1")
    await press.run()
    assert press.recorded("1")
    press.bus.hanging = False
    press.loop.time_out("_flush")
    await press.run()
    await press.fire("flush")
    assert press.order == ["a", "1"]
    assert press.ledger.calls.count(("finish", ("1",))) == 1


async def test_results_whose_recording_fails_are_recorded_with_the_next_flush(press: Press) -> None:
    press.bus.away = True
    press.event("a")
    await press.run()
    press.ledger.failing = True
    press.result("1")
    await press.run()
    assert not press.part.stuck
    press.ledger.failing, press.bus.away = False, False
    await press.fire("flush")
    assert press.order == ["a", "1"]


async def test_a_flush_that_failed_after_publishing_publishes_nothing_twice(press: Press) -> None:
    press.result("1")
    original = press.ledger.published

    async def fails(channel: str, ids: list[str]) -> None:
        press.ledger.failing = True
        await original(channel, ids)

    press.ledger.published = fails  # type: ignore[method-assign, assignment]  # fails at the last step
    await press.run()
    assert press.part.stuck
    press.ledger.failing = False
    press.ledger.published = original  # type: ignore[method-assign]  # as it was
    await press.fire("flush")
    assert press.order == ["1"]
    assert press.ledger.entry(CHANNEL, "1").published


async def test_when_too_much_waits_events_go_and_results_stay(press: Press, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing_module, "MOST_WAITING", 3)
    press.bus.away = True
    press.event("first")
    await press.run()
    press.result("1")
    for reason in "abc":
        press.event(reason)
    press.result("2")
    await press.run()
    press.bus.away = False
    await press.fire("flush")
    assert press.order == ["1", "c", "2"]


async def test_a_dead_letter_goes_where_dead_letters_go(press: Press) -> None:
    press.part.event(None, state("dead"), "x", headers={"h": "1"})
    await press.run()
    assert [(p.kind, p.headers) for p in press.bus.published] == [(None, {"h": "1"})]


async def test_the_same_event_has_the_same_message_id_and_others_have_others(press: Press) -> None:
    press.event("a")
    press.event("a")
    press.event("b")
    await press.run()
    assert press.order == ["a", "b"]
