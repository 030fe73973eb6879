"""A port's whole life: pair, connect, write, hear, stop, come back."""

import hashlib
import io
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
from msgspec.structs import replace
from PIL import Image

from protocol.port import (
    Done,
    Failed,
    FetchMedia,
    LogOut,
    MediaFetched,
    PairingCodeIssued,
    Probe,
    Quote,
    RequestPairingCode,
    SendReaction,
    Sent,
)
from protocol.port_events import (
    BacklogDelivered,
    Connected,
    MessageReceived,
    PairingSucceeded,
    QrShown,
    ReceiptReceived,
)
from tests.emulator.client import EmulatorProcess
from tests.integration.whatsapp.conftest import MakeAccount, MakeNumber
from tests.integration.whatsapp.harness import answer_to, how, jid, media, send, text

pytestmark = pytest.mark.asyncio(loop_scope="session")


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(file, "PNG")
    return file.getvalue()


async def test_a_port_pairs_by_qr_code_and_connects(account: MakeAccount) -> None:
    clinic = account()
    port = await clinic.paired()

    shown, paired, connected = (clinic.heard.of(kind)[0] for kind in (QrShown, PairingSucceeded, Connected))
    assert isinstance(shown, QrShown)
    assert 50 < shown.valid_s <= 60, "the first one is good for longer than the others"
    assert isinstance(paired, PairingSucceeded)
    assert isinstance(connected, Connected)
    assert paired.jid == connected.jid
    assert connected.jid.startswith(f"{clinic.phone}:")
    assert connected.lid == paired.lid
    assert connected.phone == clinic.phone
    assert port.incarnation == 1
    assert os.getpgid(port.pid) == port.pid


async def test_a_port_pairs_by_a_code_typed_on_the_phone(account: MakeAccount, emulator: EmulatorProcess) -> None:
    clinic = account()
    port = await clinic.open()
    await clinic.heard.until(QrShown)
    answer = await port.call(RequestPairingCode(phone=clinic.phone), deadline=10)
    assert isinstance(answer, PairingCodeIssued)
    assert len(answer.code) == 9

    await emulator.pair_code(answer.code, clinic.phone)
    assert (await clinic.heard.until(Connected)).phone == clinic.phone


