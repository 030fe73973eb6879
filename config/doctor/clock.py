"""Whether this machine knows what time it is: schedules, expiries and certificates depend on it."""

import ctypes
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from config.doctor.finding import Finding, fine, unknown, warning, wrong
from config.sections import Settings

CHECK: Final = "clock"
PATIENCE_S: Final = 60.0
"""How far in the future a file may have been written."""
_ZONE: Final = "America/Sao_Paulo"
_TIMEX_BYTES: Final = 512
"""More than ``struct timex`` has, which all begins with zeros: nothing is set."""
_TIME_ERROR: Final = 5


def look(settings: Settings) -> Iterator[Finding]:
    """The kernel's clock, what was written by it before, and the zones of clinics. Raises OSError."""
    yield kept(_kernel())
    yield from ahead(_written(settings.data), time.time())
    try:
        ZoneInfo(_ZONE)
    except ZoneInfoNotFoundError:
        yield wrong(CHECK, "this machine has no time zones, so quiet hours are not known", "install tzdata")


def kept(state: int) -> Finding:
    """What ``adjtimex(2)`` answered."""
    if state < 0:
        return unknown(CHECK, "the kernel does not say whether the clock is kept right", "see: timedatectl")
    if state == _TIME_ERROR:
        told = "nothing keeps the clock of this machine right"
        return warning(CHECK, told, "timedatectl set-ntp true, or run chrony; in a container: on its host")
    return fine(CHECK, "the clock is kept right")


def ahead(written: Iterable[tuple[Path, float]], now: float) -> Iterator[Finding]:
    """Files that were written later than now: the clock has gone back."""
    late = [(path, at) for path, at in written if at > now + PATIENCE_S]
    if late:
        path, at = max(late, key=lambda each: each[1])
        told = f"{path} was written {at - now:.0f} s later than it is now: the clock has gone back"
        yield wrong(CHECK, told, "set the clock right before the node starts")


def _written(data: Path) -> list[tuple[Path, float]]:
    found = []
    for path in (path for pattern in ("*", "clinics/*/*") for path in data.glob(pattern)):
        with suppress(FileNotFoundError):  # a node may be at work there
            found.append((path, path.stat().st_mtime))
    return found


def _kernel() -> int:
    try:
        asked = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return -1
    return int(asked(ctypes.create_string_buffer(_TIMEX_BYTES)))
