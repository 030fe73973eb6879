"""Publishing over a real server: what may be stored already, what never can be, what is refused, and kills."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from nats.js import JetStreamContext
from nats.js.api import StreamConfig

from gateway.nats import clinic
from gateway.nats.accounts import MAX_PAYLOAD, Role
from gateway.nats.broker import EmbeddedBroker
from gateway.nats.bus import NatsBus
from gateway.nats.publisher import WINDOW_MESSAGES
from protocol.bus import Publication
from protocol.codec import decode
from protocol.errors import BusUnavailableError, InvalidInputError
from protocol.events import StateEvent
from protocol.subjects import EventKind, Priority
from tests.integration.nats.conftest import SMALL, Connect, crash, serving
from tests.integration.nats.test_bus import state

FORGETFUL = replace(SMALL, duplicate_window=0.1)
"""A stream's own memory of what it has is next to none."""


@pytest.fixture
async def forgetful(broker: EmbeddedBroker) -> AsyncIterator[NatsBus]:
    """A bus whose streams forget at once which ids they have."""
    made = NatsBus(broker, retention=FORGETFUL, ack_wait=2)
    await made.start()
    yield made
    await made.stop(timeout=2)


def tried(publication: Publication, *, ago: float = 60) -> Publication:
    """The same, as one that may have been published."""
    return replace(publication, since=datetime.now(UTC) - timedelta(seconds=ago))


def large(number: int, size: int) -> Publication:
    """An event of at least ``size`` bytes."""
    publication = state(number)
    assert isinstance(publication.event, StateEvent)
    values = {field: getattr(publication.event, field) for field in publication.event.__struct_fields__}
    return replace(publication, event=StateEvent(**{**values, "reason": "x" * size}))


async def attempts(js: JetStreamContext, stream: str = "events") -> list[int]:
    """The ``attempt`` of every event in ``stream``, in order."""
    subscription = await js.pull_subscribe("", stream=stream)
    count = (await js.stream_info(stream)).state.messages
    found: list[int] = []
    while len(found) < count:
        for message in await subscription.fetch(min(500, count - len(found)), timeout=5):
            found.append(decode(message.data, StateEvent, limit=MAX_PAYLOAD).attempt)
            await message.ack()
    await js.delete_consumer(stream, (await subscription.consumer_info()).name)
    return found


async def test_what_is_in_the_stream_is_not_published_again_long_after_its_window(
    forgetful: NatsBus, connect: Connect
) -> None:
    acme = await forgetful.open_clinic("acme")
    first = [state(number) for number in range(0, 2000, 2)]
    letters = [state(number, kind=None) for number in range(10)]
    await acme.publish(first + letters)
    await asyncio.sleep(0.5)
    await acme.publish([tried(state(number)) for number in range(2000)] + [tried(letters[3])])
    await acme.publish([tried(one) for one in letters])
    js = (await connect("clinic-acme")).jetstream()
    assert await attempts(js) == list(range(0, 2000, 2)) + list(range(1, 2000, 2))
    assert await attempts(js, "dead") == list(range(10))
    # The window has forgotten them indeed.
    await acme.publish(first[:1])
    assert (await js.stream_info("events")).state.messages == 2001
    assert await js.consumers_info("events") == []


async def test_looking_goes_no_further_back_and_to_no_other_subject(forgetful: NatsBus, connect: Connect) -> None:
    acme = await forgetful.open_clinic("acme")
    await acme.publish([state(1, kind=EventKind.RESULT), state(2)])
    await asyncio.sleep(0.5)
    await acme.publish([tried(state(1)), tried(state(2))])
    await asyncio.sleep(0.5)
    # Said to have been tried only long after it was stored: by no clock can it be the same.
    await acme.publish([tried(state(2), ago=-60)])
    js = (await connect("clinic-acme")).jetstream()
    assert sorted(await attempts(js)) == [1, 1, 2, 2]


async def test_what_can_never_be_stored_is_named_and_stops_what_comes_after_it(bus: NatsBus, connect: Connect) -> None:
    acme = await bus.open_clinic("acme")
    batch = [*(state(number) for number in range(300)), large(300, MAX_PAYLOAD), state(301)]
    with pytest.raises(InvalidInputError, match="at most 2097152 bytes with headers") as caught:
        await acme.publish(batch)
    assert caught.value.field == "state-300"
    js = (await connect("clinic-acme", Role.PLANTAO)).jetstream()
    assert await attempts(js) == list(range(300))
    # Close to the limit on either side: neither may break the connection.
    for size in range(MAX_PAYLOAD - 600, MAX_PAYLOAD + 100, 50):
        with_room = True
        try:
            await acme.publish([large(1000 + size, size)])
        except InvalidInputError:
            with_room = False
    assert not with_room
    assert bus.clinic_connected("acme")


async def test_a_stream_that_takes_only_small_messages_refuses_a_large_one_by_name(
    bus: NatsBus, connect: Connect
) -> None:
    acme = await bus.open_clinic("acme")
    js = (await connect("clinic-acme", Role.PLANTAO)).jetstream()
    config = (await js.stream_info("events")).config
    await js.update_stream(config.evolve(max_msg_size=2000))
    with pytest.raises(InvalidInputError) as caught:
        await acme.publish([state(1), large(2, 3000), state(3)])
    assert caught.value.field == "state-2"
    assert (await attempts(js))[0] == 1


