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
    """Implements ``actors.custody.keeping.Shelf``. Only whole archives have such a name, so those count as good.

    What is dated later than now was made before the clock was put back: nobody knows how old it is, so it counts as
    the oldest, until its time comes."""

    def __init__(self, directory: Path, keep: int) -> None:
        self._directory = directory
        self._keep = keep

    async def last(self, clinic: str, now: datetime) -> datetime | None:
        """See ``Shelf``."""
        found = await self._do(lambda: self._found(clinic))
        return max((time for time, _ in found if time <= now), default=None)

    def place(self, clinic: str, at: datetime) -> Path:
        """See ``Shelf``. Raises InvalidIdError."""
        return self._of(clinic) / f"{at.astimezone(UTC):{_TIME}}.backup"

    async def prune(self, clinic: str, now: datetime) -> Sequence[str]:
        """See ``Shelf``."""

        def prune() -> list[str]:
            newest_first = sorted(self._found(clinic), key=lambda one: (one[0] <= now, one[0]), reverse=True)
            gone = [path for _, path in newest_first[self._keep :]]
            for path in gone:
                path.unlink(missing_ok=True)
            for left in self._of(clinic).glob(".*"):
                left.unlink(missing_ok=True)
            disk.sync_directory(self._of(clinic))
            return [path.name for path in gone]

        return await self._do(prune)

    def _of(self, clinic: str) -> Path:
        return self._directory / check_name("clinic", clinic)

    def _found(self, clinic: str) -> list[tuple[datetime, Path]]:
        if not self._of(clinic).exists():
            return []
        return [(time, path) for path in self._of(clinic).iterdir() if (time := _time(path.name)) is not None]

    async def _do(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except OSError as error:
            fault = fault_of(error)
            what = f"{error.filename or self._directory} {fault.what}: {fault.mend}"
            raise StoreUnavailableError(f"scheduled backups: {what}") from error


def _time(name: str) -> datetime | None:
    """None: nothing of ours has such a name."""
    if (found := _NAME.fullmatch(name)) is None:
        return None
    try:
        return datetime.strptime(found[1], _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
