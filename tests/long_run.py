"""What the command lines of ``make chaos``, ``storm`` and ``drill`` have in common: lines for a person who waits, an
orderly end when somebody interrupts, and a report."""

import argparse
import asyncio
import secrets
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, Protocol

from rich.console import Console

Say = Callable[[str], None]

_INTERRUPTED: Final = 130
_WIDTH: Final = 150


class Report(Protocol):
    """What came of a run."""

    @property
    def ok(self) -> bool:
        """Whether all that was promised held."""

    def show(self, console: Console) -> None:
        """Print it."""

    def to_json(self) -> bytes:
        """For ``--json``."""


def parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """Of ``make <name>``, with the options that every long run has; ``seed_of`` and ``conduct`` read them."""
    made = argparse.ArgumentParser(prog=f"make {name}", description=description)
    made.add_argument("--seed", type=int, help="of the plan; any, if it is not given")
    made.add_argument("--json", type=Path, metavar="FILE", help="write the report there as well")
    return made


def seed_of(options: argparse.Namespace) -> int:
    """The seed that was given, or any."""
    return secrets.randbelow(1_000_000) if options.seed is None else options.seed


def conduct(
    name: str, plan: str, work: Callable[[Say], Coroutine[Any, Any, Report]], options: argparse.Namespace
) -> int:
    """Say what the ``plan`` is, do the ``work``, and show its report; the exit code."""
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"{name} {time.monotonic() - begun:5.0f} s  {text}", flush=True)

    say(plan)
    try:
        report = asyncio.run(_interruptible(work(say)))
    except asyncio.CancelledError:
        return _INTERRUPTED
    report.show(Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False))
    if options.json is not None:
        options.json.write_bytes(report.to_json())
    return 0 if report.ok else 1


async def _interruptible(work: Coroutine[Any, Any, Report]) -> Report:
    """Cancelled by the first SIGINT or SIGTERM; what was started is ended then."""
    task, loop = asyncio.ensure_future(work), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    return await task
