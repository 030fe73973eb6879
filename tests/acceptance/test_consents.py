"""Who may be written to: an operator's word holds at once, as a person's own does."""

import asyncio
import json
from typing import Any

import pytest

from tests.acceptance.node import Listener, Node
from tests.acceptance.phones import Phones
from tests.emulator.client import EmulatorProcess

PHONE, ANA = "5511999990001", "5511988880001"
FRONT = ("acme", "reception")


@pytest.fixture
async def paired(phones: Phones) -> None:
    await phones.pair("acme", ("reception", PHONE))


async def consent(node: Node, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await node.cli("consent", *arguments, "--json", "--data", str(node.data)))
    return found


def text(id: str) -> dict[str, Any]:
    return {"v": 1, "id": id, "to": ANA, "type": "text", "text": id}


async def outcome(service: Listener, id: str) -> str:
    await service.send(*FRONT, text(id))
    result = await service.until("result", id=id)
    return str(result["error"]["code"] if result["error"] else result["status"])


@pytest.mark.usefixtures("paired")
@pytest.mark.parametrize("status", ["opted_out", "withdrawn"])
async def test_what_an_operator_enters_holds_at_once_and_over_a_restart(
    node: Node, service: Listener, status: str
) -> None:
    assert await outcome(service, "first") == "sent"
    await consent(node, "record", *FRONT, ANA, status, "--note", "by phone")
    assert await outcome(service, "second") == "opted_out"
    await service.stop()
    await node.close_http()
    assert await asyncio.to_thread(node.stop) == 0
    await asyncio.to_thread(node.start)
    await node.open_http()
    async with await node.listen() as anew:
        assert await outcome(anew, "third") == "opted_out"
        await consent(node, "record", *FRONT, ANA, "granted")
        assert await outcome(anew, "fourth") == "opted_out"
        await consent(node, "record", *FRONT, ANA, "opted_in")
        assert await outcome(anew, "fifth") == "sent"
    entries = (await consent(node, "list", *FRONT, "--contact", ANA))["items"]
    assert [entry["status"] for entry in entries] == ["opted_in", "granted", status]


@pytest.mark.usefixtures("paired")
async def test_an_operators_word_is_heard_by_who_wrote_by_lid(
    node: Node, service: Listener, emulator: EmulatorProcess
) -> None:
    await emulator.send_text(ANA, PHONE, "hello")
    heard = await service.until("message", text="hello")
    lid = heard["from_lid"]
    assert lid
    await consent(node, "record", *FRONT, ANA, "opted_out")
    await service.send(*FRONT, text("by-lid") | {"to": lid})
    result = await service.until("result", id="by-lid")
    assert result["error"]["code"] == "opted_out"


@pytest.mark.usefixtures("paired")
async def test_a_persons_own_word_is_in_the_register(node: Node, service: Listener, emulator: EmulatorProcess) -> None:
    await emulator.send_text(ANA, PHONE, "sair")
    await service.until("message", text="sair")
    [entry] = (await consent(node, "list", *FRONT, "--contact", ANA))["items"]
    assert (entry["status"], entry["source"]) == ("opted_out", "word")
