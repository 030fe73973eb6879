"""Pairing by phone code, both kinds of addresses, images, replies, reactions, backlog, retries, other accounts."""

import io
import sqlite3
import time
from contextlib import closing
from typing import Literal

import pytest
from PIL import Image

from tests.emulator.addresses import lid
from tests.emulator.client import EmulatorProcess
from tests.integration.emulator.conftest import Clients, MakeNumber
from tests.integration.emulator.harness import CallError

pytestmark = pytest.mark.asyncio(loop_scope="session")


def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(out, "PNG")
    return out.getvalue()


async def test_a_client_pairs_by_the_code_typed_on_the_phone(
    emulator: EmulatorProcess, clients: Clients, number: MakeNumber
) -> None:
    phone = number()
    client = await clients.start(phone)
    client.connect()
    await client.wait_for("qr")
    code = await client.call("pair_phone", phone=phone)

    await emulator.pair_code(code, phone)

    await client.wait_for("Connected")
    await client.send_text(number(), "pareado por código")


async def test_a_wrong_code_pairs_nobody(emulator: EmulatorProcess, clients: Clients, number: MakeNumber) -> None:
    phone = number()
    client = await clients.start(phone)
    client.connect()
    await client.wait_for("qr")
    await client.call("pair_phone", phone=phone)

    await emulator.pair_code("AAAA-AAAA", phone)

    await emulator.wait_for("pairing_refused", phone)
    assert "Connected" not in client.names()


@pytest.mark.parametrize("addressing", ["lid", "pn"])
async def test_contacts_write_from_either_address_and_can_be_answered_at_both(
    emulator: EmulatorProcess, clients: Clients, number: MakeNumber, addressing: Literal["lid", "pn"]
) -> None:
    phone, contact = number(), number()
    client = await clients.paired(phone)

    await emulator.send_text(contact, phone, "oi", addressing=addressing)

    message = await client.wait_for("Message")
    source = message.data["Info"]["MessageSource"]
    users = {source["Sender"]["User"], source["SenderAlt"]["User"]}
    assert users == {contact, lid(contact).user}
    assert source["Sender"]["Server"] == ("lid" if addressing == "lid" else "s.whatsapp.net")
    await client.send_text(contact, "por número")
    await client.send_text(lid(contact).user, "por LID", server="lid")
    await emulator.wait_for_message(contact, text="por LID")
    assert [item.text for item in await emulator.inbox(contact)] == ["por número", "por LID"]


async def test_images_travel_both_ways(emulator: EmulatorProcess, clients: Clients, number: MakeNumber) -> None:
    phone, contact = number(), number()
    client = await clients.paired(phone)
    image = png()

    await client.send_image(contact, image, "a foto")
    item = await emulator.wait_for_message(contact)
    assert (item.type, item.caption, item.mime) == ("image", "a foto", "image/png")
    assert item.size > 0
    assert len(item.sha256) == 64

    sent = await emulator.send_image(contact, phone, image, caption="outra")
    message = await client.wait_for("Message")
    assert message.data["Message"]["imageMessage"]["caption"] == "outra"
    assert message.data["Info"]["MediaType"] == "image"
    assert await client.download(sent) == image


async def test_replies_and_reactions_say_what_they_are_about_both_ways(
    emulator: EmulatorProcess, clients: Clients, number: MakeNumber
) -> None:
    phone, contact = number(), number()
    client = await clients.paired(phone)
    asked = await emulator.send_text(contact, phone, "que horas são?")
    await client.wait_for("Message")

    await client.call("reply", to=contact, text="dez", about=asked, about_text="que horas são?")
    await client.call("react", to=contact, emoji="👍", about=asked)
    await emulator.wait_for_message(contact, text="👍")
    reply, reaction = await emulator.inbox(contact)
    assert (reply.type, reply.text, reply.about, reply.about_text) == ("text", "dez", asked, "que horas são?")
    assert (reaction.type, reaction.text, reaction.about) == ("reaction", "👍", asked)

    mark = client.mark()
    await emulator.send_text(contact, phone, "obrigada", about=reply.id)
    answer = await client.wait_for("Message", after=mark)
    assert answer.data["Message"]["extendedTextMessage"]["contextInfo"]["stanzaID"] == reply.id
    mark = client.mark()
    await emulator.send_reaction(contact, phone, "❤️", reply.id)
    reacted = await client.wait_for("Message", after=mark)
    assert reacted.data["Message"]["reactionMessage"]["key"]["ID"] == reply.id


async def test_what_came_while_the_client_was_away_waits_for_it_in_order(
    emulator: EmulatorProcess, clients: Clients, number: MakeNumber
) -> None:
    phone, contact = number(), number()
    client = await clients.paired(phone)
    sent = await client.send_text(contact, "até já")
    await client.wait_for("Receipt")
    start = await emulator.last_event()
    await client.kill()
    await emulator.wait_for("offline", phone, after=start)
    await emulator.read(contact, sent, phone)
    for text in ("um", "dois", "três"):
        await emulator.send_text(contact, phone, text)
    [session] = [s for s in await emulator.sessions() if s.phone == phone]
    assert (session.connected, session.offline_queue) == (False, 4)

    again = await clients.start(phone)
    await again.log_in()

    await again.wait_for("Message", where=lambda data: data["Message"]["conversation"] == "três")
    done = await again.wait_for("OfflineSyncCompleted")
    assert done.data["Count"] == 4
    preview = await again.wait_for("OfflineSyncPreview")
    assert (preview.data["Total"], preview.data["Message"]) == (4, 3)
    texts = [e.data["Message"]["conversation"] for e in again.events if e.name == "Message"]
    assert texts == ["um", "dois", "três"]
    await again.wait_for("Receipt")
    await emulator.wait_for("stanza", phone, where=lambda e: e.data["tag"] == "ack" and e.data["id"] == sent)
    [session] = [s for s in await emulator.sessions() if s.phone == phone]
    assert session.offline_queue == 0


