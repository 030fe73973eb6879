"""The bus over a real server: isolation, the platform account, publishing, media, and crashes of the server."""

import asyncio
import gc
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import RetentionPolicy
from nats.js.errors import NoStreamResponseError

from gateway.nats.accounts import Role
from gateway.nats.broker import EmbeddedBroker
from gateway.nats.bus import NatsBus
from protocol import subjects
from protocol.bus import ClinicBus, Publication
from protocol.channel import Breaker, ChannelState
from protocol.codec import Encoding, decode
from protocol.errors import BusUnavailableError, InvalidInputError, NotFoundError
from protocol.events import StateEvent
from protocol.subjects import EventKind, Priority
from tests.flushing import settle
from tests.integration.nats.conftest import SMALL, Connect, crash, on_platform, serving

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def state(
    number: int, *, clinic: str = "acme", channel: str = "front", kind: EventKind | None = EventKind.STATE
) -> Publication:
    """An event that can be told apart by ``attempt``."""
    event = StateEvent(
        clinic=clinic,
        channel=channel,
        state=ChannelState.CONNECTED,
        previous=ChannelState.RECONNECTING,
        reason="test",
        since=NOW,
        attempt=number,
        next_retry_at=None,
        breaker=Breaker.CLOSED,
    )
    headers = {"Traceparent": "00-trace", "Nats-Msg-Id": "not passed on"}
    return Publication(channel=channel, kind=kind, event=event, message_id=f"state-{number}", headers=headers)


async def stored(js: JetStreamContext, stream: str) -> list[int]:
    """The ``attempt`` of every event in ``stream``, in order."""
    info = await js.stream_info(stream)
    found = []
    for sequence in range(info.state.first_seq, info.state.last_seq + 1):
        message = await js.get_msg(stream, sequence)
        found.append(decode(message.data or b"", StateEvent).attempt)
    return found


async def test_clinics_see_nothing_of_each_other(bus: NatsBus, connect: Connect) -> None:
    acme, other = await serving(bus, "acme", "front"), await serving(bus, "other", "front")
    await acme.publish([state(1)])
    spy = await connect("clinic-other", Role.PLANTAO)
    with pytest.raises(NoStreamResponseError):
        await spy.jetstream().publish("clinic.acme.channel.front.send", b"{}")
    seen: list[str] = []

    async def see(message: Msg) -> None:
        seen.append(message.subject)

    await spy.subscribe("clinic.>", cb=see)
    await settle(spy)
    await acme.publish([state(2)])
    await acme.enqueue("front", Priority.NORMAL, b"{}", {})
    listed = await spy.jetstream().streams_info()
    assert {stream.config.name for stream in listed} == {"send", "later", "events", "dead", "OBJ_media"}
    assert not any("acme" in subject for stream in listed for subject in stream.config.subjects or [])
    await other.enqueue("front", Priority.NORMAL, b"{}", {})
    await settle(spy)
    assert seen == ["clinic.other.channel.front.send"]


async def test_platform_sends_into_a_clinic_and_hears_all_of_them(bus: NatsBus, connect: Connect) -> None:
    platform = await connect(subjects.ACCOUNT_PLATFORM)
    heard = await platform.subscribe("clinic.*.channel.*.event.>")
    dead = await platform.subscribe("clinic.*.channel.*.dead")
    await settle(platform)
    for clinic in ("acme", "later"):
        opened = await serving(bus, clinic, "front")
        send = subjects.send(clinic, "front", Priority.HIGH)
        first = await platform.jetstream().publish(send, b"{}", headers={"Nats-Msg-Id": "once"})
        again = await platform.jetstream().publish(send, b"{}", headers={"Nats-Msg-Id": "once"})
        assert (first.stream, first.duplicate, again.duplicate) == ("send", None, True)
        # The same id from each clinic: neither hides the other's.
        await opened.publish([state(1, clinic=clinic), state(1, clinic=clinic, kind=None)])
        assert (await heard.next_msg(timeout=5)).subject == f"clinic.{clinic}.channel.front.event.state"
        assert (await dead.next_msg(timeout=5)).subject == f"clinic.{clinic}.channel.front.dead"
    with pytest.raises(NoStreamResponseError):
        await platform.jetstream().publish("clinic.unknown.channel.front.send", b"{}")
    await on_platform(platform, 2)


async def test_a_clinics_service_cannot_pose_as_plantao(bus: NatsBus, connect: Connect) -> None:
    acme = await bus.open_clinic("acme")
    await acme.publish([state(1)])
    service = await connect("clinic-acme")
    js = service.jetstream(timeout=0.3)
    await service.publish("clinic.acme.channel.front.event.state", b"{}")
    await service.publish("clinic.acme.channel.front.dead", b"{}")
    for attempt in (js.delete_stream("events"), js.purge_stream("send"), js.update_stream(name="dead", subjects=["x"])):
        with pytest.raises(TimeoutError):
            await attempt
    plantao = (await connect("clinic-acme", Role.PLANTAO)).jetstream()
    assert await stored(plantao, "events") == [1]
    assert (await plantao.stream_info("dead")).state.messages == 0


