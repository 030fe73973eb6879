"""A clinic is backed up while it runs, all that the node has is lost, and the clinic comes back from the archive."""

import asyncio
import json
import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.node import PLANTAO, Listener, Node
from tests.acceptance.phones import Phones
from tests.emulator.client import EmulatorProcess

PHONE, OTHER_PHONE = "5511999990001", "5511999990002"
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


async def test_a_clinic_is_put_back_while_it_runs_and_what_waited_is_held(
    node: Node, service: Listener, emulator: EmulatorProcess, phones: Phones, tmp_path: Path
) -> None:
    await phones.pair("acme", ("reception", PHONE))
    await phones.pair("bela", ("reception", OTHER_PHONE))
    await sent(service, "before")
    await node.act(*FRONT, "disconnect")
    await service.send(*FRONT, text("waits"))
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    await service.send(*FRONT, text("tomorrow", not_before=tomorrow))
    await counted(node, waiting=1, scheduled=1)
    archive = tmp_path / "acme.backup"
    await plantao(node, "backup", "--clinic", "acme", str(archive))
    view = await plantao(node, "verify", str(archive), "--data", str(node.data))
    assert view["clinics"] == ["acme"]
    await node.act(*FRONT, "connect")
    await service.until("result", id="waits", status="sent")

    await plantao(node, "restore", str(archive), "--replace", "--yes")
    await node.act(*FRONT, "connect")
    held = await service.until("result", id="waits", status="held")
    assert held["error"]["code"] == "restored"
    await counted(node, held=1, scheduled=1)
    await node.cli("message", "release", *FRONT, "waits")
    await service.until("result", id="waits", run=2, status="sent")
    assert (await got(emulator, ANA)).count("waits") == 2
    await service.send("bela", "reception", text("elsewhere", BIA))
    await service.until("result", id="elsewhere", status="sent")
    states = [state["state"] for state in service.seen("state", clinic="bela")]
    assert states[-1] == "connected"
    assert states.count("connected") == 1
    assert (await emulator.stats()).key_reuse == []


async def counted(node: Node, **expected: int) -> None:
    """The channel has so many commands in these states."""

    def holds(stats: Any) -> bool:
        [channel] = stats["channels"]
        return {state: channel["commands"].get(state, 0) for state in expected} == expected

    await node.once("/api/v1/clinics/acme/stats", holds)


async def test_a_whole_node_is_backed_up_and_a_clinic_of_it_put_back(node: Node, tmp_path: Path) -> None:
    await node.add("acme", "reception")
    await node.add("bela")
    archive = tmp_path / "node.backup"
    await plantao(node, "backup", str(archive))
    view = await plantao(node, "verify", str(archive), "--data", str(node.data))
    assert (view["clinics"], view["node"]) == (["acme", "bela"], True)
    await node.cli("clinic", "remove", "acme", "--yes")
    job = await plantao(node, "restore", str(archive), "--clinic", "acme")
    assert job["result"]["clinics"] == 1
    await node.channel(*FRONT)
    refused = json.loads(await node.cli("restore", str(archive), "--json", code=1))
    assert "acme, bela: there already" in str(refused)


class TestByTheClock:
    """``backup.every``"""

    @pytest.fixture
    def tables(self, tmp_path: Path) -> dict[str, Any]:
        return {"backup": {"every": 1.0, "keep": 2, "directory": str(tmp_path / "kept")}}

    async def test_each_clinic_is_backed_up_into_a_directory_of_its_own(self, node: Node, tmp_path: Path) -> None:
        await node.add("acme", "reception")
        await node.add("bela")
        async with asyncio.timeout(90):
            while not all(list((tmp_path / "kept" / one).glob("*.backup")) for one in ("acme", "bela")):  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        for clinic in ("acme", "bela"):
            [archive, *_] = sorted((tmp_path / "kept" / clinic).glob("*.backup"))
            view = await plantao(node, "verify", str(archive), "--data", str(node.data))
            assert view["clinics"] == [clinic]
