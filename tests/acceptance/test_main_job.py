"""The main job as its users see it: pair, send, receive, restart; over the command line, NATS and HTTP."""

import asyncio
import base64
import hashlib
import io
import json

import msgpack
import pytest
from PIL import Image

from tests.acceptance.node import Listener, Node, NodeError, settings
from tests.acceptance.phones import Phones
from tests.emulator.client import EmulatorProcess

PHONE, OTHER_PHONE = "5511900000001", "5511900000002"
ANA, BIA = "5511888000001", "5511888000002"


def picture() -> bytes:
    """A small PNG."""
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "teal").save(buffer, "PNG")
    return buffer.getvalue()


async def test_a_channel_pairs_by_qr_sends_and_receives(
    node: Node, service: Listener, phones: Phones, emulator: EmulatorProcess
) -> None:
    await phones.pair("acme", ("reception", PHONE))
    await emulator.auto(ANA, read=True)
    command = {
        "v": 1,
        "id": "lembrete-1",
        "to": ANA,
        "type": "text",
        "text": "Consulta amanhã às 10 h",
        "meta": {"n": 7},
    }
    await service.send("acme", "reception", command)
    result = await service.until("result", id="lembrete-1")
    assert (result["status"], result["attempts"], result["meta"], result["error"]) == ("sent", 1, {"n": 7}, None)
    item = await emulator.wait_for_message(ANA)
    assert (item.id, item.text, item.type) == (result["wa_id"], "Consulta amanhã às 10 h", "text")
    for kind in ("delivered", "read"):
        receipt = await service.until("receipt", type=kind)
        assert (receipt["wa_id"], receipt["id"], receipt["meta"]) == (result["wa_id"], "lembrete-1", {"n": 7})

    sent = await emulator.send_text(ANA, PHONE, "Confirmo!", about=item.id)
    message = await service.until("message")
    assert (message["wa_id"], message["text"], message["type"]) == (sent, "Confirmo!", "text")
    assert (message["from_phone"], message["backlog"], message["from_me"]) == (ANA, False, False)
    assert message["reply_to"]["id"] == item.id
    channel = await node.channel("acme", "reception")
    assert (channel["state"], channel["phone"], channel["queued"]) == ("connected", PHONE, 0)


async def test_a_channel_pairs_by_a_typed_code(node: Node, service: Listener, emulator: EmulatorProcess) -> None:
    await node.add("acme", "reception")
    answer = await node.act("acme", "reception", "pair", {"phone": PHONE})
    await emulator.pair_code(answer["code"], PHONE)
    await service.until("state", clinic="acme", channel="reception", state="connected")
    with pytest.raises(NodeError, match="paired already") as refused:
        await node.act("acme", "reception", "pair", {"phone": PHONE})
    assert refused.value.status == 409


async def test_stored_credentials_bring_a_channel_back_without_a_code(
    node: Node, service: Listener, phones: Phones, emulator: EmulatorProcess
) -> None:
    await phones.pair("acme", ("reception", PHONE))
    await node.close_http()
    await service.stop()
    assert node.stop() == 0
    missed = await emulator.send_text(ANA, PHONE, "Alguém aí?")
    async with node, await node.listen() as again:
        await again.until("state", state="connected", count=2)
        message = await again.until("message", wa_id=missed)
        assert message["backlog"] is True
        await again.send("acme", "reception", {"v": 1, "id": "depois", "to": ANA, "type": "text", "text": "Agora sim"})
        assert (await again.until("result", id="depois"))["status"] == "sent"
        assert len(again.seen("qr")) == len({event["code"] for event in again.seen("qr")})
        assert not [event for event in again.seen("state", state="qr_required") if event["since"] > message["at"]]


async def test_images_travel_both_ways(service: Listener, phones: Phones, emulator: EmulatorProcess) -> None:
    await phones.pair("acme", ("reception", PHONE))
    image = picture()
    media = {"data": base64.b64encode(image).decode(), "mime": "image/png", "caption": "mapa"}
    await service.send("acme", "reception", {"v": 1, "id": "mapa", "to": ANA, "type": "image", "media": media})
    assert (await service.until("result", id="mapa"))["status"] == "sent"
    item = await emulator.wait_for_message(ANA)
    assert (item.type, item.caption, item.size) == ("image", "mapa", len(image))
    assert item.sha256 == hashlib.sha256(image).hexdigest()

    await emulator.send_image(ANA, PHONE, image, caption="exame")
    message = await service.until("message", type="image")
    assert (message["media"]["caption"], message["media"]["error"]) == ("exame", None)
    assert message["media"]["sha256"] == hashlib.sha256(image).hexdigest()


async def test_replies_and_reactions_name_the_message_they_are_about(
    service: Listener, phones: Phones, emulator: EmulatorProcess
) -> None:
    await phones.pair("acme", ("reception", PHONE))
    asked = await emulator.send_text(ANA, PHONE, "Que horas?")
    message = await service.until("message", wa_id=asked)
    reply = {"v": 1, "id": "r1", "to": message["chat"], "type": "text", "text": "Às 10", "reply_to": {"id": asked}}
    await service.send("acme", "reception", reply)
    await service.until("result", id="r1", status="sent")
    assert (await emulator.wait_for_message(ANA, text="Às 10")).about == asked
    reaction = {"v": 1, "id": "r2", "to": message["chat"], "type": "reaction", "text": "👍", "target": asked}
    await service.send("acme", "reception", reaction)
    await service.until("result", id="r2", status="sent")
    assert (await emulator.inbox(ANA))[-1].about == asked


