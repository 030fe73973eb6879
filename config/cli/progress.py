"""How far long work is, on a terminal, on stderr: stdout is for the result. Programs and files see none of it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from config.cli.output import clean

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn

Advance = Callable[[int], None]
"""So much more is done."""
Say = Callable[[str], None]
"""What is being done now."""


@contextmanager
def of_bytes(what: str, total: int | None, as_json: bool) -> Iterator[Advance]:
    """A bar for ``total`` bytes (None: nobody knows how many)."""

    def columns() -> "tuple[ProgressColumn, ...]":
        from rich.progress import DownloadColumn, TimeRemainingColumn

        return DownloadColumn(), TimeRemainingColumn()

    with _measured(what, total, as_json, columns) as advance:
        yield advance


@contextmanager
def of_things(what: str, total: int, as_json: bool) -> Iterator[Advance]:
    """A bar for ``total`` things, one after another."""

    def columns() -> "tuple[ProgressColumn, ...]":
        from rich.progress import MofNCompleteColumn, TimeRemainingColumn

        return MofNCompleteColumn(), TimeRemainingColumn()

    with _measured(what, total, as_json, columns) as advance:
        yield advance


@contextmanager
def unmeasured(what: str, as_json: bool) -> Iterator[Say]:
    """Something that moves, and what is said meanwhile."""
    if not _seen(as_json):
        yield lambda _: None
        return
    with on_stderr().status(clean(what)) as status:
        yield lambda said: status.update(clean(said))


@contextmanager
def bar(columns: "Callable[[], tuple[ProgressColumn, ...]]", as_json: bool) -> "Iterator[Progress | None]":
    """A bar with these columns after what it is about, gone at the end; None if nobody would see it."""
    if not _seen(as_json):
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn

    head = TextColumn("{task.description}", markup=False), BarColumn()
    with Progress(*head, *columns(), console=on_stderr(), transient=True) as progress:
        yield progress


def on_stderr() -> "Console":
    """stderr, as rich sees it: what comes from outside is never read as markup."""
    from rich.console import Console

    return Console(file=sys.stderr, markup=False, highlight=False, emoji=False)


@contextmanager
def _measured(
    what: str, total: int | None, as_json: bool, columns: "Callable[[], tuple[ProgressColumn, ...]]"
) -> Iterator[Advance]:
    with bar(columns, as_json) as progress:
        if progress is None:
            yield lambda _: None
            return
        task = progress.add_task(clean(what), total=total)
        yield lambda more: progress.advance(task, more)


def _seen(as_json: bool) -> bool:
    return not as_json and sys.stderr.isatty()
