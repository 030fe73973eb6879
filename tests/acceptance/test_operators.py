"""What operators ask of commands, and of WhatsApp: the command line and HTTP against a whole node."""

import asyncio
import json

import pytest

from tests.acceptance.node import Listener, Node
from tests.acceptance.phones import Phones
from tests.emulator.client import EmulatorProcess

PHONE, ANA, NOBODY = "5511999990001", "5511988880001", "5511900000000"
FRONT = ("acme", "reception")


@pytest.fixture
async def paired(phones: Phones, emulator: EmulatorProcess) -> None:
    """A channel is connected; one number is not on WhatsApp."""
    await emulator.exists(NOBODY, False)
    await phones.pair("acme", ("reception", PHONE))


async def test_a_message_is_followed_to_its_result(node: Node, paired: None, emulator: EmulatorProcess) -> None:
    sent = json.loads(await node.cli("send", *FRONT, "--to", ANA, "--text", "Olá", "--id", "w-1", "--wait", "--json"))
    assert (sent["id"], sent["state"], sent["attempts"]) == ("w-1", "sent", 1)
    assert [item.id for item in await emulator.inbox(ANA)] == [sent["wa_id"]]

    failed = await node.cli("send", *FRONT, "--to", NOBODY, "--text", "Olá", "--id", "w-2", "--wait", code=1)
    assert "not_on_whatsapp" in failed


async def test_a_scheduled_message_is_listed_and_cancelled(
    node: Node, paired: None, service: Listener, emulator: EmulatorProcess
) -> None:
    await node.cli("send", *FRONT, "--to", ANA, "--text", "Amanhã", "--id", "s-1", "--at", "+1h")
    path = "/api/v1/clinics/acme/channels/reception/messages?state=scheduled"
    await node.once(path, lambda found: [command["id"] for command in found["items"]] == ["s-1"])

    await node.cli("message", "cancel", *FRONT, "s-1")

    result = await service.until("result", id="s-1")
    assert (result["status"], result["error"]["code"]) == ("failed", "cancelled")
    assert "s-1 is failed" in await node.cli("message", "cancel", *FRONT, "s-1", code=1)
    assert await emulator.inbox(ANA) == []


async def test_a_dead_letter_is_sent_again_in_a_new_run(
    node: Node, paired: None, service: Listener, emulator: EmulatorProcess
) -> None:
    await node.cli("send", *FRONT, "--to", NOBODY, "--text", "Olá", "--id", "d-1", "--wait", code=1)
    assert "d-1" in await node.cli("dead", "list", *FRONT)
    assert "not_on_whatsapp" in await node.cli("dead", "show", *FRONT, "d-1")
    await emulator.exists(NOBODY, True)

    await node.cli("dead", "replay", *FRONT, "--all", "--yes")

    assert (await service.until("result", id="d-1", status="sent"))["run"] == 2
    assert [item.text for item in await emulator.inbox(NOBODY)] == ["Olá"]
    stats = json.loads(await node.cli("clinic", "stats", "acme", "--json"))
    assert stats["channels"][0]["commands"]["sent"] == 1


async def test_numbers_are_looked_up_and_people_see_that_they_are_read_and_answered(node: Node, paired: None) -> None:
    found = json.loads(await node.cli("channel", "check", *FRONT, ANA, NOBODY, "--json"))
    assert [one["on_whatsapp"] for one in found["items"]] == [True, False]
    await node.act(*FRONT, "presence", {"presence": "typing", "chat": ANA})
    await node.act(*FRONT, "mark_read", {"chat": ANA, "wa_ids": ["3EB0"]})


async def test_a_channel_is_paced_on_its_own_at_once(node: Node, paired: None) -> None:
    shown = await node.cli("channel", "set", *FRONT, "pacing.per_minute=10")
    assert "pacing.per_minute" in shown
    assert (await node.channel(*FRONT))["config"] == {"pacing": {"per_minute": 10}}
    wrong = await node.cli("channel", "set", *FRONT, "pacing.per_minut=10", code=2)
    assert "config.pacing.per_minut: expected a known setting, one of enabled, per_minute" in wrong


async def test_who_changes_a_clinic_or_channel_at_the_same_time_as_others_is_answered(node: Node, paired: None) -> None:
    clinic, channel = "/api/v1/clinics/acme", "/api/v1/clinics/acme/channels/reception"
    for path in (clinic, channel):
        names = [f"Name {number}" for number in range(8)]
        answers = await asyncio.gather(*(node.request("PATCH", path, {"name": name}) for name in names))
        assert {answer["name"] for answer in answers} <= set(names)
        assert (await node.request("GET", path))["name"] in {answer["name"] for answer in answers}
