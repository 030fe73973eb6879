"""``make drill``: kills at random, each in the midst of an operation on a clinic's data; see ``tests.drill.scenario``.

Prints a line for each kill, and the counts. Ends with 0 if every law held, else with 1.
"""

import sys

import structlog

from tests import long_run
from tests.drill.registry import all_scenarios
from tests.drill.run import Size, run


def main() -> int:
    """The exit code."""
    names = [each.name for each in all_scenarios()]
    parser = long_run.parser("drill", __doc__)
    parser.add_argument("--kills", type=int, default=Size().kills, help=f"how many ({Size().kills})")
    parser.add_argument("--only", action="append", choices=names, default=[], help="this one; may be repeated")
    options = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    size = Size(kills=options.kills, seed=long_run.seed_of(options), only=options.only)
    plan = f"seed {size.seed}: {size.kills} kills in the midst of {', '.join(size.only or names)}"
    return long_run.conduct("drill", plan, lambda say: run(size, say), options)


if __name__ == "__main__":
    sys.exit(main())
