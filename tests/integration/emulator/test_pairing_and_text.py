"""Pairing by QR code, logging in again, texts and receipts both ways."""

import pytest

from tests.emulator.client import EmulatorError, EmulatorProcess
from tests.integration.emulator.conftest import Clients, MakeNumber

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_client_pairs_by_qr_and_logs_in_again_with_stored_credentials(
    emulator: EmulatorProcess, clients: Clients, number: MakeNumber
) -> None:
    phone = number()
    client = await clients.paired(phone)
    assert "success" in [event.data for event in client.events if event.name == "status"]
    await emulator.wait_for("online", phone)
    await client.kill()
    await emulator.wait_for("offline", phone)

    again = await clients.start(phone)
    await again.log_in()

    assert "qr" not in again.names()
    [session] = [s for s in await emulator.sessions() if s.phone == phone]
    assert session.connected
    assert session.device == 1


async def test_texts_travel_both_ways_and_later_ones_need_no_key_exchange(
    emulator: EmulatorProcess, clients: Clients, number: MakeNumber
) -> None:
    phone, contact = number(), number()
    client = await clients.paired(phone)

    first = await client.send_text(contact, "olá 1")
    second = await client.send_text(contact, "olá 2")
    await emulator.wait_for_message(contact, text="olá 2")
    assert [(i.id, i.sender, i.type, i.text) for i in await emulator.inbox(contact)] == [
        (first, phone, "text", "olá 1"),
        (second, phone, "text", "olá 2"),
    ]

    sent = await emulator.send_text(contact, phone, "resposta")
    message = await client.wait_for("Message")
    assert message.data["Message"]["conversation"] == "resposta"
    assert message.data["Info"]["ID"] == sent
    receipt = await emulator.wait_for("receipt", phone)
    assert receipt.data["id"] == sent

    await client.send_text(contact, "olá 3")
    await emulator.wait_for_message(contact, text="olá 3")


async def test_contacts_confirm_delivery_and_reading(
    emulator: EmulatorProcess, clients: Clients, number: MakeNumber
) -> None:
    phone, contact = number(), number()
    client = await clients.paired(phone)

    sent = await client.send_text(contact, "lida?")
    await client.wait_for("Receipt", where=lambda data: data["MessageIDs"] == [sent] and _kind(data) == "DELIVERED")
    await emulator.read(contact, sent, phone)
    await client.wait_for("Receipt", where=lambda data: data["MessageIDs"] == [sent] and _kind(data) == "READ")


async def test_a_silent_contact_confirms_nothing_and_a_talkative_one_answers(
    emulator: EmulatorProcess, clients: Clients, number: MakeNumber
) -> None:
    phone, silent, talkative = number(), number(), number()
    client = await clients.paired(phone)
    await emulator.auto(silent, delivered=False)
    await emulator.auto(talkative, reply="você disse {text}", read=True)

    await client.send_text(silent, "alguém?")
    await client.send_text(talkative, "bom dia")
    answer = await client.wait_for("Message")
    assert answer.data["Message"]["conversation"] == "você disse bom dia"
    await client.wait_for("Receipt", where=lambda data: _kind(data) == "READ")
    assert all(silent not in str(e.data) for e in client.events if e.name == "Receipt")


async def test_the_client_confirms_reading_to_the_contact(
    emulator: EmulatorProcess, clients: Clients, number: MakeNumber
) -> None:
    phone, contact = number(), number()
    client = await clients.paired(phone)
    sent = await emulator.send_text(contact, phone, "oi")
    message = await client.wait_for("Message")
    lid = message.data["Info"]["MessageSource"]["Chat"]["User"]

    await client.call("mark_read", contact_lid=lid, message_id=sent)

    read = await emulator.wait_for("receipt", phone, where=lambda event: event.data["type"] == "read")
    assert read.data["id"] == sent


async def test_bad_requests_are_told_what_is_wrong(emulator: EmulatorProcess, number: MakeNumber) -> None:
    phone = number()
    with pytest.raises(EmulatorError, match=r"400.*no client shows this code"):
        await emulator.scan("https://wa.me/settings/linked_devices#ref,AA==,AA==,AA==,1", phone)
    with pytest.raises(EmulatorError, match=r"400.*no client asked for a pairing code"):
        await emulator.pair_code("ABCD-EFGH", phone)
    with pytest.raises(EmulatorError, match=r"400.*no device is linked"):
        await emulator.send_text(phone, number(), "oi")
    with pytest.raises(EmulatorError, match=r"400.*Invalid value 'no_such_fault'"):
        await emulator.fault("no_such_fault")
    with pytest.raises(EmulatorError, match=r"400.*regex"):
        await emulator.send_text("abc", phone, "oi")
    with pytest.raises(EmulatorError, match="404"):
        await emulator._request("GET", "/nothing")


def _kind(data: dict[str, str]) -> str:
    return data.get("Type", "DELIVERED")
