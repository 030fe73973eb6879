"""The alerts as Prometheus reads them, and the tests that promtool runs of them."""

from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

ROOT: Final = Path(__file__).parents[2]
PROMETHEUS: Final = ROOT / "deploy" / "prometheus"
RULES: Final = PROMETHEUS / "alerts.yml"
TESTS: Final = tuple(sorted((PROMETHEUS / "tests").glob("*.yml")))


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"hold": "for"}):
    """An alerting rule. ``hold``: for how long its expression has to be true (``for`` in the file)."""

    alert: str
    expr: str
    labels: dict[str, str]
    annotations: dict[str, str]
    hold: str = "0s"


class _Group(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    rules: list[Rule]


class _Rules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    groups: list[_Group]


class _Check(Struct, frozen=True, kw_only=True):
    alertname: str
    exp_alerts: list[object]


class _Case(Struct, frozen=True, kw_only=True):
    alert_rule_test: list[_Check]


class _Cases(Struct, frozen=True, kw_only=True):
    tests: list[_Case]


def rules() -> list[Rule]:
    """All of ``deploy/prometheus/alerts.yml``, in its order."""
    found = msgspec.yaml.decode(RULES.read_bytes(), type=_Rules)
    return [rule for group in found.groups for rule in group.rules]


def tried() -> set[tuple[str, bool]]:
    """(alert, whether it fires) for all that promtool is told to see."""
    cases = [case for path in TESTS for case in msgspec.yaml.decode(path.read_bytes(), type=_Cases).tests]
    return {(check.alertname, bool(check.exp_alerts)) for case in cases for check in case.alert_rule_test}
