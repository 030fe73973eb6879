"""What can be asked of commands, from the desk to the ledger, the queue and the channel's actor."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from actors import command_desk
from actors.channel.requests import Cancel, Discard, Release, Replay
from protocol.commands import parse, utc_now
from protocol.errors import (
    BusUnavailableError,
    ConflictError,
    InvalidInputError,
    NotFoundError,
    StoreUnavailableError,
    UnavailableError,
)
from protocol.events import ResultEvent
from protocol.ledger import Attempt, Changes, Offer
from protocol.subjects import Priority
from protocol.views import CommandState
from tests.fakes.memory_bus import body_of
from tests.fakes.memory_ledger import MemoryLedger
from tests.fakes.scripted_port import AT
from tests.unit.actors.counter import CHANNEL, CLINIC, Counter
from tests.unit.actors.counter import counter as make_counter

KEY = (CLINIC, CHANNEL)
HEADERS = {"Plantao-Correlation-Id": "visit-7"}


@pytest.fixture
def counter() -> Iterator[Counter]:
    with make_counter() as place:
        yield place


async def accept(ledger: MemoryLedger, *ids: str) -> None:
    bodies = [body_of(id=each) for each in ids]
    offers = [
        Offer(command=parse(body), body=body, priority=Priority.NORMAL, queued_at=AT, headers={}) for body in bodies
    ]
    await ledger.accept(CHANNEL, offers, utc_now())


async def end(ledger: MemoryLedger, id: str, status: Any = "sent") -> None:
    result = ResultEvent(clinic=CLINIC, channel=CHANNEL, id=id, status=status)
    begun = Changes(begun=[Attempt(id=id, run=1, secret=bytes(32))])
    await ledger.record(CHANNEL, begun)
    await ledger.record(CHANNEL, Changes(results=[result]))


# -- sending --


async def test_a_command_goes_on_the_clinics_queue(counter: Counter) -> None:
    bus, _ = await counter.open()
    assert await counter.desk.send(*KEY, Priority.HIGH, body_of(id="1"), HEADERS) == "1"
    (fetched,) = await bus.fetch(CHANNEL, 1)
    assert (fetched.body, fetched.priority, fetched.headers) == (body_of(id="1"), Priority.HIGH, HEADERS)


async def test_a_clinic_that_is_stopped_is_not_opened_by_a_command(counter: Counter) -> None:
    with pytest.raises(BusUnavailableError):
        await counter.desk.send(*KEY, Priority.NORMAL, body_of(id="1"), {})
    assert counter.bus.attempts == 0


@pytest.mark.parametrize("fields", [{"type": "poll"}, {"mentions": ["5511988887777"]}])
async def test_what_this_version_cannot_do_is_refused(counter: Counter, fields: dict[str, Any]) -> None:
    await counter.open()
    with pytest.raises(InvalidInputError, match="does not support"):
        await counter.desk.send(*KEY, Priority.NORMAL, body_of(id="1", **fields), {})


async def test_nothing_is_sent_or_looked_up_for_a_channel_that_is_not_there(counter: Counter) -> None:
    await counter.open()
    desk, other = counter.desk, (CLINIC, "other")
    for work in (
        desk.send(*other, Priority.NORMAL, body_of(id="1"), {}),
        desk.commands(*other, state=None, cursor=None, limit=1),
        desk.command(*other, "1"),
        desk.command(*other, "1", wait_s=1.0),
        desk.cancel(*other, "1"),
        desk.check(*other, ["5511988887777"]),
        desk.configure(*other, {}),
        desk.stats("beta"),
    ):
        with pytest.raises(NotFoundError):
            await work


# -- looking --


async def test_commands_are_listed_by_pages_newest_first_and_by_state(counter: Counter) -> None:
    _, ledger = await counter.open()
    await accept(ledger, "1", "2", "3")
    await end(ledger, "2", "failed")
    desk = counter.desk

    first = await desk.commands(*KEY, state=None, cursor=None, limit=2)
    rest = await desk.commands(*KEY, state=None, cursor=first.next, limit=2)
    failed = await desk.commands(*KEY, state=CommandState.FAILED, cursor=None, limit=2)

    assert [[view.id for view in page.items] for page in (first, rest, failed)] == [["3", "2"], ["1"], ["2"]]
    assert (rest.next, failed.next) == (None, None)


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1\n", "9" * 19, "١"])
async def test_a_cursor_that_is_none_of_ours_is_refused(counter: Counter, cursor: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        await counter.desk.commands(*KEY, state=None, cursor=cursor, limit=1)
    assert caught.value.field == "cursor"


@pytest.mark.parametrize("limit", [0, -1, command_desk.MOST_LISTED + 1])
async def test_a_page_has_a_limit(counter: Counter, limit: int) -> None:
    with pytest.raises(InvalidInputError) as caught:
        await counter.desk.commands(*KEY, state=None, cursor=None, limit=limit)
    assert caught.value.field == "limit"


async def test_one_command_is_looked_up(counter: Counter) -> None:
    _, ledger = await counter.open()
    await accept(ledger, "1")
    assert (await counter.desk.command(*KEY, "1")).state is CommandState.WAITING
    with pytest.raises(NotFoundError):
        await counter.desk.command(*KEY, "2")
    with pytest.raises(InvalidInputError):
        await counter.desk.command(*KEY, "no id")


async def test_while_the_ledger_is_away_that_is_said(counter: Counter) -> None:
    for work in (
        counter.desk.command(*KEY, "1"),
        counter.desk.command(*KEY, "1", wait_s=1.0),
        counter.desk.commands(*KEY, state=None, cursor=None, limit=1),
        counter.desk.stats(CLINIC),
    ):
        with pytest.raises(StoreUnavailableError):
            await work


async def test_stats_count_what_each_channel_holds(counter: Counter) -> None:
    _, ledger = await counter.open()
    counter.put("empty")
    await accept(ledger, "1", "2")
    await end(ledger, "2")

    stats = await counter.desk.stats(CLINIC)

    assert [(channel.channel, dict(channel.commands)) for channel in stats.channels] == [
        ("empty", {}),
        (CHANNEL, {CommandState.WAITING: 1, CommandState.SENT: 1}),
    ]


# -- waiting --


async def test_who_waits_is_told_when_the_command_ends(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_desk, "LOOK_AGAIN_S", 60.0)
    _, ledger = await counter.open()
    await accept(ledger, "1")
    waiting = asyncio.create_task(counter.desk.command(*KEY, "1", wait_s=30.0))
    await asyncio.sleep(0)
    assert ("command", ("1",)) in ledger.calls

    await end(ledger, "1", "held")
    counter.board.ended(*KEY, ["0", "1"])

    assert (await waiting).state is CommandState.HELD


async def test_who_waits_need_not_know_that_it_is_known_already(counter: Counter) -> None:
    _, ledger = await counter.open()
    waiting = asyncio.create_task(counter.desk.command(*KEY, "1", wait_s=30.0))
    await asyncio.sleep(0)
    assert ("command", ("1",)) in ledger.calls
    await accept(ledger, "1")
    await end(ledger, "1")
    counter.board.ended(*KEY, ["1"])
    assert (await waiting).state is CommandState.SENT


async def test_an_end_that_nobody_spoke_of_is_found(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_desk, "LOOK_AGAIN_S", 0.01)
    _, ledger = await counter.open()
    await accept(ledger, "1")
    waiting = asyncio.create_task(counter.desk.command(*KEY, "1", wait_s=30.0))
    await asyncio.sleep(0)
    await end(ledger, "1")
    assert (await waiting).state is CommandState.SENT


async def test_who_has_waited_long_enough_is_told_how_it_is(counter: Counter) -> None:
    _, ledger = await counter.open()
    await accept(ledger, "1")
    assert (await counter.desk.command(*KEY, "1", wait_s=0.01)).state is CommandState.WAITING
    with pytest.raises(NotFoundError):
        await counter.desk.command(*KEY, "2", wait_s=0.01)


async def test_only_so_many_wait_in_a_clinic(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_desk, "MOST_WAITING", 1)
    _, ledger = await counter.open()
    await accept(ledger, "1")
    waiting = asyncio.create_task(counter.desk.command(*KEY, "1", wait_s=30.0))
    await asyncio.sleep(0)
    with pytest.raises(UnavailableError, match="1 wait for commands of clinic acme already"):
        await counter.desk.command(*KEY, "1", wait_s=1.0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert (await counter.desk.command(*KEY, "1", wait_s=0.01)).id == "1"


# -- deciding --


@pytest.mark.parametrize(
    ("verb", "request_"),
    [("cancel", Cancel("1")), ("release", Release("1")), ("replay", Replay("1")), ("discard", Discard("1"))],
)
async def test_the_channel_does_it_and_the_ledger_tells(counter: Counter, verb: str, request_: Any) -> None:
    _, ledger = await counter.open()
    await accept(ledger, "1")
    asked = counter.staff(lambda _: None)

    assert (await getattr(counter.desk, verb)(*KEY, "1")).id == "1"
    assert asked == [request_]
    with pytest.raises(InvalidInputError):
        await getattr(counter.desk, verb)(*KEY, "no id")
    assert asked == [request_]


@pytest.mark.parametrize("verb", ["cancel", "release", "replay", "discard"])
async def test_a_refusal_of_the_channel_is_passed_on(counter: Counter, verb: str) -> None:
    await counter.open()
    counter.staff(lambda _: ConflictError("command 1 is sent already"))
    with pytest.raises(ConflictError, match="sent already"):
        await getattr(counter.desk, verb)(*KEY, "1")


async def test_a_channel_that_does_not_run_cannot_be_told(counter: Counter) -> None:
    await counter.open()
    with pytest.raises(UnavailableError, match="is starting"):
        await counter.desk.cancel(*KEY, "1")
