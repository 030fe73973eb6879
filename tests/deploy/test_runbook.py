"""The runbook: a section for everything that can be wrong, and commands that there are."""

import subprocess
from collections.abc import Sequence

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from config.cli.app import app
from protocol.channel import ChannelState, ClinicState
from tests.deploy.manifests import unit
from tests.deploy.rules import rules
from tests.deploy.runbook import Section, below, commands, links, programs, sections

ALERTS = [section for section in sections() if section.level == 3 and section.parent.startswith("Alerts: ")]
BLOCKS = [(section.title, block) for section in sections() for block in section.blocks]
ENVIRONMENT = {
    "PLANTAO_DATA": "/var/lib/plantao",
    "ETC": "/etc/plantao",
    "BACKUPS": "/var/backups/plantao",
    "C": "acme",
    "CH": "reception",
    "ARCHIVE": "acme.backup",
    "each": "reception",
    "NEW_URL": "https://new.example:8080",
    "NEW_KEY": "/etc/plantao/new-node.key",
}
"""What the runbook's first block and its procedures set."""
THERE = """
    plantao systemctl journalctl curl promtool openssl date head tail sort grep df du ls cp mv rm chown free uptime
    dmesg fuser export umask docker kubectl cd mkdir xargs wc ss ids
"""
"""Programs that are on any machine that runs a node, and builtins of the shell."""


def test_every_alert_has_a_section_in_the_order_of_the_rules_and_no_other_has_one() -> None:
    assert [section.title for section in ALERTS] == [rule.alert for rule in rules()]


@pytest.mark.parametrize("section", ALERTS, ids=lambda section: section.title)
def test_an_alert_is_told_what_it_means_and_what_to_do(section: Section) -> None:
    words = section.text.split()
    assert "Means:" in words
    assert "Do:" in words
    assert section.anchor == section.title.lower()


@pytest.mark.parametrize(
    ("parent", "states"),
    [
        ("States of a channel", [state.value for state in ChannelState]),
        ("States of a clinic", [state.value for state in ClinicState]),
    ],
)
def test_every_state_has_a_section_and_no_other_has_one(parent: str, states: Sequence[str]) -> None:
    assert list(below(parent)) == states
    assert all("Means:" in section.text for section in below(parent).values())


def test_every_link_leads_to_a_section_and_no_two_have_the_same_anchor() -> None:
    anchors = [section.anchor for section in sections()]
    assert links() <= set(anchors)
    assert len(set(anchors)) == len(anchors)


@pytest.mark.parametrize("arguments", commands(ENVIRONMENT), ids=" ".join)
def test_a_command_of_ours_is_one_that_the_command_line_takes(arguments: list[str]) -> None:
    command, rest = get_command(app), list(arguments)
    while isinstance(command, TyperGroup):
        command = command.commands[rest.pop(0)]
    with command.make_context("plantao", rest):
        pass


@pytest.mark.parametrize(("title", "block"), BLOCKS, ids=[title for title, _ in BLOCKS])
def test_what_is_to_be_pasted_is_shell_and_calls_what_there_is(title: str, block: str) -> None:
    checked = subprocess.run(["bash", "-n"], input=block, text=True, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert set(programs(block)) <= set(THERE.split())


def test_what_is_set_first_is_as_the_unit_has_it() -> None:
    first = sections()[0].blocks[0]
    set_first = dict(word.split("=", 1) for word in first.split() if "=" in word)
    runs = dict(pair.split("=", 1) for pair in unit()["Environment"])
    for name in ("PLANTAO_DATA", "PLANTAO_RUNTIME"):
        assert set_first[name] == runs[name]
    assert set_first["ETC"] == unit()["WorkingDirectory"][0]
    assert set_first["PLANTAO_KEYS__MASTER_FILE"] == unit()["LoadCredential"][0].partition(":")[2]
    assert unit()["ExecStart"][0].startswith(set_first["PATH"].partition(":")[0])
