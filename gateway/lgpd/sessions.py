"""A clinic's session stores and the journals of its ports, in ``<runtime>/clinics/<c>``, on memory-backed storage."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.lgpd.holdings import do, remove
from gateway.whatsapp import lock
from protocol.errors import StoreUnavailableError
from protocol.ids import check_name
from protocol.jobs import Progress

GRACE_S: Final = 5.0
"""How long a port that outlived its main process may take to end."""
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


async def _evict(clinic: str, store: str) -> None:
    holder = lock.holder_of(store)
    if holder is not None and not await lock.evict(holder, store, grace=GRACE_S):
        raise StoreUnavailableError(f"clinic {clinic}: {store} is held by process {holder.pid}, which cannot be killed")