async def test_events_are_stored_once_in_order_with_their_headers(bus: NatsBus, connect: Connect) -> None:
    acme = await bus.open_clinic("acme")
    batch = [state(number) for number in range(600)]
    await acme.publish(batch)
    await acme.publish(batch[:300])
    js = (await connect("clinic-acme")).jetstream()
    assert (await js.stream_info("events")).state.messages == 600
    assert await stored(js, "events") == list(range(600))
    first = await js.get_msg("events", 1)
    assert first.headers == {
        "traceparent": "00-trace",
        "Nats-Msg-Id": "acme.state-0",
        "Content-Type": "application/msgpack",
    }


async def test_events_are_encoded_as_the_clinic_wants(broker: EmbeddedBroker, connect: Connect) -> None:
    wanted = {"acme": Encoding.JSON, "other": Encoding.MSGPACK}
    bus = NatsBus(broker, encoding=wanted.__getitem__, retention=SMALL)
    await bus.start()
    for clinic, encoding in wanted.items():
        opened = await bus.open_clinic(clinic)
        await opened.publish([state(7, clinic=clinic)])
        message = await (await connect(f"clinic-{clinic}")).jetstream().get_msg("events", 1)
        assert (message.headers or {})["Content-Type"] == encoding.content_type
        assert ((message.data or b"")[:1] == b"{") is (encoding is Encoding.JSON)
        assert decode(message.data or b"", StateEvent) == state(7, clinic=clinic).event
    await bus.stop(timeout=2)


async def test_nothing_acknowledged_is_lost_when_the_broker_is_killed_under_publish_and_fetch(
    broker: EmbeddedBroker, bus: NatsBus, connect: Connect
) -> None:
    acme = await serving(bus, "acme", "front")
    queued: list[bytes] = []
    fetched: list[bytes] = []
    published = 0
    stop = asyncio.Event()

    async def repeat(work: ClinicBus, number: int) -> None:
        while True:
            try:
                await work.publish([state(number * 10 + offset) for offset in range(10)])
                return
            except BusUnavailableError:
                await asyncio.sleep(0.05)

    async def publish_for_ever() -> None:
        nonlocal published
        while not stop.is_set():
            await repeat(acme, published)
            published += 1

    async def enqueue_for_ever() -> None:
        while not stop.is_set():
            body = str(len(queued)).encode()
            try:
                await acme.enqueue("front", Priority.NORMAL, body, {})
                queued.append(body)
            except BusUnavailableError:
                await asyncio.sleep(0.05)

    async def fetch_for_ever() -> None:
        while True:
            try:
                batch = await acme.fetch("front", 20)
                fetched.extend(one.body for one in batch)
                await acme.settle(batch, taken=True)
            except BusUnavailableError:
                await asyncio.sleep(0.05)

    producers = [asyncio.create_task(work()) for work in (publish_for_ever, enqueue_for_ever)]
    fetching = asyncio.create_task(fetch_for_ever())
    for _ in range(2):
        before = len(fetched)
        while len(fetched) < before + 100:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await crash(broker)
        await broker.start()
    before = len(fetched)
    while len(fetched) < before + 100:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    stop.set()
    await asyncio.wait(producers)
    async with asyncio.timeout(20):
        while not set(queued) <= set(fetched):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    fetching.cancel()
    js = (await connect("clinic-acme")).jetstream()
    assert await stored(js, "events") == list(range(published * 10))


async def test_a_bus_without_a_broker_says_so_and_heals_when_it_is_back(broker: EmbeddedBroker, bus: NatsBus) -> None:
    acme = await bus.open_clinic("acme")
    assert bus.connected
    assert bus.clinic_connected("acme")
    await crash(broker)
    async with asyncio.timeout(10):
        while bus.clinic_connected("acme"):  # noqa: ASYNC110 - its owner knows of the end before the bus does
            await asyncio.sleep(0.01)
    with pytest.raises(BusUnavailableError, match="clinic-acme"):
        await acme.publish([state(1)])
    with pytest.raises(BusUnavailableError):
        await bus.open_clinic("other")
    await broker.start()
    await acme.publish([state(1)])
    await bus.open_clinic("other")


async def test_a_bus_that_cannot_reach_its_broker_does_not_start(broker: EmbeddedBroker) -> None:
    await crash(broker)
    bus = NatsBus(broker)
    tried: asyncio.Queue[None] = asyncio.Queue()

    async def say_nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tried.put_nowait(None)
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", int(broker.server.rpartition(":")[2])):
        starting = asyncio.create_task(bus.start())
        for _ in range(3):
            await asyncio.wait_for(tried.get(), 10)
        assert not starting.done()
        starting.cancel()
        await asyncio.wait((starting,))
    assert not bus.connected
    with pytest.raises(BusUnavailableError, match="not running"):
        await bus.node_connection()


