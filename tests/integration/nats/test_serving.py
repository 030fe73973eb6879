"""Which channels take commands: exactly those that are served, with or without Plantão."""

import asyncio

import pytest
from nats.aio.client import Client
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.errors import NoStreamResponseError

from gateway.nats.accounts import Role
from gateway.nats.broker import EmbeddedBroker
from gateway.nats.bus import NatsBus
from gateway.nats.sending import consumer_name
from protocol import subjects
from protocol.bus import ClinicBus
from protocol.errors import BusUnavailableError, InvalidIdError
from protocol.subjects import Priority
from tests.flushing import settle
from tests.integration.nats.conftest import SMALL, Connect, crash, serving


async def send(nc: Client, channel: str, priority: Priority = Priority.NORMAL, body: bytes = b"{}") -> None:
    """As any service does."""
    await nc.jetstream().publish(subjects.send("acme", channel, priority), body)


async def refused(nc: Client, channel: str) -> bool:
    """True if no priority of ``channel`` takes a command, False if all do."""
    outcomes = []
    for priority in Priority:
        try:
            await send(nc, channel, priority)
            outcomes.append(False)
        except NoStreamResponseError:
            outcomes.append(True)
    assert len(set(outcomes)) == 1
    return outcomes[0]


async def taken(acme: ClinicBus, channel: str) -> bytes:
    """The body of the next command."""
    (fetched,) = await asyncio.wait_for(acme.fetch(channel, 1), 10)
    await acme.settle([fetched], taken=True)
    return fetched.body


async def waiting(nc: Client) -> dict[str, int]:
    """Commands in the work queue, by subject."""
    info = await nc.jetstream().stream_info("send", subjects_filter=">")
    return info.state.subjects or {}


@pytest.mark.parametrize("account", ["clinic-acme", subjects.ACCOUNT_PLATFORM])
async def test_a_command_to_an_unknown_channel_is_refused_at_once(bus: NatsBus, connect: Connect, account: str) -> None:
    acme = await bus.open_clinic("acme")
    nc = await connect(account)
    for channel in ("front", "frnt", "-"):
        assert await refused(nc, channel)
    await acme.serve_channels(["front"])
    assert not await refused(nc, "front")
    for channel in ("frnt", "fron", "front2", "-"):
        assert await refused(nc, channel)
    with pytest.raises(NoStreamResponseError):
        await nc.jetstream().publish("clinic.acme.channel.front.send.urgent", b"{}")
    with pytest.raises(NoRespondersError):
        await nc.request("clinic.acme.channel.frnt.send", b"{}", timeout=5)
    with pytest.raises(BusUnavailableError, match="no stream takes it"):
        await acme.enqueue("frnt", Priority.NORMAL, b"{}", {})


async def test_known_channels_take_commands_while_plantao_is_away(broker: EmbeddedBroker, connect: Connect) -> None:
    first = NatsBus(broker, retention=SMALL)
    await first.start()
    await serving(first, "acme", "front")
    await first.stop(timeout=2)
    clinic, platform = await connect("clinic-acme"), await connect(subjects.ACCOUNT_PLATFORM)
    await send(clinic, "front", body=b"1")
    await send(platform, "front", body=b"2")
    assert await refused(clinic, "frnt")
    assert await refused(platform, "frnt")
    second = NatsBus(broker, retention=SMALL)
    await second.start()
    acme = await second.open_clinic("acme")
    # Open, and not told its channels yet: as before.
    await send(clinic, "front", body=b"3")
    assert await refused(clinic, "frnt")
    assert [await taken(acme, "front") for _ in range(3)] == [b"1", b"2", b"3"]
    await second.stop(timeout=2)


async def test_what_is_served_survives_a_killed_broker_and_what_was_asked_meanwhile_holds_afterwards(
    bus: NatsBus, broker: EmbeddedBroker, connect: Connect
) -> None:
    acme = await serving(bus, "acme", "front", "back")
    await send(await connect("clinic-acme"), "front", body=b"before")
    await crash(broker)
    with pytest.raises(BusUnavailableError):
        await acme.serve_channels(["front", "side"])
    await broker.start()
    nc = await connect("clinic-acme")
    await send(nc, "front", body=b"after")
    assert [await taken(acme, "front") for _ in range(2)] == [b"before", b"after"]
    assert [await refused(nc, channel) for channel in ("front", "side", "back")] == [False, False, True]


async def test_subjects_changed_by_hand_are_put_right_with_the_next_connection(
    bus: NatsBus, broker: EmbeddedBroker, connect: Connect
) -> None:
    acme = await serving(bus, "acme", "front")
    await (
        (await connect("clinic-acme", Role.PLANTAO))
        .jetstream()
        .update_stream(name="send", subjects=["clinic.acme.channel.other.send"], retention="workqueue")
    )
    await crash(broker)
    await broker.start()
    await acme.publish([])
    nc = await connect("clinic-acme")
    assert [await refused(nc, channel) for channel in ("front", "other")] == [False, True]


async def test_a_removed_channel_leaves_nothing_and_its_neighbours_lose_nothing(bus: NatsBus, connect: Connect) -> None:
    acme = await serving(bus, "acme", "front", "front-2", "back")
    nc = await connect("clinic-acme", Role.PLANTAO)
    for channel in ("front", "front-2", "back"):
        assert await taken_after(acme, nc, channel) == b"first"
        for priority in Priority:
            await send(nc, channel, priority)
    await acme.serve_channels(["front-2", "back"])
    assert await refused(nc, "front")
    assert len(await waiting(nc)) == 9
    await acme.forget_channel("front")
    left = {subjects.send("acme", channel, priority): 1 for channel in ("front-2", "back") for priority in Priority}
    assert await waiting(nc) == left
    await acme.forget_channel("front")
    assert await taken(acme, "back") == b"{}"
    await acme.serve_channels(["front-2", "back", "front"])
    assert await taken_after(acme, nc, "front") == b"first"


