"""Tables for people, JSON for programs, and exit codes for both."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final, TextIO

from config.cli.client import NodeRefusedError
from protocol.errors import InvalidInputError, PlantaoError

if TYPE_CHECKING:
    from rich.console import Console

DONE: Final = 0
FAILED: Final = 1
WRONG_USE: Final = 2
EXIT_CODES: Final[Mapping[int, str]] = {
    DONE: "done",
    FAILED: "failed, or nothing answered",
    WRONG_USE: "wrong use, not allowed, or bad configuration",
}

_WRONG_USE_STATUSES: Final = frozenset({400, 401, 403, 413, 415, 421})
_WIDE: Final = 1000
"""Columns of what is no terminal: nothing is folded or cut there."""


class Output:
    """Where a command says what it did; ``as_json``: one JSON value a line on stdout, errors as JSON on stderr."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def say(self, text: str, value: Any) -> None:
        """A sentence for people, or ``value`` for programs."""
        self.json(value) if self.as_json else _write(sys.stdout, clean(text))

    def json(self, value: Any) -> None:
        """``value`` as one line."""
        _write(sys.stdout, json.dumps(value, ensure_ascii=False))

    def table(
        self, columns: Sequence[str], rows: Sequence[Sequence[Any]], value: Any, styles: Sequence[str] = ()
    ) -> None:
        """Rows under headings for people, each in a style of rich's if ``styles`` are given, or ``value`` for
        programs."""
        if self.as_json:
            self.json(value)
            return
        from rich.table import Table

        table = Table(*columns, box=None, pad_edge=False, header_style="bold")
        for row, style in zip_longest(rows, styles):
            table.add_row(*(shown(cell) for cell in row), style=style)
        console().print(table)

    def record(self, fields: Mapping[str, Any], value: Any) -> None:
        """One thing, a line for each field, for people, or ``value`` for programs."""
        if self.as_json:
            self.json(value)
            return
        from rich.table import Table

        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(style="bold")
        table.add_column()
        for name, cell in fields.items():
            table.add_row(name, shown(cell))
        console().print(table)

    def failure(self, error: PlantaoError) -> int:
        """Say on stderr what went wrong; returns the exit code for it."""
        if self.as_json:
            problem = error.problem if isinstance(error, NodeRefusedError) else {}
            _write(sys.stderr, json.dumps({"error": {"detail": str(error), **problem}}, ensure_ascii=False))
        else:
            _write(sys.stderr, f"plantao: {clean(str(error))}")
        return exit_code(error)


def exit_code(error: PlantaoError) -> int:
    """2 if the user must write something else, 1 if the same command may succeed another time."""
    if isinstance(error, InvalidInputError):
        return WRONG_USE
    if isinstance(error, NodeRefusedError) and error.status in _WRONG_USE_STATUSES:
        return WRONG_USE
    return FAILED


def console() -> "Console":
    """stdout, as rich sees it: what comes from outside is never read as markup."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _WIDE
    return Console(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False)


def shown(cell: Any) -> str:
    """A table's cell, on one line; nothing for None."""
    return "" if cell is None else clean(str(cell)).replace("\n", " ")


def local_time(text: str | None) -> str | None:
    """An RFC 3339 time in the local zone, to the second."""
    return None if text is None else datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def clean(text: str) -> str:
    """``text`` without what could steer the terminal: names and reasons come from other people's phones."""
    return "".join(
        character if character.isprintable() or character == "\n" else "\N{REPLACEMENT CHARACTER}" for character in text
    )


def _write(stream: TextIO, line: str) -> None:
    stream.write(line + "\n")
    stream.flush()
