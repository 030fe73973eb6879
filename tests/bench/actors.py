"""Part three: what the actor base and its supervisor cost over plain pykka. Needs neither emulator nor node.

Each measurement is a process of its own (``actor_process``). Those that are compared take turns, several times over,
so that the machine's mood hits all; shown is the median of the runs.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final, TypeVar

import msgspec

from tests.bench.actor_channels import CHANNELS_EACH
from tests.bench.actor_messages import Run
from tests.bench.actor_trees import Tree
from tests.bench.report import Row, Table, percentile
from tests.bench.service import BenchError

Show = Callable[[Table], None]
Progress = Callable[[str], None]
Found = TypeVar("Found", bound=msgspec.Struct)

_REPOSITORY: Final = Path(__file__).resolve().parents[2]
_US: Final = 1e6
_MS: Final = 1e3
_KB: Final = 1e3


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """``rounds``: how often each has its turn; ``tells``, ``asks``, ``crashes``: in each run; ``actors``: of a tree."""

    rounds: int = 5
    tells: int = 200_000
    asks: int = 20_000
    crashes: int = 200
    actors: int = 1000


FULL: Final = Sizes()
QUICK: Final = Sizes(rounds=1, tells=40_000, asks=4000, crashes=100)

_COST: Final = "× pykka"
_MESSAGE_COLUMNS: Final = {
    "rate": "1/s",
    "slowest run": "1/s",
    "fastest run": "1/s",
    "CPU": "µs each",
    "p50": "µs",
    "p99": "µs",
    "cost, time": _COST,
    "cost, CPU": _COST,
}
_MESSAGE_NOTE: Final = (
    "The same message, number of actors and one producer. Tells: from the first until the last message is handled.\n"
    "Asks: to one actor. From a thread: ref.ask, and Call with a waiter that blocks. From an asyncio loop: ref.ask in\n"
    "a thread (to_thread), and supervisor.actor.ask. CPU is that of the process. A cost below 1: ours is the cheaper."
)
_RESTART_COLUMNS: Final = {"p50": "ms", "p99": "ms", "CPU": "ms each", "cost, p50": _COST, "cost, CPU": _COST}
_RESTART_NOTE: Final = (
    "From just before the exception until the supervisor has noted Started, traceback logged; one_for_one.\n"
    "Pykka alone: an on_failure that starts a successor, until that one's on_start."
)
_TREE_COLUMNS: Final = {
    "start": "s",
    "start CPU": "s",
    "stop": "s",
    "stop CPU": "s",
    "memory": "kB/actor",
    "snapshot": "ms CPU",
    "cost, start": _COST,
    "cost, stop": _COST,
    "cost, memory": _COST,
}
_TREE_NOTE: Final = (
    "Start until the last actor is up, stop until the last thread has ended. Memory: private and written to, its\n"
    "growth by the start. Snapshot: of the whole tree, while nothing happens. Supervisors log each end, as in a node.\n"
    "Channels: config.tree's clinics over fakes of ports, NATS and database, until all are connected; with all that a\n"
    "clinic has besides, and the fakes."
)


async def measure(sizes: Sizes, progress: Progress, show: Show) -> None:
    """Everything about actors."""
    await _messages(sizes, progress, show)
    await _restarts(sizes, progress, show)
    await _trees(sizes, progress, show)


async def _messages(sizes: Sizes, progress: Progress, show: Show) -> None:
    cases: dict[str, tuple[str, dict[str, Any]]] = {
        "tells, 1 actor": ("tells", {"actors": 1, "count": sizes.tells}),
        f"tells, {sizes.actors} actors": ("tells", {"actors": sizes.actors, "count": sizes.tells // 4}),
        "asks, from a thread": ("asks", {"count": sizes.asks}),
        "asks, from a loop, one at a time": ("asks_from_loop", {"at_once": 1, "count": sizes.asks // 4}),
        "asks, from a loop, 100 at once": ("asks_from_loop", {"at_once": 100, "count": sizes.asks // 4}),
    }
    rows = []
    for label, (name, arguments) in cases.items():
        progress(f"actors: {label}")
        turns = {base: (name, {"base": base, **arguments}) for base in ("pykka", "ours")}
        runs = await _in_turns(turns, sizes.rounds, Run)
        rows += [
            _message_row(f"{label}: pykka", runs["pykka"], runs["pykka"]),
            _message_row("  ours", runs["ours"], runs["pykka"]),
        ]
    show(Table(title="Actors: tells and asks", note=_MESSAGE_NOTE, columns=_MESSAGE_COLUMNS, rows=rows))


def _message_row(label: str, runs: Sequence[Run], pykka: Sequence[Run]) -> Row:
    rates = [run.count / run.seconds for run in runs]
    values = {
        "rate": median(rates),
        "slowest run": min(rates),
        "fastest run": max(rates),
        "CPU": _cpu_each(runs) * _US,
        **_latencies(runs, _US),
    }
    if runs is not pykka:
        values["cost, time"] = median(run.count / run.seconds for run in pykka) / median(rates)
        values["cost, CPU"] = _cpu_each(runs) / _cpu_each(pykka)
    return Row(label=label, n=sum(run.count for run in runs), values=values)


async def _restarts(sizes: Sizes, progress: Progress, show: Show) -> None:
    progress("actors: restarts")
    cases: dict[str, dict[str, Any]] = {
        "pykka alone": {"base": "pykka"},
        "supervisor": {"base": "ours"},
        "supervisor, hang detection": {"base": "ours", "hang": True},
        f"supervisor, {sizes.actors} more children": {"base": "ours", "siblings": sizes.actors},
    }
    turns = {label: ("restarts", {"count": sizes.crashes, **arguments}) for label, arguments in cases.items()}
    found = await _in_turns(turns, sizes.rounds, Run)
    pykka = found["pykka alone"]
    rows = []
    for label, runs in found.items():
        values = {**_latencies(runs, _MS), "CPU": _cpu_each(runs) * _MS}
        if runs is not pykka:
            values["cost, p50"] = values["p50"] / _latencies(pykka, _MS)["p50"]
            values["cost, CPU"] = _cpu_each(runs) / _cpu_each(pykka)
        rows.append(Row(label=label, n=sum(run.count for run in runs), values=values))
    show(Table(title="Actors: from crash to up again", note=_RESTART_NOTE, columns=_RESTART_COLUMNS, rows=rows))


async def _trees(sizes: Sizes, progress: Progress, show: Show) -> None:
    progress(f"actors: trees of {sizes.actors}")
    cases = {
        "pykka": "plain pykka",
        "base": "actor base, no supervisor",
        "one_for_one": "one supervisor, one_for_one",
        "independent": "one supervisor, independent",
        "channels": f"channels, {CHANNELS_EACH} to a clinic",
    }
    turns = {kind: ("tree", {"kind": kind, "actors": sizes.actors}) for kind in cases}
    found = await _in_turns(turns, sizes.rounds, Tree)
    pykka = _tree_values(found["pykka"], sizes.actors)
    rows = []
    for kind, label in cases.items():
        values = _tree_values(found[kind], sizes.actors)
        if kind != "pykka":
            values |= {f"cost, {name}": values[name] / pykka[name] for name in ("start", "stop", "memory")}
        rows.append(Row(label=label, n=len(found[kind]), values=values))
    title = f"Actors: {sizes.actors} of them"
    show(Table(title=title, note=_TREE_NOTE, columns=_TREE_COLUMNS, rows=rows))


def _tree_values(trees: Sequence[Tree], actors: int) -> dict[str, float]:
    values = {
        "start": median(tree.start for tree in trees),
        "start CPU": median(tree.start_cpu for tree in trees),
        "stop": median(tree.stop for tree in trees),
        "stop CPU": median(tree.stop_cpu for tree in trees),
        "memory": median(tree.memory for tree in trees) / actors * _KB,
    }
    looked = median(tree.snapshot for tree in trees)
    return values | {"snapshot": looked * _MS} if looked else values


def _cpu_each(runs: Sequence[Run]) -> float:
    return median(run.cpu / run.count for run in runs)


def _latencies(runs: Sequence[Run], unit: float) -> dict[str, float]:
    """Of all runs together."""
    all_of_them = [latency for run in runs for latency in run.latencies]
    if not all_of_them:
        return {}
    return {"p50": percentile(all_of_them, 0.5) * unit, "p99": percentile(all_of_them, 0.99) * unit}


async def _in_turns(
    turns: Mapping[str, tuple[str, dict[str, Any]]], rounds: int, kind: type[Found]
) -> dict[str, list[Found]]:
    """Each of ``turns`` (a measurement and its arguments) in each round, in a process of its own."""
    found: dict[str, list[Found]] = {label: [] for label in turns}
    for _ in range(rounds):
        for label, (name, arguments) in turns.items():
            found[label].append(msgspec.json.decode(await _alone(name, arguments), type=kind))
    return found


async def _alone(name: str, arguments: dict[str, Any]) -> bytes:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bench.actor_process",
        name,
        json.dumps(arguments),
        stdout=asyncio.subprocess.PIPE,
        cwd=_REPOSITORY,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise BenchError(f"measuring {name} with {arguments} failed: exit code {process.returncode}")
    return output