async def test_a_channel_forgotten_before_it_is_removed_is_purged_as_it_is_removed(
    bus: NatsBus, connect: Connect
) -> None:
    acme = await serving(bus, "acme", "front", "back")
    nc = await connect("clinic-acme", Role.PLANTAO)
    await send(nc, "front", body=b"kept while it is served")
    await acme.forget_channel("front")
    assert await taken(acme, "front") == b"kept while it is served"
    await send(nc, "front")
    await send(nc, "back")
    await acme.serve_channels(["back"])
    assert list(await waiting(nc)) == [subjects.send("acme", "back")]


async def test_a_channel_whose_removal_failed_is_refused_once_it_is_forgotten(
    bus: NatsBus, broker: EmbeddedBroker, connect: Connect
) -> None:
    acme = await serving(bus, "acme", "front")
    await send(await connect("clinic-acme", Role.PLANTAO), "front")
    await crash(broker)
    for attempt in (acme.serve_channels([]), acme.forget_channel("front")):
        with pytest.raises(BusUnavailableError):
            await attempt
    await broker.start()
    await acme.forget_channel("front")
    nc = await connect("clinic-acme", Role.PLANTAO)
    assert await refused(nc, "front")
    assert await waiting(nc) == {}


async def test_forgetting_a_channel_first_makes_good_a_removal_that_was_not_answered(
    bus: NatsBus, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = await serving(bus, "acme", "front")
    nc = await connect("clinic-acme", Role.PLANTAO)
    await send(nc, "front")

    async def no_answer(*_: object) -> None:
        raise NatsTimeoutError

    with monkeypatch.context() as broken:
        broken.setattr("gateway.nats.clinic.ensure_stream", no_answer)
        with pytest.raises(BusUnavailableError, match="serving the channels of clinic acme"):
            await acme.serve_channels([])
    assert not await refused(nc, "front")
    await acme.forget_channel("front")
    assert await refused(nc, "front")
    assert await waiting(nc) == {}


async def test_consumers_outlive_a_time_without_their_subjects(
    bus: NatsBus, broker: EmbeddedBroker, connect: Connect
) -> None:
    acme = await serving(bus, "acme", "front")
    assert await taken_after(acme, await connect("clinic-acme"), "front") == b"first"
    await send(await connect("clinic-acme"), "front", body=b"left over")
    await acme.serve_channels([])
    await crash(broker)
    await broker.start()
    await acme.serve_channels(["front"])
    plantao = (await connect("clinic-acme", Role.PLANTAO)).jetstream()
    names = {consumer.name for consumer in await plantao.consumers_info("send")}
    assert names == {consumer_name("front", priority) for priority in Priority}
    assert await taken(acme, "front") == b"left over"


async def test_a_fetch_that_waits_is_not_disturbed_by_channels_that_come_and_go(bus: NatsBus, connect: Connect) -> None:
    acme = await serving(bus, "acme", "front")
    fetching = asyncio.create_task(taken(acme, "front"))
    nc = await connect("clinic-acme")
    for channels in (["front", "back"], ["back", "front"], ["front"]):
        await acme.serve_channels(channels)
    await send(nc, "front", Priority.BULK, b"found")
    assert await fetching == b"found"


async def test_fifty_channels_are_served_and_asking_again_changes_nothing(bus: NatsBus, connect: Connect) -> None:
    channels = [f"ch{number}" for number in range(50)]
    acme = await serving(bus, "acme", *channels)
    nc = await connect(subjects.ACCOUNT_PLATFORM)
    for number, channel in enumerate(channels):
        await send(nc, channel, list(Priority)[number % 3], channel.encode())
    assert await refused(nc, "ch50")
    plantao = await connect("clinic-acme", Role.PLANTAO)
    updates = await plantao.subscribe("$JS.EVENT.ADVISORY.STREAM.UPDATED.send")
    await settle(plantao)
    await acme.serve_channels(list(reversed(channels)))
    assert await asyncio.gather(*(taken(acme, channel) for channel in channels)) == [one.encode() for one in channels]
    await acme.serve_channels(channels[1:])
    await updates.next_msg(timeout=5)
    await settle(plantao)
    assert updates.pending_msgs == 0
    assert await refused(nc, "ch0")
    assert not await refused(nc, "ch49")


async def test_what_is_no_identifier_is_neither_served_nor_purged(bus: NatsBus, connect: Connect) -> None:
    acme = await serving(bus, "acme", "front")
    nc = await connect("clinic-acme", Role.PLANTAO)
    await send(nc, "front")
    for name in ("*", ">", "a.b", "", "-"):
        with pytest.raises(InvalidIdError):
            await acme.serve_channels(["front", name])
        with pytest.raises(InvalidIdError):
            await acme.forget_channel(name)
    assert list(await waiting(nc)) == [subjects.send("acme", "front")]


async def taken_after(acme: ClinicBus, nc: Client, channel: str) -> bytes:
    """The body of a command sent to ``channel``; after this its consumers exist."""
    await send(nc, channel, body=b"first")
    return await taken(acme, channel)