async def test_an_id_that_comes_again_is_sent_once(
    service: Listener, phones: Phones, emulator: EmulatorProcess
) -> None:
    await phones.pair("acme", ("reception", PHONE))
    command = {"v": 1, "id": "once", "to": ANA, "type": "text", "text": "uma vez"}
    await service.send("acme", "reception", command)
    first = await service.until("result", id="once", repeat=False)
    await service.send("acme", "reception", msgpack.packb(command))
    repeat = await service.until("result", id="once", repeat=True)
    assert (repeat["wa_id"], repeat["status"]) == (first["wa_id"], "sent")
    await service.send("acme", "reception", {**command, "text": "outra"})
    conflict = await service.until("result", id="once", status="failed")
    assert conflict["error"]["code"] == "id_conflict"
    assert [item.text for item in await emulator.inbox(ANA)] == ["uma vez"]


async def test_two_clinics_are_served_at_once_and_see_nothing_of_each_other(
    service: Listener, phones: Phones, emulator: EmulatorProcess
) -> None:
    await phones.pair("acme", ("reception", PHONE))
    await phones.pair("bela", ("reception", OTHER_PHONE))
    for clinic, contact in (("acme", ANA), ("bela", BIA)):
        command = {"v": 1, "id": "same-id", "to": contact, "type": "text", "text": f"de {clinic}"}
        await service.send(clinic, "reception", command)
    for clinic, contact in (("acme", ANA), ("bela", BIA)):
        await service.until("result", clinic=clinic, id="same-id", status="sent")
        assert [item.text for item in await emulator.inbox(contact)] == [f"de {clinic}"]
    await emulator.send_text(BIA, OTHER_PHONE, "para bela")
    assert (await service.until("message"))["clinic"] == "bela"
    assert len(service.seen("message")) == 1


async def test_the_command_line_does_the_main_job(node: Node, service: Listener, emulator: EmulatorProcess) -> None:
    await node.cli("clinic", "add", "acme", "--name", "Clínica Acme")
    await node.cli("channel", "add", "acme", "reception")
    code = await service.until("qr")
    await emulator.scan(code["code"], PHONE)
    await service.until("state", state="connected")
    status = json.loads(await node.cli("channel", "status", "acme", "reception", "--json"))
    assert (status["state"], status["phone"]) == ("connected", PHONE)
    await node.cli("send", "acme", "reception", "--to", ANA, "--text", "pela linha de comando", "--id", "cli-1")
    await service.until("result", id="cli-1", status="sent")
    assert "reception" in await node.cli("channel", "list", "--clinic", "acme")
    await node.cli("channel", "remove", "acme", "reception", "--yes")
    await node.cli("clinic", "remove", "acme", "--yes")
    assert json.loads(await node.cli("clinic", "list", "--json"))["items"] == []


async def test_rpc_and_http_do_what_the_command_line_does(
    node: Node, service: Listener, phones: Phones, emulator: EmulatorProcess
) -> None:
    await phones.pair("acme", ("reception", PHONE))
    assert (await service.rpc("acme", "reception", "status"))["state"] == "connected"
    assert (await service.rpc("acme", "reception", "disconnect"))["state"] == "disconnected"
    assert (await node.act("acme", "reception", "connect"))["state"] == "initializing"
    await service.until("state", state="connected", count=2)
    send = {"v": 1, "id": "http-1", "to": ANA, "type": "text", "text": "por HTTP"}
    assert await node.act("acme", "reception", "send", send) == {"id": "http-1", "queued": True}
    await service.until("result", id="http-1", status="sent")
    assert (await service.rpc("acme", "reception", "logout"))["state"] == "logged_out"
    metrics = (await node.request("GET", "/metrics")).decode()
    assert 'plantao_channels{clinic="acme",state="logged_out"} 1.0' in metrics
    await node.act("acme", "reception", "pair")
    png = await node.request("GET", "/api/v1/clinics/acme/channels/reception/qr.png")
    assert Image.open(io.BytesIO(png)).format == "PNG"


async def test_a_second_node_on_the_same_data_is_refused(node: Node, emulator: EmulatorProcess) -> None:
    second = Node(node.directory, settings(emulator.ready))
    with pytest.raises(NodeError, match="another node"):
        await asyncio.to_thread(second.start)


async def test_a_second_node_on_the_same_runtime_directory_is_refused_and_the_first_goes_on(
    node: Node, emulator: EmulatorProcess
) -> None:
    second = Node(node.directory / "second", settings(emulator.ready))
    second.runtime = node.runtime
    broker = node.child("nats-server")
    with pytest.raises(NodeError, match=r"another node .* use another runtime directory"):
        await asyncio.to_thread(second.start)
    assert node.child("nats-server") == broker
    assert (await node.request("GET", "/ready"))["ready"]
