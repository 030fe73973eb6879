"""The runbook's procedures, walked on a real node and the emulator: each block as it stands there."""

import asyncio
import os
import secrets
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.node import Node, settings
from tests.acceptance.phones import Phones
from tests.acceptance.test_storage import fill
from tests.deploy.walk import Walk
from tests.emulator.client import EmulatorProcess

PHONE, OTHER_PHONE, ANA = "5511900000001", "5511900000002", "5511888000001"
FRONT = ("acme", "reception")
PAGE = 4096


@pytest.fixture
async def emulator(tmp_path: Path) -> AsyncIterator[EmulatorProcess]:
    """WhatsApp, on loopback."""
    async with EmulatorProcess(tmp_path / "whatsapp") as process:
        yield process


def node_in(directory: Path, emulator: EmulatorProcess, **tables: Any) -> Node:
    """A node with a master key of its own in a file, and a place for the next one."""
    directory.mkdir(exist_ok=True)
    (directory / "master.key").write_text(secrets.token_hex(32))
    (directory / "master.key").chmod(0o600)
    keys = {"master_file": str(directory / "master.key"), "next_master_file": str(directory / "master.next")}
    return Node(directory, settings(emulator.ready, {"keys": keys, "vault": {"interval": 0.2}, **tables}))


@pytest.fixture
async def node(tmp_path: Path, emulator: EmulatorProcess) -> AsyncIterator[Node]:
    """With backups by the clock."""
    backup = {"every": 3600, "directory": str(tmp_path / "backups")}
    async with node_in(tmp_path / "node", emulator, backup=backup) as running:
        yield running


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Where ``acme`` has its database: a file system of its own, of 2 MiB."""
    place = tmp_path / "node" / "data" / "clinics" / "acme"
    place.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs to mount a file system")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.fixture
def walk(node: Node) -> Walk:
    """Beside that node."""
    return Walk(node)


async def sends(node: Node, text: str) -> None:
    """The channel connects, if it has not yet, and sends."""
    await node.once("/api/v1/clinics/acme/channels/reception", lambda found: bool(found["state"] == "connected"))
    said = await node.cli("send", *FRONT, "--to", ANA, "--text", text, "--wait")
    assert "Sent as" in said


async def paired(node: Node, emulator: EmulatorProcess, clinic: str = "acme", phone: str = PHONE) -> None:
    """A clinic whose channel is paired."""
    async with await node.listen() as service:
        await Phones(node, emulator, service).pair(clinic, ("reception", phone))


async def damaged(node: Node) -> None:
    """The clinic's database is no database any more, and the node has found out."""
    await node.close_http()
    assert await asyncio.to_thread(node.stop) == 0
    with (node.data / "clinics" / "acme" / "clinic.db").open("r+b") as database:
        database.write(b"\xa5" * PAGE)
    await asyncio.to_thread(node.start)
    await node.open_http()
    await node.once("/api/v1/clinics", lambda found: [each["state"] for each in found["items"]] == ["error"])


async def test_upgrade_and_roll_back(node: Node, walk: Walk, emulator: EmulatorProcess) -> None:
    await paired(node, emulator)
    assert "is whole" in await walk.paste("Upgrade", 0)
    await walk.paste("Upgrade", 1)
    await sends(node, "after the upgrade")
    await walk.paste("Roll back", 0)
    await sends(node, "the old version runs")
    await walk.paste("Roll back", 1)
    await sends(node, "after the way back")
    assert (await emulator.stats()).key_reuse == []


async def test_restore_of_a_clinic_and_of_all_on_a_new_machine(
    tmp_path: Path, node: Node, walk: Walk, emulator: EmulatorProcess
) -> None:
    await paired(node, emulator)
    await sends(node, "before")
    (walk.backups / "acme").mkdir(exist_ok=True)
    await node.cli("backup", "--clinic", "acme", str(walk.backups / "acme" / "20261128T000000Z.backup"))
    await damaged(node)
    said = await walk.paste("Restore", 0)
    assert "is whole" in said
    assert "1 clinic put back" in said
    await walk.paste("Restore", 1)
    await sends(node, "after")

    await node.close_http()
    assert await asyncio.to_thread(node.stop) == 0
    new = node_in(tmp_path / "new", emulator)
    (new.directory / "master.key").write_text((node.directory / "master.key").read_text())
    async with new:
        assert "1 clinic put back" in await Walk(new).paste("Restore", 2)
        await sends(new, "on the new machine")
    assert (await emulator.stats()).key_reuse == []


