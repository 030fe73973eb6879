"""This process's threads on one CPU, which changes when others need it.

Python's threads take turns under one lock: a second CPU hardly helps them, and each turn that goes to another CPU has
to wake it, which costs more than most turns take. A node with ten channels on two cores sent 2600 to 3900 messages/s on
both and 4200 to 5400 on one; evenly spread over time, 450/s, the 99th percentile until the socket call was 60 and 3 ms
(``make bench ARGS="--part pipeline"``).

The main thread, which only waits for signals, is never bound: what it may run on is what the process may, now, whoever
restricts it (``taskset -p``, cgroups). Child processes get that as well.
"""

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

import structlog

T = TypeVar("T")

PERIOD_S: Final = 5.0
"""Over so long load is compared."""
MARGIN: Final = 0.25
"""By so much of a CPU must another have less of other processes' work to be moved to."""

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_TASKS: Final = Path("/proc/self/task")
_STAT: Final = Path("/proc/stat")

log = structlog.get_logger(__name__)


def may_use() -> set[int]:
    """The CPUs that this process may run on."""
    return os.sched_getaffinity(os.getpid())  # by this number the kernel knows the main thread


@contextmanager
def unbound() -> Iterator[None]:
    """In here a process that the calling thread starts may run on all CPUs that we may."""
    bound = os.sched_getaffinity(0)
    _bind(0, may_use())
    try:
        yield
    finally:
        _bind(0, bound)


def busy_seconds(stat: str) -> dict[int, float]:
    """How long each CPU has worked since boot, by ``/proc/stat``."""
    found: dict[int, float] = {}
    for line in stat.splitlines():
        name, *ticks = line.split()
        if name.startswith("cpu") and name != "cpu":
            # user nice system idle iowait irq softirq steal …: see proc(5)
            worked = sum(map(int, ticks[:3])) + sum(map(int, ticks[5:8]))
            found[int(name[3:])] = worked / _TICKS_PER_S
    return found


def choose(present: int | None, allowed: Collection[int], load: Mapping[int, float]) -> int:
    """The CPU to be on: ``present``, unless another of those ``allowed`` has much less ``load`` by other processes (1:
    all of its time). One whose load is not known has none."""
    best = min(sorted(allowed), key=lambda cpu: load.get(cpu, 0.0))
    if present is None or present not in allowed or load.get(present, 0.0) - load.get(best, 0.0) > MARGIN:
        return best
    return present


class OneCpu:
    """Belongs to the main thread. ``read``: what ``/proc/stat`` says; ``clock``: seconds; ``worked``: CPU seconds of
    this process."""

    def __init__(
        self,
        *,
        read: Callable[[], str] = _STAT.read_text,
        clock: Callable[[], float] = time.monotonic,
        worked: Callable[[], float] = time.process_time,
    ) -> None:
        self._read = read
        self._clock = clock
        self._worked = worked
        self._before = self._sample()
        self.cpu: int | None = None
        """On which all threads but the main one are, once there are any."""

    def start(self, begin: Callable[[], T]) -> T:
        """What ``begin`` returns, which is called on a thread of its own: those that it starts, and all that they
        start, are on one CPU. Raises what ``begin`` raises."""
        self.cpu = cpu = choose(self.cpu, may_use(), {})

        def bound() -> T:
            _bind(0, {cpu})
            return begin()

        with ThreadPoolExecutor(1) as one:
            return one.submit(bound).result()

    def look(self) -> None:
        """Move, if enough time has passed since the last look and it is worth it. Never fails."""
        at, worked, busy = self._sample()
        began, worked_before, busy_before = self._before
        if at - began < PERIOD_S:
            return
        self._before = at, worked, busy
        seconds = at - began
        load = {cpu: (busy[cpu] - busy_before.get(cpu, 0.0)) / seconds for cpu in busy}
        if self.cpu in load:
            load[self.cpu] -= (worked - worked_before) / seconds
        chosen = choose(self.cpu, may_use(), load)
        if chosen != self.cpu:
            self.cpu = chosen
            _move({chosen})

    def _sample(self) -> tuple[float, float, dict[int, float]]:
        try:
            stat = self._read()
        except OSError:  # some containers hide it; then nobody's load is known, and we stay where we are
            stat = ""
        return self._clock(), self._worked(), busy_seconds(stat)


def _move(cpus: set[int]) -> None:
    """All threads but the main one; also those that one of them starts meanwhile."""
    left = True
    while left:
        left = False
        for task in _TASKS.iterdir():
            thread = int(task.name)
            with suppress(ProcessLookupError):  # it has ended
                if thread != os.getpid() and os.sched_getaffinity(thread) != cpus:
                    left = _bind(thread, cpus) or left


def _bind(thread: int, cpus: Collection[int]) -> bool:
    """Whether the kernel lets us. ``thread`` 0 is the calling one."""
    try:
        os.sched_setaffinity(thread, cpus)
    except ProcessLookupError:
        raise
    except OSError as error:  # forbidden, or these CPUs have just been taken from us: it is about speed alone
        log.warning("threads are not bound to a CPU", cpus=sorted(cpus), error=error.strerror)
        return False
    return True
