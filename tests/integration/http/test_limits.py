"""How often one may ask."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from msgspec.structs import replace

from gateway.access.api_keys import ApiKeys
from gateway.http.server import AdminServer
from protocol.access import Role
from tests.integration.http.conftest import LIMITS
from tests.integration.http.test_routes import API, ask
from tests.unit.gateway.http.fake_node import FakeHealth, FakeOperations, fake_backends

CLINICS = f"{API}/clinics"


@pytest.fixture
async def server(operations: FakeOperations, health: FakeHealth, keys: ApiKeys) -> AsyncIterator[AdminServer]:
    """With limits that are soon reached."""
    limits = replace(LIMITS, address_requests=3, ready_per_minute=4, key_requests=5)
    backends = fake_backends(operations=operations, keys=keys, health=health)
    served = AdminServer("127.0.0.1", 0, backends, limits=limits)
    await served.start()
    yield served
    await served.stop(timeout=1.0)


async def statuses(client: aiohttp.ClientSession, path: str, times: int, **headers: str) -> list[int]:
    return [(await ask(client, "GET", path, headers=headers))[0] for _ in range(times)]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer plantao_guess"}, {"X-API-Key": ""}])
async def test_who_has_no_good_key_is_soon_told_to_wait(
    stranger: aiohttp.ClientSession, operator: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    assert await statuses(stranger, CLINICS, 5, **headers) == [401, 401, 401, 429, 429]

    async with stranger.get("/nowhere", headers=headers) as response:
        assert response.status == 429
        assert 0 < int(response.headers["Retry-After"]) <= 900
        assert (await response.json(content_type="application/problem+json"))["title"] == "Too many requests"
    assert await statuses(operator, CLINICS, 2) == [200, 200]


async def test_liveness_is_never_limited_and_readiness_by_a_limit_of_its_own(stranger: aiohttp.ClientSession) -> None:
    assert await statuses(stranger, "/health", 20) == [200] * 20
    assert await statuses(stranger, "/ready", 6) == [200, 200, 200, 200, 429, 429]
    assert await statuses(stranger, "/health", 1) == [200]
    assert await statuses(stranger, CLINICS, 1) == [401]


async def test_the_keys_of_a_clinic_have_ten_times_that_together_and_others_what_they_had(
    stranger: aiohttp.ClientSession, keys: ApiKeys
) -> None:
    answered = []
    for _ in range(11):
        _, secret = await keys.make("k", Role.VIEWER, ["acme"], made_by="test")
        answered += await statuses(stranger, f"{CLINICS}/acme", 5, **{"X-API-Key": secret})
    assert answered == [200] * 50 + [429] * 5
    _, secret = await keys.make("k", Role.VIEWER, ["bela"], made_by="test")
    assert await statuses(stranger, CLINICS, 5, **{"X-API-Key": secret}) == [200] * 5


async def test_a_key_has_so_many_an_hour_as_the_settings_or_it_itself_say(
    stranger: aiohttp.ClientSession, operator: aiohttp.ClientSession, keys: ApiKeys
) -> None:
    for per_hour, most in ((None, 5), (2, 2), (0, 20)):
        _, secret = await keys.make("k", Role.VIEWER, None, made_by="test", per_hour=per_hour)
        answered = await statuses(stranger, CLINICS, 20, **{"X-API-Key": secret})
        assert answered == [200] * most + [429] * (20 - most)
    assert await statuses(operator, CLINICS, 20) == [200] * 20


async def test_what_was_refused_is_counted_by_reason(
    stranger: aiohttp.ClientSession, operator: aiohttp.ClientSession, keys: ApiKeys
) -> None:
    _, viewer = await keys.make("k", Role.VIEWER, ["acme"], made_by="test", per_hour=4)
    await statuses(stranger, CLINICS, 2)
    await statuses(stranger, CLINICS, 3, **{"X-API-Key": "guess"})
    own = {"X-API-Key": viewer}
    await statuses(stranger, f"{CLINICS}/bela", 1, **own)
    await statuses(stranger, "/metrics", 1, **own)
    await statuses(stranger, f"{CLINICS}/acme/channels/front/qr", 1, **own)
    await statuses(stranger, f"{CLINICS}/acme", 2, **own)
    await statuses(stranger, CLINICS, 1, Host="evil.example")

    async with operator.get("/metrics") as response:
        lines = (await response.text()).splitlines()
    counted = {
        line.split('"')[1]: float(line.split()[-1]) for line in lines if line.startswith("plantao_http_refused_t")
    }
    assert {why: count for why, count in counted.items() if count} == {
        "address_limit": 2, "clinic": 1, "host": 1, "key_limit": 1, "no_key": 2, "node": 1, "role": 1, "unknown": 1
    }  # fmt: skip
