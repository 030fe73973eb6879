"""``make bench``: see the README beside this file.

Prints its tables on stdout, each as soon as it is known, and its progress on stderr. Nothing is asserted about times.
"""

import argparse
import asyncio
import os
import platform
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec import Struct
from rich.console import Console

from tests.bench import actors, messages, pipeline, sessions, soak
from tests.bench.bed import Progress, bed
from tests.bench.report import Report, Table, show, to_json

_WIDTH: Final = 150
_INTERRUPTED: Final = 130


class Options(Struct, frozen=True, kw_only=True):
    """What was asked for. ``minutes`` and ``rate`` are the soak's."""

    quick: bool
    minutes: float
    rate: float


Part = Callable[[Progress, Callable[[Table], None], Options], Awaitable[None]]


async def _messages(progress: Progress, shown: Callable[[Table], None], options: Options) -> None:
    async with bed(progress) as place:
        await messages.measure(place, messages.QUICK if options.quick else messages.FULL, shown)


async def _sessions(progress: Progress, shown: Callable[[Table], None], options: Options) -> None:
    async with bed(progress) as place:
        await sessions.measure(place, sessions.QUICK if options.quick else sessions.FULL, shown)


async def _pipeline(progress: Progress, shown: Callable[[Table], None], options: Options) -> None:
    await pipeline.measure(pipeline.QUICK if options.quick else pipeline.FULL, progress, shown)


async def _actors(progress: Progress, shown: Callable[[Table], None], options: Options) -> None:
    await actors.measure(actors.QUICK if options.quick else actors.FULL, progress, shown)


async def _soak(progress: Progress, shown: Callable[[Table], None], options: Options) -> None:
    async with bed(progress) as place:
        await soak.measure(place, soak.Sizes(minutes=options.minutes, rate=options.rate), shown)


PARTS: Final[dict[str, Part]] = {
    "messages": _messages,
    "pipeline": _pipeline,
    "sessions": _sessions,
    "actors": _actors,
    "soak": _soak,
}
DEFAULT: Final = ("messages", "pipeline", "sessions", "actors")
"""The parts that ``make bench`` runs if none is named."""


async def run(options: argparse.Namespace) -> Report:
    """The parts, one after another."""
    _end_on_signals()
    out = Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)
    begun, tables = time.monotonic(), list[Table]()
    at = datetime.now(UTC).isoformat(timespec="seconds")

    def progress(text: str) -> None:
        print(f"bench {time.monotonic() - begun:4.0f} s  {text}", file=sys.stderr, flush=True)

    def shown(table: Table) -> None:
        tables.append(table)
        show(out, table)

    progress("Ctrl-C ends it, and leaves nothing")
    given = Options(quick=options.quick, minutes=options.minutes, rate=options.rate)
    for name in options.part or DEFAULT:
        await PARTS[name](progress, shown, given)
    progress("done")
    seconds = time.monotonic() - begun
    return Report(at=at, machine=machine(), quick=options.quick, seconds=seconds, tables=tables)


def _end_on_signals() -> None:
    """Cancel the current task at the first SIGINT or SIGTERM; more of them do not disturb the cleaning up."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    signalled: list[bool] = []

    def end() -> None:
        if not signalled:
            signalled.append(True)
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)


def machine() -> dict[str, str | int]:
    """What it ran on."""
    return {"cores": os.cpu_count() or 0, "python": platform.python_version(), "system": platform.platform()}


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer messages and repetitions: to see that it works")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this part")
    parser.add_argument("--minutes", type=float, default=30.0, help="of the soak (30)")
    parser.add_argument("--rate", type=float, default=20.0, help="of the soak: messages a second each way (20)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the tables there as well")
    options = parser.parse_args()
    try:
        report = asyncio.run(run(options))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return _INTERRUPTED
    if options.json is not None:
        options.json.write_bytes(to_json(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
