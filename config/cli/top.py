"""``plantao top``: the tree of a running node, again and again."""

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Final

import typer

from config.cli.asking import Asking, ClinicOption
from config.cli.output import console
from config.cli.top_frame import Frame, Watch, cut

INTERVAL_S: Final = 1.0

Show = Callable[[Frame], None]


def top(
    asking: Asking,
    interval: Annotated[
        float | None,
        typer.Option(
            "--interval",
            metavar="SECONDS",
            min=0.1,
            max=3600.0,
            help="Look again so often, also if this is no terminal.",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Look once and end.")] = False,
    trouble: Annotated[
        bool, typer.Option("--trouble", help="A list instead of a tree: first what wants to be looked at.")
    ] = False,
    depth: Annotated[
        int | None, typer.Option("--depth", metavar="LEVELS", min=0, max=99, help="So many levels below the root.")
    ] = None,
    clinic: ClinicOption = None,
) -> None:
    """Watch the supervision tree: states, restarts, inboxes, rates.

    Ctrl-C ends it. Without a terminal, and with --json, it looks once, unless --interval says how often.
    """
    live = not once and (interval is not None or (sys.stdout.isatty() and not asking.out.as_json))
    watch = Watch()
    with _pauses(interval or INTERVAL_S, live) as pause, _screen(asking, live, trouble, depth) as show:
        show(watch.look(asking.node.get("tree", clinic=clinic), time.monotonic()))
        while pause():
            show(watch.look(asking.node.get("tree", clinic=clinic), time.monotonic()))


@contextmanager
def _pauses(seconds: float, live: bool) -> Iterator[Callable[[], bool]]:
    """Waits, and says whether to go on: not if Ctrl-C was pressed, by then or before. An exception could be lost:
    asyncio turns one that comes during a request into a cancellation, which may come too late."""
    if not live:
        yield lambda: False
        return
    reader, writer = os.pipe()
    before = signal.signal(signal.SIGINT, lambda *_: os.write(writer, b"^C"))
    try:
        yield lambda: not select.select([reader], [], [], seconds)[0]
    finally:
        signal.signal(signal.SIGINT, before)
        os.close(reader)
        os.close(writer)


@contextmanager
def _screen(asking: Asking, live: bool, trouble: bool, depth: int | None) -> Iterator[Show]:
    """What shows frames: JSON lines, a terminal that is drawn over, or picture below picture."""
    if asking.out.as_json:
        yield lambda frame: asking.out.json({**asdict(frame.summary), "tree": cut(frame.tree, depth)})
        return
    from config.cli.top_view import picture

    terminal = console()
    if not (live and terminal.is_terminal):
        yield lambda frame: terminal.print(picture(frame, width=terminal.width, trouble=trouble, depth=depth))
        return
    from rich.live import Live

    def draw(frame: Frame) -> None:
        width, height = terminal.size
        screen.update(picture(frame, width=width, height=height, trouble=trouble, depth=depth), refresh=True)

    with Live(console=terminal, screen=True, auto_refresh=False) as screen:
        yield draw
