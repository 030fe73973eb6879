"""Bytes that no client would send: each is answered with a problem or with nothing, and the others are served on."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.access.api_keys import ApiKeys
from gateway.http.server import AdminServer
from tests.integration.http.conftest import LIMITS
from tests.integration.http.test_routes import API, ask
from tests.unit.gateway.http.fake_node import FakeHealth, FakeOperations, fake_backends

_METHODS = st.sampled_from(
    [b"GET", b"POST", b"GET", b"POST", b"DELETE", b"PATCH", b"OPTIONS", b"HEAD", b"TRACE", b"get"]
)
_PATHS = st.sampled_from(
    [
        b"/health", b"/ready", b"/%00%ff%2e%2e/", b"//", b"*", b"http://localhost/ready", b"/\xff",
        f"{API}/clinics?clinic=%00".encode(), f"{API}/channels?clinic=%ff&state=".encode(), f"{API}/clinics".encode(),
        f"{API}/clinics/acme/channels/front/send?priority=%F0%9F".encode(), f"{API}/clinics/a%2Fb/stats".encode(),
        f"{API}/clinics/acme/channels/front/messages?limit=-1&cursor=%00".encode(), f"{API}/tree?depth=1e9".encode(),
        f"{API}/clinics/acme/channels/front/dead?cursor={'x' * 3000}".encode(), f"{API}/keys/%0d%0aX: y".encode(),
        f"{API}/clinics/acme/channels/front/send".encode(), f"{API}/keys".encode(), f"{API}/openapi.json".encode(),
    ]
)  # fmt: skip
_HARMLESS = st.sampled_from(
    [
        b"Accept: */*", b"Origin: http://localhost", b"Connection: close", b"Access-Control-Request-Method: POST",
        b"Range: bytes=0-", b"Content-Type: application/json", b"Content-Type: application/msgpack",
        b"X-HTTP-Method-Override: DELETE", b"If-None-Match: *", b"Expect: 100-continue", b"Sec-WebSocket-Key: x",
    ]
)  # fmt: skip
_HOSTILE = st.sampled_from(
    [
        b"X-API-Key: \xff\xfe", b"Authorization: ", b"Host: \xff", b"Host: [::1", b"Host: a:b:c", b"Origin: null",
        b"Content-Type: \xff/;;=", b"Content-Length: 10", b"Content-Length: -1", b"Content-Length: 9999999999999999999",
        b"Content-Encoding: gzip", b"Transfer-Encoding: chunked", b"Expect: \xff", b"Cookie: \xff=\xfe; =", b":",
        b"Connection: upgrade\r\nUpgrade: h2c", b" folded", b"Accept: \x01", b"Host: evil.example", b"X: " + b"x" * 999,
    ]
)  # fmt: skip
_KEYS = st.sampled_from([[], [b"X-API-Key: KEY"], [b"Authorization: Bearer KEY"], [b"Authorization: Basic \xff"]])
_BODIES = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(
        [
            b"", b"{}", b'{"id": 1e999}', b'{"id": "\\ud800", "name": "x"}', b"[" * 2000, b"\x81\xa2id\xc1", b"\xdf",
            b'{"name": "k", "role": "viewer", "per_hour": 99999999999999999999}', b"5\r\n{}   \r\n0\r\n\r\n", b"zz\r\n",
            b'{"v": 1, "id": "a", "to": "5511912345678", "type": "text", "text": "\x00"}', b"ffffffffffffffff\r\n",
        ]
    ),
)  # fmt: skip


def written(
    line: tuple[bytes, bytes], key: list[bytes], good: list[bytes], bad: list[bytes], body: bytes, sized: bool
) -> bytes:
    """A request that is as good as its parts."""
    method, path = line
    host = [] if any(header.startswith(b"Host") for header in bad) else [b"Host: localhost"]
    headers = [*host, *key, *good, *bad, *([b"Content-Length: %d" % len(body)] if sized else [])]
    return b"\r\n".join([b"%s %s HTTP/1.1" % (method, path), *headers, b"", body])


_REQUESTS = st.builds(
    written,
    st.tuples(_METHODS, _PATHS),
    _KEYS,
    st.lists(_HARMLESS, max_size=4, unique=True),
    st.lists(_HOSTILE, max_size=1),
    _BODIES,
    st.booleans(),
)


@pytest.fixture
async def server(operations: FakeOperations, health: FakeHealth, keys: ApiKeys) -> AsyncIterator[AdminServer]:
    """That waits for nobody."""
    limits = replace(LIMITS, idle_s=0.03, body_s=0.03, address_requests=0)
    backends = fake_backends(operations=operations, keys=keys, health=health)
    served = AdminServer("127.0.0.1", 0, backends, limits=limits)
    await served.start()
    yield served
    await served.stop(timeout=1.0)


def answered(host: str, port: int, sent: bytes) -> bytes:
    """What comes back until the connection is closed."""
    with socket.create_connection((host, port), timeout=5) as connection:
        received = bytearray()
        try:
            connection.sendall(sent)
            while part := connection.recv(65_536):
                received += part
        except ConnectionError:
            pass
        return bytes(received)


async def test_no_bytes_make_it_fail(server: AdminServer, operator: aiohttp.ClientSession, key: str) -> None:
    host, port = server.url.removeprefix("http://").split(":")

    @settings(
        max_examples=200,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(st.one_of(_REQUESTS, _REQUESTS, _REQUESTS, st.binary(max_size=200)))
    def send(raw: bytes) -> None:
        received = answered(host, int(port), raw.replace(b"KEY", key.encode()))
        if received and not received.startswith(b"HTTP/1.1 100 ") and not received.startswith(b"HTTP/1.0 100 "):
            head, _, body = received.partition(b"\r\n\r\n")
            status = int(head.split()[1])
            assert 200 <= status < 500, received
            assert b"Server: plantao" in head
            if status >= 400 and b"HTTP/1" not in body and body:
                assert json.loads(body)["status"] == status

    await asyncio.to_thread(send)

    assert (await ask(operator, "GET", f"{API}/clinics"))[0] == 200
