import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from config.cli.app import app
from config.settings import Settings
from gateway.http.server import AdminServer
from protocol.channel import ChannelState
from protocol.errors import BusUnavailableError
from protocol.subjects import Priority
from tests.integration.http.conftest import Plantao
from tests.unit.gateway.http.fake_node import FakeOperations


def said(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


async def test_clinics_are_added_listed_and_removed(plantao: Plantao, operations: FakeOperations) -> None:
    added = await plantao("clinic", "add", "nova", "--name", "Clínica Nova", "--timezone", "America/Bahia")
    listed = await plantao("clinic", "list")
    removed = await plantao("clinic", "remove", "nova", "--yes")

    assert added.exit_code == 0
    assert "plantao channel add nova" in added.stdout
    assert ("add_clinic", "nova", "Clínica Nova", "America/Bahia") in operations.asked
    assert listed.stdout.splitlines()[0].split() == ["CLINIC", "NAME", "STATE", "REASON", "CHANNELS", "SINCE"]
    assert "1 connected, 1 qr_required" in listed.stdout
    assert removed.exit_code == 0
    assert "nova" not in operations.names


async def test_lists_of_clinics_are_of_a_state(plantao: Plantao, operations: FakeOperations) -> None:
    operations.quarantined["bela"] = "the store is broken"
    for state, ids in (("quarantined", ["bela"]), ("error", [])):
        listed = said(await plantao("clinic", "list", "--state", state, "--json"))
        assert [clinic["id"] for clinic in listed["items"]] == ids
    refused = await plantao("clinic", "list", "--state", "asleep")
    assert refused.exit_code == 2
    assert "quarantined" in refused.stderr


async def test_a_clinic_is_given_another_name_and_timezone(plantao: Plantao, operations: FakeOperations) -> None:
    status = await plantao("clinic", "status", "bela")
    shown = await plantao("clinic", "set", "bela")
    changed = await plantao("clinic", "set", "bela", "--name", "Bela Vista", "--timezone", "America/Bahia")

    assert {"id", "state", "timezone", "channels"} <= {line.split()[0] for line in status.stdout.splitlines()}
    assert [line.split()[0] for line in shown.stdout.splitlines()] == ["name", "timezone"]
    assert "Bela Vista" in changed.stdout
    asked = [call for call in operations.asked if call[0] == "configure_clinic"]
    assert asked == [("configure_clinic", "bela", "Bela Vista", "America/Bahia")]


async def test_channels_are_added_listed_looked_at_and_removed(plantao: Plantao, operations: FakeOperations) -> None:
    added = await plantao("channel", "add", "bela", "desk", "--name", "Recepção")
    listed = await plantao("channel", "list", "--clinic", "bela")
    status = await plantao("channel", "status", "bela", "desk")
    removed = await plantao("channel", "remove", "bela", "desk", "--yes")

    assert "plantao channel pair bela desk" in added.stdout
    assert [line.split()[1] for line in listed.stdout.splitlines()] == ["CHANNEL", "desk", "front"]
    assert "Recepção" in status.stdout
    assert removed.exit_code == 0
    assert ("bela", "desk") not in operations.found


async def test_everything_answers_in_json_when_asked(plantao: Plantao) -> None:
    assert said(await plantao("clinic", "add", "nova", "--json"))["id"] == "nova"
    assert [clinic["id"] for clinic in said(await plantao("clinic", "list", "--json"))["items"]][-1] == "nova"
    assert said(await plantao("clinic", "remove", "nova", "--yes", "--json")) == {"removed": "nova"}
    assert said(await plantao("channel", "add", "bela", "x", "--json"))["channel"] == "x"
    listed = said(await plantao("channel", "list", "--state", "connected", "--json"))
    assert [channel["clinic"] for channel in listed["items"]] == ["acme", "bela"]
    assert said(await plantao("channel", "status", "bela", "x", "--json"))["state"] == "initializing"
    assert said(await plantao("channel", "remove", "bela", "x", "--yes", "--json")) == {"removed": "bela/x"}


@pytest.mark.parametrize(
    ("verb", "state"),
    [
        ("connect", "initializing"),
        ("disconnect", "disconnected"),
        ("suspend", "suspended"),
        ("resume", "initializing"),
    ],
)
async def test_a_channel_can_be_connected_and_put_to_rest(plantao: Plantao, verb: str, state: str) -> None:
    assert said(await plantao("channel", verb, "acme", "front", "--json"))["state"] == state
    assert state in (await plantao("channel", verb, "acme", "front")).stdout


async def test_logging_out_wants_confirmation(plantao: Plantao, operations: FakeOperations) -> None:
    refused = await plantao("channel", "logout", "acme", "front")
    done = await plantao("channel", "logout", "acme", "front", "--yes", "--json")

    assert refused.exit_code == 2
    assert said(done)["state"] == "logged_out"


@pytest.mark.parametrize("arguments", [("clinic", "remove", "acme"), ("channel", "remove", "acme", "front")])
async def test_removing_without_a_terminal_or_yes_is_refused(
    plantao: Plantao, operations: FakeOperations, arguments: tuple[str, ...]
) -> None:
    result = await plantao(*arguments)

    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert "acme" in operations.names
    assert ("acme", "front") in operations.found


async def test_sending_queues_a_text(plantao: Plantao, operations: FakeOperations) -> None:
    result = await plantao(
        "send", "acme", "front", "--to", "5511912345678", "--text", "Olá", "--id", "r-1", "--priority", "high", "--json"
    )

    assert said(result) == {"id": "r-1", "queued": True}
    clinic, channel, priority, body = operations.sent[0]
    assert (clinic, channel, priority) == ("acme", "front", Priority.HIGH)
    assert json.loads(body) == {"v": 1, "id": "r-1", "to": "5511912345678", "type": "text", "text": "Olá"}


async def test_each_message_without_an_id_gets_one_of_its_own(plantao: Plantao, operations: FakeOperations) -> None:
    for _ in range(2):
        assert (
            "Queued as cli-" in (await plantao("send", "acme", "front", "--to", "5511912345678", "--text", "x")).stdout
        )

    assert len({json.loads(body)["id"] for *_, body in operations.sent}) == 2


async def test_sending_queues_an_image_with_its_caption(
    plantao: Plantao, operations: FakeOperations, tmp_path: Path
) -> None:
    image = tmp_path / "exame.png"
    image.write_bytes(b"\x89PNG")

    result = await plantao(
        "send", "acme", "front", "--to", "5511912345678", "--image", str(image), "--caption", "Exame"
    )

    assert result.exit_code == 0
    command = json.loads(operations.sent[0][3])
    assert command["type"] == "image"
    assert command["media"] == {"data": "iVBORw==", "mime": "image/png", "caption": "Exame"}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ([], "--text"),
        (["--image", "notes.txt"], "--image"),
        (["--image", "empty.png"], "--image"),
        (["--image", "large.png"], "--image"),
        (["--image", "nowhere.png"], "--image"),
        (["--text", "x", "--image", "empty.png"], "--text"),
        (["--text", "x", "--caption", "y"], "--caption"),
        (["--text", "x", "--at", "soon"], "--at"),
        (["--text", "x", "--priority", "urgent"], "--priority"),
        (["--text", "x", "--wait", "--timeout", "0"], "--timeout"),
    ],
)
async def test_what_cannot_be_sent_is_wrong_use(
    plantao: Plantao, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "empty.png").touch()
    (tmp_path / "large.png").write_bytes(bytes(600 * 1024))

    result = await plantao("send", "acme", "front", "--to", "5511912345678", *options)

    assert result.exit_code == 2
    assert named in result.stderr


