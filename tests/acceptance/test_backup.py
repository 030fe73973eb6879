"""A clinic is backed up while it runs, all that the node has is lost, and the clinic comes back from the archive."""

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.node import PLANTAO, Listener, Node
from tests.acceptance.phones import Phones
from tests.emulator.client import EmulatorProcess

PHONE = "5511999990001"
ANA, BIA = "5511988880001", "5511988880002"
FRONT = ("acme", "reception")
SECRET = "correct horse battery staple"


def text(id: str, to: str = ANA, **more: Any) -> dict[str, Any]:
    """A command that says its id."""
    return {"v": 1, "id": id, "to": to, "type": "text", "text": id, **more}


async def plantao(node: Node, *arguments: str) -> dict[str, Any]:
    """What the command line answers, which must succeed."""

    def run() -> dict[str, Any]:
        env = {**os.environ, "PLANTAO_DATA": str(node.data)}
        command = [str(PLANTAO), *arguments, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=60)
        assert done.returncode == 0, done.stderr + done.stdout
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    return await asyncio.to_thread(run)


async def sent(service: Listener, id: str, to: str = ANA) -> None:
    await service.send(*FRONT, text(id, to))
    await service.until("result", id=id, status="sent")


async def got(emulator: EmulatorProcess, contact: str) -> list[str]:
    return [item.text for item in await emulator.inbox(contact)]


async def lost(node: Node) -> None:
    """The node ends, and its data and what was in memory are gone."""
    await node.close_http()
    assert await asyncio.to_thread(node.stop) == 0
    for directory in (node.data, node.runtime):
        await asyncio.to_thread(shutil.rmtree, directory)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text(f"{SECRET}\n")
    return path


async def test_a_clinic_comes_back_on_a_fresh_node_without_a_code(
    node: Node, service: Listener, emulator: EmulatorProcess, phones: Phones, tmp_path: Path, secret: Path
) -> None:
    await phones.pair("acme", ("reception", PHONE))
    await sent(service, "before")
    await emulator.send_text(BIA, PHONE, "from bia")
    await service.until("message", text="from bia")
    archive = tmp_path / "acme.backup"
    made = await plantao(node, "backup", "--clinic", "acme", str(archive), "--passphrase-file", str(secret))
    assert made["state"] == "done"
    assert b"from bia" not in archive.read_bytes()
    await sent(service, "after")
    codes = len(service.seen("qr"))
    await service.stop()
    await lost(node)

    async with node, await node.listen() as again:
        await plantao(node, "restore", str(archive), "--passphrase-file", str(secret))
        await again.until("state", clinic="acme", channel="reception", state="connected")
        shown = await node.channel(*FRONT)
        assert (shown["state"], shown["restored"], shown["phone"]) == ("connected", "stale", PHONE)
        await again.send(*FRONT, text("before"))
        assert (await again.until("result", id="before"))["repeat"] is True
        await sent(again, "restored")
        await sent(again, "restored-bia", BIA)
        await emulator.send_text(BIA, PHONE, "from bia again")
        await again.until("message", text="from bia again")
        async with asyncio.timeout(30):
            while "restored" not in await got(emulator, ANA):  # noqa: ASYNC110 - not an event
                await asyncio.sleep(0.1)
        assert len(again.seen("qr")) == 0
        assert codes == 1
    assert sorted(await got(emulator, ANA)) == ["after", "before", "restored"]
    assert (await emulator.stats()).key_reuse == []
