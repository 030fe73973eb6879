"""What bounds one route bounds them all: bodies, deadlines, and what no answer goes without."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Final

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from msgspec import json, structs

from gateway.access.api_keys import ApiKeys
from gateway.http.origins import Origins
from gateway.http.routes import API
from gateway.http.server import AdminServer
from gateway.http.surround import HEADERS, surround
from tests.integration.http.conftest import LIMITS, exchange
from tests.integration.http.test_access import LIMITS as NO_LIMITS
from tests.integration.http.test_access import ROUTES, asked, everyone
from tests.unit.gateway.http.fake_node import NO_AUDIT, FakeHealth, FakeOperations, fake_backends

TAKING: Final = [name for name, route in ROUTES.items() if route.body is not None and not route.stream]


def head(name: str, key: str, *headers: str) -> bytes:
    method, _, path = name.partition(" ")
    path = path.format(clinic="acme", channel="front", id="m-1", key="some")
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", f"X-API-Key: {key}", *headers, "", ""]).encode()


def status(raw: bytes) -> int:
    return int(raw.split()[1])


async def refusals(server: AdminServer, key: str, name: str) -> list[int]:
    """What becomes of a body that is announced too large, turns out so, never comes, and is of another type."""
    written, size = "Content-Type: application/json", LIMITS.body_bytes
    chunk = b"%x\r\n" % (size // 2) + b" " * (size // 2) + b"\r\n"
    answers = await asyncio.gather(
        exchange(server, head(name, key, written, f"Content-Length: {size + 1}")),
        exchange(server, head(name, key, written, "Transfer-Encoding: chunked"), *[chunk] * 3, b"0\r\n\r\n"),
        exchange(server, head(name, key, written, "Content-Length: 100"), b"{"),
        exchange(server, head(name, key, "Content-Type: text/csv", "Connection: close", "Content-Length: 1"), b"x"),
    )
    return [status(raw) for raw in answers]


async def test_every_body_is_bounded(server: AdminServer, key: str) -> None:
    found = dict(zip(TAKING, await asyncio.gather(*(refusals(server, key, name) for name in TAKING)), strict=True))

    assert found == {name: [413, 413, 408, 415] for name in TAKING}


@pytest.fixture
async def server(operations: FakeOperations, health: FakeHealth, keys: ApiKeys) -> AsyncIterator[AdminServer]:
    """With room for all at once."""
    limits = structs.replace(LIMITS, connections=500)
    backends = fake_backends(operations=operations, keys=keys, health=health)
    served = AdminServer("127.0.0.1", 0, backends, limits=limits)
    await served.start()
    yield served
    await served.stop(timeout=1.0)


@pytest.fixture
async def hanging() -> AsyncIterator[TestClient[web.Request, web.Application]]:
    """To an application of all routes, of which none ever answers."""

    async def hang(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    bounded = [replace(route, handler=hang, patience_s=0.01) for route in ROUTES.values()]
    app = surround(bounded, everyone(), NO_LIMITS, Origins(), Counter(), NO_AUDIT, secure=True)
    async with TestClient(TestServer(app)) as opened:
        yield opened


async def test_every_route_has_a_deadline_that_is_not_endless(hanging: TestClient[Any, Any]) -> None:
    assert [name for name, route in ROUTES.items() if route.endless] == [f"GET {API}/events"]
    for name in [name for name, route in ROUTES.items() if not route.endless]:
        found, problem = await asked(hanging, name, "admin-all")
        assert (name, found) == (name, 504)
        assert json.decode(problem)["type"] == "urn:plantao:problem:no-answer"


async def test_no_answer_goes_without_the_security_headers(hanging: TestClient[Any, Any]) -> None:
    for path, headers in (
        ("/health", {"X-API-Key": "admin-all"}),
        ("/nowhere", {}),
        ("/nowhere", {"X-API-Key": "admin-all"}),
        ("/ready", {"Host": "evil.example"}),
    ):
        async with hanging.get(path, headers=headers) as response:
            assert {name: response.headers.get(name) for name in HEADERS} == HEADERS
            assert "Strict-Transport-Security" in response.headers
