"""What changes, seen by a client over HTTP, on the board of actors."""

import asyncio
import json
import select
import socket
from contextlib import AsyncExitStack
from datetime import timedelta

import aiohttp
import pytest
from msgspec.structs import replace

from actors.board import Board
from actors.meters import NodeMeters
from gateway.access.api_keys import ApiKeys
from gateway.http import events
from gateway.http.server import AdminServer
from gateway.http.streams import PER_CLINIC, PER_KEY
from protocol.access import Role
from protocol.channel import ChannelState, QrCode
from tests.integration.http.conftest import LIMITS, Entering
from tests.integration.http.reader import EVENTS, Reader, watching
from tests.unit.actors.test_board import AT, channel, clinic
from tests.unit.gateway.http.fake_node import fake_backends

CODE = QrCode(code="2@secret", expires_at=AT + timedelta(seconds=20))


@pytest.fixture
def board() -> Board:
    """Of a node with three channels of two clinics."""
    made = Board()
    for of, names in {"acme": ("front", "back"), "bela": ("front",)}.items():
        made.put_clinic(clinic(of))
        for name in names:
            made.put_channel(channel(of, name))
    return made


async def test_a_stream_begins_with_the_whole_picture(operator: aiohttp.ClientSession, board: Board) -> None:
    async with operator.get(EVENTS) as response:
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert response.headers["Cache-Control"] == "no-store"
        assert await response.content.readline() == b"retry: 2000\n"
        reader = Reader(response)
        await reader.until("ready")
        shown = await (await operator.get("/api/v1/clinics")).json()

    names = [name for name, _, _ in reader.seen]
    assert names == ["reset", *["clinic"] * 2, *["channel"] * 3, *["counters"] * 2, "ready"]
    assert reader.seen[1][1].keys() == shown["items"][0].keys()
    assert reader.seen[-1][2] == f"{board.epoch}-{board.changes(None).version}"


async def test_what_changes_is_told_without_asking_and_the_newest_alone(
    operator: aiohttp.ClientSession, board: Board
) -> None:
    async with watching(operator, clinic="acme") as reader:
        await reader.until("ready")
        for queued in range(1000):
            board.put_channel(replace(channel("acme", "front"), queued=queued))
            board.put_channel(replace(channel("bela", "front"), queued=queued))
        while (await reader.event())[1].get("queued") != 999:
            pass

    told = [data for name, data, _ in reader.seen if name == "channel"]
    assert {one["clinic"] for one in told} == {"acme"}
    assert len(told) <= 5


async def test_a_code_is_shown_and_taken_away(operator: aiohttp.ClientSession, board: Board) -> None:
    async with watching(operator) as reader:
        await reader.until("ready")
        board.put_channel(replace(channel("acme", "front"), state=ChannelState.QR_REQUIRED), CODE)
        shown = await reader.until("qr")
        board.put_channel(channel("acme", "front"))
        gone = await reader.until("qr")

    assert shown == {"clinic": "acme", "channel": "front", "code": "2@secret", "expires_at": "2026-01-01T00:00:20Z"}
    assert gone == {"clinic": "acme", "channel": "front", "code": None, "expires_at": None}


async def test_each_sees_its_own_part_and_who_only_looks_no_codes(entering: Entering, board: Board) -> None:
    viewer = await entering(Role.VIEWER, "acme")
    board.put_channel(replace(channel("acme", "front"), state=ChannelState.QR_REQUIRED), CODE)
    async with watching(viewer) as reader:
        await reader.until("ready")
        board.drop_clinic("bela")
        board.drop_channel("acme", "front")
        await reader.until("gone")

    assert not any("bela" in json.dumps(data) for _, data, _ in reader.seen)
    assert "qr" not in {name for name, _, _ in reader.seen}
    for query, status in (("clinic=bela", 404), ("channel=front", 400), ("clinic=acme&channel=nobody", 404)):
        async with viewer.get(f"{EVENTS}?{query}") as response:
            assert (query, response.status) == (query, status)


async def test_a_stream_is_resumed_where_it_ended(operator: aiohttp.ClientSession, board: Board) -> None:
    async with watching(operator) as reader:
        await reader.until("ready")
    board.put_channel(replace(channel("acme", "back"), queued=7))

    async with watching(operator, last=reader.last_id) as resumed:
        await resumed.until("ready")
    told = [(name, data.get("queued")) for name, data, _ in resumed.seen if name != "counters"]
    assert told == [("channel", 7), ("ready", None)]


