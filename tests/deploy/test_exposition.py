"""What a node exposes is as Prometheus would have it: promtool finds no fault in names, types and units."""

import shutil
import subprocess

from gateway.http.metrics import render
from tests.unit.gateway.http.test_metrics import busy


def test_promtool_finds_no_fault_in_what_a_busy_node_exposes() -> None:
    promtool = shutil.which("promtool")
    assert promtool is not None, "needs promtool: apt-get install --no-install-recommends prometheus"
    done = subprocess.run(
        [promtool, "check", "metrics"], input=render(busy()), capture_output=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
