"""The registry in a real bucket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime

import msgspec
import pytest
from structlog.testing import capture_logs

from gateway.nats.broker import EmbeddedBroker
from gateway.nats.bus import NatsBus
from gateway.nats.registry import NatsRegistry
from protocol.bus import Wanted
from protocol.channel import ChannelRecord, ClinicRecord, WantedState
from protocol.errors import AlreadyExistsError, BusUnavailableError, InvalidIdError, InvalidInputError, NotFoundError
from tests.integration.nats.conftest import crash

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def clinic(id: str) -> ClinicRecord:
    """A record of a clinic."""
    return ClinicRecord(id=id, name=id.title(), created_at=NOW)


def channel(of: str, id: str) -> ChannelRecord:
    """A record of a channel."""
    return ChannelRecord(clinic=of, id=id, name=id.title(), created_at=NOW, config={"start": "lazy"})


class Watcher:
    """What a watch delivered last."""

    def __init__(self) -> None:
        self.deliveries = 0
        self.latest: Wanted | None = None
        self._changed = asyncio.Event()

    def deliver(self, wanted: Wanted) -> None:
        self.deliveries += 1
        self.latest = wanted
        self._changed.set()

    async def until(self, clinics: set[str], channels: set[tuple[str, str]]) -> None:
        """Wait until exactly these are wanted."""
        async with asyncio.timeout(15):
            while True:
                if self.latest and (set(self.latest.clinics), set(self.latest.channels)) == (clinics, channels):
                    return
                self._changed.clear()
                await self._changed.wait()

    async def until_revision(self, revision: int) -> Wanted:
        """The first delivery seen here that has all changes up to it."""
        async with asyncio.timeout(15):
            while self.latest is None or self.latest.revision < revision:
                self._changed.clear()
                await self._changed.wait()
        return self.latest


@pytest.fixture
def registry(bus: NatsBus) -> NatsRegistry:
    """An empty one."""
    return NatsRegistry(bus)


@pytest.fixture
async def watcher(registry: NatsRegistry) -> AsyncIterator[Watcher]:
    """Watching."""
    watching = Watcher()
    task = asyncio.create_task(registry.watch(watching.deliver))
    yield watching
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_channels_own_settings_are_put_in_place_of_the_old(registry: NatsRegistry, watcher: Watcher) -> None:
    await registry.create_clinic(clinic("acme"))
    await registry.create_channel(channel("acme", "front"))
    config = {"idle_after": 3600, "pacing": {"enabled": False}}
    record, _ = await registry.configure_channel("acme", "front", config)
    assert (record.config, record.name, record.wanted) == (config, "Front", WantedState.CONNECTED)
    await registry.want_channel("acme", "front", WantedState.SUSPENDED)
    await registry.create_clinic(clinic("other"))
    await watcher.until({"acme", "other"}, {("acme", "front")})
    assert watcher.latest is not None
    assert watcher.latest.channels["acme", "front"] == msgspec.structs.replace(record, wanted=WantedState.SUSPENDED)
    emptied, _ = await registry.configure_channel("acme", "front", {})
    assert emptied == msgspec.structs.replace(record, wanted=WantedState.SUSPENDED, config={})
    for wrong in ({"a": "x" * (16 << 10)}, {"a": object()}):
        with pytest.raises(InvalidInputError, match="config"):
            await registry.configure_channel("acme", "front", wrong)
    with pytest.raises(NotFoundError, match="back of clinic acme"):
        await registry.configure_channel("acme", "back", {})


async def test_a_clinic_is_given_another_name_and_timezone(registry: NatsRegistry) -> None:
    await registry.create_clinic(clinic("acme"))
    renamed, _ = await registry.configure_clinic("acme", "Other", None)
    assert renamed == msgspec.structs.replace(clinic("acme"), name="Other")
    moved, _ = await registry.configure_clinic("acme", None, "America/Manaus")
    assert moved == msgspec.structs.replace(renamed, timezone="America/Manaus")
    with pytest.raises(NotFoundError, match="clinic nobody"):
        await registry.configure_clinic("nobody", "Other", None)


async def test_what_is_delivered_says_up_to_which_change_it_is(registry: NatsRegistry, watcher: Watcher) -> None:
    await registry.create_clinic(clinic("acme"))
    names = [f"Name {number}" for number in range(10)]
    written = await asyncio.gather(*(registry.configure_clinic("acme", name, None) for name in names))
    assert len({revision for _, revision in written}) == len(names)
    last, revision = max(written, key=lambda one: one[1])
    again, unchanged = await registry.configure_clinic("acme", last.name, None)
    assert (again, unchanged) == (last, revision)
    latest = await watcher.until_revision(revision)
    assert (latest.revision, latest.clinics["acme"]) == (revision, last)


async def test_two_who_change_a_channel_at_once_both_have_their_way(registry: NatsRegistry) -> None:
    await registry.create_clinic(clinic("acme"))
    await registry.create_channel(channel("acme", "front"))
    await asyncio.gather(
        registry.configure_channel("acme", "front", {"a": 1}),
        registry.want_channel("acme", "front", WantedState.DISCONNECTED),
    )
    record, _ = await registry.configure_channel("acme", "front", {"a": 1})
    assert (record.config, record.wanted) == ({"a": 1}, WantedState.DISCONNECTED)


async def test_an_empty_registry_is_delivered_as_such(watcher: Watcher) -> None:
    await watcher.until(set(), set())
    assert watcher.deliveries == 1


async def test_the_whole_comes_first_and_again_with_every_change(registry: NatsRegistry, watcher: Watcher) -> None:
    await registry.create_clinic(clinic("acme"))
    await registry.create_channel(channel("acme", "front"))
    await watcher.until({"acme"}, {("acme", "front")})
    assert watcher.latest is not None
    assert watcher.latest.channels["acme", "front"] == channel("acme", "front")
    late = Watcher()
    task = asyncio.create_task(registry.watch(late.deliver))
    await late.until({"acme"}, {("acme", "front")})
    assert late.deliveries == 1
    await registry.delete_channel("acme", "front")
    for one in (watcher, late):
        await one.until({"acme"}, set())
    task.cancel()


async def test_creating_twice_and_what_is_missing_are_refused(registry: NatsRegistry) -> None:
    with pytest.raises(NotFoundError, match="clinic acme"):
        await registry.create_channel(channel("acme", "front"))
    await registry.create_clinic(clinic("acme"))
    with pytest.raises(AlreadyExistsError, match="clinic acme"):
        await registry.create_clinic(clinic("acme"))
    outcomes = await asyncio.gather(
        *(registry.create_channel(channel("acme", "front")) for _ in range(5)), return_exceptions=True
    )
    assert sum(outcome is None for outcome in outcomes) == 1
    assert sum(isinstance(outcome, AlreadyExistsError) for outcome in outcomes) == 4
    with pytest.raises(NotFoundError, match="channel back of clinic acme"):
        await registry.delete_channel("acme", "back")
    with pytest.raises(NotFoundError, match="clinic other"):
        await registry.delete_clinic("other")
    with pytest.raises(InvalidIdError):
        await registry.delete_clinic("a.*")


async def test_what_is_wanted_of_a_channel_can_be_changed(registry: NatsRegistry, watcher: Watcher) -> None:
    with pytest.raises(NotFoundError, match="channel front of clinic acme"):
        await registry.want_channel("acme", "front", WantedState.SUSPENDED)
    await registry.create_clinic(clinic("acme"))
    await registry.create_channel(channel("acme", "front"))
    await watcher.until({"acme"}, {("acme", "front")})
    before = watcher.deliveries
    await registry.want_channel("acme", "front", WantedState.CONNECTED)
    await asyncio.gather(*(registry.want_channel("acme", "front", wanted) for wanted in WantedState))
    await registry.want_channel("acme", "front", WantedState.SUSPENDED)
    await registry.create_channel(channel("acme", "back"))
    await watcher.until({"acme"}, {("acme", "front"), ("acme", "back")})
    assert watcher.latest is not None
    changed = msgspec.structs.replace(channel("acme", "front"), wanted=WantedState.SUSPENDED)
    assert watcher.latest.channels["acme", "front"] == changed
    assert watcher.deliveries > before


async def test_a_clinic_is_deleted_with_its_channels_and_can_be_created_again(
    registry: NatsRegistry, watcher: Watcher
) -> None:
    for name in ("acme", "acme-2"):
        await registry.create_clinic(clinic(name))
        for number in range(3):
            await registry.create_channel(channel(name, f"ch{number}"))
    await registry.delete_clinic("acme")
    others = {("acme-2", f"ch{number}") for number in range(3)}
    await watcher.until({"acme-2"}, others)
    await registry.create_clinic(clinic("acme"))
    await registry.create_channel(channel("acme", "ch1"))
    await watcher.until({"acme", "acme-2"}, others | {("acme", "ch1")})


async def test_the_watch_survives_a_killed_broker(
    registry: NatsRegistry, watcher: Watcher, broker: EmbeddedBroker
) -> None:
    await registry.create_clinic(clinic("acme"))
    await watcher.until({"acme"}, set())
    await crash(broker)
    with pytest.raises(BusUnavailableError):
        await registry.create_clinic(clinic("other"))
    await broker.start()
    await registry.create_clinic(clinic("other"))
    await watcher.until({"acme", "other"}, set())


async def test_a_record_that_cannot_be_read_is_left_out_and_named(bus: NatsBus, registry: NatsRegistry) -> None:
    await registry.create_clinic(clinic("acme"))
    connection = await bus.node_connection()
    bucket = await connection.js.key_value("plantao_registry")
    await bucket.put("clinic.broken", b"{")
    await bucket.put("clinic.liar", b'{"id": "other", "name": "x", "created_at": "2026-11-20T12:00:00Z"}')
    await bucket.put("something", b"else")
    orphan = channel("gone", "front")
    await bucket.put("channel.gone.front", msgspec.json.encode(orphan))
    watching = Watcher()
    with capture_logs() as logs:
        task = asyncio.create_task(registry.watch(watching.deliver))
        await watching.until({"acme"}, set())
    task.cancel()
    unreadable = {line["record"] for line in logs if line["event"] == "registry_record_unreadable"}
    assert unreadable == {"clinic.broken", "clinic.liar", "something"}


async def test_a_clinic_that_is_withdrawn_and_put_back_is_never_seen_with_channels_missing(
    registry: NatsRegistry, watcher: Watcher
) -> None:
    await registry.create_clinic(clinic("acme"))
    for name in ("front", "back"):
        await registry.create_channel(channel("acme", name))
    await watcher.until({"acme"}, {("acme", "front"), ("acme", "back")})
    await registry.withdraw_clinic("acme")
    await registry.withdraw_clinic("acme")
    await watcher.until(set(), set())
    seen: list[set[tuple[str, str]]] = []
    deliver = watcher.deliver

    def looking(wanted: Wanted) -> None:
        if wanted.clinics:
            seen.append(set(wanted.channels))
        deliver(wanted)

    task = asyncio.create_task(registry.watch(looking))
    await registry.put_clinic(clinic("acme"), [channel("acme", "front"), channel("acme", "lab")])
    await watcher.until({"acme"}, {("acme", "front"), ("acme", "lab")})
    task.cancel()
    assert all(channels == {("acme", "front"), ("acme", "lab")} for channels in seen)


async def test_a_clinic_that_is_there_is_not_put_in_its_own_place(registry: NatsRegistry, watcher: Watcher) -> None:
    await registry.create_clinic(clinic("acme"))
    await registry.create_channel(channel("acme", "front"))
    with pytest.raises(AlreadyExistsError):
        await registry.put_clinic(clinic("acme"), [channel("acme", "other")])
    await watcher.until({"acme"}, {("acme", "front")})
