"""``plantao message``, ``dead``, ``send --wait`` and what a channel is asked, against a served node."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from protocol.errors import BusUnavailableError, ConflictError
from protocol.events import ErrorBody, FailedAttempt
from protocol.views import CommandState
from tests.integration.http.conftest import Plantao
from tests.unit.gateway.http.fake_commands import NOW, command_view
from tests.unit.gateway.http.fake_node import FakeOperations

S = CommandState
KEY = ("acme", "front")
ERROR = ErrorBody(code="not_on_whatsapp", message="the recipient is not on WhatsApp", permanent=True)
SEND = ("send", *KEY, "--to", "5511912345678", "--text", "Olá", "--id", "r-1")


def said(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def commands(operations: FakeOperations) -> FakeOperations:
    """One in each state, by its name."""
    operations.put(*KEY, *(command_view(state.value, state) for state in CommandState))
    return operations


# -- messages --


async def test_messages_are_listed_as_a_table_and_in_json(plantao: Plantao, commands: FakeOperations) -> None:
    listed = await plantao("message", "list", *KEY)
    failed = said(await plantao("message", "list", *KEY, "--state", "failed", "--json"))

    lines = listed.stdout.splitlines()
    assert lines[0].split() == ["ID", "STATE", "TO", "TYPE", "PRIORITY", "RUN", "ATTEMPTS", "QUEUED", "SENT", "ERROR"]
    assert [line.split()[0] for line in lines[1:]] == [state.value for state in CommandState][::-1]
    assert [command["id"] for command in failed["items"]] == ["failed"]


async def test_a_list_that_goes_on_says_how(plantao: Plantao, commands: FakeOperations) -> None:
    first = await plantao("message", "list", *KEY, "--limit", "5")
    assert first.stderr == "There are more: --cursor 5\n"
    rest = await plantao("message", "list", *KEY, "--limit", "5", "--cursor", "5")
    assert (len(rest.stdout.splitlines()), rest.stderr) == (4, "")


@pytest.mark.parametrize("group", ["message", "dead"])
async def test_a_message_is_shown_with_the_attempts_that_failed(
    plantao: Plantao, operations: FakeOperations, group: str
) -> None:
    history = [FailedAttempt(run=2, number=1, at=NOW, error=ERROR)]
    operations.put(*KEY, command_view("r-1", S.FAILED, run=2, history=history, error=ERROR))

    out = (await plantao(group, "show", *KEY, "r-1")).stdout

    assert "attempt 2.1" in out
    assert "not_on_whatsapp: the recipient is not on WhatsApp (permanent)" in out
    assert said(await plantao(group, "show", *KEY, "r-1", "--json"))["run"] == 2


@pytest.mark.parametrize(
    ("arguments", "words", "state"),
    [
        (("message", "cancel", *KEY, "scheduled"), "Message scheduled is cancelled.", "failed"),
        (("message", "release", *KEY, "held"), "Message held will be sent.", "waiting"),
        (("dead", "replay", *KEY, "failed"), "failed replayed.", "waiting"),
        (("dead", "discard", *KEY, "failed"), "failed discarded.", "discarded"),
    ],
)
async def test_a_person_decides(
    plantao: Plantao, commands: FakeOperations, arguments: tuple[str, ...], words: str, state: str
) -> None:
    done = await plantao(*arguments)

    assert (done.exit_code, done.stdout) == (0, f"{words}\n")
    assert commands.held[KEY][arguments[-1]].state == state


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("message", "show", *KEY, "x"), 1, "command x does not exist"),
        (("message", "show", *KEY, "no id"), 2, "id: expected"),
        (("message", "list", *KEY, "--state", "sleepy"), 2, "sleepy"),
        (("message", "list", *KEY, "--limit", "201"), 2, "--limit"),
        (("message", "list", *KEY, "--cursor", "x"), 2, "cursor: expected"),
        (("message", "cancel", *KEY, "sent"), 1, "command sent is sent"),
        (("message", "release", *KEY, "waiting"), 1, "command waiting is waiting"),
        (("message", "list", "acme", "nobody"), 1, "does not exist"),
        (("dead", "replay", *KEY, "sent"), 1, "command sent is sent"),
        (("dead", "replay", *KEY), 2, "or --all"),
        (("dead", "discard", *KEY, "failed", "--all"), 2, "or --all"),
        (("dead", "discard", *KEY, "--all"), 2, "--yes"),
        (("channel", "check", *KEY), 2, "PHONE"),
        (("channel", "set", *KEY, "pacing"), 2, "SETTING=VALUE"),
        (("channel", "set", *KEY, "pase.x=1"), 2, "config.pase: expected a known setting"),
        (("clinic", "stats", "nobody"), 1, "does not exist"),
    ],
)
async def test_what_goes_wrong_is_said_on_stderr(
    plantao: Plantao, commands: FakeOperations, arguments: tuple[str, ...], code: int, words: str
) -> None:
    result = await plantao(*arguments)

    assert result.exit_code == code
    assert words in result.stderr
    assert result.stdout == ""


# -- dead letters --


async def test_dead_letters_are_listed(plantao: Plantao, commands: FakeOperations) -> None:
    assert [line.split()[0] for line in (await plantao("dead", "list", *KEY)).stdout.splitlines()] == ["ID", "failed"]


async def test_all_dead_letters_are_sent_again_from_the_oldest_on(
    plantao: Plantao, operations: FakeOperations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config.cli.dead.MOST_LISTED", 2)
    operations.put(*KEY, *(command_view(f"r-{n}", S.FAILED) for n in range(5)))

    done = said(await plantao("dead", "replay", *KEY, "--all", "--yes", "--json"))

    assert done == {"replayed": [f"r-{n}" for n in range(5)], "refused": []}
    assert {view.state for view in operations.held[KEY].values()} == {S.WAITING}
    assert (await plantao("dead", "replay", *KEY, "--all")).stdout == "0 of 0 messages replayed.\n"


async def test_what_is_refused_of_all_does_not_stop_the_rest(plantao: Plantao, operations: FakeOperations) -> None:
    operations.put(*KEY, command_view("r-1", S.FAILED), command_view("r-2", S.FAILED))
    operations.failing["discard"] = ConflictError("it was sent again")

    done = await plantao("dead", "discard", *KEY, "--all", "--yes")

    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        "0 of 2 messages discarded.", "r-1: it was sent again", "r-2: it was sent again"
    ]  # fmt: skip


# -- waiting for a result --


async def test_a_message_can_be_followed_until_it_is_sent(plantao: Plantao, operations: FakeOperations) -> None:
    operations.ends["r-1"] = S.SENT

    assert said(await plantao(*SEND, "--wait", "--json"))["state"] == "sent"
    assert (await plantao(*SEND, "--wait")).stdout == "Sent.\n"


@pytest.mark.parametrize("state", [S.FAILED, S.EXPIRED, S.HELD])
async def test_one_that_is_not_sent_is_a_failure(plantao: Plantao, operations: FakeOperations, state: S) -> None:
    operations.ends["r-1"] = state

    result = await plantao(*SEND, "--wait")

    assert (result.exit_code, result.stdout) == (1, f"Not sent, {state}.\n")
    assert json.loads((await plantao(*SEND, "--wait", "--json")).stdout)["state"] == state


async def test_one_without_a_result_in_time_is_a_failure(plantao: Plantao) -> None:
    result = await plantao(*SEND, "--wait", "--timeout", "1")

    assert result.exit_code == 1
    assert "queued as r-1, but its result is not known: it is still waiting after 1 s" in result.stderr


async def test_what_is_not_queued_is_not_waited_for(plantao: Plantao, operations: FakeOperations) -> None:
    operations.failing["send"] = BusUnavailableError("NATS is away")

    assert (await plantao(*SEND, "--wait")).stderr == "plantao: NATS is away\n"


async def test_times_and_files_go_with_a_message(plantao: Plantao, operations: FakeOperations, tmp_path: Path) -> None:
    (tmp_path / "exame.pdf").write_bytes(b"%PDF")
    times = ("--at", "2099-01-01T00:00:00Z", "--expires", "2099-01-02T00:00:00Z", "--deliver-by", "2099-01-03T00:00Z")

    result = await plantao(
        "send", *KEY, "--to", "5511912345678", "--document", str(tmp_path / "exame.pdf"), *times, "--json"
    )

    assert said(result)["queued"] is True
    command = json.loads(operations.sent[0][3])
    assert command["media"] == {"data": "JVBERg==", "mime": "application/pdf", "filename": "exame.pdf"}
    assert (command["not_before"], command["deliver_by"]) == ("2099-01-01T00:00:00Z", "2099-01-03T00:00:00Z")


# -- channels and clinics --


async def test_numbers_are_checked(plantao: Plantao, operations: FakeOperations) -> None:
    operations.on_whatsapp.add("5511912345678")

    lines = (await plantao("channel", "check", *KEY, "5511912345678", "5511911111111")).stdout.splitlines()

    assert [line.split() for line in lines[1:]] == [
        ["5511912345678", "yes", "5511912345678@s.whatsapp.net"],
        ["5511911111111", "no"],
    ]


async def test_a_channel_is_given_settings_of_its_own(plantao: Plantao, operations: FakeOperations) -> None:
    await plantao("channel", "set", *KEY, "pacing.per_minute=10", "--name", "Recepção")
    shown = await plantao("channel", "set", *KEY, "pacing.quiet=22:00")

    assert operations.found[KEY].config == {"pacing": {"per_minute": 10, "quiet": "22:00"}}
    assert [line.split() for line in shown.stdout.splitlines()] == [
        ["name", "Recepção"],
        ["pacing.per_minute", "10"],
        ["pacing.quiet", "22:00"],
    ]
    operations.asked.clear()
    assert said(await plantao("channel", "set", *KEY, "--json"))["name"] == "Recepção"
    assert [asked[0] for asked in operations.asked] == ["channel"]


async def test_a_clinic_is_counted(plantao: Plantao, commands: FakeOperations) -> None:
    lines = (await plantao("clinic", "stats", "acme")).stdout.splitlines()

    assert lines[0].split() == ["CHANNEL", *(state.upper() for state in CommandState), "SPOOLED"]
    assert lines[1].split() == ["front", *("1" for _ in CommandState), "3"]
    assert lines[2] == "The database has 0.0 of 2048 MiB."
    assert said(await plantao("clinic", "stats", "acme", "--json"))["channels"][0]["spooled"] == 3
