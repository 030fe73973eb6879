"""``make storm``: see the README beside this file.

Prints the plan, a line for each strike, and the counts. Ends with 0 if every law held, else with 1.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from tests import long_run
from tests.storm.run import QUICK, Size, run

_FIELDS: Final = ("clinics", "channels", "out", "into", "kills", "pause", "minutes", "patience", "keep")


def _options() -> argparse.Namespace:
    parser = long_run.parser("storm", __doc__)
    parser.add_argument("--quick", action="store_true", help="the short form, about two minutes")
    parser.add_argument("--clinics", type=int, help=f"how many ({Size().clinics})")
    parser.add_argument("--channels", type=int, help=f"of each clinic ({Size().channels})")
    parser.add_argument("--out", type=int, help=f"commands altogether ({Size().out})")
    parser.add_argument("--in", type=int, dest="into", help=f"inbound messages altogether ({Size().into})")
    parser.add_argument("--kills", type=int, help=f"how many ({Size().kills})")
    parser.add_argument("--pause", type=float, help=f"seconds from strike to strike, on average ({Size().pause:g})")
    parser.add_argument("--minutes", type=float, help=f"no strike later than that ({Size().minutes:g})")
    parser.add_argument("--patience", type=float, help=f"seconds without change until the end ({Size().patience:g})")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave the logs there")
    return parser.parse_args()


def main() -> int:
    """The exit code."""
    options = _options()
    given = {name: getattr(options, name) for name in _FIELDS if getattr(options, name) is not None}
    size = replace(QUICK if options.quick else Size(), seed=long_run.seed_of(options), **given)
    plan = (
        f"seed {size.seed}: {size.kills} kills, {size.out} out, {size.into} in, "
        f"{size.clinics} × {size.channels} channels"
    )
    return long_run.conduct("storm", plan, lambda say: run(size, say), options)


if __name__ == "__main__":
    sys.exit(main())
