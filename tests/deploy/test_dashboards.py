"""The dashboards: panels that do not overlap, and queries that Prometheus can read."""

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.deploy.dashboards import DASHBOARDS, GRAFANA, Dashboard, dashboard, filled, queries

BUILT_IN = {"__rate_interval": "5m"}
"""Variables that Grafana itself sets."""
CHOSEN = {**BUILT_IN, "instance": ".*", "clinic": "acme", "channel": ".*", "datasource": "prometheus"}


@pytest.fixture(params=DASHBOARDS, ids=lambda path: path.stem)
def board(request: pytest.FixtureRequest) -> Dashboard:
    """Each."""
    return dashboard(request.param)


def test_there_is_one_of_the_node_and_one_of_a_clinic() -> None:
    assert [path.relative_to(GRAFANA).as_posix() for path in DASHBOARDS] == ["clinic.json", "node.json"]


def test_no_two_panels_have_the_same_number_title_or_place(board: Dashboard) -> None:
    assert max(Counter(panel.id for panel in board.panels).values()) == 1
    assert max(Counter(panel.title for panel in board.panels).values()) == 1
    cells = Counter(cell for panel in board.panels for cell in panel.grid_pos.cells)
    assert max(cells.values()) == 1
    assert max(x for x, _ in cells) < 24


def test_every_panel_asks_the_data_source_that_was_chosen(board: Dashboard) -> None:
    asking = [panel for panel in board.panels if panel.type != "row"]
    assert all(panel.targets for panel in asking)
    assert {panel.datasource["uid"] for panel in asking} == {"${datasource}"}


def test_every_variable_of_a_query_is_one_that_can_be_chosen(board: Dashboard) -> None:
    used = {
        name for panel in board.panels for each in panel.targets for name in re.findall(r"\$(\w+)", each.expr)
    }  # fmt: skip
    assert used - set(BUILT_IN) <= board.variables
    assert board.variables <= set(CHOSEN)


def test_prometheus_can_read_every_query(tmp_path: Path) -> None:
    rules = tmp_path / "queries.yml"
    lines = ["groups:", "  - name: queries", "    rules:"]
    for number, (_, target) in enumerate(queries()):
        lines += [f"      - record: q{number}", f"        expr: |\n          {filled(target.expr, CHOSEN)}"]
    rules.write_text("\n".join(lines))
    checked = subprocess.run(
        ["promtool", "check", "rules", "--lint=none", rules], capture_output=True, text=True, check=False, timeout=60
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
