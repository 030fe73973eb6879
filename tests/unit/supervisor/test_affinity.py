"""One CPU for the threads of a process, and all of them for what it starts."""

import asyncio
import os
import sys
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.affinity import MARGIN, PERIOD_S, OneCpu, busy_seconds, choose, may_use, unbound
from supervisor.process import ChildProcess

TICKS = os.sysconf("SC_CLK_TCK")


def stat(*busy: float) -> str:
    """``/proc/stat`` of CPUs that have worked for so many seconds, half of it in the kernel, and been idle for 9."""
    lines = [
        f"cpu{cpu} {s * TICKS / 2:.0f} 0 {s * TICKS / 2:.0f} {9 * TICKS} 7 0 0 0 0 0" for cpu, s in enumerate(busy)
    ]
    return "\n".join(["cpu  1 2 3 4 5 6 7 8 9 10", *lines, "intr 5 0 0", "ctxt 99"])


def test_work_is_what_is_neither_idle_nor_waiting_for_a_disk() -> None:
    assert busy_seconds(stat(2, 4)) == {0: 2.0, 1: 4.0}
    assert busy_seconds("") == {}


def test_one_stays_unless_another_cpu_has_much_less_to_do() -> None:
    assert choose(0, {0, 1}, {0: 0.2, 1: 0.0}) == 0
    assert choose(0, {0, 1}, {0: 0.3, 1: 0.0}) == 1
    assert choose(0, {0}, {0: 1.0, 1: 0.0}) == 0, "it may not run there"
    assert choose(0, {1, 2}, {}) == 1, "it may not run here any more"
    assert choose(None, {3, 2}, {}) == 2


@given(
    present=st.none() | st.integers(0, 5),
    allowed=st.sets(st.integers(0, 5), min_size=1),
    load=st.dictionaries(st.integers(0, 5), st.floats(-0.1, 1.1)),
)
def test_nobody_moves_for_little_and_never_where_it_may_not(
    present: int | None, allowed: set[int], load: dict[int, float]
) -> None:
    chosen = choose(present, allowed, load)
    assert chosen in allowed
    least = min(load.get(cpu, 0.0) for cpu in allowed)
    assert load.get(chosen, 0.0) - least <= MARGIN
    assert choose(chosen, allowed, load) == chosen
    if chosen != present and present in allowed:
        assert load.get(present, 0.0) - load.get(chosen, 0.0) > MARGIN


class Machine:
    """CPUs 0 and 1 (whether or not this machine has them), and this process's own work."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.worked = 0.0
        self.busy = [0.0, 0.0]
        self.hidden = False
        self.cpu = OneCpu(read=self._stat, clock=lambda: self.seconds, worked=lambda: self.worked)

    def _stat(self) -> str:
        if self.hidden:
            raise PermissionError
        return stat(*self.busy)


class Crew:
    """Threads that wait. ``bound``: on which CPUs each of them is."""

    def __init__(self) -> None:
        self._end = threading.Event()
        self._threads: list[threading.Thread] = []

    def hire(self, count: int = 3) -> None:
        for _ in range(count):
            thread = threading.Thread(target=self._end.wait)
            thread.start()
            self._threads.append(thread)

    @property
    def bound(self) -> list[set[int]]:
        return [os.sched_getaffinity(thread.native_id or 0) for thread in self._threads]

    def dismiss(self) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def crew() -> Iterator[Crew]:
    crew = Crew()
    yield crew
    crew.dismiss()


def test_what_is_started_is_on_one_cpu_and_the_main_thread_is_not(crew: Crew) -> None:
    allowed = may_use()
    cpu = OneCpu()
    cpu.start(crew.hire)
    assert cpu.cpu in allowed
    assert crew.bound == [{cpu.cpu}] * 3
    assert os.sched_getaffinity(0) == may_use() == allowed


def test_what_start_is_given_may_fail(crew: Crew) -> None:
    with pytest.raises(ZeroDivisionError):
        OneCpu().start(lambda: 1 // 0)


def test_all_threads_move_away_from_others_work_but_not_from_their_own(crew: Crew) -> None:
    machine, last = Machine(), max(may_use())
    machine.cpu.start(crew.hire)
    here = machine.cpu.cpu
    assert here == min(may_use())
    machine.busy = [0.0] * (last + 1)
    machine.seconds = machine.worked = machine.busy[here] = PERIOD_S
    machine.cpu.look()
    assert machine.cpu.cpu == here, "it was our work"
    machine.seconds += PERIOD_S
    machine.busy[here] += PERIOD_S
    machine.cpu.look()
    chosen = min(may_use() - {here}, default=here)
    assert machine.cpu.cpu == chosen
    assert crew.bound == [{chosen}] * 3


def test_a_look_that_comes_too_early_or_sees_nothing_changes_nothing(crew: Crew) -> None:
    machine = Machine()
    machine.cpu.start(crew.hire)
    here = machine.cpu.cpu
    machine.busy = [9.0, 9.0]
    machine.seconds = PERIOD_S / 2
    machine.cpu.look()
    machine.hidden = True
    machine.seconds = 2 * PERIOD_S
    machine.cpu.look()
    assert machine.cpu.cpu == here


def test_a_kernel_that_forbids_it_costs_speed_and_nothing_else(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(_pid: int, _cpus: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setaffinity", forbid)
    machine = Machine()
    machine.cpu.start(crew.hire)
    machine.busy, machine.seconds = [PERIOD_S] * (min(may_use()) + 1), PERIOD_S
    machine.cpu.look()
    assert crew.bound == [may_use()] * 3
    with unbound():
        pass


def test_a_process_that_a_bound_thread_starts_is_not_bound(crew: Crew) -> None:
    code = "import os; print(sorted(os.sched_getaffinity(0)))"
    reader, writer = os.pipe()

    async def run() -> set[int]:
        process = ChildProcess.start([sys.executable, "-c", code], stdout=writer)
        os.close(writer)
        await process.ended()
        return os.sched_getaffinity(0)

    cpu = OneCpu()
    assert cpu.start(lambda: asyncio.run(run())) == {cpu.cpu}
    with os.fdopen(reader) as said:
        assert said.read().strip() == str(sorted(may_use()))