async def test_only_numbers_that_exist_are_on_whatsapp(
    emulator: EmulatorProcess, clients: Clients, number: MakeNumber
) -> None:
    phone, here, gone = number(), number(), number()
    client = await clients.paired(phone)
    await emulator.exists(gone, False)

    assert await client.call("is_on_whatsapp", phones=[f"+{here}", f"+{gone}"]) == [True, False]
    with pytest.raises(CallError, match="no LID found"):
        await client.send_text(gone, "oi?")


async def test_two_accounts_of_the_emulator_write_to_each_other(
    emulator: EmulatorProcess, clients: Clients, number: MakeNumber
) -> None:
    one, other = await clients.paired(number()), await clients.paired(number())

    await one.send_text(other.phone, "daqui")
    message = await other.wait_for("Message")
    assert message.data["Message"]["conversation"] == "daqui"
    await other.send_text(one.phone, "de lá")
    answer = await one.wait_for("Message")
    assert answer.data["Message"]["conversation"] == "de lá"
    assert [item.text for item in await emulator.inbox(other.phone)] == ["daqui"]


async def test_a_client_that_logs_out_is_not_let_in_again(
    emulator: EmulatorProcess, clients: Clients, number: MakeNumber
) -> None:
    client = await clients.paired(number())
    await client.call("logout")
    await emulator.wait_for("logout", client.phone)
    assert [s for s in await emulator.sessions() if s.phone == client.phone] == []


async def test_a_contact_that_lost_its_keys_asks_again_and_gets_the_message(
    emulator: EmulatorProcess, clients: Clients, number: MakeNumber
) -> None:
    phone, contact = number(), number()
    client = await clients.paired(phone)
    await client.send_text(contact, "antes")
    await emulator.reinstall(contact)

    sent = await client.send_text(contact, "depois")

    item = await emulator.wait_for_message(contact, text="depois")
    assert item.id == sent
    unreadable = await emulator.events(kind="undecryptable", phone=phone)
    assert len([event for event in unreadable if event.data["id"] == sent]) == 2


async def test_a_client_that_lost_its_sessions_asks_again_and_gets_the_message(
    emulator: EmulatorProcess, clients: Clients, number: MakeNumber
) -> None:
    phone, contact = number(), number()
    client = await clients.paired(phone)
    await emulator.send_text(contact, phone, "antes")
    await client.wait_for("Message")
    await client.send_text(contact, "conheço você")
    await client.kill()
    with closing(sqlite3.connect(client.database)) as store, store:
        store.execute("DELETE FROM whatsmeow_sessions")
    again = await clients.start(phone)
    await again.log_in()

    sent = await emulator.send_text(contact, phone, "depois")

    await again.wait_for("UndecryptableMessage")
    message = await again.wait_for("Message")
    assert (message.data["Info"]["ID"], message.data["Message"]["conversation"]) == (sent, "depois")


async def test_contacts_write_in_bursts_and_all_is_found_in_one_list(
    emulator: EmulatorProcess, clients: Clients, number: MakeNumber
) -> None:
    phone, one, other = number(), number(), number()
    client = await clients.paired(phone)
    ids = await emulator.burst([one, other], phone, 5, "n{n}", first=10)
    await client.wait_for("Message", where=lambda data: data["Info"]["ID"] == ids[-1])
    await emulator.wait_for("receipt", phone, where=lambda event: event.data["id"] == ids[-1])

    letters = [letter for letter in await emulator.letters() if letter.to == phone]
    assert [letter.id for letter in letters] == ids
    assert [letter.text for letter in letters] == ["n10", "n11", "n12", "n13", "n14"]
    assert [letter.sender for letter in letters] == [one, other, one, other, one]
    assert all(letter.receipted is not None for letter in letters)

    before = (await emulator.arrivals()).next
    sent = await client.send_text(one, "oi")
    await emulator.wait_for_message(one, text="oi")
    [arrival] = (await emulator.arrivals(before)).items
    assert (arrival.to, arrival.id, arrival.sender, arrival.text) == (one, sent, phone, "oi")


async def test_a_slow_network_delivers_late_and_a_cut_ends_the_connection(
    emulator: EmulatorProcess, clients: Clients, number: MakeNumber
) -> None:
    phone, contact = number(), number()
    client = await clients.paired(phone)
    await emulator.send_text(contact, phone, "antes")
    await client.wait_for("Message")
    fault = await emulator.fault("slow", phone=phone, latency=0.2, second=2000)
    begun = time.monotonic()
    last = (await emulator.burst([contact], phone, 5, "n{n}"))[-1]
    await client.wait_for("Message", where=lambda data: data["Info"]["ID"] == last)
    assert time.monotonic() - begun > 0.2 + 4 * 200 / 2000
    await emulator.clear(fault)

    start = await emulator.last_event()
    await emulator.cut(phone)
    await emulator.wait_for("offline", phone, after=start)
    await emulator.wait_for("online", phone, after=start, timeout=20)
    assert await emulator.faults() == []
