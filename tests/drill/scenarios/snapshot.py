"""A session store is sealed, at rest and in use, and put back."""

import asyncio
from pathlib import Path

from gateway.vault import MasterKey, Vaults
from protocol.vault import Restoration
from tests.integration.vault import session_stores

_MASTER = MasterKey(b"m" * 32, "the drill")
_CHANNEL = "desk"


class _Snapshot:
    name = "snapshot"

    def prepare(self, directory: Path) -> None:
        session_stores.make(_store(directory), counter=1)
        asyncio.run(_seal(directory, clean=True))

    def act(self, directory: Path) -> None:
        asyncio.run(_live(directory))

    def check(self, directory: Path, *, done: bool) -> None:
        store = _store(directory)
        used = session_stores.counter_of(store)
        for path in store.parent.iterdir():
            path.unlink()
        restoration = asyncio.run(_restore(directory))
        assert restoration in {Restoration.CLEAN, Restoration.STALE}, "the session is lost"
        assert session_stores.is_whole(store)
        if restoration is Restoration.CLEAN:
            assert session_stores.counter_of(store) == used, "an old snapshot passed for the last one"
        else:
            assert not done, "the mark of an orderly end is lost"
            assert session_stores.counter_of(store) is None, "a ratchet key may be used twice"
        assert not list((directory / "data").rglob("*.draft"))
        if not done:
            session_stores.use(store, 100)


async def _live(directory: Path) -> None:
    """A life of a channel: it uses the store, which is sealed, and is at rest in the end."""
    await _restore(directory)
    counter = session_stores.counter_of(_store(directory)) or 100
    session_stores.use(_store(directory), counter + 1)
    await _seal(directory, clean=False)
    session_stores.use(_store(directory), counter + 2)
    await _seal(directory, clean=True)


def _store(directory: Path) -> Path:
    return directory / "runtime" / "clinics" / "north" / f"{_CHANNEL}.db"


async def _restore(directory: Path) -> Restoration:
    return await Vaults(directory / "data", _MASTER).clinic("north").restore(_CHANNEL, str(_store(directory)))


async def _seal(directory: Path, *, clean: bool) -> None:
    await Vaults(directory / "data", _MASTER).clinic("north").snapshot(_CHANNEL, str(_store(directory)), clean=clean)


SCENARIO = _Snapshot()
