"""The bus and the fake that stands for it in the actors' tests do the same."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.nats.accounts import MAX_PAYLOAD
from gateway.nats.broker import EmbeddedBroker
from gateway.nats.bus import NatsBus
from protocol.bus import ClinicBus, Fetched, Later
from protocol.errors import InvalidInputError
from protocol.subjects import Priority
from tests.fakes.memory_bus import MemoryClinicBus
from tests.integration.nats.conftest import SMALL, serving
from tests.integration.nats.test_bus import state
from tests.integration.nats.test_publishing import large

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["real", "fake"])
async def acme(request: pytest.FixtureRequest, broker: EmbeddedBroker) -> AsyncIterator[ClinicBus]:
    """A clinic that takes commands for ``front``."""
    if request.param == "fake":
        fake = MemoryClinicBus()
        fake.max_bytes = MAX_PAYLOAD
        fake.pass_time(datetime.now(UTC))
        yield fake
        return
    bus = NatsBus(broker, retention=SMALL)
    await bus.start()
    yield await serving(bus, "acme", "front")
    await bus.stop(timeout=2)


async def fetched(acme: ClinicBus, count: int) -> list[Fetched]:
    """So many, however they come."""
    found: list[Fetched] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            found += await acme.fetch("front", count - len(found))
    return found


async def test_what_is_not_taken_comes_first_again_and_what_is_taken_never(acme: ClinicBus) -> None:
    for number in range(6):
        await acme.enqueue("front", Priority.NORMAL, b"%d" % number, {"traceparent": "t"})
    await acme.enqueue("front", Priority.HIGH, b"high", {})
    first = await fetched(acme, 4)
    assert [one.body for one in first] == [b"high", b"0", b"1", b"2"]
    await acme.settle(first[:1], taken=True)
    await acme.settle(first[1:], taken=False)
    await acme.settle(first[1:], taken=False)
    again = await fetched(acme, 6)
    assert [one.body for one in again] == [b"0", b"1", b"2", b"3", b"4", b"5"]
    assert (again[0].headers, again[0].priority) == ({"traceparent": "t"}, Priority.NORMAL)
    await acme.settle(again, taken=True)
    await acme.settle(again, taken=True)
    waiting = asyncio.create_task(acme.fetch("front", 1))
    await asyncio.wait((waiting,), timeout=0.2)
    await acme.enqueue("front", Priority.BULK, b"next", {})
    (last,) = await asyncio.wait_for(waiting, 5)
    assert last.body == b"next"


async def test_who_waits_is_woken_by_what_another_did_not_take(acme: ClinicBus) -> None:
    await acme.enqueue("front", Priority.NORMAL, b"1", {})
    first = await fetched(acme, 1)
    waiting = asyncio.create_task(acme.fetch("front", 1))
    await asyncio.wait((waiting,), timeout=0.2)
    await acme.settle(first, taken=False)
    assert [one.body for one in await asyncio.wait_for(waiting, 5)] == [b"1"]


async def test_schedules_of_the_past_are_due_and_others_wait_or_are_taken_back(acme: ClinicBus) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    await acme.schedule("front", [Later(id="a:1", run=1, at=LONG_AGO), Later(id="b", run=1, at=later)])
    await acme.schedule("front", [Later(id="b", run=2, at=later), Later(id="c", run=1, at=later)])
    await acme.unschedule("front", ["c", "nothing"])
    (due,) = await asyncio.wait_for(acme.due("front", 9), 10)
    assert (due.id, due.run) == ("a:1", 1)
    await acme.settle([due], taken=False)
    (again,) = await asyncio.wait_for(acme.due("front", 9), 10)
    await acme.settle([again], taken=True)
    await acme.schedule("front", [Later(id="b", run=3, at=LONG_AGO)])
    (other,) = await asyncio.wait_for(acme.due("front", 9), 10)
    assert (other.id, other.run) == ("b", 3)


async def test_what_can_never_be_stored_is_named(acme: ClinicBus) -> None:
    with pytest.raises(InvalidInputError) as caught:
        await acme.publish([state(1), large(2, MAX_PAYLOAD), state(3)])
    assert caught.value.field == "state-2"
    since = datetime.now(UTC) - timedelta(seconds=60)
    await acme.publish([replace(state(number), since=since) for number in (1, 3)])
