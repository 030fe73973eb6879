"""What is not on this machine's embedded defaults: a NATS server of somebody else's, and WhatsApp out of reach."""

from pathlib import Path

from tests.acceptance.node import Node, settings
from tests.acceptance.phones import Phones
from tests.broker import embedded, hand_out
from tests.emulator.client import EmulatorProcess

PHONE, ANA = "5511900000001", "5511888000001"


async def test_a_node_works_on_a_nats_server_that_it_did_not_start(tmp_path: Path, emulator: EmulatorProcess) -> None:
    broker = embedded(tmp_path / "nats")
    await broker.start()
    try:
        await broker.ensure_account("acme")
        elsewhere = {"nats": {"url": broker.server, "accounts_file": str(hand_out(tmp_path / "nats"))}}
        async with Node(tmp_path / "node", settings(emulator.ready, elsewhere)) as node, await node.listen() as service:
            await Phones(node, emulator, service).pair("acme", ("reception", PHONE))
            await service.send("acme", "reception", {"v": 1, "id": "e", "to": ANA, "type": "text", "text": "oi"})
            assert (await service.until("result", id="e"))["status"] == "sent"
            assert not (node.data / "nats").exists()
            await node.request("POST", "/api/v1/clinics", {"id": "bela", "name": "Sem conta"})
            bela = await node.clinic_in("bela", "error")
            assert "clinic-bela" in bela["reason"]
            assert (await node.channel("acme", "reception"))["state"] == "connected"
    finally:
        await broker.stop(timeout=10)


async def test_a_node_without_whatsapp_says_what_it_cannot_reach_and_keeps_trying(
    tmp_path: Path, emulator: EmulatorProcess
) -> None:
    away = await emulator.fault("refuse_tcp")
    async with Node(tmp_path / "node", settings(emulator.ready)) as node, await node.listen() as service:
        await node.add("acme", "reception")
        down = await service.until("state", state="reconnecting")
        assert "dial" in down["reason"]
        await node.once("/api/v1/clinics/acme/channels/reception", lambda channel: channel["attempt"] > 2)
        await emulator.clear(away)
        await service.until("state", state="qr_required")
