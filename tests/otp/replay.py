"""``python -m tests.otp.replay FILE [--only TAG] [--verbose]``: run a corpus of OTP traces against our supervisors.

One line for each mismatch, then the counts; exits with 0 only if nothing failed, 2 for a file that can't be read.
"""

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from tests.otp.stage import Stage
from tests.otp.verdict import decided, differences
from tests.otp.wording import Json

SKIPPED = frozenset({"code_change", "erlang_links"})
"""What a scenario may need that threads don't have: release upgrades of a running supervisor, process links."""
QUIRK = "otp_quirk"


@dataclass(slots=True)
class Tally:
    """How it went."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    lines: list[str] = field(default_factory=list)


def scenarios(path: Path) -> Iterator[Json]:
    """The entries of a corpus: ``{"scenario": …, "trace": …}``."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            entry = json.loads(line)
            if "scenario" in entry:
                yield entry


def play(scenario: Json) -> list[Json]:
    """The records of all its steps."""
    stage = Stage(scenario)
    try:
        return [stage.begin(), *(stage.perform(number, step) for number, step in enumerate(scenario["steps"]))]
    finally:
        stage.end()


def judge(entry: Json) -> list[str]:
    """The mismatches of one entry."""
    scenario, trace = entry["scenario"], entry["trace"]["steps"]
    expected = decided(trace) if QUIRK in scenario["tags"] else trace
    try:
        return [f"{scenario['id']}: {line}" for line in differences(scenario, expected, play(scenario))]
    except AssertionError as error:
        return [f"{scenario['id']}: {error}"]


def replay(path: Path, only: str | None = None, verbose: bool = False) -> Tally:
    """Run all scenarios (those with the tag ``only``) of a corpus."""
    tally = Tally()
    for entry in scenarios(path):
        scenario = entry["scenario"]
        if only is not None and only not in scenario["tags"]:
            continue
        if SKIPPED & set(scenario["needs"]):
            tally.skipped += 1
            continue
        found = judge(entry)
        tally.lines += found
        tally.failed += bool(found)
        tally.passed += not found
        if verbose:
            tally.lines.append(f"{scenario['id']}: {'failed' if found else 'passed'}")
    return tally


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.otp.replay", description=__doc__, allow_abbrev=False)
    parser.add_argument("file", type=Path, metavar="FILE", help="a corpus: JSON lines")
    parser.add_argument("--only", metavar="TAG", help="only the scenarios with this tag")
    parser.add_argument("--verbose", action="store_true", help="a line for each scenario")
    options = parser.parse_args(argv)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        tally = replay(options.file, options.only, options.verbose)
    except (OSError, ValueError) as error:
        print(f"{options.file}: {error}", file=sys.stderr)
        return 2
    for line in tally.lines:
        print(line)
    print(f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