async def test_a_text_is_sent_as_phones_send_it_and_its_receipts_come(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic, contact = account(), number()
    port = await clinic.paired()
    await emulator.auto(contact, delivered=True, read=True)
    before = datetime.now(UTC) - timedelta(seconds=2)

    answer = await answer_to(port, text(contact, "bom dia @5511999999999 https://example.org"), deadline=10)

    assert isinstance(answer, Sent)
    assert before <= answer.at <= datetime.now(UTC) + timedelta(seconds=2)
    arrived = await emulator.wait_for_message(contact)
    assert (arrived.id, arrived.type, arrived.text) == (
        answer.wa_id,
        "text",
        "bom dia @5511999999999 https://example.org",
    )
    for kind in ("delivered", "read"):
        receipt = await clinic.heard.until(ReceiptReceived, lambda it, kind=kind: it.kind == kind)  # type: ignore[misc]
        assert receipt.wa_ids == [answer.wa_id]
        assert receipt.sender.endswith("@lid")


async def test_the_message_s_secret_is_stored_under_its_id(account: MakeAccount, number: MakeNumber) -> None:
    clinic = account()
    port = await clinic.paired()
    request = text(number())
    answer = await answer_to(port, request)
    assert isinstance(answer, Sent)
    assert await clinic.remains.ids_of([request.secret, b"another"], clinic.device) == {request.secret: answer.wa_id}
    (trace,) = await clinic.remains.traces(0, await clinic.remains.last_row())
    assert (trace.wa_id, trace.secret) == (answer.wa_id, request.secret)
    await port.stop(timeout=10)
    assert (await clinic.exited()).last_row == trace.row
    with closing(sqlite3.connect(clinic.store)) as store:
        assert store.execute("pragma journal_mode").fetchone() == ("wal",)


async def test_a_reply_and_a_reaction_name_their_message(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic, contact = account(), number()
    port = await clinic.paired()
    asked = await emulator.send_text(contact, clinic.phone, "what time?")
    message = await clinic.heard.until(MessageReceived)

    reply = replace(text(contact, "at nine"), quote=Quote(wa_id=asked, author=message.sender))
    reaction = SendReaction(key="1:thumb", secret=b"t" * 32, to=jid(contact), target=asked, from_me=False, emoji="👍")
    assert all(isinstance(outcome.answer, Sent) for outcome in await send(port, reply, reaction))

    items = {item.type: item for item in await emulator.inbox(contact)}
    assert (items["text"].text, items["text"].about) == ("at nine", asked)
    assert (items["reaction"].text, items["reaction"].about) == ("👍", asked)


async def test_an_image_goes_out_and_comes_in_unchanged(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic, contact, image = account(), number(), picture()
    port = await clinic.paired()
    request = media(contact, "image", image, "image/png", caption="x-ray")
    assert isinstance(await answer_to(port, request), Sent)
    arrived = await emulator.wait_for_message(contact)
    assert (arrived.type, arrived.caption, arrived.mime) == ("image", "x-ray", "image/png")
    assert arrived.sha256 == hashlib.sha256(image).hexdigest()

    await emulator.send_image(contact, clinic.phone, image, caption="my exam")
    message = await clinic.heard.until(MessageReceived)
    assert message.type == "image"
    assert message.text == "my exam"
    assert message.media is not None
    assert message.media.sha256 == hashlib.sha256(image).hexdigest()
    assert message.media.size == len(image)
    fetched = await port.call(FetchMedia(reference=message.media.reference), deadline=20)
    assert fetched == MediaFetched(data=image)


async def test_a_message_comes_in_whole_by_lid_and_by_phone_number(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic, contact = account(), number()
    await clinic.paired()
    addressings: tuple[Literal["lid", "pn"], ...] = ("lid", "pn")
    for addressing in addressings:
        sent = await emulator.send_text(contact, clinic.phone, f"by {addressing}", addressing=addressing)
        message = await clinic.heard.until(MessageReceived, lambda it, sent=sent: it.wa_id == sent)  # type: ignore[misc]
        assert (message.type, message.text) == ("text", f"by {addressing}")
        assert message.sender_phone == contact
        assert message.sender_lid == f"77{contact}@lid"
        assert message.chat == message.sender
        assert message.chat.endswith("@lid" if addressing == "lid" else "@s.whatsapp.net")
        assert not message.is_group
        assert not message.from_me
        assert not message.backlog
        assert message.push_name


async def test_contacts_get_their_second_tick(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic, contact = account(), number()
    await clinic.paired()
    sent = await emulator.send_text(contact, clinic.phone, "did you get this?")
    receipt = await emulator.wait_for("receipt", where=lambda event: sent in str(event.data))
    assert receipt.data.get("type") in ("", "delivered", None), receipt.data


async def test_a_stopped_port_comes_back_without_pairing_and_marks_what_waited(
    account: MakeAccount, emulator: EmulatorProcess, number: MakeNumber
) -> None:
    clinic, contact = account(), number()
    port = await clinic.paired()
    await port.stop(timeout=10)
    assert how(await clinic.exited()) == ("stopped", True)
    waiting = await emulator.send_text(contact, clinic.phone, "are you there?")

    port = await clinic.connected()
    assert port.incarnation == 2
    assert not clinic.heard.of(QrShown)
    assert (await clinic.heard.until(MessageReceived, lambda it: it.wa_id == waiting)).backlog
    await clinic.heard.until(BacklogDelivered)
    fresh = await emulator.send_text(contact, clinic.phone, "hello again")
    assert not (await clinic.heard.until(MessageReceived, lambda it: it.wa_id == fresh)).backlog


async def test_a_probe_makes_a_round_trip_to_the_server(account: MakeAccount, emulator: EmulatorProcess) -> None:
    clinic = account()
    port = await clinic.paired()
    assert await port.call(Probe(), deadline=10) == Done()
    await emulator.fault("iq_error", xmlns="blocklist", code=500)
    answer = await port.call(Probe(), deadline=10)
    assert isinstance(answer, Failed)
    assert answer.code == "server_error"


async def test_after_logging_out_a_new_pairing_is_needed(account: MakeAccount, emulator: EmulatorProcess) -> None:
    clinic = account()
    port = await clinic.paired()
    assert await port.call(LogOut(), deadline=10) == Done()
    assert isinstance(await port.call(Probe(), deadline=10), Failed)
    await port.stop(timeout=10)
    assert all(session.phone != clinic.phone for session in await emulator.sessions())

    await clinic.open()
    await clinic.heard.until(QrShown)


async def test_a_path_that_means_something_in_a_uri_is_taken_as_it_is(account: MakeAccount, tmp_path: Path) -> None:
    store = tmp_path / "50%41 #1?x=y&z" / "sess ção%20.db"
    clinic = account(store=store)
    port = await clinic.paired()
    await port.stop(timeout=10)
    assert store.exists()
    assert {path.name.removeprefix(store.name) for path in store.parent.iterdir()} <= {
        "",
        "-wal",
        "-shm",
        ".lock",
        ".journal",
    }
    assert store.stat().st_mode & 0o077 == 0
    assert store.parent.stat().st_mode & 0o077 == 0


async def test_the_channel_s_own_proxy_is_used(account: MakeAccount, emulator: EmulatorProcess) -> None:
    clinic = account()
    await clinic.open(proxy="http://127.0.0.1:9")
    end = await clinic.exited()
    assert "connect() raised: failed to dial whatsapp web websocket" in end.reason
    await clinic.open(proxy=emulator.ready.proxy)
    await clinic.heard.until(QrShown)
