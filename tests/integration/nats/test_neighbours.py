"""Adding and removing clinics disturbs nobody, although the server reloads the configuration of all accounts."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from structlog.testing import capture_logs

from gateway.nats.accounts import Role
from gateway.nats.broker import EmbeddedBroker
from gateway.nats.bus import NatsBus
from gateway.nats.clinic import NatsClinicBus
from gateway.nats.registry import NatsRegistry
from protocol import subjects
from protocol.bus import ClinicBus, Later
from protocol.channel import ChannelRecord, ClinicRecord
from protocol.errors import AlreadyExistsError, BusUnavailableError
from protocol.subjects import Priority
from tests.integration.nats.conftest import Connect, on_platform, serving
from tests.integration.nats.test_bus import state

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CLINICS = [f"clinic{number}" for number in range(15)]
PATIENCE = 5.0
"""Seconds; what takes longer has been disturbed."""


class Traffic:
    """Does things again and again, one kind beside the other, until ``stop``; the first error ends it."""

    def __init__(self) -> None:
        self.done: dict[str, int] = {}
        self.longest = 0.0
        self._stopping = False

    async def repeat(self, name: str, work: Callable[[int], Awaitable[object]]) -> None:
        self.done[name] = 0
        while not self._stopping:
            began = time.monotonic()
            await work(self.done[name])
            self.longest = max(self.longest, time.monotonic() - began)
            self.done[name] += 1

    def stop(self) -> None:
        self._stopping = True


async def one_after_another(bus: NatsBus) -> None:
    """Open the clinics, each once the one before is there."""
    for clinic in CLINICS:
        await bus.open_clinic(clinic)


async def together(bus: NatsBus) -> None:
    """Open the clinics all at once."""
    await asyncio.gather(*(bus.open_clinic(clinic) for clinic in CLINICS))


async def and_removed(bus: NatsBus) -> None:
    """Open some clinics and have them forgotten."""
    for clinic in CLINICS[:5]:
        await bus.open_clinic(clinic)
        await bus.close_clinic(clinic, forget=True)


@pytest.mark.parametrize("add", [one_after_another, together, and_removed])
async def test_clinics_that_come_and_go_disturb_no_neighbour_and_not_the_registry(
    bus: NatsBus, connect: Connect, add: Callable[[NatsBus], Awaitable[None]]
) -> None:
    neighbour = await serving(bus, "neighbour", "front")
    registry = NatsRegistry(bus)
    await registry.create_clinic(ClinicRecord(id="neighbour", name="Neighbour", created_at=NOW))
    traffic = Traffic()

    async def publish(number: int) -> None:
        await neighbour.publish([state(number, clinic="neighbour")])

    async def queue_and_fetch(number: int) -> None:
        body = b"%d" % number
        await neighbour.enqueue("front", Priority.NORMAL, body, {})
        (command,) = await neighbour.fetch("front", 1)
        assert command.body == body
        await neighbour.settle([command], taken=True)

    async def write_and_read(number: int) -> None:
        channel = ChannelRecord(clinic="neighbour", id=f"c{number}", name="C", created_at=NOW, config={})
        await registry.create_channel(channel)
        with pytest.raises(AlreadyExistsError):
            await registry.create_channel(channel)
        await registry.delete_channel("neighbour", channel.id)

    async def change_channels(number: int) -> None:
        await neighbour.serve_channels(["front", "back"] if number % 2 else ["front"])

    async def add_all() -> None:
        try:
            await add(bus)
        finally:
            traffic.stop()

    with capture_logs() as logs:
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for work in (publish, queue_and_fetch, write_and_read, change_channels):
                group.create_task(traffic.repeat(work.__name__, work))
            group.create_task(add_all())

    assert traffic.longest < PATIENCE
    assert min(traffic.done.values()) > 0
    assert "nats_connection_lost" not in {line["event"] for line in logs}
    # Every event also arrived at the trusted services, whose account imports the clinics'.
    await on_platform(await connect(subjects.ACCOUNT_PLATFORM), traffic.done["publish"])


@pytest.mark.parametrize("mistake", [KeyError("no such stream"), asyncio.CancelledError()])
async def test_a_link_that_breaks_by_a_mistake_of_ours_begins_anew_and_its_clinic_alone_suffers(
    bus: NatsBus, monkeypatch: pytest.MonkeyPatch, mistake: BaseException
) -> None:
    acme, neighbour = await serving(bus, "acme", "front"), await serving(bus, "neighbour", "front")
    assert isinstance(acme, NatsClinicBus)
    ended, fetching = asyncio.create_task(bus.wait()), asyncio.create_task(neighbour.fetch("front", 1))
    attempts: asyncio.Queue[None] = asyncio.Queue()

    async def break_up(*_: object, **__: object) -> None:
        attempts.put_nowait(None)
        raise mistake

    with monkeypatch.context() as broken, capture_logs() as logs:
        broken.setattr("gateway.nats.clinic.ensure_stream", break_up)
        await (await acme.link.connection()).nc.close()
        for _ in range(3):
            await asyncio.wait_for(attempts.get(), PATIENCE)
        assert not bus.clinic_connected("acme")
        await neighbour.publish([state(1, clinic="neighbour")])
    told = [line for line in logs if line["event"] == "nats_clinic_link_broke"]
    assert [(line["clinic"], line["exc_info"]) for line in told] == [("acme", mistake)]
    # Who held the clinic goes on with what they held.
    async with asyncio.timeout(PATIENCE):
        while not bus.clinic_connected("acme"):
            with suppress(BusUnavailableError):
                await acme.link.connection()
        await acme.publish([state(1)])
        await acme.enqueue("front", Priority.NORMAL, b"{}", {})
        (command,) = await acme.fetch("front", 1)
        await acme.settle([command], taken=True)
        await neighbour.enqueue("front", Priority.NORMAL, b"{}", {})
        assert len(await fetching) == 1
    assert not ended.done()
    ended.cancel()


@pytest.mark.parametrize("stream", [subjects.STREAM_SEND, subjects.STREAM_LATER])
async def test_a_clinics_own_service_takes_nothing_from_the_streams_that_plantao_consumes(
    bus: NatsBus, connect: Connect, stream: str
) -> None:
    acme = await serving(bus, "acme", "front")
    await acme.enqueue("front", Priority.NORMAL, b"{}", {})
    await acme.schedule("front", [Later(id="1", run=1, at=datetime.now(UTC) + timedelta(hours=1))])
    service, plantao = await connect("clinic-acme"), await connect("clinic-acme", Role.PLANTAO)
    consumers = await plantao.jetstream().consumers_info(stream)
    theirs = consumers[0].name if consumers else "any"
    config = {"ack_policy": "explicit", "deliver_subject": "mine", "filter_subject": "clinic.acme.>"}
    requests = {
        f"$JS.API.CONSUMER.CREATE.{stream}": {"stream_name": stream, "config": config},
        f"$JS.API.CONSUMER.PAUSE.{stream}.{theirs}": {"pause_until": "2099-01-01T00:00:00Z"},
        f"$JS.ACK.{stream}.{theirs}.1.1.1.1.0": {},
    }
    for subject, body in requests.items():
        denied: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def hear(error: Exception, denied: asyncio.Future[str] = denied) -> None:
            if not denied.done():
                denied.set_result(str(error))

        service._error_cb = hear
        await service.publish(subject, msgspec.json.encode(body))
        assert subject.lower() in (await asyncio.wait_for(denied, PATIENCE)).lower()
    assert len(await plantao.jetstream().consumers_info(stream)) == len(consumers)
    assert (await plantao.jetstream().stream_info(stream)).state.messages == 1


async def test_clinics_that_are_added_while_one_is_share_a_reload(
    bus: NatsBus, broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    reloads = 0
    reload = EmbeddedBroker._reload

    async def counted(self: EmbeddedBroker) -> None:
        nonlocal reloads
        reloads += 1
        await reload(self)

    monkeypatch.setattr(EmbeddedBroker, "_reload", counted)
    first = asyncio.create_task(broker.ensure_account("first"))
    while not reloads:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await asyncio.gather(first, *(broker.ensure_account(clinic) for clinic in CLINICS))
    assert reloads <= 2
    opened: list[ClinicBus] = await asyncio.gather(*(bus.open_clinic(clinic) for clinic in CLINICS))
    assert len(opened) == len(CLINICS)
    assert reloads <= 2
