"""A node without channels' actors: a real broker, real databases and vaults, and whoever starts and ends clinics as the
registry wants them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from actors import account, remnants
from actors.account import AccountOpened
from actors.board import Board
from actors.custody.backing_up import BackingUp
from actors.custody.restoring import Restoring
from actors.switchboard import Switchboard
from gateway.backup.archives import NodeArchives
from gateway.jobs import NodeJobs
from gateway.nats.broker import EmbeddedBroker
from gateway.nats.bus import NatsBus
from gateway.nats.registry import NatsRegistry
from gateway.nats.server_config import ClinicQuota
from gateway.nats.streams import Retention
from gateway.store.store import SqliteStore
from gateway.vault import MasterKey, Vaults
from gateway.vault.node_key import ensure_node_key
from protocol.access import NODE
from protocol.bus import Wanted
from protocol.channel import ChannelRecord, ChannelSnapshot, ClinicRecord, ClinicSnapshot, ClinicState
from protocol.jobs import JobState, JobView
from protocol.ledger import Ledger
from supervisor.names import Names
from tests.broker import embedded
from tests.fakes.memory_audit import MemoryAudit
from tests.integration.vault import session_stores

SMALL = Retention(clinic_bytes=64 << 20, platform_bytes=64 << 20)
CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MASTER = MasterKey(bytes(range(1, 33)), "a test")
OTHER_MASTER = MasterKey(bytes(range(2, 34)), "another test")
PHONE = session_stores.PHONE


@dataclass
class Bed:
    """``opened``: the clinics that run. ``reached``: where a test wants it to be."""

    data: Path
    runtime: Path
    broker: EmbeddedBroker
    bus: NatsBus
    registry: NatsRegistry
    store: SqliteStore
    vaults: Vaults
    board: Board
    jobs: NodeJobs
    archives: NodeArchives
    backing_up: BackingUp
    restoring: Restoring
    opened: dict[str, AccountOpened] = field(default_factory=dict)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    # -- clinics --

    async def add(self, clinic: str, *channels: str, config: dict[str, object] | None = None) -> AccountOpened:
        """A clinic that runs, with these channels."""
        await self.registry.create_clinic(ClinicRecord(id=clinic, name=f"Clinic {clinic}", created_at=CREATED))
        for channel in channels:
            record = ChannelRecord(clinic=clinic, id=channel, name=channel, created_at=CREATED, config=config or {})
            await self.registry.create_channel(record)
        return await self.running(clinic, *channels)

    async def running(self, clinic: str, *channels: str) -> AccountOpened:
        """The clinic, once it runs with these channels."""
        async with asyncio.timeout(20):
            while clinic not in self.opened or self._served.get(clinic) != frozenset(channels):
                self._changed.clear()
                await self._changed.wait()
        return self.opened[clinic]

    @property
    def _served(self) -> dict[str, frozenset[str]]:
        wanted = self.board.wanted() or Wanted(clinics={}, channels={})
        return {clinic: frozenset(ch for of, ch in wanted.channels if of == clinic) for clinic in self.opened}

    def session(self, clinic: str, channel: str) -> Path:
        """The channel's session store."""
        return remnants.store_of(self.runtime / "clinics" / clinic, channel)

    async def pair(self, clinic: str, channel: str, *, counter: int = 7) -> None:
        """The channel has a session, which is sealed."""
        store = self.session(clinic, channel)
        await asyncio.to_thread(session_stores.make, store, counter=counter)
        await self.vaults.clinic(clinic).snapshot(channel, str(store), clean=False)

    def ledger(self, clinic: str) -> Ledger:
        return self.store.clinic(clinic)

    async def done(self, view: JobView) -> JobView:
        """The job at its end."""
        async with asyncio.timeout(30):
            while view.state is JobState.RUNNING:
                await asyncio.sleep(0.02)
                view = self.jobs.get(view.id)
        return view

    async def backup(self, clinic: str | None, to: Path, *, passphrase: str | None = None) -> JobView:
        """An archive at ``to``."""
        view = await self.done(await self.backing_up.backup(clinic, by=NODE, passphrase=passphrase))
        assert view.state is JobState.DONE, view.error
        content = b"".join([chunk async for chunk in self.jobs.fetch(view.id)])
        await asyncio.to_thread(to.write_bytes, content)
        return view

    async def restore(self, archive: Path, clinic: str | None = None, **how: object) -> JobView:
        """The job at its end; it gets a copy of the archive."""
        copy = self.data / "incoming"
        await asyncio.to_thread(lambda: copy.write_bytes(archive.read_bytes()))
        how = {"replace": False, **how}
        return await self.done(await self.restoring.restore(copy, clinic, by=NODE, **how))  # type: ignore[arg-type]

    # -- the registrar's part --

    async def follow(self) -> None:
        """Have run what is wanted."""
        news: asyncio.Queue[Wanted] = asyncio.Queue()
        watching = asyncio.create_task(self.registry.watch(news.put_nowait))
        try:
            while True:
                await self._apply(await news.get())
                self._changed.set()
        finally:
            watching.cancel()
            await asyncio.wait([watching])

    async def _apply(self, wanted: Wanted) -> None:
        for clinic_record in wanted.clinics.values():
            self.board.put_clinic(ClinicSnapshot.of(clinic_record, ClinicState.RUNNING, ""))
        self.board.put_wanted(wanted)
        for clinic in self.opened.keys() - wanted.clinics.keys():
            del self.opened[clinic]
            await account.close(self.bus, self.store, clinic)
            self.board.drop_clinic(clinic)
        for clinic in wanted.clinics:
            ledger = await self.store.open_clinic(clinic)
            bus = await self.bus.open_clinic(clinic)
            opened = AccountOpened(bus, ledger)
            channels = {channel: one.created_at for (of, channel), one in wanted.channels.items() if of == clinic}
            folder = self.runtime / "clinics" / clinic
            for left in await remnants.serve(opened, channels, folder):
                await remnants.clean_up(opened, self.vaults.clinic(clinic), left, folder)
            self.opened[clinic] = opened
        for record in wanted.channels.values():
            self.board.put_channel(ChannelSnapshot.not_begun(record, record.created_at))


