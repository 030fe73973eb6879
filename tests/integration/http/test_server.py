import asyncio
import socket
import threading

import aiohttp
import pytest

from gateway.http.server import AdminServer
from protocol.errors import UnavailableError
from tests.unit.gateway.access.made import admin_keys
from tests.unit.gateway.http.fake_node import FakeOperations, fake_backends

FRONT = "/api/v1/clinics/acme/channels/front"


def admin(port: int = 0, operations: FakeOperations | None = None) -> AdminServer:
    return AdminServer(
        "127.0.0.1", port, fake_backends(operations=operations or FakeOperations(), keys=admin_keys("k"))
    )


async def status_of(url: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/health") as response:
        return response.status


async def test_it_can_be_started_again_after_it_was_stopped() -> None:
    server = admin()
    for _ in range(2):
        await server.start()
        url = server.url
        assert await status_of(url) == 200
        await server.stop(timeout=1.0)
        with pytest.raises(aiohttp.ClientConnectorError):
            await status_of(url)


async def test_who_was_accepted_just_before_it_stopped_is_not_kept() -> None:
    server = admin()
    await server.start()
    running, loop = server._running, asyncio.get_running_loop()
    assert running is not None
    await server.stop(timeout=1.0)
    client, accepted = socket.socketpair()
    with client:
        client.setblocking(False)
        await loop.connect_accepted_socket(running._accept, accepted)
        async with asyncio.timeout(5):
            assert await loop.sock_recv(client, 1) == b""


async def test_it_is_found_where_it_was_when_it_is_started_again() -> None:
    server = admin()
    await server.start()
    url = server.url
    await server.start()
    assert server.url == url
    assert await status_of(url) == 200
    await server.stop(timeout=1.0)


async def test_stopping_what_does_not_run_is_harmless() -> None:
    await admin().stop(timeout=1.0)


async def test_a_port_that_is_taken_is_a_clear_error_that_leaves_nothing_behind() -> None:
    first = admin()
    await first.start()
    second = admin(int(first.url.rsplit(":", 1)[1]))

    with pytest.raises(UnavailableError, match=r"something else listens there; set http\.port"):
        await second.start()
    await first.stop(timeout=1.0)

    await second.start()
    await second.stop(timeout=1.0)


async def test_it_never_ends_by_itself() -> None:
    server = admin()
    await server.start()

    ended = asyncio.create_task(server.wait())
    await status_of(server.url)
    await server.stop(timeout=1.0)

    assert not ended.done()
    ended.cancel()


async def test_a_request_under_way_is_waited_for_and_cancelled_at_the_deadline() -> None:
    operations = FakeOperations(hanging={"connect"})
    server = admin(operations=operations)
    await server.start()

    async def connect() -> int:
        async with (
            aiohttp.ClientSession(headers={"X-API-Key": "k"}) as session,
            session.post(f"{server.url}{FRONT}/connect") as response,
        ):
            return response.status

    request = asyncio.create_task(connect())
    await operations.entered.wait()
    await server.stop(timeout=0.4)

    assert operations.cancelled.is_set()
    with pytest.raises(aiohttp.ClientError):
        await request


async def test_it_starts_again_in_place_of_a_run_whose_actor_crashed() -> None:
    server = admin()
    await server.start()
    await server.start()
    async with aiohttp.ClientSession() as session, session.get(f"{server.url}/health") as response:
        assert response.status == 200
    await server.stop(timeout=1.0)


async def test_stopping_ends_idle_connections_at_once_and_leaves_no_thread() -> None:
    server = admin()
    await server.start()
    async with aiohttp.ClientSession(headers={"X-API-Key": "k"}) as session:
        async with session.get(f"{server.url}/metrics") as response:
            assert response.status == 200
        async with asyncio.timeout(10):
            await server.stop(timeout=30.0)

    assert not [thread for thread in threading.enumerate() if thread.name.startswith("admin")]
