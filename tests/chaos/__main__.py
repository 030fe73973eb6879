"""``make chaos``: see the README beside this file.

Prints a line for each kill and a summary. Ends with 0 if every promise held, else with 1.
"""

import argparse
import asyncio
import secrets
import signal
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from tests.chaos.report import Report
from tests.chaos.run import Size, run

_INTERRUPTED: Final = 130
_WIDTH: Final = 150


async def _interruptible(work: Coroutine[Any, Any, Report]) -> Report:
    """Cancelled by the first SIGINT or SIGTERM; what was started is ended then."""
    task, loop = asyncio.ensure_future(work), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    return await task


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="how many (200)")
    parser.add_argument("--clinics", type=int, default=10, help="how many (10)")
    parser.add_argument("--channels", type=int, default=2, help="of each clinic (2)")
    parser.add_argument("--seed", type=int, help="of the plan; any, if it is not given")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there as well")
    parser.add_argument("--keep-going", action="store_true", help="go on after the first broken promise")
    options = parser.parse_args()
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"chaos {time.monotonic() - begun:5.0f} s  {text}", flush=True)

    size = Size(
        kills=options.kills,
        clinics=options.clinics,
        channels=options.channels,
        seed=secrets.randbelow(1_000_000) if options.seed is None else options.seed,
        keep_going=options.keep_going,
    )
    say(f"seed {size.seed}: {size.kills} kills over {size.clinics} clinics of {size.channels} channels")
    try:
        report = asyncio.run(_interruptible(run(size, say)))
    except asyncio.CancelledError:
        return _INTERRUPTED
    report.show(Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False))
    if options.json is not None:
        options.json.write_bytes(report.to_json())
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
