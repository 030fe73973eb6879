"""A clinic's session stores and the journals of its ports, in ``<runtime>/clinics/<c>``: all, and people in them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.lgpd import session_store
from gateway.lgpd.holdings import do, remove
from gateway.vault import Vaults
from gateway.whatsapp import lock
from protocol.errors import StoreUnavailableError
from protocol.ids import check_name
from protocol.jobs import Progress

GRACE_S: Final = 5.0
"""How long a port that outlived its main process may take to end."""
PORT_END_S: Final = 20.0
"""How long a port that was told to end may go on using its store."""
_PAUSE_S: Final = 0.1
_LOCK: Final = ".lock"


@dataclass(frozen=True, slots=True)
class Sessions:
    """Implements ``protocol.erasing.Holding``."""

    runtime: Path
    name: str = "session stores"

    async def holds(self, clinic: str) -> bool:
        """See ``Holding``."""
        return await asyncio.to_thread(self._of(clinic).exists)

    async def erase(self, clinic: str, progress: Progress) -> Mapping[str, int | str]:
        """See ``Holding``. A port of a main process that was killed is ended first: it would write on."""
        progress(self.name)
        path = self._of(clinic)
        for found in await asyncio.to_thread(lambda: sorted(path.glob(f"*{_LOCK}"))):
            await _evict(clinic, str(found).removesuffix(_LOCK))
        await do(clinic, path, lambda: remove(path))
        return {}

    def _of(self, clinic: str) -> Path:
        return self.runtime / "clinics" / check_name("clinic", clinic)


@dataclass(frozen=True, slots=True)
class PeopleInSessions:
    """Implements ``protocol.erasing.Sessions`` and ``protocol.exporting.Contacts``."""

    runtime: Path
    vaults: Vaults

    async def forms_of(self, clinic: str, jids: frozenset[str]) -> frozenset[str]:
        """See ``Sessions``."""
        folder = self.runtime / "clinics" / check_name("clinic", clinic)

        def look() -> frozenset[str]:
            found, before = jids, frozenset[str]()
            while found != before:  # one channel's store may name what another's does not
                before = found
                for store in sorted(folder.glob("*.db")):
                    found |= session_store.forms_of(str(store), found)
            return found

        return await asyncio.to_thread(look)

    async def contacts(self, clinic: str, jids: frozenset[str] | None) -> list[dict[str, str]]:
        """See ``Contacts``."""
        folder = self.runtime / "clinics" / check_name("clinic", clinic)

        def look() -> list[dict[str, str]]:
            return [
                {"channel": store.stem, **contact}
                for store in sorted(folder.glob("*.db"))
                for contact in session_store.contacts(str(store), jids)
            ]

        return await asyncio.to_thread(look)

    async def erase(self, clinic: str, channel: str, jids: frozenset[str]) -> int:
        """See ``Sessions``."""
        store = self.runtime / "clinics" / check_name("clinic", clinic) / f"{check_name('channel', channel)}.db"
        vault = self.vaults.clinic(clinic)
        if not await asyncio.to_thread(store.exists):
            await vault.restore(channel, str(store))
        until = asyncio.get_running_loop().time() + PORT_END_S
        while True:
            try:
                count = await asyncio.to_thread(session_store.erase, str(store), jids)
                break
            except StoreUnavailableError:
                if asyncio.get_running_loop().time() > until:
                    raise
                await asyncio.sleep(_PAUSE_S)
        # Not as a clean one: only the channel knows that no port has used the store since.
        await vault.snapshot(channel, str(store), clean=False)
        await vault.forget_older(channel)
        return count


async def _evict(clinic: str, store: str) -> None:
    holder = lock.holder_of(store)
    if holder is not None and not await lock.evict(holder, store, grace=GRACE_S):
        raise StoreUnavailableError(f"clinic {clinic}: {store} is held by process {holder.pid}, which cannot be killed")
