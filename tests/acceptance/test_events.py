"""Who looks on sees all that happens to a channel, without asking again; also over a restart of the node."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.acceptance.node import Node
from tests.emulator.client import EmulatorProcess
from tests.integration.http.reader import Reader, watching

PHONE, ANA = "5511999990001", "5511988880001"


@pytest.fixture
def tables() -> dict[str, Any]:
    """No pause between the life of a port and the next."""
    return {"reconnect": {"base": 0.05}}


async def in_state(reader: Reader, state: str) -> dict[str, Any]:
    return await reader.shown("channel", lambda channel: channel["state"] == state)


async def test_a_channel_is_seen_from_its_first_code_to_the_ticks_of_its_messages(
    node: Node, emulator: EmulatorProcess
) -> None:
    key = await asyncio.to_thread(Path(node.where["admin_key"]).read_text)
    headers = {"X-API-Key": key.strip()}
    async with aiohttp.ClientSession(node.where["http"], headers=headers) as client:
        async with watching(client) as reader:
            assert [(await reader.event())[0] for _ in range(2)] == ["reset", "ready"]
            await node.add("acme", "reception")
            assert (await reader.until("clinic"))["name"] == "Acme"
            await in_state(reader, "qr_required")
            code = await reader.shown("qr", lambda qr: qr["code"] is not None)
            await emulator.scan(code["code"], PHONE)
            gone = await reader.shown("qr", lambda qr: qr["code"] is None)
            assert gone["channel"] == "reception"
            await reader.shown("clinic", lambda clinic: clinic["channels"] == {"connected": 1})
            await in_state(reader, "connected")

            command = {"v": 1, "id": "r-1", "to": ANA, "type": "text", "text": "Olá"}
            await node.act("acme", "reception", "send", command)
            counted = await reader.shown("counters", lambda one: one["delivered"] == 1)
            assert (counted["accepted"], counted["sent"], counted["queued"], counted["dead"]) == (1, 1, 0, 0)
            await emulator.send_text(ANA, PHONE, "Obrigada")
            await reader.shown("counters", lambda one: one["received"] == 1)

            await node.request("PATCH", "/api/v1/clinics/acme", {"name": "Clínica Acme", "timezone": "America/Manaus"})
            assert (await reader.until("clinic", lambda one: one["name"] != "Acme"))["timezone"] == "America/Manaus"
            await node.request("DELETE", "/api/v1/clinics/acme/channels/reception")
            await reader.until("gone")
            last = reader.last_id

        async with watching(client, last=last) as resumed:
            await resumed.until("ready")
            assert "reset" not in {name for name, _, _ in resumed.seen}

        async with watching(client, last=last) as open_at_the_end:
            await open_at_the_end.until("ready")
            await node.close_http()
            assert await asyncio.to_thread(node.stop) == 0
            await open_at_the_end.ended()
    await asyncio.to_thread(node.start)
    await node.open_http()
    async with (
        aiohttp.ClientSession(node.where["http"], headers=headers) as client,
        watching(client, last=last) as anew,
    ):
        assert (await anew.event())[0] == "reset"
