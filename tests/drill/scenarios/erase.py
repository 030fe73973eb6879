"""A clinic is erased: keys, snapshots, database, session stores, backups. NATS, which is not in it, has no half state
of its own: what is left of it is deleted again."""

import asyncio
from pathlib import Path

from actors.board import Board
from actors.custody.erasing import ErasingClinics
from actors.switchboard import Switchboard
from gateway.jobs import NodeJobs
from gateway.lgpd.holdings import Directory, Forgetting, Keys, clinic_directory
from gateway.lgpd.sessions import Sessions
from gateway.lgpd.tombstones import DiskTombstones
from gateway.store import SqliteStore
from gateway.vault import MasterKey, Vaults
from protocol.access import NODE
from protocol.bus import Wanted
from protocol.errors import NotFoundError
from protocol.jobs import JobState
from protocol.vault import Restoration
from supervisor.names import Names
from tests.fakes.bell import Bell
from tests.fakes.memory_audit import MemoryAudit
from tests.fakes.memory_registry import MemoryRegistry
from tests.integration.vault import session_stores

_MASTER = MasterKey(b"m" * 32, "the drill")
_CHANNEL = "desk"
_CLINICS = ("north", "south")


class _Erase:
    name = "erase"

    def prepare(self, directory: Path) -> None:
        asyncio.run(_make(directory))

    def act(self, directory: Path) -> None:
        asyncio.run(_erase(directory))

    def check(self, directory: Path, *, done: bool) -> None:
        left = [path for path in _places(directory, "north") if path.exists()]
        stands = DiskTombstones(directory / "data").stands("north")
        if done:
            assert not left, f"there is something left: {left}"
            assert not stands, "it is said to be still going on"
        if left and not stands:
            assert len(left) == len(_places(directory, "north")), "some of it is gone, and nobody knows"
            assert (directory / "data/clinics/north/key").exists(), "it is not erased, and cannot be read"
        if not (directory / "data/clinics/north/key").exists():
            assert not list((directory / "data/clinics/north").rglob("key*")), "a key is left"
        asyncio.run(_goes_on(directory, "south"))


async def _make(directory: Path) -> None:
    for clinic in _CLINICS:
        vaults = Vaults(directory / "data", _MASTER)
        store = directory / "runtime" / "clinics" / clinic / f"{_CHANNEL}.db"
        session_stores.make(store, counter=1)
        await vaults.clinic(clinic).snapshot(_CHANNEL, str(store), clean=True)
        databases = SqliteStore(directory / "data", vaults.data_keys)
        await databases.start()
        await databases.open_clinic(clinic)
        await databases.stop(timeout=5.0)
        backup = directory / "backups" / clinic / "20261128T000000Z.backup"
        backup.parent.mkdir(parents=True)
        backup.write_bytes(b"sealed")


async def _erase(directory: Path) -> None:
    data, runtime = directory / "data", directory / "runtime"
    vaults = Vaults(data, _MASTER)
    databases = SqliteStore(data, vaults.data_keys)
    board = Board()
    board.put_wanted(Wanted(clinics={}, channels={}))
    jobs = NodeJobs(data, MemoryAudit())
    await jobs.open()
    erasing = ErasingClinics(
        Switchboard(board, Names()),
        jobs,
        MemoryRegistry(Bell()),
        DiskTombstones(data),
        (
            Keys(data=data, runtime=runtime, forget=vaults.forget_clinic),
            Directory(name="backups", parent=directory / "backups", counted="backups"),
            Sessions(runtime),
            Forgetting(name="database", forget=databases.forget_clinic),
            clinic_directory(data),
        ),
    )
    try:
        view = await erasing.erase("north", by=NODE)
        while (view := jobs.get(view.id)).state is JobState.RUNNING:  # noqa: ASYNC110 - jobs are polled
            await asyncio.sleep(0.001)
        assert view.state is JobState.DONE, view.error
    except NotFoundError:
        pass  # an earlier life has finished it
    finally:
        await jobs.close(timeout=5.0)


async def _goes_on(directory: Path, clinic: str) -> None:
    """Another clinic has all that it had."""
    vaults = Vaults(directory / "data", _MASTER)
    store = directory / "runtime" / "clinics" / clinic / f"{_CHANNEL}.db"
    session_stores.lose(store)
    assert await vaults.clinic(clinic).restore(_CHANNEL, str(store)) is not Restoration.NONE
    databases = SqliteStore(directory / "data", vaults.data_keys)
    await databases.start()
    await databases.open_clinic(clinic)
    await databases.stop(timeout=5.0)
    assert (directory / "backups" / clinic).exists()


def _places(directory: Path, clinic: str) -> list[Path]:
    return [
        directory / "data" / "clinics" / clinic,
        directory / "runtime" / "clinics" / clinic,
        directory / "backups" / clinic,
    ]


SCENARIO = _Erase()
