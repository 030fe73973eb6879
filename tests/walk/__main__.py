"""``make walk``: a person at the page, in every look, and a hundred clinics. Ends with 0 if all was as it should be.

``ARGS``: where the pictures go. ``--look`` walks in one look alone, ``--no-crowd`` leaves the hundred clinics out.
"""

import argparse
import sys
from pathlib import Path

from tests import long_run
from tests.walk.looks import LOOKS
from tests.walk.run import prepare, run


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="make walk", description=__doc__)
    parser.add_argument(
        "shots", nargs="?", type=Path, default=Path("walk-screenshots"), help="a directory, for pictures"
    )
    parser.add_argument("--look", choices=[look.name for look in LOOKS], action="append", help="only this one")
    parser.add_argument("--no-crowd", action="store_true", help="not with a hundred clinics")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there as well")
    options = parser.parse_args()
    looks = [look for look in LOOKS if options.look is None or look.name in options.look]
    prepare(options.shots)
    plan = f"{', '.join(look.name for look in looks)}; pictures go to {options.shots}"
    return long_run.conduct(
        "walk", plan, lambda say: run(options.shots, looks, with_crowd=not options.no_crowd, say=say), options
    )


if __name__ == "__main__":
    sys.exit(main())
