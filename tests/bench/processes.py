"""What the kernel knows of processes: CPU time and memory."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Final

from msgspec import Struct

_KIB_PER_MB: Final = 1e6 / 1024

MEMORY_COLUMNS: Final = {"private": "MB", "largest private": "MB", "dirty": "MB", "PSS": "MB", "RSS": "MB"}
"""See ``Memory``."""


class Memory(Struct, frozen=True, kw_only=True):
    """Of one process, in MB (10^6 bytes). ``private``: pages that no other process has in memory; ``dirty``: those of
    them that it has written to; ``pss``: private ones and its part of the shared ones; ``rss``: all."""

    private: float
    dirty: float
    pss: float
    rss: float


def memory(pid: int) -> Memory:
    """As the kernel adds it up (``smaps_rollup``)."""
    kib = {
        name: int(amount.split()[0])
        for name, _, amount in (line.partition(":") for line in _lines(pid))
        if amount.strip().endswith("kB")
    }
    private = kib["Private_Clean"] + kib["Private_Dirty"]
    found = {"private": private, "dirty": kib["Private_Dirty"], "pss": kib["Pss"], "rss": kib["Rss"]}
    return Memory(**{name: amount / _KIB_PER_MB for name, amount in found.items()})


def _lines(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]


def mean_memory(pids: Sequence[int]) -> dict[str, float]:
    """The means over several processes, and the largest private share."""
    found = [memory(pid) for pid in pids]
    return {
        "private": fmean(one.private for one in found),
        "dirty": fmean(one.dirty for one in found),
        "largest private": max(one.private for one in found),
        "PSS": fmean(one.pss for one in found),
        "RSS": fmean(one.rss for one in found),
    }


def child(pid: int, name: str) -> int:
    """The child process of ``pid`` whose command line names ``name``."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    children = {int(found) for task in tasks for found in (task / "children").read_text().split()}
    return next(found for found in sorted(children) if name in Path(f"/proc/{found}/cmdline").read_text())


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads of a running process, those that have ended included, in nanosecond resolution.

    The clock of another process has a number that is made of its pid: clock_getcpuclockid(3), ``CPUCLOCK_SCHED``.
    """
    return time.clock_gettime((~pid << 3) | 2)


class CpuMeter:
    """Measures from its construction on. ``processes``: pids by the name under which their time is added up."""

    def __init__(self, processes: Mapping[str, Sequence[int]]) -> None:
        self._processes = processes
        self._before = self._read()

    def seconds(self) -> dict[str, float]:
        """CPU seconds since the construction, by name."""
        now = self._read()
        return {name: now[name] - before for name, before in self._before.items()}

    def _read(self) -> dict[str, float]:
        return {name: sum(cpu_seconds(pid) for pid in pids) for name, pids in self._processes.items()}
