"""What a bench run found: tables in which each figure says its unit and how many measurements it rests on."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable


class Row(Struct, kw_only=True):
    """``n``: measurements behind each value; a column that does not apply is left out of ``values``."""

    label: str
    n: int
    values: Mapping[str, float]


class Table(Struct, kw_only=True):
    """``columns``: the unit of each column, by its name. ``note`` says what was measured, and how."""

    title: str
    note: str
    columns: Mapping[str, str]
    rows: Sequence[Row]


class Report(Struct, kw_only=True):
    """A whole run: when (UTC), on what, how long it took, and the tables."""

    at: str
    machine: Mapping[str, str | int]
    quick: bool
    seconds: float
    tables: Sequence[Table]


def show(console: Console, table: Table) -> None:
    """Print one table, as soon as it is known."""
    columns = [(name, unit) for name, unit in table.columns.items() if any(name in row.values for row in table.rows)]
    shown = RichTable(box=SIMPLE_HEAD, pad_edge=False)
    shown.add_column("")
    shown.add_column("n", justify="right")
    for name, unit in columns:
        shown.add_column(f"{name}\n{unit}", justify="right")
    for row in table.rows:
        cells = [figure(row.values[name]) if name in row.values else "" for name, _ in columns]
        shown.add_row(row.label, str(row.n) if row.n else "", *cells)
    console.print(f"[bold]{table.title}[/]")
    console.print(table.note, style="dim")
    console.print(shown)


def figure(value: float) -> str:
    """Three digits that mean something."""
    if abs(value) >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 9.995 else f"{value:.2f}"


def to_json(report: Report) -> bytes:
    """For ``--json``."""
    return msgspec.json.format(msgspec.json.encode(report))


def percentile(values: Iterable[float], share: float) -> float:
    """The value below which ``share`` (0 to 1) of the values lie; one of the values themselves."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
