"""Backups by the clock: whether there are any, and whether they outlive the disk."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from config.doctor.finding import Finding, fine, unknown, warning, wrong
from config.sections import Settings

CHECK: Final = "backups"
_LATE: Final = 2
"""Times ``backup.every`` after which one is missing."""


def look(settings: Settings) -> Iterator[Finding]:
    """The directory of backups, and the newest of each clinic. Raises OSError."""
    every = settings.backup.every
    if not every:
        mend = "set backup.every and backup.directory, or see that plantao backup is run"
        yield unknown(CHECK, "none are made by the clock (backup.every = 0)", mend)
        return
    directory = settings.backup.directory or settings.data / "backups"
    clinics = sorted(path.name for path in (settings.data / "clinics").glob("*") if (path / "key").exists())
    if same_disk(directory, settings.data):
        told = f"{directory} is on the disk of the data directory, and lost with it"
        yield warning(CHECK, told, "set backup.directory to another disk")
    now, newest = datetime.now(UTC), {clinic: _newest(directory / clinic) for clinic in clinics}
    yield from late(newest, timedelta(seconds=every), now)


def late(newest: dict[str, datetime | None], every: timedelta, now: datetime) -> Iterator[Finding]:
    """Clinics whose newest backup is too old. A clinic without one may have been added just now."""
    old = sorted(clinic for clinic, at in newest.items() if at is not None and now - at > _LATE * every)
    none = sorted(clinic for clinic, at in newest.items() if at is None)
    mend = "see the log for why; make one by hand: plantao backup --clinic CLINIC FILE"
    if old:
        yield wrong(CHECK, f"the newest backup is too old of {_list(old)}", mend)
    if none:
        yield warning(CHECK, f"there is no backup yet of {_list(none)}", mend)
    if newest and not old and not none:
        yield fine(CHECK, f"every clinic has a backup not older than {_LATE * every}")


def same_disk(one: Path, other: Path) -> bool:
    """Whether both lie on the same file system, or will once they are made. Raises OSError."""
    return _device(one) == _device(other)


def _device(path: Path) -> int:
    return next(each for each in (path, *path.parents) if each.exists()).stat().st_dev


def _newest(directory: Path) -> datetime | None:
    times = [path.stat().st_mtime for path in directory.glob("*.backup")]
    return datetime.fromtimestamp(max(times), UTC) if times else None


def _list(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