async def test_move_a_clinic(tmp_path: Path, node: Node, emulator: EmulatorProcess) -> None:
    await paired(node, emulator)
    await paired(node, emulator, "bela", OTHER_PHONE)
    await sends(node, "before")
    async with node_in(tmp_path / "new", emulator) as new:
        walk = Walk(node, NEW_URL=new.where["http"], NEW_KEY=new.where["admin_key"])
        assert "disconnected" in await walk.paste("Move a clinic", 0)
        assert "1 clinic put back" in await walk.paste("Move a clinic", 1)
        await sends(new, "after")
        await walk.paste("Move a clinic", 2)
        assert not (node.data / "clinics" / "acme").exists()
        assert (await node.channel("bela", "reception"))["state"] == "connected"
        await sends(new, "when the old one is gone")
    assert [item.text for item in await emulator.inbox(ANA)] == ["before", "after", "when the old one is gone"]


async def test_rotate_keys(node: Node, walk: Walk, emulator: EmulatorProcess) -> None:
    await paired(node, emulator)
    said = await walk.paste("Rotate keys", 0)
    assert "keys are wrapped by the next master key" in said
    await sends(node, "under the new master key")
    assert "Clinic acme has a new key" in await walk.paste("Rotate keys", 1)
    assert "prometheus" in await walk.paste("Rotate keys", 2)
    old = (node.data / "admin.key").read_text()
    await walk.paste("Rotate keys", 3)
    assert (node.data / "admin.key").read_text() != old
    (node.directory / "old.key").write_text(old)
    (node.directory / "old.key").chmod(0o600)
    await node.cli("clinic", "list", "--key-file", str(node.directory / "old.key"), code=2)
    await walk.paste("Rotate keys", 4, well=False)
    assert (await walk.paste("Rotate keys", 5)).count("NATS_URL") == 2
    await sends(node, "with all keys new")


async def test_lost_phone_and_banned_number(node: Node, walk: Walk, emulator: EmulatorProcess) -> None:
    await paired(node, emulator)
    assert "logged_out" in await walk.paste("Lost phone", 0)
    async with await node.listen() as service:
        pairing = asyncio.create_task(walk.paste("Lost phone", 1))
        await emulator.scan((await service.until("qr", count=2))["code"], PHONE)
        assert "connected as +" in await pairing
        await sends(node, "from the new phone")

        banned = await emulator.fault("failure", phone=PHONE, reason=402, code=101, expire=3600)
        await emulator.fault("drop", phone=PHONE, count=1)
        assert "banned" in (await service.until("state", state="error"))["reason"]
        assert "suspended" in await walk.paste("Banned number", 0)
        await emulator.clear(banned)
        assert "pacing.per_day" in await walk.paste("Banned number", 1)
        await sends(node, "when the ban is over")

        await emulator.fault("failure", phone=PHONE, reason=402, code=101)
        await emulator.fault("drop", phone=PHONE, count=1)
        await service.until("state", state="error", count=2)
        await walk.paste("Banned number", 0)
        pairing = asyncio.create_task(walk.paste("Banned number", 2))
        await emulator.scan((await service.until("qr", count=3))["code"], OTHER_PHONE)
        assert "connected as +" in await pairing
        await sends(node, "from the new number")


async def test_broker_down(node: Node, walk: Walk, emulator: EmulatorProcess) -> None:
    await paired(node, emulator)
    os.kill(node.child("nats-server"), signal.SIGKILL)
    said = await walk.paste("First look", 0, well=False)
    assert "to be looked at" in said
    said = await walk.paste("Broker down", 0)
    assert "broker" in said
    assert "nats-server" in said.lower()
    await walk.paste("Broker down", 1)
    assert "clinic-acme" in (node.directory / "accounts.conf").read_text()
    assert "reception" in await walk.paste("Broker down", 2)
    await sends(node, "after")


async def test_disk_full(disk: Path, node: Node, walk: Walk, emulator: EmulatorProcess) -> None:
    await paired(node, emulator)
    await sends(node, "before")
    ballast = fill(disk)
    await emulator.send_text(ANA, PHONE, "taken, not stored")
    await node.clinic_in("acme", "error")
    assert "cannot grow" in await walk.paste("Database or disk trouble", 0)
    assert "100%" in await walk.paste("Disk full", 0)
    archives = [walk.backups / "acme" / f"2026112{day}T000000Z.backup" for day in range(4)]
    for age, archive in enumerate(reversed(archives)):
        archive.parent.mkdir(exist_ok=True)
        archive.touch()
        os.utime(archive, (age, age))
    await walk.paste("Disk full", 1)
    assert [archive.exists() for archive in archives] == [True, True, False, False]
    ballast.unlink()
    await node.clinic_in("acme", "running")
    assert "running" in await walk.paste("Disk full", 2)
    await sends(node, "after")