async def test_streams_of_another_shape_are_migrated(broker: EmbeddedBroker, connect: Connect) -> None:
    await broker.ensure_account("acme")
    js = (await connect("clinic-acme", Role.PLANTAO)).jetstream()
    await js.add_stream(
        name="events", subjects=["clinic.acme.channel.*.event.message"], max_age=60, allow_rollup_hdrs=True
    )
    await js.publish("clinic.acme.channel.front.event.message", b"kept")
    await js.add_stream(
        name="send", subjects=["clinic.acme.channel.*.send"], retention=RetentionPolicy.WORK_QUEUE, max_age=60
    )
    bus = NatsBus(broker, retention=SMALL)
    await bus.start()
    acme = await bus.open_clinic("acme")
    events = await js.stream_info("events")
    assert events.config.subjects == ["clinic.acme.channel.*.event.>"]
    assert (events.config.max_age, events.config.allow_rollup_hdrs) == (SMALL.events, False)
    assert events.state.messages == 1
    send = (await js.stream_info("send")).config
    assert send.subjects == ["clinic.acme.channel.*.send"]
    assert (send.discard, send.max_age) == ("new", 0)
    await acme.serve_channels(["front"])
    assert len((await js.stream_info("send")).config.subjects or []) == 3
    await bus.stop(timeout=2)


async def test_a_clinic_is_opened_once_and_forgotten_with_all_it_holds(
    broker: EmbeddedBroker, bus: NatsBus, connect: Connect
) -> None:
    first, second = await asyncio.gather(bus.open_clinic("acme"), bus.open_clinic("acme"))
    assert first is second
    await first.publish([state(1)])
    await bus.close_clinic("acme", forget=False)
    await bus.close_clinic("acme", forget=False)
    again = await bus.open_clinic("acme")
    assert again is not first
    js = (await connect("clinic-acme")).jetstream()
    assert (await js.stream_info("events")).state.messages == 1
    await bus.close_clinic("acme", forget=True)
    with pytest.raises(NotFoundError):
        broker.login("clinic-acme")
    await bus.open_clinic("acme")
    js = (await connect("clinic-acme")).jetstream()
    assert (await js.stream_info("events")).state.messages == 0


async def test_media_goes_both_ways_within_its_limit(bus: NatsBus, connect: Connect) -> None:
    acme = await bus.open_clinic("acme")
    data = bytes(range(256)) * 2000
    await acme.put_media("in/1", data, mime="image/jpeg")
    await acme.put_media("in/1", data, mime="image/jpeg")
    service = await (await connect("clinic-acme")).jetstream().object_store("media")
    result = await service.get("in/1")
    assert result.data == data
    assert result.info.headers == {"Content-Type": ["image/jpeg"]}
    await service.put("out", b"picture")
    await service.put("out", b"another picture")
    assert await acme.get_media("out", limit=100) == b"another picture"
    assert await acme.get_media("in/1", limit=len(data)) == data
    with pytest.raises(InvalidInputError, match="at most 100 bytes"):
        await acme.get_media("in/1", limit=100)
    with pytest.raises(NotFoundError):
        await acme.get_media("nothing", limit=100)


async def test_a_media_store_that_is_full_says_so_and_keeps_nothing_of_what_it_does_not_take(
    broker: EmbeddedBroker, connect: Connect
) -> None:
    bus = NatsBus(broker, retention=replace(SMALL, clinic_bytes=1 << 22))
    await bus.start()
    acme = await bus.open_clinic("acme")
    await acme.put_media("in/1", bytes(1 << 20), mime="image/jpeg")
    for _ in range(3):
        with pytest.raises(InvalidInputError, match="the clinic's media store, which is full") as caught:
            await acme.put_media("in/2", bytes(1 << 20), mime="image/jpeg")
        assert caught.value.field == "media"
    gone = asyncio.Event()

    class Media(bytes):
        def __del__(self) -> None:
            gone.set()

    gc.disable()
    try:
        with suppress(InvalidInputError):
            await acme.put_media("in/2", Media(1 << 20), mime="image/jpeg")
        await asyncio.wait_for(gone.wait(), 5)  # not when garbage is looked for next: that may take many such media
    finally:
        gc.enable()
    await acme.publish([state(1)])
    assert len(await acme.get_media("in/1", limit=1 << 20)) == 1 << 20
    js = (await connect("clinic-acme")).jetstream()
    assert (await js.stream_info("OBJ_media")).state.bytes < 1.1 * (1 << 20)
    await bus.stop(timeout=2)


async def test_media_that_lies_about_itself_is_refused(bus: NatsBus, connect: Connect) -> None:
    acme = await bus.open_clinic("acme")
    nc = await connect("clinic-acme")
    store = await nc.jetstream().object_store("media")
    info = await store.put("lie", bytes(1000))
    lie = info.as_dict() | {"size": 10}
    subject = "$O.media.M.bGll"
    await nc.jetstream().publish(subject, msgspec.json.encode(lie), headers={"Nats-Rollup": "sub"})
    with pytest.raises(InvalidInputError, match="at most 100 bytes"):
        await acme.get_media("lie", limit=100)
    with pytest.raises(InvalidInputError, match="size and digest"):
        await acme.get_media("lie", limit=10_000)
