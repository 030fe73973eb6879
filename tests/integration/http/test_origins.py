"""Names this endpoint answers to, and web pages that may use it."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from gateway.access.api_keys import ApiKeys
from gateway.http.origins import Origins
from gateway.http.server import AdminServer
from tests.integration.http.conftest import LIMITS
from tests.integration.http.test_routes import API, FRONT, ask
from tests.unit.gateway.http.fake_node import FakeHealth, FakeOperations, fake_backends

PANEL = "https://painel.example"
CLINICS = f"{API}/clinics"


@pytest.fixture
async def server(operations: FakeOperations, health: FakeHealth, keys: ApiKeys) -> AsyncIterator[AdminServer]:
    """With a name, and a page that may use it."""
    origins = Origins(hosts=frozenset({"plantao.example"}), allowed=frozenset({PANEL}))
    served = AdminServer(
        "127.0.0.1", 0, fake_backends(operations=operations, keys=keys, health=health), limits=LIMITS, origins=origins
    )
    await served.start()
    yield served
    await served.stop(timeout=1.0)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST.:80", 200),
        ("127.0.0.1:8080", 200),
        ("127.0.0.2", 200),
        ("[::1]:8080", 200),
        ("plantao.example:8443", 200),
        ("evil.example", 421),
        ("plantao.example.evil.example", 421),
        ("localhost.evil.example", 421),
        ("10.0.0.7", 421),
        ("[fe80::1]", 421),
        ("", 421),
        ("127.0.0.1.evil.example", 421),
        ("@localhost", 421),
    ],
)
async def test_it_answers_to_its_own_names_alone(operator: aiohttp.ClientSession, host: str, status: int) -> None:
    assert (await ask(operator, "GET", CLINICS, headers={"Host": host}))[0] == status
    assert (await ask(operator, "GET", "/health", headers={"Host": host}))[0] == 200


async def test_a_foreign_name_is_told_before_a_key_is_looked_at(stranger: aiohttp.ClientSession) -> None:
    status, problem = await ask(stranger, "GET", CLINICS, headers={"Host": "evil.example"})

    assert (status, "http.hosts" in problem["detail"]) == (421, True)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://painel.example.evil", ""])
async def test_a_page_from_elsewhere_changes_nothing_and_is_told_nothing(
    operator: aiohttp.ClientSession, operations: FakeOperations, origin: str
) -> None:
    for method, path in (("POST", f"{FRONT}/connect"), ("DELETE", FRONT), ("PATCH", FRONT), ("PUT", FRONT)):
        async with operator.request(method, path, headers={"Origin": origin}) as response:
            assert response.status == 403
            assert "Access-Control-Allow-Origin" not in response.headers
    assert operations.asked == []
    async with operator.get(CLINICS, headers={"Origin": origin}) as response:
        assert "Access-Control-Allow-Origin" not in response.headers
    asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    async with operator.options(CLINICS, headers=asks) as response:
        assert not [name for name in response.headers if name.startswith("Access-Control-")]


async def test_a_page_that_is_allowed_uses_the_api_with_its_key(
    operator: aiohttp.ClientSession, stranger: aiohttp.ClientSession
) -> None:
    asks = {"Origin": PANEL, "Access-Control-Request-Method": "POST"}
    async with stranger.options(f"{FRONT}/connect", headers=asks) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == PANEL
        assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
        assert "Access-Control-Allow-Credentials" not in response.headers
    async with operator.post(f"{FRONT}/connect", headers={"Origin": PANEL}) as response:
        assert response.status == 200
        assert response.headers["Access-Control-Allow-Origin"] == PANEL
        assert response.headers["Vary"] == "Origin"
    async with stranger.post(f"{FRONT}/connect", headers={"Origin": PANEL}) as response:
        assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (401, PANEL)


async def test_a_page_of_its_own_may_change_things(operator: aiohttp.ClientSession, server: AdminServer) -> None:
    assert (await ask(operator, "POST", f"{FRONT}/connect", headers={"Origin": server.url}))[0] == 200


async def test_a_request_without_a_host_comes_from_no_page(server: AdminServer) -> None:
    from tests.integration.http.conftest import exchange

    assert (await exchange(server, b"GET /health HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.0 200")
    assert (await exchange(server, b"GET /ready HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.0 200")
