"""The process that is killed: ``python -m tests.drill.child SCENARIO DIRECTORY [POINT]``.

Prints ``acting`` when it begins; when it is through, how many points it has passed and how many seconds it took.
"""

import sys
import time
from pathlib import Path

import structlog

from tests.drill.points import Points
from tests.drill.registry import scenario


def main(name: str, directory: str, at: str | None = None) -> None:
    """Act."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # stdout is for the drill
    acting, points = scenario(name), Points(None if at is None else int(at))
    print("acting", flush=True)
    begun = time.monotonic()
    points.install()
    acting.act(Path(directory))
    print("through", points.passed, time.monotonic() - begun, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
