"""Draws a ``Frame`` of ``plantao top``: pure, a picture for a size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from config.cli.output import shown
from config.cli.top_frame import Frame, Row, Summary, Trouble, trouble_of

STYLES: Final = {Trouble.NONE: "", Trouble.NOTICE: "cyan", Trouble.WARNING: "yellow", Trouble.ALARM: "bold red"}
_QUIET: Final = "dim"
_GAP: Final = 2
_NODE_LEAST: Final = 16
_LAST_EXIT_LEAST: Final = 12
_EXITS_RANK: Final = 4
"""How much the last exits matter among the columns."""
_SEPARATOR: Final = "   "


@dataclass(frozen=True, slots=True)
class _Column:
    """``width`` in characters; those with the lowest ``rank`` stay when it gets narrow."""

    head: str
    width: int
    rank: int
    cell: Callable[[Row], str]
    right: bool = True


_COLUMNS: Final = (
    _Column("STATE", 12, 0, lambda row: row.state, right=False),
    _Column("RESTARTS", 8, 1, lambda row: _number(row.restarts)),
    _Column("INBOX", 5, 2, lambda row: _number(row.inbox)),
    _Column("MSG/S", 6, 3, lambda row: "" if row.rate is None else _number(round(row.rate, 1))),
    _Column("BUSY", 6, 4, lambda row: _busy(row.busy_s)),
    _Column("PID", 7, 5, lambda row: "" if row.pid is None else str(row.pid)),
)


def picture(
    frame: Frame, *, width: int, height: int | None = None, trouble: bool = False, depth: int | None = None
) -> RenderableType:
    """``frame`` in ``width`` columns and ``height`` lines (None: as many as it takes): the tree to ``depth``, or with
    ``trouble`` what wants to be looked at first."""
    head = header(frame.summary, width)
    rows = [
        row
        for row in (frame.troubled_first() if trouble else frame.rows)
        if depth is None or len(row.path) <= depth + 1
    ]
    room = len(rows) if height is None else max(1, height - len(head) - 3)
    kept = rows if len(rows) <= room + 1 else rows[:room]
    parts: list[RenderableType] = [*head, Text(), _table(kept, width, flat=trouble)]
    if len(kept) < len(rows):
        hint = "" if trouble else "; --trouble shows first what is wrong, --clinic and --depth show less"
        parts.append(_line(f"… {len(rows) - len(kept)} more{hint}", _QUIET))
    return Group(*parts)


def header(summary: Summary, width: int) -> list[Text]:
    """The summary, in as many lines as it takes."""
    recent, rate = summary.recent_restarts, summary.messages_per_s
    words = [
        Text(f"Plantão {shown(summary.version)}".rstrip(), "bold"),
        Text(f"up {_duration(summary.uptime_s)}"),
        Text(f"{summary.clinics} clinic{'' if summary.clinics == 1 else 's'}"),
        Text(f"restarts {summary.restarts}" + ("" if recent is None else f" ({recent} in {summary.recent_s:.0f} s)")),
        *([] if rate is None else [Text(f"{rate:g} messages/s")]),
    ]
    channels = [
        Text(f"{count} {shown(state)}", STYLES[trouble_of(state)]) for state, count in summary.channels.items() if count
    ]
    total = sum(summary.channels.values())
    of_all = Text(f"{total} channel{'' if total == 1 else 's'}" + (":" if total else ""))
    return [*_flow(words, width), *_flow([of_all, *channels], width)]


def _flow(words: Sequence[Text], width: int) -> list[Text]:
    """``words`` on lines of at most ``width``."""
    lines = [Text(no_wrap=True, overflow="ellipsis")]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(_SEPARATOR) + len(word) > width:
            lines.append(Text(no_wrap=True, overflow="ellipsis"))
        lines[-1].append(_SEPARATOR if lines[-1] else "").append_text(word)
    return lines


def _table(rows: Sequence[Row], width: int, *, flat: bool) -> Table:
    names = [row.name if flat else _branch(row) for row in rows]
    widest = max((len(name) for name in names), default=0)
    told = any(row.last_exit for row in rows)
    room = width - min(max(widest, _NODE_LEAST), max(_NODE_LEAST, width // 2))
    columns = _that_fit(room, reserve=_LAST_EXIT_LEAST + _GAP if told else 0)
    left = width - sum(column.width + _GAP for column in columns)
    node = min(max(widest, len("NODE")), left)
    last_exit = left - node - _GAP if told else 0
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    table.add_column("NODE", width=node, no_wrap=True, overflow="ellipsis")
    for column in columns:
        justify = "right" if column.right else "left"
        table.add_column(column.head, width=column.width, justify=justify, no_wrap=True, overflow="ellipsis")  # type: ignore[arg-type]
    if last_exit >= _LAST_EXIT_LEAST:
        table.add_column("LAST EXIT", max_width=last_exit, no_wrap=True, overflow="ellipsis")
    for row, name in zip(rows, names, strict=True):
        cells = [Text(shown(name)), *(Text(shown(column.cell(row))) for column in columns)]
        cells[1].stylize(STYLES[row.trouble])
        if last_exit >= _LAST_EXIT_LEAST:
            cells.append(Text(shown(row.last_exit), _QUIET))
        table.add_row(*cells)
    return table


def _that_fit(width: int, reserve: int) -> list[_Column]:
    """The columns that have room in ``width``, those that matter most first; the last of them leave ``reserve``."""
    kept: set[str] = set()
    for column in sorted(_COLUMNS, key=lambda column: column.rank):
        width -= column.width + _GAP
        if kept and width < (reserve if column.rank >= _EXITS_RANK else 0):
            break
        kept.add(column.head)
    return [column for column in _COLUMNS if column.head in kept]


def _branch(row: Row) -> str:
    """Its id behind the lines of a tree."""
    lines = "".join("  " if last else "│ " for last in row.last[:-1])
    corner = ("└ " if row.last[-1] else "├ ") if row.last else ""
    return f"{lines}{corner}{row.path[-1]}"


def _line(text: str, style: str) -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _number(value: float) -> str:
    return "" if value == 0 else f"{value:g}"


def _busy(seconds: float) -> str:
    return "" if seconds < 0.1 else f"{seconds:.1f} s" if seconds < 100 else _duration(seconds)


def _duration(seconds: float) -> str:
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min {int(seconds) % 60} s" if minutes else f"{int(seconds)} s"
