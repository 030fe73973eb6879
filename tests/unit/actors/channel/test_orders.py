import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from protocol.bus import Later
from protocol.errors import ConflictError, NotFoundError, StoreUnavailableError, UnavailableError
from protocol.ledger import Accepted
from protocol.views import CommandState, CommandView
from tests.fakes.memory_bus import body_of
from tests.fakes.scripted_port import obliging, silent
from tests.unit.actors.channel.bench import CHANNEL
from tests.unit.actors.channel.commands import AT, failed
from tests.unit.actors.channel.mouth import Clock, Mouth
from tests.unit.actors.channel.test_attempt import answering

pytestmark = pytest.mark.usefixtures("clock")


class Counter(Mouth):
    """A sending part at which people ask for things. ``replies``: the answers."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.replies: list[Any] = []

    async def ask(self, order: str, id: str) -> Any:
        getattr(self.part, order)(id, self.replies.append)
        await self.run()
        return self.replies[-1] if self.replies else None


@pytest.fixture
async def counter() -> AsyncIterator[Counter]:
    counter = Counter()
    yield counter
    await counter.loop.end()


async def test_a_command_that_waits_is_cancelled_once_that_is_recorded(counter: Counter) -> None:
    await counter.start(connected=False)
    await counter.send(body_of(id="1", text="one"), body_of(id="2", text="two"))
    view = await counter.ask("cancel", "1")
    assert isinstance(view, CommandView)
    assert (view.state, view.error.code if view.error else None) == (CommandState.FAILED, "cancelled")
    counter.part.use(counter.port)
    await counter.run()
    assert (counter.sent, counter.results) == (["two"], [("1", "failed"), ("2", "sent")])
    assert counter.bus.dead() == [], "nobody has to see to it"


async def test_nobody_is_told_that_it_is_cancelled_before_it_is(counter: Counter) -> None:
    await counter.start(connected=False)
    await counter.send(body_of(id="1"))
    counter.ledger.failing = True
    assert await counter.ask("cancel", "1") is None
    counter.ledger.failing = False
    await counter.fire("record")
    assert counter.replies[0].state is CommandState.FAILED


async def test_a_scheduled_command_is_cancelled_with_its_headers_and_its_schedule(counter: Counter) -> None:
    await counter.start()
    counter.bus.put(CHANNEL, body_of(id="1", not_before=(AT + timedelta(hours=1)).isoformat()), h="x")
    await counter.run()
    view = await counter.ask("cancel", "1")
    assert view.state is CommandState.FAILED
    assert counter.bus.scheduled == {}
    assert {publication.headers["h"] for publication in counter.bus.published} == {"x"}
    counter.bus.put_due(CHANNEL, "1", 1)
    await counter.run()
    assert counter.sent == []
    assert not counter.part._schedules._taken_back, "nothing is kept of what is cancelled"


async def test_one_that_rings_while_it_is_cancelled_is_not_sent(counter: Counter) -> None:
    await counter.start()
    await counter.send(body_of(id="1", not_before=(AT + timedelta(hours=1)).isoformat()))
    original = counter.ledger.asleep

    async def then_rings(channel: str, id: str) -> Any:
        found = await original(channel, id)
        counter.bus.put_due(CHANNEL, "1", 1)
        return found

    counter.ledger.asleep = then_rings  # type: ignore[method-assign]  # its time comes at this moment
    view = await counter.ask("cancel", "1")
    assert (view.state, counter.sent, counter.results) == (CommandState.FAILED, [], [("1", "failed")])


async def test_one_that_is_woken_before_its_cancellation_is_recorded_is_not_sent(counter: Counter) -> None:
    await counter.start()
    await counter.send(body_of(id="1", not_before=(AT + timedelta(hours=1)).isoformat()))
    original, opened = counter.ledger.wake, asyncio.Event()

    async def slow(channel: str, items: Sequence[tuple[str, int]]) -> Sequence[Accepted]:
        woken = await original(channel, items)
        await opened.wait()
        return woken

    counter.ledger.wake = slow  # type: ignore[method-assign]  # wakes at once and says so late
    counter.part.cancel("1", counter.replies.append)
    await counter.loop.rest()
    counter.bus.put_due(CHANNEL, "1", 1)
    await counter.run()
    assert counter.replies[0].state is CommandState.FAILED
    opened.set()
    await counter.run()
    assert (counter.sent, counter.results) == ([], [("1", "failed")])
    assert not counter.part._schedules._taken_back


async def test_what_whatsapp_may_have_cannot_be_cancelled(counter: Counter) -> None:
    counter.port.answer = silent
    await counter.start()
    await counter.send(body_of(id="1"))
    assert isinstance(await counter.ask("cancel", "1"), ConflictError)


async def test_nor_what_has_ended_or_does_not_exist(counter: Counter) -> None:
    await counter.start()
    await counter.send(body_of(id="1"))
    assert isinstance(await counter.ask("cancel", "1"), ConflictError)
    assert isinstance(await counter.ask("cancel", "nobody"), NotFoundError)


async def test_a_dead_letter_is_replayed_in_a_new_run(counter: Counter) -> None:
    counter.port.answer = answering(failed("rejected"))
    await counter.start()
    await counter.send(body_of(id="1"))
    counter.port.answer = obliging
    view = await counter.ask("replay", "1")
    assert (view.id, view.run) == ("1", 2)
    assert [(result.run, result.status, result.attempts) for result in counter.bus.results()] == [
        (1, "failed", 1),
        (2, "sent", 1),
    ]


async def test_a_reminder_that_was_cancelled_is_replayed_at_its_time_and_not_now(counter: Counter) -> None:
    await counter.start()
    at = AT + timedelta(hours=1)
    await counter.send(body_of(id="1", text="one", not_before=at.isoformat()))
    await counter.ask("cancel", "1")
    view = await counter.ask("replay", "1")
    assert (view.state, view.run, counter.sent) == (CommandState.SCHEDULED, 2, [])
    assert counter.bus.scheduled == {(CHANNEL, "1"): Later(id="1", run=2, at=at)}
    counter.bus.pass_time(at)
    await counter.run()
    assert counter.sent == ["one"]
    assert [(result.run, result.status) for result in counter.bus.results()] == [(1, "failed"), (2, "sent")]


async def test_a_held_command_is_released_in_a_new_run(counter: Counter, clock: Clock) -> None:
    await counter.start()
    counter.part.backlog_in()

    async def unknown(request: Any) -> Any:
        counter.remains.trace("WA", request.secret)
        return failed("outcome_unknown")

    counter.port.answer = unknown
    await counter.send(body_of(id="1", on_uncertain="hold"))
    clock.seconds += 30.0
    await counter.fire("silence")
    assert counter.results == [("1", "held")]
    assert isinstance(await counter.ask("replay", "1"), ConflictError)
    counter.port.answer = obliging
    assert (await counter.ask("release", "1")).run == 2
    assert counter.results == [("1", "held"), ("1", "sent")]


async def test_a_failed_command_is_put_away(counter: Counter) -> None:
    counter.port.answer = answering(failed("rejected"))
    await counter.start()
    await counter.send(body_of(id="1"))
    assert (await counter.ask("discard", "1")).state is CommandState.DISCARDED
    assert isinstance(await counter.ask("replay", "1"), ConflictError)


@pytest.mark.parametrize("order", ["cancel", "release", "replay", "discard"])
async def test_before_the_ledger_is_read_nothing_is_done(counter: Counter, order: str) -> None:
    assert isinstance(await counter.ask(order, "1"), UnavailableError)
    assert counter.ledger.calls == []


async def test_a_ledger_that_fails_is_the_answer(counter: Counter) -> None:
    await counter.start()
    counter.ledger.failing = True
    for order in ("cancel", "replay", "release", "discard"):
        assert isinstance(await counter.ask(order, "1"), StoreUnavailableError)


async def test_what_is_given_out_again_is_sent_even_if_it_cannot_be_shown(counter: Counter) -> None:
    counter.port.answer = answering(failed("rejected"))
    await counter.start()
    await counter.send(body_of(id="1"))
    counter.port.answer = obliging

    async def fails(channel: str, id: str) -> CommandView:
        raise StoreUnavailableError("disk full")

    counter.ledger.command = fails  # type: ignore[method-assign]  # fails at the second step
    assert isinstance(await counter.ask("replay", "1"), StoreUnavailableError)
    assert counter.results == [("1", "failed"), ("1", "sent")]


async def test_an_order_of_which_nobody_knows_how_it_ended_ends_the_channel(counter: Counter) -> None:
    async def hangs(*_: object) -> Any:
        await asyncio.Event().wait()

    counter.ledger.again = hangs  # type: ignore[method-assign, assignment]  # never answers
    await counter.start()
    await counter.ask("replay", "1")
    counter.loop.time_out("_begin")
    with pytest.raises(TimeoutError):
        await counter.run()
