"""Channels that hold no connection while none is needed, and channels that an operator has suspended."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.acceptance.node import Listener, Node, settings
from tests.acceptance.phones import Phones
from tests.emulator.client import EmulatorProcess

PHONE = "5511900000001"
ANA = "5511888000001"


def text(id: str, **fields: Any) -> Mapping[str, Any]:
    return {"v": 1, "id": id, "to": ANA, "type": "text", "text": id, **fields}


async def texts(emulator: EmulatorProcess) -> list[str | None]:
    """What Ana got."""
    return [item.text for item in await emulator.inbox(ANA)]


async def test_a_lazy_channel_connects_when_there_is_something_to_send(
    tmp_path: Path, emulator: EmulatorProcess
) -> None:
    node = Node(tmp_path / "node", settings(emulator.ready, {"channel": {"start": "lazy"}}))
    async with node, await node.listen() as service:
        await node.add("acme", "reception")
        waiting = await service.until("state", state="suspended")
        assert waiting["reason"] == "lazy: waits for a send or connect"
        await node.act("acme", "reception", "pair")
        await Phones(node, emulator, service).scan("acme", "reception", PHONE)
    async with node, await node.listen() as service:
        await service.until("state", state="suspended", count=2)
        connected = len(service.seen("state", state="connected"))
        await service.send("acme", "reception", text("wakes"))
        assert (await service.until("result", id="wakes"))["status"] == "sent"
        assert len(service.seen("state", state="connected")) == connected + 1
    assert await texts(emulator) == ["wakes"]


async def test_an_idle_channel_is_suspended_and_a_send_wakes_it_with_what_came_meanwhile(
    tmp_path: Path, emulator: EmulatorProcess
) -> None:
    async with (
        Node(tmp_path / "node", settings(emulator.ready, {"channel": {"idle_after": 3.0}})) as node,
        await node.listen() as service,
    ):
        await Phones(node, emulator, service).pair("acme", ("reception", PHONE))
        idle = await service.until("state", state="suspended")
        assert idle["reason"] == "idle for 3 s: waits for a send or connect"
        missed = await emulator.send_text(ANA, PHONE, "Alguém aí?")
        await service.send("acme", "reception", text("wakes"))
        assert (await service.until("result", id="wakes"))["status"] == "sent"
        await service.until("message", wa_id=missed)
        await service.until("state", state="suspended", count=2)
        assert service.seen("state", state="reconnecting") == []
    assert await texts(emulator) == ["wakes"]


async def test_what_an_operator_suspends_stays_so_over_a_restart_until_it_is_resumed(
    node: Node, service: Listener, phones: Phones, emulator: EmulatorProcess
) -> None:
    await phones.pair("acme", ("reception", PHONE))
    await node.cli("channel", "suspend", "acme", "reception")
    await service.send("acme", "reception", text("waits"))
    await service.send("acme", "reception", text("expires", expires_at="2026-01-01T00:00:00Z"))
    assert (await service.until("result", id="expires"))["status"] == "expired"
    await node.close_http()
    await service.stop()
    node.stop()
    async with node, await node.listen() as again:
        await again.until("state", state="suspended", reason="requested before a restart")
        await node.once("/api/v1/clinics/acme/channels/reception", lambda found: bool(found["queued"] == 1))
        assert again.seen("result", id="waits") == []
        assert (await node.act("acme", "reception", "resume"))["state"] == "initializing"
        assert (await again.until("result", id="waits"))["status"] == "sent"
    assert await texts(emulator) == ["waits"]


async def test_what_an_operator_disconnects_stays_so_also_when_the_node_is_killed(
    node: Node, service: Listener, phones: Phones
) -> None:
    await phones.pair("acme", ("reception", PHONE))
    assert (await service.rpc("acme", "reception", "disconnect"))["wanted"] == "disconnected"
    await node.close_http()
    await service.stop()
    node.kill()
    async with node, await node.listen() as again:
        await again.until("state", state="disconnected", reason="requested before a restart")
        await node.act("acme", "reception", "connect")
        await again.until("state", state="connected", count=2)


async def test_connect_on_a_live_channel_replaces_its_port(node: Node, service: Listener, phones: Phones) -> None:
    await phones.pair("acme", ("reception", PHONE))
    before = node.port_pid("acme", "reception")
    assert (await node.act("acme", "reception", "connect"))["state"] == "initializing"
    await service.until("state", state="connected", count=2)
    assert node.port_pid("acme", "reception") != before