@pytest.mark.parametrize("options", [[], ["--phone", "5511912345678"]])
async def test_pairing_shows_a_code_and_ends_when_the_channel_is_connected(
    plantao: Plantao, operations: FakeOperations, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    monkeypatch.setattr("config.cli.pairing.LOOK_S", 0.01)
    operations.scanned_by = "5511912345678"

    result = await plantao("channel", "pair", "acme", "back", *options)

    assert result.exit_code == 0, result.stderr
    assert ("ABCD-1234" if options else "█") in result.stdout
    assert result.stdout.splitlines()[-1] == "Channel acme/back is connected as +5511912345678."


async def test_pairing_that_ends_otherwise_fails(plantao: Plantao, operations: FakeOperations) -> None:
    operations.failing["pair"] = BusUnavailableError("the port could not be opened")

    result = await plantao("channel", "pair", "acme", "back", "--json")

    assert result.exit_code == 1
    assert json.loads(result.stderr)["error"]["detail"] == "the port could not be opened"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("clinic", "add", "acme", "--name", "Another"), 1, "clinic acme exists already"),
        (("clinic", "add", "ACME"), 2, "id: expected"),
        (("channel", "status", "acme", "nobody"), 1, "does not exist"),
        (("channel", "status", "../x", "y"), 2, "clinic: expected"),
        (("send", "acme", "front", "--to", "12", "--text", "x"), 2, "to: expected"),
        (("channel", "list", "--state", "sleepy"), 2, "sleepy"),
        (("channel", "list", "--clinic", "nobody"), 1, "clinic nobody does not exist"),
        (("channel", "pair", "acme", "back", "--phone", "12"), 2, "phone: expected"),
        (("nonsense",), 2, "nonsense"),
    ],
)
async def test_what_goes_wrong_is_said_on_stderr_with_an_exit_code(
    plantao: Plantao, arguments: tuple[str, ...], code: int, words: str
) -> None:
    result = await plantao(*arguments)

    assert result.exit_code == code
    assert words in result.stderr
    assert result.stdout == ""


