"""The places where something of a clinic lies, each as a ``protocol.erasing.Holding``."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gateway import disk
from gateway.backup.staging import Staging
from gateway.store.faults import fault_of
from gateway.store.files import clinics_directory
from protocol.errors import StoreUnavailableError
from protocol.ids import check_name
from protocol.jobs import Progress

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What opens all that is sealed: first of all those of a clinic that was on its way back from an archive, then the
    clinic's own, for which ``forget`` is called."""

    data: Path
    runtime: Path
    forget: Callable[[str], Awaitable[None]]
    name: str = "keys and snapshots"

    async def holds(self, clinic: str) -> bool:
        """See ``Holding``."""
        return await asyncio.to_thread(self._staging(clinic).directory.exists)

    async def erase(self, clinic: str, progress: Progress) -> Mapping[str, int | str]:
        """See ``Holding``."""
        progress(self.name)
        await do(clinic, self._staging(clinic).directory, self._staging(clinic).remove)
        await self.forget(clinic)
        return {}

    def _staging(self, clinic: str) -> Staging:
        return Staging(self.data, clinic, self.runtime)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgetting:
    """What somebody else knows how to forget; nothing shows beforehand whether there is anything."""

    name: str
    forget: Callable[[str], Awaitable[None]]

    async def holds(self, clinic: str) -> bool:
        """See ``Holding``."""
        del clinic
        return False

    async def erase(self, clinic: str, progress: Progress) -> Mapping[str, int | str]:
        """See ``Holding``."""
        progress(self.name)
        await self.forget(clinic)
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """A directory of the clinic's own in ``parent``. ``counted``: as what the files in it are counted in the result."""

    name: str
    parent: Path
    counted: str

    async def holds(self, clinic: str) -> bool:
        """See ``Holding``."""
        return await asyncio.to_thread(self._of(clinic).exists)

    async def erase(self, clinic: str, progress: Progress) -> Mapping[str, int | str]:
        """See ``Holding``."""
        progress(self.name)
        path = self._of(clinic)
        return {self.counted: await do(clinic, path, lambda: remove(path))}

    def _of(self, clinic: str) -> Path:
        return self.parent / check_name("clinic", clinic)


def clinic_directory(data: Path) -> Directory:
    """The clinic's own: its database with all that lies beside it, copies of it, snapshots."""
    return Directory(name="database", parent=clinics_directory(data), counted="files")


def remove(path: Path) -> int:
    """Delete the directory ``path``, and have that on the disk; how many files there were. Raises OSError."""
    if not path.exists():
        return 0
    count = sum(1 for each in path.rglob("*") if not each.is_dir())
    shutil.rmtree(path)
    disk.sync_directory(path.parent)
    return count


async def do(clinic: str, path: Path, work: Callable[[], T]) -> T:
    """``work`` on a thread. Raises StoreUnavailableError for an OSError; names the file and the mend."""
    try:
        return await asyncio.to_thread(work)
    except OSError as error:
        fault = fault_of(error)
        what = f"{error.filename or path} {fault.what}: {fault.mend}"
        raise StoreUnavailableError(f"clinic {clinic}: {what}") from error
