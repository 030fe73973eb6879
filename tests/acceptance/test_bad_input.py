"""Whatever is wrong is said, by field; nothing is lost and nobody else is disturbed."""

import asyncio
import json
from typing import Any

import msgpack
import pytest
from nats.errors import NoRespondersError
from nats.js.errors import NoStreamResponseError

from tests.acceptance.node import Listener, Node, NodeError, settings
from tests.acceptance.phones import Phones
from tests.emulator.client import EmulatorProcess

PHONE, ANA = "5511900000001", "5511888000001"
GOOD = {"v": 1, "id": "x", "to": ANA, "type": "text", "text": "oi"}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"v": 2}, "v"),
        ({"to": "abc"}, "to"),
        ({"to": 5}, "to"),
        ({"type": "fax"}, "type"),
        ({"text": None}, "text"),
        ({"text": "x" * 70_000}, "text"),
        ({"type": "image"}, "media"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"on_uncertain": "perhaps"}, "on_uncertain"),
        ({"type": "location"}, "type location"),
        ({"not_before": "2030-01-02T00:00:00Z", "expires_at": "2030-01-01T00:00:00Z"}, "expires_at"),
    ],
)
async def test_a_wrong_command_is_refused_by_name(
    bad: tuple[Node, Listener], wrong: dict[str, Any], field: str
) -> None:
    _, service = bad
    command_id = f"w{abs(hash(json.dumps(wrong)))}"
    await service.send("acme", "reception", {**GOOD, "id": command_id, **wrong})
    result = await service.until("result", id=command_id)
    assert (result["status"], result["error"]["permanent"]) == ("failed", True)
    assert field in result["error"]["message"]
    letter = await service.until("dead", id=command_id)
    assert letter["error"] == result["error"]


@pytest.mark.parametrize("body", [b"not a body", b"{", b"[1]", b"\xc1", b"\x93", msgpack.packb({"v": 1}), b"{}"])
async def test_a_body_without_an_id_is_a_dead_letter(bad: tuple[Node, Listener], body: bytes) -> None:
    _, service = bad
    await service.send("acme", "reception", body)
    letter = await service.until("dead", id=None, body=body)
    assert letter["error"]["code"] == "invalid_command"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/v1/clinics/nobody", None, 404),
        ("GET", "/api/v1/clinics/acme/channels/nobody", None, 404),
        ("POST", "/api/v1/clinics", {"id": "acme", "name": "Again"}, 409),
        ("POST", "/api/v1/clinics", {"id": "../etc", "name": "x"}, 400),
        ("POST", "/api/v1/clinics/acme/channels", {"id": "reception", "name": "Again"}, 409),
        ("POST", "/api/v1/clinics/acme/channels/reception/send", {**GOOD, "to": "x"}, 400),
        ("GET", "/api/v1/clinics/acme/channels/reception/nothing", None, 404),
    ],
)
async def test_http_says_what_is_wrong(
    bad: tuple[Node, Listener], method: str, path: str, body: Any, status: int
) -> None:
    node, _ = bad
    with pytest.raises(NodeError) as refused:
        await node.request(method, path, body)
    assert refused.value.status in (status, 422 if status == 400 else status)


async def test_rpc_says_what_is_wrong(bad: tuple[Node, Listener]) -> None:
    _, service = bad
    assert (await service.rpc("acme", "nobody", "status"))["error"]["code"] == "not_found"
    assert "error" in await service.rpc("acme", "reception", "pair", b"nonsense")


async def test_after_all_that_the_channel_still_sends(bad: tuple[Node, Listener], emulator: EmulatorProcess) -> None:
    node, service = bad
    await Phones(node, emulator, service).scan("acme", "reception", PHONE)
    for body in (b"garbage", json.dumps({**GOOD, "id": "bad", "to": "x"}).encode(), json.dumps(GOOD).encode()):
        await service.send("acme", "reception", body)
    assert (await service.until("result", id="x"))["status"] == "sent"


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"http": {"prot": 80}}, "http.port"),
        ({"http": {"host": "0.0.0.0"}}, "http.host"),
        ({"outbox": {"attempts": 0}}, "outbox.attempts"),
        ({"nats": {"port": "many"}}, "nats.port"),
    ],
)
async def test_a_wrong_setting_is_exit_code_2(
    tmp_path_factory: pytest.TempPathFactory, emulator: EmulatorProcess, extra: dict[str, Any], words: str
) -> None:
    node = Node(tmp_path_factory.mktemp("wrong"), settings(emulator.ready, extra))
    with pytest.raises(NodeError, match="ended with 2") as refused:
        await asyncio.to_thread(node.start)
    assert words in str(refused.value)


async def test_a_taken_port_is_said(tmp_path_factory: pytest.TempPathFactory, emulator: EmulatorProcess) -> None:
    async with await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0) as taken:
        port = taken.sockets[0].getsockname()[1]
        for section in ("nats", "http"):
            node = Node(tmp_path_factory.mktemp("taken"), settings(emulator.ready, {section: {"port": port}}))
            with pytest.raises(NodeError, match=r"ended with [12]") as refused:
                await asyncio.to_thread(node.start)
            assert str(port) in str(refused.value)
            assert f"{section}.port" in str(refused.value)


async def test_a_corrupt_session_store_is_an_error_that_names_it(
    bad: tuple[Node, Listener], emulator: EmulatorProcess
) -> None:
    node, service = bad
    await Phones(node, emulator, service).scan("acme", "reception", PHONE)
    await service.rpc("acme", "reception", "disconnect")
    store = node.runtime / "clinics" / "acme" / "reception.db"
    for suffix in ("-wal", "-shm"):
        store.with_name(store.name + suffix).unlink(missing_ok=True)
    store.write_bytes(b"this is no database" * 1000)
    await service.rpc("acme", "reception", "connect")
    assert "reception.db" in (await service.until("state", state="error"))["reason"]


async def test_a_corrupt_clinic_database_stops_that_clinic_alone(
    tmp_path_factory: pytest.TempPathFactory, emulator: EmulatorProcess
) -> None:
    node = Node(tmp_path_factory.mktemp("corrupt"), settings(emulator.ready))
    async with node:
        await node.add("acme", "reception")
        await node.add("bela", "reception")
    ledger = node.data / "clinics" / "acme" / "clinic.db"
    ledger.write_bytes(b"this is no database" * 1000)
    async with node, await node.listen() as service:
        since = len(service.seen("state", clinic="bela", state="qr_required"))
        await service.until("state", clinic="bela", state="qr_required", count=since + 1)
        acme = await node.clinic_in("acme", "error")
        assert "clinic.db" in acme["reason"]


@pytest.mark.parametrize("subject", ["clinic.acme.channel.nobody.send", "clinic.nobody.channel.reception.send"])
async def test_a_command_to_nobody_is_refused_at_once(bad: tuple[Node, Listener], subject: str) -> None:
    _, service = bad
    with pytest.raises((NoRespondersError, NoStreamResponseError)):
        await service.connection.jetstream().publish(subject, json.dumps(GOOD).encode())
