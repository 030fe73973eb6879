"""Settings read again by SIGHUP and by ``plantao reload``: what can change does, for channels that run."""

import asyncio
import json
import signal
from collections.abc import Mapping
from typing import Any

import pytest

from tests.acceptance.node import Listener, Node, settings
from tests.acceptance.phones import Phones
from tests.emulator.client import EmulatorProcess

PHONE = "5511999990001"
FRONT = ("acme", "reception")
SLOW = {"enabled": True, "per_minute": 0.01, "burst": 1, "warm_up": []}


@pytest.fixture
def tables() -> dict[str, Any]:
    """One message, and then none for long."""
    return {"pacing": SLOW}


def write(node: Node, emulator: EmulatorProcess, tables: Mapping[str, Mapping[str, Any]], more: str = "") -> None:
    """Put other settings in the node's file."""
    text = settings(emulator.ready, tables)
    (node.directory / "plantao.toml").write_text(f'runtime = "{node.runtime}"\n{text}{more}')


async def logged(node: Node, event: str) -> dict[str, Any]:
    """The first line of the log with this event, once there is one."""
    async with asyncio.timeout(10.0):
        while True:
            for line in node.log.splitlines():
                if f'"event": "{event}"' in line:
                    said: dict[str, Any] = json.loads(line)
                    return said
            await asyncio.sleep(0.02)


async def test_channels_that_run_go_by_the_new_settings_and_what_takes_a_restart_is_named(
    node: Node, service: Listener, phones: Phones, emulator: EmulatorProcess
) -> None:
    await phones.pair("acme", ("reception", PHONE))
    for id_ in ("first", "second"):
        await service.send(*FRONT, {"v": 1, "id": id_, "to": "5511988880001", "type": "text", "text": id_})
    await service.until("result", id="first", status="sent")
    assert service.seen("result", id="second") == []

    write(node, emulator, {"pacing": {**SLOW, "per_minute": 1000.0, "burst": 9}, "boot": {"parallel": 2}})
    said = json.loads(await node.cli("reload", "--json"))

    assert said == {"changed": ["pacing.burst", "pacing.per_minute"], "restart": ["boot.parallel"]}
    await service.until("result", id="second", status="sent")
    assert (await logged(node, "settings differ that take a restart"))["restart"] == ["boot.parallel"]


async def test_sighup_reads_them_and_a_bad_file_changes_nothing_and_is_told(
    node: Node, emulator: EmulatorProcess
) -> None:
    assert '"level": "debug"' in node.log
    write(node, emulator, {"pacing": {**SLOW, "per_minute": -1}, "log": {"level": "error"}})
    node.signal(signal.SIGHUP)
    refused = await logged(node, "settings not read again: they are as they were")
    said = await node.cli("reload", code=2)

    assert "plantao.toml: pacing.per_minute: expected" in refused["error"]
    assert "pacing.per_minute" in said
    write(node, emulator, {"pacing": SLOW, "log": {"level": "info"}})
    node.signal(signal.SIGHUP)
    assert (await logged(node, "settings read again"))["changed"] == ["log.level"]
    quiet_from = len(node.log)
    await node.add("acme", "reception")
    assert '"level": "debug"' not in node.log[quiet_from:]


async def test_a_node_whose_file_cannot_be_renewed_runs_on(node: Node) -> None:
    (node.data / "node.tmp").mkdir()  # in the way, as a full disk would be
    node.signal(signal.SIGHUP)
    await logged(node, "the node's file is not renewed: reload the settings when it can be")
    assert json.loads(await node.cli("reload", "--json")) == {"changed": [], "restart": []}
