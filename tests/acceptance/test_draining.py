"""SIGTERM: nothing new begins, what is with WhatsApp comes to its end, and only then does the node end."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.acceptance.node import Listener, Node, NodeError, settings
from tests.acceptance.phones import Phones
from tests.emulator.client import EmulatorProcess
from tests.integration.whatsapp.harness import StallingProxy

PHONE = "5511999990001"
ANA, BIA = "5511988880001", "5511988880002"
FRONT = ("acme", "reception")


@pytest.fixture
def tables() -> dict[str, Any]:
    """No long wait for receipts of what may have been sent, and a drain that a busy machine does not cut short."""
    return {"uncertain": {"wait": 0.5}, "shutdown": {"drain_s": 60.0}}


@pytest.fixture
async def paired(phones: Phones) -> None:
    """``acme/reception``, connected."""
    await phones.pair("acme", ("reception", PHONE))


def text(id: str, to: str = ANA) -> dict[str, Any]:
    """A command that says its id."""
    return {"v": 1, "id": id, "to": to, "type": "text", "text": id}


async def readiness(node: Node) -> tuple[int, dict[str, Any]]:
    """What a probe is told."""
    async with aiohttp.ClientSession(node.where["http"]) as probe, probe.get("/ready") as response:
        return response.status, await response.json()


async def unready(node: Node) -> dict[str, Any]:
    """What a probe is told, once it is 503."""
    async with asyncio.timeout(10.0):
        while (told := await readiness(node))[0] != 503:  # noqa: ASYNC110 - not an event
            await asyncio.sleep(0.02)
        return told[1]


async def ended(node: Node, service: Listener) -> int:
    """The exit code."""
    code = await asyncio.to_thread(node.wait)
    await service.stop()
    await node.close_http()
    return code


async def entries(node: Node) -> list[dict[str, Any]]:
    """The newest of the audit."""
    found: list[dict[str, Any]] = (await node.request("GET", "/api/v1/audit"))["items"]
    return found


async def got(emulator: EmulatorProcess, contact: str) -> list[str]:
    """What a contact has."""
    return [item.text for item in await emulator.inbox(contact)]


@pytest.mark.usefixtures("paired")
async def test_what_is_with_whatsapp_ends_and_all_else_waits_for_the_next_node(
    node: Node, service: Listener, emulator: EmulatorProcess
) -> None:
    await emulator.fault("late_ack", phone=PHONE, seconds=8.0, count=1)
    await service.send(*FRONT, text("begun"))
    await emulator.wait_for_message(ANA, text="begun")
    node.signal(signal.SIGTERM)

    told = await unready(node)
    await service.send(*FRONT, text("waits", BIA))
    with pytest.raises(NodeError, match="the node is ending"):
        await node.act(*FRONT, "send", text("refused"))
    looked = await node.channel(*FRONT)
    result = await service.until("result", id="begun")

    assert (told["ready"], told["draining"], looked["state"]) == (False, True, "connected")
    assert (result["status"], result["attempts"]) == ("sent", 1)
    assert await ended(node, service) == 0
    assert await got(emulator, BIA) == []
    async with node, await node.listen() as again:
        await again.until("result", id="waits", status="sent")
        assert [event["id"] for event in again.seen("result")] == ["begun", "waits"]
    assert (await got(emulator, ANA), await got(emulator, BIA)) == (["begun"], ["waits"])


@pytest.mark.usefixtures("paired")
@pytest.mark.parametrize(
    ("tables", "signals", "reason"),
    [({"shutdown": {"drain_s": 5.0}}, 1, "time over"), ({"shutdown": {"drain_s": 60.0}}, 2, "asked")],
    ids=["its time is over", "a second SIGTERM"],
)
async def test_a_drain_that_is_cut_short_loses_nothing_and_sends_nothing_twice(
    node: Node, service: Listener, emulator: EmulatorProcess, signals: int, reason: str
) -> None:
    late = await emulator.fault("late_ack", phone=PHONE, seconds=50.0, count=1)
    await service.send(*FRONT, text("begun"))
    await emulator.wait_for_message(ANA, text="begun")
    node.signal(signal.SIGTERM)
    await unready(node)
    if signals == 2:
        node.signal(signal.SIGTERM)

    assert await ended(node, service) == 0
    assert f'"reason": "{reason}"' in next(line for line in node.log.splitlines() if '"event": "ending"' in line)
    await emulator.clear(late)
    async with node, await node.listen() as again:
        assert (await again.until("result", id="begun"))["status"] == "sent"
    assert await got(emulator, ANA) == ["begun"]


async def test_a_thread_that_hangs_keeps_no_node_from_its_end(node: Node) -> None:
    settings = node.directory / "plantao.toml"
    settings.unlink()
    os.mkfifo(settings)  # whoever opens it to read waits for ever
    reloading = asyncio.create_task(node.request("POST", "/api/v1/reload"))
    node.signal(signal.SIGHUP)
    while not any(entry["action"] == "settings.reload" for entry in await entries(node)):  # noqa: ASYNC110 - no event
        await asyncio.sleep(0.02)

    node.signal(signal.SIGTERM)

    assert await asyncio.to_thread(node.wait) == 1
    assert "leaving by force" in node.log
    await asyncio.gather(reloading, return_exceptions=True)


async def test_media_that_stalls_keeps_no_node_from_its_end_and_is_fetched_by_the_next(
    tmp_path: Path, emulator: EmulatorProcess
) -> None:
    async with StallingProxy(emulator.ready.proxy) as stalling:
        tables: dict[str, dict[str, Any]] = {"shutdown": {"drain_s": 60.0}, "whatsapp": {"proxy": stalling.url}}
        node = Node(tmp_path / "node", settings(emulator.ready, tables))
        async with node, await node.listen() as service:
            await Phones(node, emulator, service).pair("acme", ("reception", PHONE))
            sent = await emulator.send_image(ANA, PHONE, b"\x89PNG an image", caption="Exame")
            await stalling.stalled.wait()
            node.signal(signal.SIGTERM)
            assert await ended(node, service) == 0
        assert '"reason": "drained"' in next(line for line in node.log.splitlines() if '"event": "ending"' in line)
        stalling.let_through()
        async with node, await node.listen() as again:
            came = await again.until("message", wa_id=sent)
            assert (came["media"]["caption"], came["media"]["error"]) == ("Exame", None)
