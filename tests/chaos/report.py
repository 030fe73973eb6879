"""What a run found, for people and for programs."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from rich.console import Console

from tests.bench.report import Row, Table, percentile, show
from tests.chaos.game import Recovery

_COLUMNS = {"bound": "s", "p50": "s", "p99": "s", "max": "s", "not back": ""}
_NOTE = (
    "From the kill until the victim is replaced, and all channels that lost their connection by it have it again.\n"
    "bound: detection + orderly end + longest pause before the restart + time to be up (tests/chaos/bounds.py)."
)


class Report(Struct, kw_only=True):
    """``ok``: every promise held; ``broken`` says which did not. ``traffic``: commands by what became of them, apart
    for channels that were ``hit`` while they were on their way; ``before`` and ``after``: what the process had."""

    ok: bool
    seed: int
    kills: int
    waves: int
    clinics: int
    channels: int
    seconds: float
    recovery: Table
    state_changes_of_others: int
    traffic: Mapping[str, float]
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    scenes: Mapping[str, float]
    broken: Sequence[str]

    def to_json(self) -> bytes:
        """For ``--json``."""
        return msgspec.json.format(msgspec.json.encode(self))

    def show(self, console: Console) -> None:
        """Print it."""
        show(console, self.recovery)
        console.print(f"seed {self.seed}: {self.kills} kills in {self.waves} waves, {self.seconds:.0f} s")
        console.print(f"state changes of clinics not hit: {self.state_changes_of_others}")
        for name, value in self.traffic.items():
            console.print(f"commands {name}: {value:g}")
        for name, seconds in self.scenes.items():
            console.print(f"{name}: {seconds:.2f} s")
        for name, counts in (("before", self.before), ("after", self.after)):
            kinds = ("threads", "descriptors", "processes", "tasks")
            sums = ", ".join(f"{sum(counts[kind].values())} {kind}" for kind in kinds)
            console.print(f"{name}: {sums}, {counts['memory']} MB")
        for text in self.broken:
            console.print(f"BROKEN: {text}", style="red", markup=False)
        console.print("every promise held" if self.ok else f"{len(self.broken)} promises were broken")


def recovery_table(recoveries: Sequence[Recovery]) -> Table:
    """By kind, the most frequent first."""
    by: dict[str, list[Recovery]] = defaultdict(list)
    for one in recoveries:
        by[one.kill.kind.name].append(one)
    rows = [_row(name, found) for name, found in sorted(by.items(), key=lambda item: -len(item[1]))]
    return Table(title="Kills and recovery", note=_NOTE, columns=_COLUMNS, rows=[*rows, _row("all", recoveries)])


def _row(label: str, found: Sequence[Recovery]) -> Row:
    took = [one.took for one in found if one.took is not None]
    values: dict[str, float] = {"not back": len(found) - len(took)}
    if took:
        values |= {"p50": percentile(took, 0.5), "p99": percentile(took, 0.99), "max": max(took)}
    if label != "all":
        values["bound"] = max(one.bound for one in found)
    return Row(label=label, n=len(found), values=values)
