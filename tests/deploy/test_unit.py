"""The systemd unit: as systemd reads it, and against the program."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.manifests import DEPLOY, check_command, checked_settings, unit

MOST_EXPOSED = 1.5
"""By ``systemd-analyze security``, from 0 (nothing) to 10; what is left is the network, which it is for."""


@pytest.fixture
def analyze() -> str:
    """Debian's; ``.ci/run`` installs it."""
    found = shutil.which("systemd-analyze")
    assert found is not None, "needs systemd-analyze: apt-get install --no-install-recommends systemd"
    return found


def one(name: str) -> str:
    (value,) = unit()[name]
    return value


def environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in unit()["Environment"])


def test_systemd_finds_no_fault_in_it(analyze: str, tmp_path: Path) -> None:
    text = (DEPLOY / "systemd" / "plantao.service").read_text(encoding="utf-8")
    here = text.replace("/opt/plantao/bin/plantao", str(Path(sys.executable).with_name("plantao")))
    (tmp_path / "plantao.service").write_text(here)
    done = subprocess.run(
        [analyze, "verify", "--recursive-errors=no", "--man=no", tmp_path / "plantao.service"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_it_may_do_little(analyze: str) -> None:
    done = subprocess.run(
        [analyze, "security", "--offline=true", f"--threshold={MOST_EXPOSED * 10:.0f}", "--no-pager",
         DEPLOY / "systemd" / "plantao.service"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


def test_its_variables_are_settings_and_lead_to_directories_that_it_has() -> None:
    settings = checked_settings(environment())
    assert environment()["PLANTAO_DATA"] == f"/var/lib/{one('StateDirectory')}"
    assert environment()["PLANTAO_RUNTIME"] == f"/run/{one('RuntimeDirectory')}"
    assert (one("StateDirectoryMode"), one("RuntimeDirectoryMode")) == ("0700", "0700")
    assert settings.vault.require_memory
    credential, _, source = one("LoadCredential").partition(":")
    assert (settings.keys.master_file, source) == (Path(f"%d/{credential}"), "/etc/plantao/master.key")
    assert f"/etc/{one('ConfigurationDirectory')}" == one("WorkingDirectory")


@pytest.mark.parametrize("name", ["ExecStart", "ExecReload"])
def test_its_commands_are_commands(name: str) -> None:
    check_command(one(name).replace("${PLANTAO_DATA}", environment()["PLANTAO_DATA"]).split())


def test_it_waits_until_the_node_has_ended_by_itself() -> None:
    shutdown = checked_settings(environment()).shutdown
    assert float(one("TimeoutStopSec")) > shutdown.drain_s + shutdown.deadline_s
    assert (one("KillMode"), one("Restart"), one("RestartPreventExitStatus")) == ("mixed", "on-failure", "2")
