"""The drill: prepares, kills, checks, and does it again to its end."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from tests.drill.registry import all_scenarios
from tests.drill.scenario import Scenario

PATIENCE_S: Final = 60.0
"""How long a child may take."""

AT_A_MOMENT: Final = 0.4
"""How many are killed after a random time; the others at a point."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Point:
    """Killed at this one of its points."""

    number: int

    def __str__(self) -> str:
        return f"point {self.number}"


@dataclass(frozen=True, slots=True)
class Delay:
    """Killed so long after it began."""

    seconds: float

    def __str__(self) -> str:
        return f"after {self.seconds * 1000:.1f} ms"


class Size(Struct, frozen=True, kw_only=True):
    """How much. ``only``: the names of the scenarios; all if there are none."""

    kills: int = 200
    seed: int = 0
    only: Sequence[str] = ()


class Figures(Struct, kw_only=True):
    """Of one scenario. ``points``: where its child can be killed; ``took_s``: undisturbed. ``at_point`` and
    ``at_time``: how many were killed so; ``through``: came to their end before."""

    name: str
    points: int
    took_s: float
    at_point: int = 0
    at_time: int = 0
    through: int = 0


@dataclass
class DrillReport:
    """What came of it; ``broken``: the laws that did not hold, with where and when."""

    scenarios: list[Figures] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether all laws held."""
        return not self.broken

    @property
    def kills(self) -> int:
        """Children that were killed in the midst of it."""
        return sum(each.at_point + each.at_time for each in self.scenarios)

    def show(self, console: Console) -> None:
        """Print it."""
        table = Table("operation", "points", "undisturbed", "killed at a point", "at a moment", "through before")
        for each in self.scenarios:
            figures = (each.points, f"{each.took_s * 1000:.0f} ms", each.at_point, each.at_time, each.through)
            table.add_row(each.name, *map(str, figures))
        console.print(table)
        console.print(f"{self.kills} kills; {len(self.broken)} laws broken")
        for text in self.broken:
            console.print(text, style="red", markup=False)

    def to_json(self) -> bytes:
        """For ``--json``."""
        return msgspec.json.encode({"ok": self.ok, "scenarios": self.scenarios, "broken": self.broken})


async def run(size: Size, say: Say) -> DrillReport:
    """Kill ``size.kills`` times, the scenarios in turn, in threads. A cancel waits for the present one."""
    chosen = [each for each in all_scenarios() if not size.only or each.name in size.only]
    report, dice = DrillReport(), Random(size.seed)
    for scenario in chosen:
        report.scenarios.append(await asyncio.to_thread(_undisturbed, scenario))
    for number in range(size.kills):
        scenario, figures = chosen[number % len(chosen)], report.scenarios[number % len(chosen)]
        when: Point | Delay = Point(dice.randint(1, figures.points))
        if dice.random() < AT_A_MOMENT:
            when = Delay(dice.uniform(0, figures.took_s))
        where = f"{scenario.name}, {when}"
        say(where)
        try:
            await asyncio.to_thread(_kill_once, scenario, figures, when)
        except Exception:  # noqa: BLE001 - whatever it is, a law was broken
            report.broken.append(f"{where}\n{traceback.format_exc()}")
    return report


def _undisturbed(scenario: Scenario) -> Figures:
    with _prepared(scenario) as directory:
        points, took_s = _through(scenario, directory)
        scenario.check(directory, done=True)
    return Figures(name=scenario.name, points=points, took_s=took_s)


def _kill_once(scenario: Scenario, figures: Figures, when: Point | Delay) -> None:
    with _prepared(scenario) as directory:
        if _killed(scenario, directory, when):
            scenario.check(directory, done=False)
            _through(scenario, directory)
            if isinstance(when, Point):
                figures.at_point += 1
            else:
                figures.at_time += 1
        else:
            figures.through += 1
        scenario.check(directory, done=True)


@contextmanager
def _prepared(scenario: Scenario) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="drill-") as place:
        scenario.prepare(Path(place))
        yield Path(place)


def _killed(scenario: Scenario, directory: Path, when: Point | Delay) -> bool:
    """Have a child act and kill it; False if it was through before."""
    at = [str(when.number)] if isinstance(when, Point) else []
    with _child(scenario, directory, *at) as child:
        if isinstance(when, Delay):
            threading.Event().wait(when.seconds)
            child.kill()
        if "through" in _rest(child):
            return False
        assert child.returncode == -9, f"the child ended with {child.returncode}"
    _end_orphans(directory)
    return True


def _through(scenario: Scenario, directory: Path) -> tuple[int, float]:
    """Have a child act to its end: how many points it passed, and how long it took (seconds)."""
    with _child(scenario, directory) as child:
        said = _rest(child)
        assert child.returncode == 0, f"the child ended with {child.returncode}"
        _, points, took_s = said.split()
        return int(points), float(took_s)


def _rest(child: "subprocess.Popen[str]") -> str:
    """What it says until its end, which is waited for."""
    assert child.stdout is not None
    killer = threading.Timer(PATIENCE_S, child.kill)
    killer.start()
    said = child.stdout.read()
    child.wait()
    killer.cancel()
    killer.join()
    return said


def _end_orphans(directory: Path) -> None:
    """What a killed one had started, such as a broker, and has not ended with it: as by a reboot."""
    deadline = time.monotonic() + PATIENCE_S
    while left := [int(it.name) for it in Path("/proc").glob("[0-9]*") if str(directory) in _command_line(it)]:
        assert time.monotonic() < deadline, f"left behind: {left}"
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _command_line(process: Path) -> str:
    try:
        return (process / "cmdline").read_text(errors="replace")
    except OSError:
        return ""


@contextmanager
def _child(scenario: Scenario, directory: Path, *at: str) -> Iterator["subprocess.Popen[str]"]:
    """One that has begun to act; killed in the end if it is still there. What it logs goes where ours does."""
    command = [sys.executable, "-m", "tests.drill.child", scenario.name, str(directory), *at]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "acting\n", "the child did not begin"
            yield child
        finally:
            child.kill()
