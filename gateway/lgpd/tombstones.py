"""Which clinics are being erased: an empty file ``<data>/erasing/<clinic>`` for each."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway import disk
from gateway.store.faults import fault_of
from protocol.errors import InvalidIdError, StoreUnavailableError
from protocol.ids import check_name


class DiskTombstones:
    """Implements ``protocol.erasing.Tombstones``."""

    def __init__(self, data: Path) -> None:
        """Reads which there are. Blocks.

        Raises:
            StoreUnavailableError
        """
        self._directory = data / "erasing"
        try:
            self._standing = _found(self._directory)
        except OSError as error:
            raise self._unusable(error) from error

    def stands(self, clinic: str) -> bool:
        """See ``Tombstones``."""
        return clinic in self._standing

    def all(self) -> Sequence[str]:
        """See ``Tombstones``."""
        return sorted(self._standing)

    async def put(self, clinic: str) -> None:
        """See ``Tombstones``. Raises InvalidIdError too."""
        path = self._directory / check_name("clinic", clinic)

        def put() -> None:
            disk.make_directory(self._directory)
            disk.write(path, b"")

        await self._do(put)
        self._standing.add(clinic)

    async def remove(self, clinic: str) -> None:
        """See ``Tombstones``. Raises InvalidIdError too."""
        path = self._directory / check_name("clinic", clinic)

        def remove() -> None:
            if path.exists():
                path.unlink()
                disk.sync_directory(self._directory)

        await self._do(remove)
        self._standing.discard(clinic)

    async def _do(self, work: Callable[[], None]) -> None:
        try:
            await asyncio.to_thread(work)
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> StoreUnavailableError:
        fault = fault_of(error)
        return StoreUnavailableError(f"{error.filename or self._directory} {fault.what}: {fault.mend}")


def _found(directory: Path) -> set[str]:
    """A file that cannot be a clinic's name is a draft, or somebody else's."""
    found = set()
    for path in directory.iterdir() if directory.exists() else ():
        try:
            found.add(check_name("clinic", path.name))
        except InvalidIdError:
            continue
    return found