@pytest.mark.parametrize("last", ["00000000-1", "nonsense", "", "-"])
async def test_what_cannot_be_resumed_begins_anew(operator: aiohttp.ClientSession, last: str) -> None:
    async with watching(operator, last=last) as reader:
        assert (await reader.event())[0] == "reset"


async def test_counters_are_told_when_they_change(
    operator: aiohttp.ClientSession, board: Board, meters: NodeMeters
) -> None:
    async with watching(operator, clinic="acme") as reader:
        await reader.until("ready")
        meters.of("acme", "front").ended["sent"] += 2
        meters.of("bela", "front").ended["sent"] += 1
        counted = await reader.until("counters")

    assert counted["sent"] == 2
    assert counted["since"] == board.began_at.isoformat().replace("+00:00", "Z")
    assert [data["clinic"] for name, data, _ in reader.seen if name == "counters"] == ["acme", "acme"]


async def test_a_key_has_so_many_streams_and_gets_them_back(entering: Entering) -> None:
    client = await entering(Role.VIEWER, "acme")
    opened = [await client.get(EVENTS) for _ in range(PER_KEY)]
    async with client.get(EVENTS) as refused:
        assert (refused.status, refused.headers["Retry-After"]) == (429, "10")
    opened[0].close()
    status = 429
    while status == 429:  # until the server has heard of it
        async with client.get(EVENTS) as again:
            status = again.status
    for response in opened:
        response.close()


async def test_a_stream_ends_with_its_key(entering: Entering, keys: ApiKeys) -> None:
    client = await entering(Role.VIEWER, "acme")
    async with watching(client) as reader:
        await reader.until("ready")
        await keys.revoke(client.headers["X-Key-Id"])
        await reader.ended()


async def test_a_stream_ends_with_the_session_that_opened_it(server: AdminServer, key: str) -> None:
    async with aiohttp.ClientSession(server.url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        async with browser.post("/api/v1/session", json={"key": key}) as response:
            assert response.status == 200
        async with watching(browser) as reader:
            await reader.until("ready")
            async with browser.delete("/api/v1/session", headers={"Origin": server.url}) as response:
                assert response.status == 204
            await reader.ended()


async def test_one_clinics_streams_keep_nobody_out_not_even_its_own_requests(
    keys: ApiKeys, board: Board, meters: NodeMeters
) -> None:
    backends = fake_backends(keys=keys, live=board, meters=meters)
    server = AdminServer("127.0.0.1", 0, backends, limits=replace(LIMITS, connections=60))
    await server.start()
    secrets = [(await keys.make("k", Role.VIEWER, [of], made_by="test"))[1] for of in ("acme",) * 3 + ("bela",)]
    async with AsyncExitStack() as opened:
        clients = [
            await opened.enter_async_context(aiohttp.ClientSession(server.url, headers={"X-API-Key": secret}))
            for secret in secrets
        ]
        for client in clients[:2]:
            for _ in range(PER_KEY):
                assert (await opened.enter_async_context(client.get(EVENTS))).status == 200
        assert PER_CLINIC == 2 * PER_KEY
        async with clients[2].get(EVENTS) as refused, clients[2].get("/api/v1/clinics") as answered:
            assert (refused.status, answered.status) == (429, 200)
        assert (await opened.enter_async_context(clients[3].get(EVENTS))).status == 200
    await server.stop(timeout=1.0)


async def test_a_stream_ends_with_the_endpoint(operator: aiohttp.ClientSession, server: AdminServer) -> None:
    async with watching(operator) as reader:
        await reader.until("ready")
        stopping = asyncio.create_task(server.stop(timeout=30.0))
        await reader.ended()
    await asyncio.wait_for(stopping, 10.0)


async def test_who_takes_nothing_is_cut(
    server: AdminServer, key: str, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "STALLED_S", 0.2)
    for number in range(40):  # more than the system is to keep for a client that takes nothing
        board.put_channel(replace(channel("acme", f"c{number}"), reason="x" * 16_000))
    host, port = server.url.removeprefix("http://").split(":")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((host, int(port)))
        client.sendall(f"GET {EVENTS} HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {key}\r\n\r\n".encode())
        cut = select.poll()
        cut.register(client, select.POLLERR | select.POLLHUP)
        assert await asyncio.to_thread(cut.poll, 10_000)


async def test_a_look_at_the_head_ends_at_once(operator: aiohttp.ClientSession) -> None:
    async with operator.head(EVENTS) as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/event-stream")
