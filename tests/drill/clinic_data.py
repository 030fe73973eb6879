"""All that lies on the disk of two clinics, and the law: whatever was killed, it can be opened and is whole."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from gateway.store.store import SqliteStore
from gateway.vault import KeyRotation, MasterKey, Vaults, master_rotation
from gateway.vault.node_key import ensure_node_key
from gateway.vault.snapshots import Snapshots
from protocol.vault import Restoration
from tests.integration.store.samples import CHANNEL, NOW, offer
from tests.integration.vault import session_stores

CLINICS: Final = ("north", "south")
TEXTS: Final = tuple(f"consulta {number}" for number in range(20))
COUNTER: Final = 7
"""Where the ratchet of each session store is, in the last snapshot, which is clean."""


def data_of(directory: Path) -> Path:
    """What is on the disk."""
    return directory / "data"


def store_of(directory: Path, clinic: str) -> Path:
    """The working copy of the clinic's session store."""
    return directory / "runtime" / clinic / f"{CHANNEL}.db"


@asynccontextmanager
async def node(directory: Path, given: MasterKey, *others: MasterKey) -> AsyncIterator[tuple[Vaults, SqliteStore]]:
    """What a node has of the data, with these master keys. Raises what a start of it would."""
    vaults = Vaults(data_of(directory), master_rotation.settled(data_of(directory), given, lambda: others))
    store = SqliteStore(data_of(directory), vaults.data_keys)
    await store.start()
    try:
        yield vaults, store
    finally:
        await store.stop(timeout=10)


async def make(directory: Path, master: MasterKey) -> None:
    """Two clinics, each with messages that wait, and a channel that was sealed three times, in the end as clean."""
    async with node(directory, master) as (vaults, store):
        ensure_node_key(data_of(directory), vaults.master)
        for clinic in CLINICS:
            ledger = await store.open_clinic(clinic)
            await ledger.register({CHANNEL: NOW})
            await ledger.accept(CHANNEL, [offer(f"id-{text.split()[1]}", text) for text in TEXTS], NOW)
            session_stores.make(store_of(directory, clinic), counter=COUNTER)
            for clean in (False, False, True):
                await vaults.clinic(clinic).snapshot(CHANNEL, str(store_of(directory, clinic)), clean=clean)


async def check(directory: Path, given: MasterKey, *others: MasterKey) -> None:
    """The laws, with these master keys."""
    async with node(directory, given, *others) as (vaults, store):
        ensure_node_key(data_of(directory), vaults.master)
        for clinic in CLINICS:
            _check_snapshots(directory, vaults, clinic)
            await _check_session(directory, vaults, clinic)
            waiting = await (await store.open_clinic(clinic)).unfinished(CHANNEL)
            assert sorted(it.command.text or "" for it in waiting) == sorted(TEXTS), "messages are lost"


def _check_snapshots(directory: Path, vaults: Vaults, clinic: str) -> None:
    keys = vaults.clinic(clinic).keys.for_snapshots()
    for channel in (data_of(directory) / "clinics" / clinic / "channels").iterdir():
        snapshots = Snapshots(data_of(directory), clinic, channel.name)
        for snapshot in snapshots.found():
            assert snapshots.read(snapshot, keys), "a snapshot cannot be opened"


async def _check_session(directory: Path, vaults: Vaults, clinic: str) -> None:
    """As after a reboot; then it comes to rest again."""
    store, vault = store_of(directory, clinic), vaults.clinic(clinic)
    if session_stores.there(store):
        session_stores.lose(store)
    assert await vault.restore(CHANNEL, str(store)) is Restoration.CLEAN, "the mark of an orderly end is lost"
    assert session_stores.counter_of(store) == COUNTER
    assert session_stores.is_whole(store)
    await vault.snapshot(CHANNEL, str(store), clean=True)


def nothing_left(directory: Path) -> bool:
    """Whether no draft is left."""
    return not list(data_of(directory).rglob("*.draft"))


def rotation(directory: Path, vaults: Vaults, next: Callable[[], MasterKey]) -> KeyRotation:
    """The exchange of keys, after what a start does of it."""
    made = KeyRotation(data_of(directory), vaults, next)
    made.finish()
    return made
