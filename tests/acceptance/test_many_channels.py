"""Fifty channels in ten clinics connect, exchange messages and end, and leave nothing behind."""

from pathlib import Path

import pytest

from tests.acceptance.node import Node, descendants, settings
from tests.emulator.client import EmulatorProcess

CLINICS, CHANNELS = 10, 5


def alive(pids: set[int]) -> set[int]:
    """Those that still are processes."""
    return {pid for pid in pids if Path(f"/proc/{pid}").exists()}


def strangers(runtime: Path) -> list[Path]:
    """Files in the runtime directory that are neither part of a session store (SQLite's files, and its lock) nor an
    empty journal, nor the node's own lock."""
    own = (".db", ".db-wal", ".db-shm", ".db.lock", "runtime.lock")
    files = [path for path in runtime.rglob("*") if path.is_file() and not path.name.endswith(own)]
    return [path for path in files if path.parent.suffix != ".journal" or path.stat().st_size > 0]


@pytest.mark.timeout(240)
async def test_fifty_channels_in_ten_clinics(tmp_path: Path, emulator: EmulatorProcess) -> None:
    keys = [(f"clinic-{n}", f"channel-{m}") for n in range(CLINICS) for m in range(CHANNELS)]
    phones = {key: f"55119000{index:05d}" for index, key in enumerate(keys)}
    contacts = {key: f"55118880{index:05d}" for index, key in enumerate(keys)}
    node = Node(tmp_path / "node", settings(emulator.ready))
    async with node:
        async with await node.listen() as service:
            for clinic in dict.fromkeys(clinic for clinic, _ in keys):
                await node.add(clinic, *(channel for of, channel in keys if of == clinic))
            for clinic, channel in keys:
                code = await service.until("qr", clinic=clinic, channel=channel)
                await emulator.scan(code["code"], phones[clinic, channel])
            for clinic, channel in keys:
                await service.until("state", clinic=clinic, channel=channel, state="connected", timeout=60.0)
            for key in keys:
                command = {"v": 1, "id": "all-1", "to": contacts[key], "type": "text", "text": f"de {key}"}
                await service.send(*key, command)
                await emulator.send_text(contacts[key], phones[key], f"para {key}")
            for clinic, channel in keys:
                result = await service.until("result", clinic=clinic, channel=channel, id="all-1", timeout=60.0)
                message = await service.until("message", clinic=clinic, channel=channel, timeout=60.0)
                assert (result["status"], message["text"]) == ("sent", f"para {(clinic, channel)}")
            for key in keys:
                assert [item.text for item in await emulator.inbox(contacts[key])] == [f"de {key}"]
        family = descendants(node.pid)
        assert len(family) >= len(keys) + 2
    assert alive(family) == set()
    assert strangers(node.runtime) == []
