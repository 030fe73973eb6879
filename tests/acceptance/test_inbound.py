"""What patients do, as services hear of it: edits and revocations, opting out, media, what nobody can read, gaps."""

import base64
import hashlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest
from nats.js.object_store import ObjectStore

from tests.acceptance.node import Listener, Node
from tests.acceptance.phones import Phones
from tests.emulator.api import File
from tests.emulator.client import EmulatorProcess

PHONE, ANA, BIA = "5511900000001", "5511888000001", "5511888000002"
FRONT = ("acme", "reception")
SOUND = b"OggS\x00" + bytes(range(256)) * 40
"""Of its own it says that it plays for some million years."""
PAPER = b"%PDF-1.4\n" + bytes(range(255, -1, -1)) * 900

pytestmark = pytest.mark.usefixtures("paired")


@pytest.fixture
async def paired(phones: Phones) -> None:
    """``acme/reception``, connected."""
    await phones.pair("acme", ("reception", PHONE))


def text(id: str, to: str = ANA) -> dict[str, Any]:
    """A command that says its id."""
    return {"v": 1, "id": id, "to": to, "type": "text", "text": id}


async def suspended(node: Node, service: Listener, emulator: EmulatorProcess) -> dict[str, Any]:
    """Suspend the channel, and wait until its socket is closed; the event that said so."""
    after = await emulator.last_event()
    await node.act(*FRONT, "suspend")
    state = await service.until("state", state="suspended")
    await emulator.wait_for("offline", PHONE, after=after)
    return state


async def test_edits_and_revocations_are_events_that_name_the_message(
    service: Listener, emulator: EmulatorProcess
) -> None:
    said = await emulator.send_text(ANA, PHONE, "Às 10")
    edited = await emulator.edit(ANA, PHONE, "Às 11", said)
    revoked = await emulator.revoke(ANA, PHONE, said)
    await service.until("message", wa_id=revoked)
    fields = ("wa_id", "type", "text", "target", "edited", "revoked")
    assert [tuple(event[name] for name in fields) for event in service.seen("message")] == [
        (said, "text", "Às 10", None, False, False),
        (edited, "edit", "Às 11", said, True, False),
        (revoked, "revoke", None, said, False, True),
    ]


async def test_who_opts_out_is_not_written_to_until_they_opt_in_again(
    service: Listener, emulator: EmulatorProcess
) -> None:
    await emulator.send_text(ANA, PHONE, "Pode parar o remédio?")
    assert (await service.until("message"))["opted_out"] is None
    await emulator.send_text(ANA, PHONE, " Sair! ")
    assert (await service.until("message", count=2))["opted_out"] is True
    await service.send(*FRONT, text("refused"))
    await service.send(*FRONT, text("to-another", BIA))
    refused = await service.until("result", id="refused")
    assert (refused["status"], refused["error"]["code"], refused["attempts"]) == ("failed", "opted_out", 0)
    assert refused["error"]["permanent"] is True
    await service.until("result", id="to-another", status="sent")

    await emulator.send_text(ANA, PHONE, "voltar")
    assert (await service.until("message", count=3))["opted_out"] is False
    await service.send(*FRONT, text("welcome"))
    await service.until("result", id="welcome", status="sent")
    assert [item.text for item in await emulator.inbox(ANA)] == ["welcome"]


async def test_opting_out_outlives_the_main_process(node: Node, service: Listener, emulator: EmulatorProcess) -> None:
    await emulator.send_text(ANA, PHONE, "PARAR")
    await service.until("message", opted_out=True)
    await service.stop()
    await node.close_http()
    node.kill()
    async with node, await node.listen() as again:
        await again.send(*FRONT, text("refused"))
        refused = await again.until("result", id="refused")
        assert (refused["status"], refused["error"]["code"]) == ("failed", "opted_out")
    assert await emulator.inbox(ANA) == []


