"""``make storm``: see the README beside this file.

Prints the plan, a line for each strike, and the counts. Ends with 0 if every law held, else with 1.
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

from msgspec.structs import replace
from rich.console import Console

from tests.storm.report import Report
from tests.storm.run import QUICK, Size, run

_INTERRUPTED: Final = 130
_WIDTH: Final = 150
_FIELDS: Final = ("clinics", "channels", "out", "into", "kills", "pause", "minutes", "patience", "keep")


async def _interruptible(work: Coroutine[Any, Any, Report]) -> Report:
    """Cancelled by the first SIGINT or SIGTERM; what was started is ended then."""
    task, loop = asyncio.ensure_future(work), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    return await task


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make storm", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the short form, about two minutes")
    parser.add_argument("--clinics", type=int, help=f"how many ({Size().clinics})")
    parser.add_argument("--channels", type=int, help=f"of each clinic ({Size().channels})")
    parser.add_argument("--out", type=int, help=f"commands altogether ({Size().out})")
    parser.add_argument("--in", type=int, dest="into", help=f"inbound messages altogether ({Size().into})")
    parser.add_argument("--kills", type=int, help=f"how many ({Size().kills})")
    parser.add_argument("--pause", type=float, help=f"seconds from strike to strike, on average ({Size().pause:g})")
    parser.add_argument("--minutes", type=float, help=f"no strike later than that ({Size().minutes:g})")
    parser.add_argument("--patience", type=float, help=f"seconds without change until the end ({Size().patience:g})")
    parser.add_argument("--seed", type=int, help="of the plan; any, if it is not given")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave the logs there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there as well")
    return parser.parse_args()


def main() -> int:
    """The exit code."""
    options = _options()
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"storm {time.monotonic() - begun:5.0f} s  {text}", flush=True)

    given = {name: getattr(options, name) for name in _FIELDS if getattr(options, name) is not None}
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    size = replace(QUICK if options.quick else Size(), seed=seed, **given)
    say(f"seed {seed}: {size.kills} kills, {size.out} out, {size.into} in, {size.clinics} × {size.channels} channels")
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