async def test_a_full_queue_refuses_clearly_and_leaves_neighbours_alone(bus: NatsBus, connect: Connect) -> None:
    acme, neighbour = await serving(bus, "acme", "front"), await serving(bus, "neighbour", "front")
    refusals: list[str] = []
    for number in range(40):
        try:
            await acme.enqueue("front", Priority.NORMAL, bytes(1 << 20), {})
        except BusUnavailableError as error:
            refusals.append(f"{number} {error}")
    assert "maximum bytes exceeded" in refusals[0]
    await acme.publish([state(1)])
    await neighbour.enqueue("front", Priority.NORMAL, b"{}", {})
    assert len(await neighbour.fetch("front", 5)) == 1
    got = await acme.fetch("front", 2)
    await acme.settle(got, taken=True)
    async with asyncio.timeout(5):
        while True:
            try:
                await acme.enqueue("front", Priority.NORMAL, b"room again", {})
                break
            except BusUnavailableError:
                await asyncio.sleep(0.02)


async def test_full_events_drop_the_oldest_and_block_nobody(broker: EmbeddedBroker, connect: Connect) -> None:
    bus = NatsBus(broker, retention=replace(SMALL, clinic_bytes=16 << 20))
    await bus.start()
    acme = await bus.open_clinic("acme")
    for number in range(10):
        await acme.publish([large(number, 1 << 20)])
    js = (await connect("clinic-acme")).jetstream()
    kept = await attempts(js)
    assert kept == list(range(10 - len(kept), 10))
    assert 3 < len(kept) < 10
    await bus.stop(timeout=2)


async def test_large_batches_from_many_at_once_keep_their_order(bus: NatsBus, connect: Connect) -> None:
    acme = await bus.open_clinic("acme")
    count = 3 * WINDOW_MESSAGES + 7
    batches = [
        [state(number, channel=channel) for number in range(start, start + count)]
        for start, channel in ((0, "a"), (count, "b"), (2 * count, "c"))
    ]
    await asyncio.gather(*(acme.publish(batch) for batch in batches))
    found = await attempts((await connect("clinic-acme")).jetstream())
    for start in (0, count, 2 * count):
        assert [number for number in found if start <= number < start + count] == list(range(start, start + count))


async def test_heavy_events_go_through_the_window_one_after_another(bus: NatsBus, connect: Connect) -> None:
    acme = await bus.open_clinic("acme")
    await acme.publish([large(number, 1_500_000) for number in range(12)])
    assert await attempts((await connect("clinic-acme")).jetstream()) == list(range(12))


async def test_kills_in_the_middle_of_batches_lose_nothing_and_double_nothing(
    broker: EmbeddedBroker, forgetful: NatsBus, connect: Connect
) -> None:
    acme = await forgetful.open_clinic("acme")
    done = 0
    stop = asyncio.Event()
    broken = 0

    async def publish_for_ever() -> None:
        nonlocal done, broken
        while not stop.is_set():
            began = datetime.now(UTC)
            batch = [state(number) for number in range(done, done + 500)]
            while True:
                try:
                    await acme.publish(batch)
                    break
                except BusUnavailableError:
                    broken += 1
                    batch = [replace(one, since=began) for one in batch]
                    await asyncio.sleep(0.3)
            done += 500

    publishing = asyncio.create_task(publish_for_ever())
    for _ in range(4):
        before = done
        while done < before + 2000:  # noqa: ASYNC110
            await asyncio.sleep(0.007)
        await crash(broker)
        await broker.start()
    stop.set()
    await publishing
    assert broken >= 4
    assert await attempts((await connect("clinic-acme")).jetstream()) == list(range(done))


async def test_kills_while_commands_are_fetched_and_settled_lose_none(
    broker: EmbeddedBroker, bus: NatsBus, connect: Connect
) -> None:
    acme = await serving(bus, "acme", "front")
    queued: list[bytes] = []
    owned: list[bytes] = []
    stop = asyncio.Event()

    async def enqueue_for_ever() -> None:
        while not stop.is_set():
            try:
                await acme.enqueue("front", Priority.NORMAL, b"%d" % len(queued), {})
                queued.append(b"%d" % len(queued))
            except BusUnavailableError:
                await asyncio.sleep(0.02)

    async def own_for_ever() -> None:
        while True:
            try:
                batch = await acme.fetch("front", 64)
                # Every third batch is given back first, as by a ledger that is away.
                if len(owned) % 3 == 0:
                    await acme.settle(batch, taken=False)
                    batch = await acme.fetch("front", 64)
                owned.extend(one.body for one in batch)
                await acme.settle(batch, taken=True)
            except BusUnavailableError:
                await asyncio.sleep(0.02)

    working = [asyncio.create_task(work()) for work in (enqueue_for_ever, own_for_ever)]
    for _ in range(3):
        before = len(owned)
        while len(owned) < before + 150:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        await crash(broker)
        await broker.start()
    stop.set()
    async with asyncio.timeout(20):
        while not working[0].done() or not set(queued) <= set(owned):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    js = (await connect("clinic-acme", Role.PLANTAO)).jetstream()
    async with asyncio.timeout(20):
        while (await js.stream_info("send")).state.messages:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    working[1].cancel()


async def test_a_publication_without_a_stream_is_no_success(
    bus: NatsBus, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clinic, "PUBLISH_TIMEOUT", 0.5)
    acme = await bus.open_clinic("acme")
    js = (await connect("clinic-acme", Role.PLANTAO)).jetstream()
    await js.delete_stream("events")
    with pytest.raises(BusUnavailableError, match="no answer in time"):
        await acme.publish([state(1)])
    await js.add_stream(StreamConfig(name="events", subjects=["clinic.acme.channel.*.event.>"]))
    await acme.publish([state(1)])