async def test_what_cannot_be_decrypted_is_told_and_comes_again(
    node: Node, service: Listener, emulator: EmulatorProcess
) -> None:
    """The keys of the conversation are lost, as after a restored session store."""
    await service.send(*FRONT, text("hello"))
    await service.until("result", id="hello", status="sent")
    await emulator.send_text(ANA, PHONE, "before")
    await service.until("message", text="before")
    await suspended(node, service, emulator)
    with closing(sqlite3.connect(node.runtime / "clinics" / "acme" / "reception.db")) as store, store:
        store.execute("DELETE FROM whatsmeow_sessions")
    sent = await emulator.send_text(ANA, PHONE, "Socorro")
    await node.act(*FRONT, "resume")

    lost = await service.until("message", type="undecryptable")
    assert (lost["wa_id"], lost["text"]) == (sent, None)
    found = await service.until("message", wa_id=sent, type="text")
    assert found["text"] == "Socorro"
    assert (await node.channel(*FRONT))["undecryptable"] == 1
    gap = await service.until("gap", count=2)
    assert (gap["announced"], gap["arrived"], gap["undecryptable"], gap["lost"]) == (1, 1, 1, [])


async def test_a_gap_report_says_what_waited_and_what_came(
    node: Node, service: Listener, emulator: EmulatorProcess
) -> None:
    state = await suspended(node, service, emulator)
    sent = [await emulator.send_text(ANA, PHONE, f"n{number}") for number in range(5)]
    await node.act(*FRONT, "resume")
    gap = await service.until("gap", count=2)
    assert (gap["announced"], gap["arrived"], gap["undecryptable"], gap["lost"]) == (5, 5, 0, [])
    assert gap["since"] >= state["since"]
    await service.until("message", count=5)
    assert [(event["wa_id"], event["backlog"]) for event in service.seen("message")] == [(id_, True) for id_ in sent]
    await emulator.send_text(ANA, PHONE, "now")
    assert (await service.until("message", text="now"))["backlog"] is False


@asynccontextmanager
async def objects(node: Node, clinic: str) -> AsyncIterator[ObjectStore]:
    """The clinic's media, by the login of its own services."""
    connection = await node.login(clinic)
    try:
        yield await connection.jetstream().object_store("media")
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "file",
    [
        File(kind="audio", data=SOUND, mime="audio/ogg; codecs=opus", voice=True),
        File(kind="document", data=PAPER, mime="application/pdf", filename="exame.pdf", caption="o exame"),
    ],
    ids=["audio", "document"],
)
async def test_files_travel_both_ways_through_the_clinics_object_store(
    node: Node, service: Listener, emulator: EmulatorProcess, file: File
) -> None:
    await emulator.send_file(ANA, PHONE, file)
    message = await service.until("message")
    media = message["media"]
    digest = hashlib.sha256(file.data).hexdigest()
    assert (message["type"], media["error"], media["sha256"], media["size"]) == (
        file.kind,
        None,
        digest,
        len(file.data),
    )
    assert (media["filename"] or "", media["caption"] or "") == (file.filename, file.caption)
    async with objects(node, "acme") as store:
        stored = await store.get(media["object"])
        assert (stored.data, stored.info.headers) == (file.data, {"Content-Type": [media["mime"]]})
        await store.put("answer", file.data[::-1])

    outside = {"object": "answer", "mime": file.mime.partition(";")[0], "voice": file.voice}
    outside |= {"filename": file.filename, "caption": file.caption} if file.filename else {}
    inline = {**outside, "data": base64.b64encode(file.data).decode()}
    del inline["object"]
    for id_, body in (("stored", outside), ("inline", inline)):
        await service.send(*FRONT, {"v": 1, "id": id_, "to": ANA, "type": file.kind, "media": body})
        await service.until("result", id=id_, status="sent")
    digests = [hashlib.sha256(file.data[::-1]).hexdigest(), digest]
    assert [(item.type, item.sha256) for item in await emulator.inbox(ANA)] == [(file.kind, each) for each in digests]
    assert {(item.voice, item.filename, item.caption) for item in await emulator.inbox(ANA)} == {
        (file.voice, file.filename, file.caption)
    }
