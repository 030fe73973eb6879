"""The alerts: promtool reads them and tries each; each says how urgent it is and where to read on."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.rules import PROMETHEUS, ROOT, RULES, TESTS, Rule, rules, tried


@pytest.fixture
def promtool() -> str:
    """Debian's; ``.ci/run`` installs it."""
    found = shutil.which("promtool")
    assert found is not None, "needs promtool: apt-get install --no-install-recommends prometheus"
    return found


def check(*command: str | Path) -> None:
    """Run it; AssertionError with what it says if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_finds_no_fault_in_the_rules(promtool: str) -> None:
    check(promtool, "check", "rules", "--lint=all", "--lint-fatal", RULES)


def test_promtool_sees_every_alert_fire_when_it_should_and_not_before(promtool: str) -> None:
    check(promtool, "test", "rules", *TESTS)


def test_promtool_finds_no_fault_in_the_example_of_a_configuration(promtool: str) -> None:
    check(promtool, "check", "config", "--syntax-only", PROMETHEUS / "prometheus.yml")


def test_every_alert_is_seen_to_fire_and_to_be_quiet() -> None:
    assert tried() == {(rule.alert, fires) for rule in rules() for fires in (True, False)}


def test_no_two_alerts_have_the_same_name() -> None:
    names = [rule.alert for rule in rules()]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.alert)
def test_an_alert_says_how_urgent_it_is_what_happened_and_where_to_read_on(rule: Rule) -> None:
    assert set(rule.labels) == {"severity"}
    assert rule.labels["severity"] in {"critical", "warning"}
    assert set(rule.annotations) == {"summary", "runbook_url"}
    assert rule.annotations["runbook_url"] == f"deploy/RUNBOOK.md#{rule.alert.lower()}"
