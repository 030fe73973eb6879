"""Commands that follow what changes, and what a shell completes, against a served node."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from actors.board import Board
from config.cli.completion import Shell, script_for
from gateway.http.server import AdminServer
from protocol.channel import ChannelState
from tests.integration.http.conftest import Plantao
from tests.unit.actors.test_board import channel, clinic
from tests.unit.gateway.http.fake_node import FakeHealth

PLANTAO = Path(sys.executable).with_name("plantao")


@pytest.fixture
def board() -> Board:
    """Of a node with two channels of two clinics."""
    made = Board()
    for name in ("acme", "bela"):
        made.put_clinic(clinic(name))
        made.put_channel(channel(name, "front"))
    return made


async def test_all_is_shown_as_it_is_now(plantao: Plantao) -> None:
    result = await plantao("events", "--once", "--json")

    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert (result.exit_code, found[0]["event"], found[-1]["event"]) == (0, "reset", "ready")
    assert {event["data"]["id"] for event in found if event["event"] == "clinic"} >= {"acme", "bela"}


async def test_one_clinic_is_told_in_words(plantao: Plantao) -> None:
    result = await plantao("events", "--once", "--clinic", "bela")

    assert "bela/front: " in result.stdout
    assert "acme" not in result.stdout


async def test_what_changes_is_shown_until_somebody_has_seen_enough(
    server: AdminServer, key: str, tmp_path: Path, board: Board
) -> None:
    (tmp_path / "node.json").write_text(json.dumps({"http": server.url, "pid": os.getpid()}))
    following = await asyncio.create_subprocess_exec(
        str(PLANTAO), "events", "--data", str(tmp_path), "--json", stdout=subprocess.PIPE
    )
    assert following.stdout is not None
    lines = following.stdout

    async def next_one(name: str) -> Any:
        while (event := json.loads(await lines.readline()))["event"] != name:
            pass
        return event["data"]

    async with asyncio.timeout(30):
        await next_one("ready")
        board.put_channel(replace(channel("acme", "front"), state=ChannelState.RECONNECTING))
        seen = await next_one("channel")
        following.send_signal(signal.SIGINT)
        assert await following.wait() == 0

    assert (seen["clinic"], seen["state"]) == ("acme", "reconnecting")


async def test_a_channel_needs_its_clinic(plantao: Plantao) -> None:
    result = await plantao("events", "--once", "--channel", "front")

    assert (result.exit_code, "--clinic" in result.stderr) == (2, True)


async def completed(server: AdminServer, key: str, tmp_path: Path, *words: str) -> list[str]:
    """What bash is offered after these words."""
    (tmp_path / "node.json").write_text(json.dumps({"http": server.url, "pid": os.getpid()}))
    env = {
        **os.environ,
        "PLANTAO_DATA": str(tmp_path),
        "_PLANTAO_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["plantao", *words]),
        "COMP_CWORD": str(len(words)),
    }
    process = await asyncio.create_subprocess_exec(str(PLANTAO), env=env, stdout=subprocess.PIPE)
    out, _ = await process.communicate()
    return out.decode().split()


async def test_a_shell_completes_commands_clinics_and_channels(server: AdminServer, key: str, tmp_path: Path) -> None:
    assert await completed(server, key, tmp_path, "clin") == ["clinic"]
    assert {"add", "list", "set", "remove"} <= set(await completed(server, key, tmp_path, "clinic", ""))
    assert await completed(server, key, tmp_path, "clinic", "stats", "ac") == ["acme"]
    assert await completed(server, key, tmp_path, "channel", "status", "bela", "fr") == ["front"]
    assert await completed(server, key, tmp_path, "export", "--clinic", "be") == ["bela"]
    assert "--json" in await completed(server, key, tmp_path, "top", "--")


async def test_without_a_node_nothing_is_completed_and_nothing_said(tmp_path: Path) -> None:
    env = {**os.environ, "_PLANTAO_COMPLETE": "complete_bash", "COMP_WORDS": "plantao clinic stats ", "COMP_CWORD": "3"}
    process = await asyncio.create_subprocess_exec(
        str(PLANTAO), env=env, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )

    assert [part.strip() for part in await process.communicate()] == [b"", b""]


@pytest.mark.parametrize("shell", Shell)
def test_every_shell_is_told_whom_to_ask(shell: Shell) -> None:
    assert "_PLANTAO_COMPLETE=complete_" in script_for(shell)


def test_bash_can_read_it(tmp_path: Path) -> None:
    (tmp_path / "completion").write_text(script_for(Shell.BASH))
    check = subprocess.run(["bash", "-n", tmp_path / "completion"], check=False, capture_output=True)

    assert (check.returncode, check.stderr) == (0, b"")


async def test_ready_is_an_exit_code_and_a_sentence(plantao: Plantao, health: FakeHealth) -> None:
    well = await plantao("ready")
    health.broken["bus"] = "NATS is away"
    broken, live = await plantao("ready"), await plantao("ready", "--live", "--json")
    health.draining = True
    draining = await plantao("ready")

    assert (well.exit_code, well.stdout) == (0, "The node is ready.\n")
    assert (broken.exit_code, broken.stdout) == (1, "The node is not ready: bus (NATS is away).\n")
    assert (live.exit_code, json.loads(live.stdout)["ready"]) == (0, False)
    assert (draining.exit_code, draining.stdout) == (1, "The node is not ready: it drains, and then ends.\n")
