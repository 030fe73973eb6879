"""Fetching send commands from a real work queue."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from nats.js import JetStreamContext
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError

from gateway.nats.accounts import Role
from gateway.nats.broker import EmbeddedBroker
from gateway.nats.bus import NatsBus
from gateway.nats.sending import consumer_name
from protocol.bus import ClinicBus, Fetched, Later
from protocol.errors import BusUnavailableError, InvalidInputError
from protocol.subjects import Priority
from tests.integration.nats.conftest import SMALL, Connect, serving

PATIENCE = 20.0
"""Seconds; well below what a fetched command takes to come again by itself."""


async def fetch_all(bus: ClinicBus, count: int, *, channel: str = "front", limit: int = 10) -> list[Fetched]:
    """Fetch and acknowledge until ``count`` commands are there."""
    found: list[Fetched] = []
    while len(found) < count:
        batch = await asyncio.wait_for(bus.fetch(channel, limit), PATIENCE)
        assert 0 < len(batch) <= limit
        await bus.settle(batch, taken=True)
        found += batch
    return found


async def lingering(connect: Connect, channel: str) -> None:
    """Return when a fetch of ``channel`` waits on the server, at each of its consumers."""
    js = (await connect("clinic-acme", Role.PLANTAO)).jetstream()
    async with asyncio.timeout(PATIENCE):
        for priority in Priority:
            while not await _waited_at(js, consumer_name(channel, priority)):  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.01)


async def _waited_at(js: JetStreamContext, consumer: str) -> bool:
    try:
        return bool((await js.consumer_info("send", consumer)).num_waiting)
    except NotFoundError:
        return False


def bodies(fetched: Sequence[Fetched]) -> list[bytes]:
    """What was fetched, in order."""
    return [one.body for one in fetched]


async def test_commands_come_high_before_normal_before_bulk_and_once_acknowledged_never_again(
    bus: NatsBus, connect: Connect
) -> None:
    acme = await serving(bus, "acme", "front")
    for number in range(15):
        for priority in (Priority.BULK, Priority.NORMAL, Priority.HIGH):
            await acme.enqueue("front", priority, f"{priority} {number:02}".encode(), {"traceparent": "00-t"})
    found = await fetch_all(acme, 45)
    order = [Priority.HIGH] * 15 + [Priority.NORMAL] * 15 + [Priority.BULK] * 15
    assert [one.priority for one in found] == order
    assert bodies(found[:15]) == [f"high {number:02}".encode() for number in range(15)]
    assert found[0].headers == {"traceparent": "00-t"}
    assert abs((found[0].queued_at - datetime.now(UTC)).total_seconds()) < 60
    waiting = asyncio.create_task(acme.fetch("front", 1))
    js = (await connect("clinic-acme", Role.PLANTAO)).jetstream()
    while (await js.stream_info("send")).state.messages:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert not waiting.done()
    waiting.cancel()


async def test_a_waiting_fetch_is_woken_by_any_priority(bus: NatsBus) -> None:
    acme = await serving(bus, "acme", "front")
    for priority in (Priority.BULK, Priority.HIGH, Priority.NORMAL, Priority.BULK):
        waiting = asyncio.create_task(acme.fetch("front", 10))
        await asyncio.sleep(0)
        await acme.enqueue("front", priority, b"wake", {})
        (fetched,) = await asyncio.wait_for(waiting, PATIENCE)
        assert fetched.priority is priority
        await acme.settle([fetched], taken=True)


async def test_what_arrived_while_nobody_fetched_is_not_lost(impatient: NatsBus, connect: Connect) -> None:
    acme = await serving(impatient, "acme", "front")
    waiting = asyncio.create_task(acme.fetch("front", 10))
    await lingering(connect, "front")
    waiting.cancel()
    await asyncio.wait((waiting,))
    for number in range(5):
        await acme.enqueue("front", Priority.BULK, str(number).encode(), {})
    # The server no longer waits for an acknowledgement: what was caught by the old request has come again.
    js, bulk = (await connect("clinic-acme", Role.PLANTAO)).jetstream(), consumer_name("front", Priority.BULK)
    async with asyncio.timeout(PATIENCE):
        while (await js.consumer_info("send", bulk)).num_redelivered != 5:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert bodies(await fetch_all(acme, 5)) == [b"0", b"1", b"2", b"3", b"4"]


async def test_large_commands_come_in_portions(bus: NatsBus) -> None:
    acme = await serving(bus, "acme", "front")
    large = [bytes([number]) * (1 << 20) for number in range(7)]
    for body in large:
        await acme.enqueue("front", Priority.NORMAL, body, {})
    first = await asyncio.wait_for(acme.fetch("front", 50), PATIENCE)
    assert 3 <= len(first) < 7
    await acme.settle(first, taken=True)
    assert bodies(first) + bodies(await fetch_all(acme, 7 - len(first))) == large


async def test_a_command_that_is_given_back_comes_again_at_once_and_before_newer_ones(bus: NatsBus) -> None:
    acme = await serving(bus, "acme", "front")
    for body in (b"1", b"2"):
        await acme.enqueue("front", Priority.NORMAL, body, {})
    (first,) = await asyncio.wait_for(acme.fetch("front", 1), PATIENCE)
    await acme.settle([first], taken=False)
    assert bodies(await asyncio.wait_for(fetch_all(acme, 2), PATIENCE)) == [b"1", b"2"]


async def test_what_is_held_or_not_settled_when_a_clinic_is_closed_comes_again_at_once(
    bus: NatsBus, connect: Connect
) -> None:
    acme = await serving(bus, "acme", "front")
    for number in range(30):
        await acme.enqueue("front", Priority.NORMAL, b"%02d" % number, {})
    await acme.enqueue("front", Priority.HIGH, b"high", {})
    await acme.schedule("front", [Later(id="a", run=1, at=datetime(2026, 1, 1, tzinfo=UTC))])
    await asyncio.wait_for(acme.due("front", 5), PATIENCE)
    high, first, second, *_ = await asyncio.wait_for(acme.fetch("front", 10), PATIENCE)
    await acme.settle([first], taken=True)
    # Waiting on the server, so that more is caught by us than anybody asked for.
    waiting = asyncio.create_task(acme.fetch("front", 50))
    await asyncio.wait_for(waiting, PATIENCE)
    waiting = asyncio.create_task(acme.fetch("front", 1))
    await lingering(connect, "front")
    await acme.enqueue("front", Priority.BULK, b"bulk", {})
    await asyncio.wait_for(waiting, PATIENCE)
    await bus.close_clinic("acme", forget=False)
    again = await bus.open_clinic("acme")
    found = await asyncio.wait_for(fetch_all(again, 31), PATIENCE)
    assert sorted(bodies(found)) == sorted([high.body, *(b"%02d" % number for number in range(1, 30)), b"bulk"])
    assert bodies(found)[1] == second.body
    (due,) = await asyncio.wait_for(again.due("front", 5), PATIENCE)
    assert due.id == "a"


async def test_what_was_settled_right_before_the_end_does_not_come_again(
    broker: EmbeddedBroker, connect: Connect
) -> None:
    bus = NatsBus(broker, retention=SMALL)
    await bus.start()
    acme = await serving(bus, "acme", "front")
    for number in range(20):
        await acme.enqueue("front", Priority.NORMAL, b"%d" % number, {})
    found = await asyncio.wait_for(acme.fetch("front", 20), PATIENCE)
    await acme.settle(found, taken=True)
    await bus.stop(timeout=2)
    js = (await connect("clinic-acme", Role.PLANTAO)).jetstream()
    async with asyncio.timeout(PATIENCE):
        while (await js.stream_info("send")).state.messages > 20 - len(found):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_command_that_came_as_the_bus_stopped_is_there_for_the_next(
    broker: EmbeddedBroker, connect: Connect
) -> None:
    for turn in range(5):
        bus = NatsBus(broker, retention=SMALL)
        await bus.start()
        acme = await serving(bus, "acme", "front")
        fetching = asyncio.create_task(acme.fetch("front", 10))
        # After the first turn there is something at once.
        await (asyncio.wait((fetching,)) if turn else lingering(connect, "front"))
        for number in range(20):
            await acme.enqueue("front", Priority.NORMAL, b"%d.%d" % (turn, number), {})
        await bus.stop(timeout=2)
        fetching.cancel()
        await asyncio.wait((fetching,))
    bus = NatsBus(broker, retention=SMALL)
    await bus.start()
    acme = await serving(bus, "acme", "front")
    assert len(set(bodies(await asyncio.wait_for(fetch_all(acme, 100), PATIENCE)))) == 100
    await bus.stop(timeout=2)


async def test_what_a_process_had_fetched_when_it_died_comes_to_the_next_before_what_is_newer(
    bus: NatsBus, broker: EmbeddedBroker
) -> None:
    dead = await serving(bus, "acme", "front")
    for number in range(3):
        await dead.enqueue("front", Priority.NORMAL, b"%d" % number, {})
    assert bodies(await dead.fetch("front", 2)) == [b"0", b"1"]
    after = NatsBus(broker, retention=SMALL)
    await after.start()
    try:
        acme = await after.open_clinic("acme")
        await acme.enqueue("front", Priority.NORMAL, b"3", {})
        assert bodies(await fetch_all(acme, 4)) == [b"0", b"1", b"2", b"3"]
    finally:
        await after.stop(timeout=2)


async def test_settling_many_at_once_leaves_none_behind(bus: NatsBus, connect: Connect) -> None:
    acme = await serving(bus, "acme", "front")
    for number in range(200):
        await acme.enqueue("front", Priority.NORMAL, b"%d" % number, {})
    found = await fetch_all(acme, 200, limit=64)
    await acme.settle(found, taken=True)
    await acme.settle([], taken=True)
    js = (await connect("clinic-acme", Role.PLANTAO)).jetstream()
    async with asyncio.timeout(PATIENCE):
        while (await js.stream_info("send")).state.messages:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_clinics_channels_together_get_no_more_than_its_rate(broker: EmbeddedBroker) -> None:
    rates = {"acme": 10.0, "other": 0.0}
    bus = NatsBus(broker, retention=SMALL, commands_per_s=rates.__getitem__)
    await bus.start()
    acme, other = await serving(bus, "acme", "a", "b"), await serving(bus, "other", "a")
    for number in range(150):
        for of, channel in ((acme, "a"), (acme, "b"), (other, "a")):
            await of.enqueue(channel, Priority.NORMAL, b"%d" % number, {})
    clock = asyncio.get_running_loop().time
    began = clock()
    await fetch_all(other, 150, channel="a", limit=64)
    assert clock() - began < 10, "at acme's rate it would be thirteen seconds"
    began = clock()
    await asyncio.gather(*(fetch_all(acme, 20, channel=channel, limit=5) for channel in ("a", "b")))
    assert clock() - began > 1, "forty, of which twenty may come at once"
    rates["acme"] = 0
    began = clock()
    await asyncio.gather(*(fetch_all(acme, 130, channel=channel, limit=20) for channel in ("a", "b")))
    assert clock() - began < 10, "at the old rate it would be more than twenty seconds"
    await bus.stop(timeout=2)


async def test_only_a_clinic_that_is_open_is_found(bus: NatsBus) -> None:
    with pytest.raises(BusUnavailableError, match="acme is not open"):
        bus.clinic("acme")
    acme = await bus.open_clinic("acme")
    assert bus.clinic("acme") is acme
    await bus.close_clinic("acme", forget=False)
    with pytest.raises(BusUnavailableError, match="acme is not open"):
        bus.clinic("acme")


async def test_an_unacknowledged_command_comes_again(impatient: NatsBus) -> None:
    acme = await serving(impatient, "acme", "front")
    await acme.enqueue("front", Priority.NORMAL, b"again", {})
    first = await asyncio.wait_for(acme.fetch("front", 10), PATIENCE)
    second = await asyncio.wait_for(acme.fetch("front", 10), 10)
    assert bodies(first) == bodies(second) == [b"again"]


async def test_channels_have_queues_of_their_own(bus: NatsBus) -> None:
    acme = await serving(bus, "acme", "a", "a-high")
    await acme.enqueue("a", Priority.HIGH, b"for a", {})
    await acme.enqueue("a-high", Priority.NORMAL, b"for a-high", {})
    assert bodies(await fetch_all(acme, 1, channel="a-high")) == [b"for a-high"]
    assert bodies(await fetch_all(acme, 1, channel="a")) == [b"for a"]


async def test_a_forgotten_channel_leaves_no_consumer_and_can_come_back(bus: NatsBus, connect: Connect) -> None:
    acme = await serving(bus, "acme", "front")
    await acme.enqueue("front", Priority.NORMAL, b"1", {})
    await fetch_all(acme, 1)
    js = (await connect("clinic-acme", Role.PLANTAO)).jetstream()
    assert {consumer.name for consumer in await js.consumers_info("send")} == {
        consumer_name("front", priority) for priority in Priority
    }
    await acme.forget_channel("front")
    await acme.forget_channel("front")
    assert await js.consumers_info("send") == []
    await acme.enqueue("front", Priority.NORMAL, b"2", {})
    assert bodies(await fetch_all(acme, 1)) == [b"2"]


async def test_consumers_deleted_behind_our_back_are_made_again(bus: NatsBus, connect: Connect) -> None:
    acme = await serving(bus, "acme", "front")
    waiting = asyncio.create_task(acme.fetch("front", 10))
    await lingering(connect, "front")
    js = (await connect("clinic-acme", Role.PLANTAO)).jetstream()
    name = consumer_name("front", Priority.NORMAL)
    await js.delete_consumer("send", name)
    with pytest.raises(BusUnavailableError, match=name):
        await asyncio.wait_for(waiting, PATIENCE)
    await acme.enqueue("front", Priority.NORMAL, b"still there", {})
    assert bodies(await fetch_all(acme, 1)) == [b"still there"]


async def test_an_oversized_or_misdirected_command_is_refused_as_it_is_published(
    bus: NatsBus, connect: Connect
) -> None:
    acme = await serving(bus, "acme", "front")
    js = (await connect("clinic-acme", Role.PLANTAO)).jetstream()
    with pytest.raises(APIError, match="message size exceeds"):
        await js.publish("clinic.acme.channel.front.send", bytes((1 << 20) + (128 << 10)))
    with pytest.raises(NoStreamResponseError):
        await js.publish("clinic.acme.channel.front.send.urgent", b"{}")
    with pytest.raises(InvalidInputError, match="channel"):
        await acme.enqueue("front.send.>", Priority.NORMAL, b"{}", {})
    with pytest.raises(InvalidInputError):
        await acme.enqueue("front", Priority.NORMAL, bytes(3 << 20), {})