@asynccontextmanager
async def running(directory: Path, master: MasterKey = MASTER, *, follow: bool = True) -> AsyncIterator[Bed]:
    """A node in ``directory``, from its start to its end."""
    data, runtime = directory / "data", directory / "runtime"
    broker = embedded(data / "nats", ensure_node_key(data, master), quota=ClinicQuota(file_bytes=SMALL.clinic_bytes))
    await broker.start()
    bus = NatsBus(broker, retention=SMALL)
    vaults = Vaults(data, master)
    store, board, names = SqliteStore(data, vaults.data_keys), Board(), Names()
    registry, jobs = NatsRegistry(bus), NodeJobs(data, MemoryAudit())
    archives = NodeArchives(data, runtime, vaults, bus, version="test")
    switchboard = Switchboard(board, names)
    backing_up = BackingUp(switchboard, jobs, archives)
    restoring = Restoring(switchboard, jobs, archives, registry, store)
    bed = Bed(data, runtime, broker, bus, registry, store, vaults, board, jobs, archives, backing_up, restoring)
    await bus.start()
    await store.start()
    await jobs.open()
    following = [asyncio.create_task(bed.follow())] if follow else []
    try:
        if follow:
            await _read(bed)
        yield bed
    finally:
        for task in following:
            task.cancel()
            await asyncio.wait([task])
        await jobs.close(timeout=5)
        await store.stop(timeout=5)
        await bus.stop(timeout=2)
        await broker.stop(timeout=5)


async def _read(bed: Bed) -> None:
    async with asyncio.timeout(20):
        while bed.board.wanted() is None:
            bed._changed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(bed._changed.wait(), 0.5)


def clinics_left(data: Path) -> Sequence[str]:
    """What lies beside the clinics."""
    return sorted(path.name for path in (data / "clinics").glob(".*"))
