"""Where scheduled backups lie: ``<directory>/<clinic>/<time>.backup``. On the loop's thread, the work in others."""

import asyncio
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

from gateway import disk
from gateway.store.faults import fault_of
from protocol.errors import StoreUnavailableError
from protocol.ids import check_name

T = TypeVar("T")

_NAME: Final = re.compile(r"([0-9]{8}T[0-9]{6}Z)\.backup")
_TIME: Final = "%Y%m%dT%H%M%SZ"


class BackupShelf:
    """Implements ``actors.custody.keeping.Shelf``. Only whole archives have such a name, so those count as good."""

    def __init__(self, directory: Path, keep: int) -> None:
        self._directory = directory
        self._keep = keep

    async def last(self, clinic: str) -> datetime | None:
        """See ``Shelf``."""
        found = await self._do(lambda: self._found(clinic))
        return _time(found[0]) if found else None

    def place(self, clinic: str, at: datetime) -> Path:
        """See ``Shelf``. Raises InvalidIdError."""
        return self._of(clinic) / f"{at.astimezone(UTC):{_TIME}}.backup"

    async def prune(self, clinic: str) -> Sequence[str]:
        """See ``Shelf``."""

        def prune() -> list[str]:
            gone = self._found(clinic)[self._keep :]
            for path in gone:
                path.unlink(missing_ok=True)
            for left in self._of(clinic).glob(".*"):
                left.unlink(missing_ok=True)
            disk.sync_directory(self._of(clinic))
            return [path.name for path in gone]

        return await self._do(prune)

    def _of(self, clinic: str) -> Path:
        return self._directory / check_name("clinic", clinic)

    def _found(self, clinic: str) -> list[Path]:
        """Newest first."""
        if not self._of(clinic).exists():
            return []
        return sorted((path for path in self._of(clinic).iterdir() if _NAME.fullmatch(path.name)), reverse=True)

    async def _do(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except OSError as error:
            fault = fault_of(error)
            what = f"{error.filename or self._directory} {fault.what}: {fault.mend}"
            raise StoreUnavailableError(f"scheduled backups: {what}") from error


def _time(path: Path) -> datetime:
    return datetime.strptime(path.name.removesuffix(".backup"), _TIME).replace(tzinfo=UTC)
