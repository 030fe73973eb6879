"""What holds for every command there is, without a node."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from config.cli.app import app
from config.cli.output import EXIT_CODES
from tests.commands import Command, commands, groups

WORDS = {
    "CLINIC": "acme",
    "CHANNEL": "front",
    "ID": "m-1",
    "[ID]": "m-1",
    "NAME": "name",
    "CONTACT": "5511999990000",
    "PHONE…": "5511999990000",
    "FILE": "archive",
    "SHELL": "bash",
}
"""What is typed for an argument, by how it is shown."""
MORE = {
    "send": ("--to", "5511999990000", "--text", "oi"),
    "key add": ("--role", "viewer"),
    "key nats issue": ("--name", "x"),
    "key nats revoke": ("--name", "x"),
    "key nats rotate": ("--name", "x"),
    "consent record": ("opted_out",),
    "export": ("--clinic", "acme"),
    "erase": ("--clinic", "acme", "--all"),
    "nats config": ("--accounts", "accounts.json", "--registered"),
}
"""And what else a command needs."""
WITHOUT_A_NODE = {"run", "verify", "doctor", "completion"}


def typed(command: Command) -> list[str]:
    arguments = [
        WORDS[parameter.metavar]
        for parameter in command.made.params
        if parameter.param_type_name == "argument" and parameter.metavar in WORDS
    ]
    more = MORE.get(str(command), ())
    yes = ("--yes",) if "--yes" in command.options else ()
    return [*command.words, *arguments, *more, *yes]


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory without a node, with a file that is no archive."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "archive").write_bytes(b"")


def asked(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def named(command: Command) -> str:
    return str(command) or "plantao"


@pytest.mark.parametrize("command", groups(), ids=named)
def test_a_group_says_what_it_is_for_and_what_is_in_it(command: Command) -> None:
    assert command.made.help
    assert asked(*command.words, "--help").exit_code == 0


@pytest.mark.parametrize("command", commands(), ids=named)
def test_a_command_explains_itself_and_all_its_options(command: Command) -> None:
    assert command.made.help
    assert [each.name for each in command.made.params if not each.help and each.name != "help"] == []
    result = asked(*command.words, "--help")
    assert (result.exit_code, "--help" in result.stdout) == (0, True)


@pytest.mark.parametrize("command", commands(), ids=named)
def test_a_command_answers_in_json(command: Command) -> None:
    assert "--json" in command.options


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize("command", [each for each in commands() if str(each) not in WITHOUT_A_NODE], ids=named)
def test_a_command_without_a_node_says_how_to_start_one(command: Command) -> None:
    said = asked(*typed(command))
    assert (said.exit_code, said.stdout) == (1, "")
    assert "no node is running for data directory" in said.stderr
    assert "start one with: plantao run --data data" in said.stderr

    told = asked(*typed(command), "--json")
    assert told.exit_code == 1
    assert "plantao run" in json.loads(told.stderr)["error"]["detail"]


@pytest.mark.usefixtures("archive")
def test_accounts_for_a_server_are_printed_also_in_json() -> None:
    printed = asked("nats", "config", "--accounts", "accounts.json", "--clinic", "acme")
    told = json.loads(asked("nats", "config", "--accounts", "accounts.json", "--json").stdout)

    assert told["config"].rstrip() == printed.stdout.rstrip()
    assert "clinic-acme" in told["config"]
    assert told["accounts"] == str(Path("accounts.json").absolute())


def test_exit_codes_are_told() -> None:
    told = asked("--help").stdout.replace("\n", " ")
    assert all(f"{code} {meaning.split()[0]}" in " ".join(told.split()) for code, meaning in EXIT_CODES.items())
