"""What a client may do with connections that it need not pay for, and that the others are served all the same."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
from msgspec.structs import replace

from gateway.access.api_keys import ApiKeys
from gateway.http.server import AdminServer
from protocol.access import Role
from tests.integration.http.conftest import LIMITS, Entering
from tests.integration.http.test_routes import FRONT
from tests.unit.gateway.http.fake_node import FakeOperations, fake_backends

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]

HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
HOSTILE, OTHER = "127.0.0.2", "127.0.0.3"
"""Addresses of the loopback are networks of their own."""


@asynccontextmanager
async def connected(server: AdminServer, count: int, address: str) -> AsyncIterator[list[Pair]]:
    host, port = server.url.removeprefix("http://").split(":")
    pairs = [await asyncio.open_connection(host, int(port), local_addr=(address, 0)) for _ in range(count)]
    try:
        yield pairs
    finally:
        for _, writer in pairs:
            writer.close()
        for _, writer in pairs:
            with suppress(ConnectionError):
                await writer.wait_closed()


async def ask(pair: Pair) -> str:
    """How ``/health`` is answered; nothing if the connection is closed instead."""
    reader, writer = pair
    with suppress(ConnectionError, EOFError):
        writer.write(HEALTH)
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        await reader.readexactly(int(length.partition(b":")[2]))
        return head.split(b"\r\n")[0].decode()
    return ""


async def idle(pairs: Sequence[Pair]) -> None:
    """Have each answered, and kept open."""
    for pair in pairs:
        assert (await ask(pair)).endswith("200 OK")


async def slow_head(pairs: Sequence[Pair]) -> None:
    for _, writer in pairs:
        writer.write(b"GET /health HTTP/1.1\r\nHost: loc")
        await writer.drain()


async def slow_sign_in(pairs: Sequence[Pair]) -> None:
    """Without a key, a body may be announced."""
    for _, writer in pairs:
        writer.write(b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90\r\n\r\n{")
        await writer.drain()


async def takes_nothing(pairs: Sequence[Pair]) -> None:
    """Ask for more than the system keeps, and read none of it."""
    for _, writer in pairs:
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2000)


async def says_nothing(pairs: Sequence[Pair]) -> None:
    """They are connected."""


HOSTILITIES = (idle, slow_head, slow_sign_in, takes_nothing, says_nothing)


@pytest.mark.parametrize("hostile", HOSTILITIES)
async def test_who_holds_all_connections_shuts_nobody_out(
    server: AdminServer, hostile: Callable[[Sequence[Pair]], Awaitable[None]]
) -> None:
    async with AsyncExitStack() as open_:
        (first,) = await open_.enter_async_context(connected(server, 1, OTHER))
        theirs = await open_.enter_async_context(connected(server, LIMITS.connections - 1, HOSTILE))
        await hostile(theirs)
        probes = await open_.enter_async_context(connected(server, 3, OTHER))
        for pair in (first, *probes):
            assert (await ask(pair)).endswith("200 OK")


async def test_the_connection_that_has_waited_longest_makes_way(server: AdminServer) -> None:
    async with connected(server, LIMITS.connections, HOSTILE) as pairs:
        await idle(pairs)
        await ask(pairs[0])
        async with connected(server, 1, HOSTILE) as (new,):
            assert (await ask(new)).endswith("200 OK")
            assert await pairs[1][0].read() == b""
            assert (await ask(pairs[0])).endswith("200 OK")


async def test_a_clinic_that_keeps_open_all_it_may_does_not_shut_out_another(
    server: AdminServer, entering: Entering
) -> None:
    acme, bela = await entering(Role.VIEWER, "acme"), await entering(Role.VIEWER, "bela")
    own = f"GET /api/v1/clinics/acme HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {acme.headers['X-API-Key']}\r\n\r\n"
    async with connected(server, LIMITS.connections, HOSTILE) as pairs:
        for reader, writer in pairs:
            writer.write(own.encode())
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        async with bela.get("/api/v1/clinics/bela") as response:
            assert response.status == 200


async def test_what_is_answered_with_a_key_does_not_make_way(operations: FakeOperations, keys: ApiKeys) -> None:
    operations.hanging.add("connect")
    _, secret = await keys.make("k", Role.OPERATOR, None, made_by="test")
    backends = fake_backends(operations=operations, keys=keys)
    server = AdminServer("127.0.0.1", 0, backends, limits=replace(LIMITS, connections=4, request_s=60.0))
    await server.start()
    head = f"POST {FRONT}/connect HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {secret}\r\n\r\n".encode()
    async with connected(server, 3, HOSTILE) as busy, connected(server, 1, HOSTILE) as (waiting,):
        for _, writer in busy:
            writer.write(head)
        await begun(operations, 3)
        async with connected(server, 1, OTHER) as (other,):
            assert (await ask(other)).endswith("200 OK")
            assert await ask(waiting) == ""
            other[1].write(head)
            await begun(operations, 4)
            async with connected(server, 1, OTHER) as (refused,):
                assert await ask(refused) == ""
        await server.stop(timeout=0.2)
    assert [reader.at_eof() or await reader.read() == b"" for reader, _ in busy] == [True] * 3


async def begun(operations: FakeOperations, count: int) -> None:
    """Until so many are under way."""
    while sum(asked[0] == "connect" for asked in operations.asked) < count:
        operations.entered.clear()
        await operations.entered.wait()