async def test_a_wrong_key_is_bad_configuration(plantao: Plantao, tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    other.write_text("wrong")

    result = await plantao("clinic", "list", "--key-file", str(other))

    assert result.exit_code == 2
    assert "the key is not valid" in result.stderr


async def test_another_node_is_asked_by_its_url(server: AdminServer, plantao: Plantao, tmp_path: Path) -> None:
    (tmp_path / "node.json").unlink()

    assert (await plantao("clinic", "list")).exit_code == 1
    assert (await plantao("clinic", "list", "--url", server.url)).exit_code == 0


async def test_names_from_outside_cannot_steer_the_terminal(plantao: Plantao, operations: FakeOperations) -> None:
    operations.set("acme", "front", profile_name="\x1b[2JAna\nstate  connected", state=ChannelState.ERROR)

    out = (await plantao("channel", "status", "acme", "front")).stdout

    assert "\x1b" not in out
    assert not [line for line in out.splitlines() if line.startswith("state  connected")]


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_a_node_is_run_with_the_settings_of_file_and_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[tuple[Settings, bool]] = []

    def run(reread: Callable[[], Settings], json_ready: bool) -> int:
        runs.append((reread(), json_ready))
        return 1

    monkeypatch.setattr("config.node.run", run)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plantao.toml").write_text("data = 'ignored'\n[http]\nport = 0\n")

    result = invoke("run", "--data", str(tmp_path / "d"), "--json")

    assert result.exit_code == 1
    settings, json_ready = runs[0]
    assert (settings.data, settings.http.port, json_ready) == (tmp_path / "d", 0, True)


def test_a_file_that_was_there_at_the_start_must_be_there_when_settings_are_read_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "plantao.toml"

    def run(reread: Callable[[], Settings], _json_ready: bool) -> int:
        file.unlink()
        reread()
        return 0

    monkeypatch.setattr("config.node.run", run)
    monkeypatch.chdir(tmp_path)
    file.write_text("")

    result = invoke("run", "--data", str(tmp_path / "d"))

    assert (result.exit_code, "a readable file" in result.stderr) == (2, True)


def test_a_wrong_configuration_is_exit_code_2(tmp_path: Path) -> None:
    config = tmp_path / "my.toml"
    config.write_text("[http]\nprot = 1\n")

    result = invoke("run", "--config", str(config))

    assert result.exit_code == 2
    assert result.stderr == f"plantao: {config}: http.prot: expected a known setting, perhaps http.port\n"


def test_a_node_that_cannot_be_started_is_exit_code_1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def run(_settings: Settings, _json_ready: bool) -> int:
        raise BusUnavailableError("something else listens there")

    monkeypatch.setattr("config.node.run", run)

    result = invoke("run", "--data", str(tmp_path))

    assert (result.exit_code, result.stderr) == (1, "plantao: something else listens there\n")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("run",),
        ("send",),
        *((group,) for group in ("clinic", "channel", "message", "dead")),
        *(("clinic", verb) for verb in ("add", "list", "stats", "release", "remove")),
        *(("channel", verb) for verb in ("pair", "check", "set")),
        *(("message", verb) for verb in ("list", "show", "cancel", "release")),
        *(("dead", verb) for verb in ("list", "show", "replay", "discard")),
    ],
)
def test_every_command_explains_itself(arguments: tuple[str, ...]) -> None:
    result = invoke(*arguments, "--help")

    assert result.exit_code == 0
    assert "Usage: " in result.stdout


def test_the_command_shows_its_version_and_loads_nothing_that_is_slow() -> None:
    script = "import sys; from config.cli import main\ntry: main()\nfinally: print(*sys.modules, file=sys.stderr)"

    done = subprocess.run(
        [sys.executable, "-c", script, "--version"], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.startswith("plantao 0.")
    loaded = set(done.stderr.split())
    assert not loaded & {"neonize", "aiohttp", "nats", "qrcode", "PIL", "rich", "structlog", "pykka", "asyncio"}
