"""Commands that follow what changes, and what a shell completes, against a served node."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from actors.board import Board
from config.cli.completion import Shell, script_for
from gateway.access.api_keys import ApiKeys
from gateway.http.server import AdminServer
from protocol.channel import ChannelState
from tests.integration.http.conftest import LIMITS, Plantao
from tests.unit.actors.test_board import channel, clinic
from tests.unit.gateway.http.fake_node import FakeHealth, FakeOperations, fake_backends

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


def claim(server: AdminServer, data: Path) -> None:
    """Say where the node is, as it does itself."""
    (data / "node.json").write_text(json.dumps({"http": server.url, "pid": os.getpid()}))


class Following:
    """``plantao events --json`` in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        assert process.stdout is not None
        self._lines = process.stdout

    async def next_one(self, name: str) -> Any:
        """What the next event of this name says."""
        async with asyncio.timeout(30):
            while (event := json.loads(await self._lines.readline()))["event"] != name:
                pass
        return event["data"]


@pytest.fixture
async def following(server: AdminServer, key: str, tmp_path: Path) -> AsyncIterator[Following]:
    """One that has seen all there is; it must end well when it is told to."""
    claim(server, tmp_path)
    process = await asyncio.create_subprocess_exec(
        str(PLANTAO), "events", "--data", str(tmp_path), "--json", stdout=subprocess.PIPE
    )
    made = Following(process)
    await made.next_one("ready")
    yield made
    if process.returncode is None:
        process.send_signal(signal.SIGINT)
    assert await process.wait() == 0


async def test_what_changes_is_shown(following: Following, board: Board) -> None:
    board.put_channel(replace(channel("acme", "front"), state=ChannelState.RECONNECTING))

    seen = await following.next_one("channel")

    assert (seen["clinic"], seen["state"]) == ("acme", "reconnecting")


async def test_a_node_that_was_started_again_elsewhere_is_found_and_gone_on_with(
    following: Following,
    server: AdminServer,
    operations: FakeOperations,
    keys: ApiKeys,
    health: FakeHealth,
    board: Board,
    tmp_path: Path,
) -> None:
    await server.stop(timeout=1.0)
    board.put_channel(replace(channel("bela", "front"), state=ChannelState.RECONNECTING))
    backends = fake_backends(operations=operations, keys=keys, health=health, live=board)
    another = AdminServer("127.0.0.1", 0, backends, limits=LIMITS)
    await another.start()
    try:
        claim(another, tmp_path)

        seen = await following.next_one("channel")

        assert (seen["clinic"], seen["state"]) == ("bela", "reconnecting")
    finally:
        following.process.send_signal(signal.SIGINT)
        await following.process.wait()
        await another.stop(timeout=1.0)


async def test_a_channel_needs_its_clinic(plantao: Plantao) -> None:
    result = await plantao("events", "--once", "--channel", "front")

    assert (result.exit_code, "--clinic" in result.stderr) == (2, True)


async def completed(server: AdminServer, key: str, tmp_path: Path, *words: str) -> list[str]:
    """What bash is offered after these words."""
    claim(server, tmp_path)
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


def test_bash_asks_for_what_could_follow(tmp_path: Path) -> None:
    (tmp_path / "completion").write_text(script_for(Shell.BASH))
    typed = "source completion; COMP_WORDS=(plantao clinic sta); COMP_CWORD=2; _plantao_completion plantao"
    asked = f'{typed}; echo "${{COMPREPLY[@]}}"'
    env = {**os.environ, "PATH": f"{PLANTAO.parent}:{os.environ['PATH']}"}

    said = subprocess.run(["bash", "-c", asked], cwd=tmp_path, env=env, check=True, capture_output=True, text=True)

    assert set(said.stdout.split()) == {"status", "stats"}
