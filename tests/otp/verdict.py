"""Whether what happened is what OTP did."""

import json
from collections import Counter
from typing import Any

from tests.otp.wording import Json

INFORMATIVE = "cause"
"""OTP's own note of why a supervisor ended; ours is in its log."""


def differences(scenario: Json, expected: list[Json], got: list[Json]) -> list[str]:
    """One line for each difference, in words."""
    hasty = _hasty(scenario)
    if len(expected) != len(got):
        return [f"expected {len(expected)} steps got {len(got)}"]
    pairs = zip(expected, got, strict=True)
    return [f"step {wanted['step']}: {line}" for wanted, seen in pairs for line in _differences(wanted, seen, hasty)]


def _hasty(scenario: Json) -> frozenset[str]:
    """Children that have no time to end at all: whether one that is killed at once has seen the signal before is not
    decided in OTP either. Their ``signal`` events are not compared."""
    steps = [op for step in scenario["steps"] for op in (step, *step.get("ops", ()))]
    keys = [op["extra"]["key"] for op in steps if "extra" in op]
    specs = [*scenario["children"], *(op["spec"] for op in steps if "spec" in op)]
    found: set[str] = set()
    while specs:
        spec = specs.pop()
        if isinstance(spec, dict):
            specs += spec.get("children", ())
            if spec.get("shutdown") == 0:
                found |= {spec.get("id", ""), *keys}
    return frozenset(found)


def _differences(wanted: Json, seen: Json, hasty: frozenset[str]) -> list[str]:
    found = []
    if (line := _first_difference(_compared(wanted, hasty), _compared(seen, hasty))) is not None:
        found.append(line)
    for key in ("alive", "children", "counts", "nested"):
        if wanted.get(key) != seen.get(key):
            found.append(f"expected {key} {_text(wanted.get(key))} got {_text(seen.get(key))}")
    return found


def _compared(record: Json, hasty: frozenset[str]) -> list[Json]:
    """Its events, as far as they are compared."""
    kept = []
    for event in record["events"]:
        if event["ev"] == "unordered":
            kept.append({**event, "events": _compared(event, hasty)})
        elif event["ev"] != "signal" or event["child"] not in hasty:
            kept.append({key: value for key, value in event.items() if key != INFORMATIVE})
    return kept


def _first_difference(wanted: list[Json], seen: list[Json]) -> str | None:
    left = seen
    for event in wanted:
        if event["ev"] == "unordered":
            group = event["events"]
            taken, left = left[: len(group)], left[len(group) :]
            if Counter(map(_text, group)) != Counter(map(_text, taken)):
                return f"expected in any order {_text(group)} got {_text(taken)}"
        elif not left or event != left[0]:
            return f"expected {_text(event)} got {_text(left[0]) if left else 'nothing'}"
        else:
            left = left[1:]
    return f"expected nothing more got {_text(left)}" if left else None


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def decided(trace: list[Json]) -> list[Json]:
    """What ``supervisor/README.md`` has decided instead of what OTP 25 does when an instance of a dynamic supervisor
    ignores its restart: OTP keeps it as a child without process, counts it as active, and crashes at its own end; here
    the instance is forgotten, as it is when it ignores its first start."""
    steps = []
    for step in trace:
        ghosts = [child for child in step.get("children", ()) if child[:2] == [None, "undefined"]]
        step = _without(step, len(ghosts))
        step["events"] = [_without(event, len(ghosts)) for event in step["events"]]
        crash = next((event for event in step["events"] if event.get("reason") == "function_clause"), None)
        if crash is not None:
            ends = [{**e, "how": "shutdown"} for e in step["events"] if e.get("how") == "function_clause"]
            step["events"] = [*ends, {**crash, "reason": "shutdown"}]
        steps.append(step)
    return steps


def _without(record: Json, ghosts: int) -> Json:
    record = dict(record)
    if ghosts and "children" in record:
        record["children"] = [child for child in record["children"] if child[:2] != [None, "undefined"]]
    if ghosts and "counts" in record:
        counts = record["counts"]
        kind = "supervisors" if counts["supervisors"] else "workers"
        record["counts"] = {**counts, "active": counts["active"] - ghosts, kind: counts[kind] - ghosts}
    return record
