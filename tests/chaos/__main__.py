"""``make chaos``: see the README beside this file.

Prints a line for each kill and a summary. Ends with 0 if every promise held, else with 1.
"""

import sys

from tests import long_run
from tests.chaos.run import Size, run


def main() -> int:
    """The exit code."""
    parser = long_run.parser("chaos", __doc__)
    parser.add_argument("--kills", type=int, default=200, help="how many (200)")
    parser.add_argument("--clinics", type=int, default=10, help="how many (10)")
    parser.add_argument("--channels", type=int, default=2, help="of each clinic (2)")
    parser.add_argument("--keep-going", action="store_true", help="go on after the first broken promise")
    options = parser.parse_args()
    size = Size(
        kills=options.kills,
        clinics=options.clinics,
        channels=options.channels,
        seed=long_run.seed_of(options),
        keep_going=options.keep_going,
    )
    plan = f"seed {size.seed}: {size.kills} kills over {size.clinics} clinics of {size.channels} channels"
    return long_run.conduct("chaos", plan, lambda say: run(size, say), options)


if __name__ == "__main__":
    sys.exit(main())
