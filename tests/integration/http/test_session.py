"""Signing in on the page: what the cookie is good for, and what it is not."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from msgspec.structs import replace

from gateway.access.api_keys import ApiKeys
from gateway.http.server import AdminServer
from protocol.access import Role
from protocol.commands import utc_now
from tests.fakes.memory_audit import MemoryAudit
from tests.integration.http.conftest import LIMITS, exchange
from tests.integration.http.test_routes import API, FRONT, ask
from tests.unit.gateway.http.fake_node import FakeHealth, FakeOperations, fake_backends

SESSION = f"{API}/session"
CLINICS = f"{API}/clinics"
JSON = {"Content-Type": "application/json"}
COOKIE = re.compile(r"plantao_session=plantao_[\w-]{43}; HttpOnly; Max-Age=43200; Path=/; SameSite=Strict")

SignIn = Callable[..., Awaitable[str]]


@pytest.fixture
async def browser(server: AdminServer) -> AsyncIterator[aiohttp.ClientSession]:
    """As a browser with the page open: it keeps cookies, and says where a change comes from."""
    async with aiohttp.ClientSession(
        server.url, cookie_jar=aiohttp.CookieJar(unsafe=True), headers={"Origin": server.url}
    ) as session:
        yield session


@pytest.fixture
def sign_in(browser: aiohttp.ClientSession, keys: ApiKeys) -> SignIn:
    """Makes a key with a role, for clinics (none: for all), and signs in with it; the key's id."""

    async def with_role(role: Role, *clinics: str, **limits: Any) -> str:
        key, secret = await keys.make("page", role, clinics or None, made_by="test", **limits)
        async with browser.post(SESSION, json={"key": secret}) as response:
            assert response.status == 200
        return key.id

    return with_role


async def test_the_key_is_given_once_and_the_cookie_stands_for_it(
    browser: aiohttp.ClientSession, keys: ApiKeys, operations: FakeOperations
) -> None:
    made, secret = await keys.make("Recepção", Role.OPERATOR, ["acme"], made_by="test")

    async with browser.post(SESSION, json={"key": secret}) as response:
        signed_in = await response.json()
        assert COOKIE.fullmatch(response.headers["Set-Cookie"])
    assert signed_in.pop("expires_at") > utc_now().isoformat()
    assert signed_in == {"key_id": made.id, "name": "Recepção", "role": "operator", "clinics": ["acme"]}
    assert (await ask(browser, "GET", SESSION))[1].items() >= signed_in.items()
    assert [clinic["id"] for clinic in (await ask(browser, "GET", CLINICS))[1]["items"]] == ["acme"]
    assert (await ask(browser, "GET", f"{CLINICS}/bela"))[0] == 404
    assert (await ask(browser, "POST", f"{FRONT}/connect"))[0] == 200
    assert (await ask(browser, "DELETE", FRONT))[0] == 403


async def test_with_a_key_in_a_header_it_says_whose_that_is(operator: aiohttp.ClientSession, keys: ApiKeys) -> None:
    _, who = await ask(operator, "GET", SESSION)

    assert keys.get(who["key_id"]).role == who["role"] == "admin"
    assert who["expires_at"] is None
    assert (await ask(operator, "DELETE", SESSION))[0] == 204


async def test_who_has_signed_out_is_out_and_so_is_the_cookie(browser: aiohttp.ClientSession, sign_in: SignIn) -> None:
    await sign_in(Role.VIEWER)
    kept = {"Cookie": "; ".join(f"{cookie.key}={cookie.value}" for cookie in browser.cookie_jar)}

    async with browser.delete(SESSION) as response:
        assert response.status == 204
        assert "Max-Age=0" in response.headers["Set-Cookie"]
    assert (await ask(browser, "GET", SESSION))[0] == 401
    assert (await ask(browser, "GET", SESSION, headers=kept))[0] == 401


@pytest.mark.parametrize(
    ("body", "status"),
    [({"key": "plantao_guess"}, 401), ({"key": ""}, 400), ({}, 400), ({"key": "k" * 300}, 400), ({"key": 7}, 400)],
)
async def test_nobody_else_is_let_in(browser: aiohttp.ClientSession, body: dict[str, Any], status: int) -> None:
    async with browser.post(SESSION, json=body) as response:
        assert response.status == status
        assert "Set-Cookie" not in response.headers
        assert body.get("key") in (None, "", 7) or body["key"] not in await response.text()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"}, 403),
    ],
)
async def test_a_cookie_changes_nothing_that_a_page_of_ours_did_not_ask_for(
    server: AdminServer,
    keys: ApiKeys,
    operations: FakeOperations,
    browser: aiohttp.ClientSession,
    sign_in: SignIn,
    headers: dict[str, str],
    status: int,
) -> None:
    await sign_in(Role.ADMIN)
    async with aiohttp.ClientSession(server.url, cookie_jar=browser.cookie_jar) as elsewhere:
        assert (await ask(elsewhere, "POST", f"{FRONT}/connect", headers=headers))[0] == status
        assert (await ask(elsewhere, "GET", CLINICS, headers=headers))[0] == 200
    assert ("connect", "acme", "front") in operations.asked or status == 403
    assert ("connect", "acme", "front") not in operations.asked or status == 200


async def test_a_key_in_a_header_counts_and_not_the_cookie(
    browser: aiohttp.ClientSession, keys: ApiKeys, sign_in: SignIn
) -> None:
    own = await sign_in(Role.ADMIN)
    other, secret = await keys.make("other", Role.VIEWER, None, made_by="test")

    for headers, status in (({"X-API-Key": secret}, 200), ({"X-API-Key": "wrong"}, 401), ({"Authorization": ""}, 401)):
        assert (await ask(browser, "GET", SESSION, headers=headers))[0] == status
    assert (await ask(browser, "GET", SESSION, headers={"X-API-Key": secret}))[1]["key_id"] == other.id
    assert (await ask(browser, "GET", SESSION))[1]["key_id"] == own
    assert (await ask(browser, "POST", f"{FRONT}/connect", headers={"X-API-Key": secret}))[0] == 403


async def test_it_ends_with_its_key_and_so_does_what_it_has_under_way(
    browser: aiohttp.ClientSession, keys: ApiKeys, sign_in: SignIn, operations: FakeOperations
) -> None:
    own = await sign_in(Role.OPERATOR)
    operations.hanging.add("clinics")
    under_way = asyncio.create_task(ask(browser, "GET", CLINICS))
    await operations.entered.wait()

    await keys.revoke(own)

    assert (await under_way)[0] == 401
    assert (await ask(browser, "GET", SESSION))[0] == 401


async def test_what_it_has_under_way_ends_when_it_expires(
    browser: aiohttp.ClientSession, sign_in: SignIn, operations: FakeOperations
) -> None:
    await sign_in(Role.OPERATOR, expires_at=utc_now() + timedelta(seconds=1))
    operations.hanging.add("clinics")

    assert (await ask(browser, "GET", CLINICS))[0] == 401


async def test_signing_out_ends_what_the_session_has_under_way_and_nothing_else(
    server: AdminServer, browser: aiohttp.ClientSession, keys: ApiKeys, operations: FakeOperations
) -> None:
    _, secret = await keys.make("page", Role.OPERATOR, None, made_by="test")
    await ask(browser, "POST", SESSION, json={"key": secret})
    operations.hanging.add("clinics")
    under_way = asyncio.create_task(ask(browser, "GET", CLINICS))
    await operations.entered.wait()
    async with aiohttp.ClientSession(server.url, headers={"X-API-Key": secret}) as other:
        operations.entered.clear()
        with_key = asyncio.create_task(ask(other, "GET", CLINICS))
        await operations.entered.wait()

        assert (await ask(browser, "DELETE", SESSION))[0] == 204

        assert (await under_way)[0] == 401
        assert (await with_key)[0] == 504


async def test_signing_in_and_out_is_in_the_audit_and_guessing_only_as_what_was_refused(
    browser: aiohttp.ClientSession, audit: MemoryAudit, sign_in: SignIn
) -> None:
    await ask(browser, "POST", SESSION, json={"key": "plantao_guess"})
    own = await sign_in(Role.VIEWER)
    await ask(browser, "DELETE", SESSION)

    entries = [(entry.action, entry.outcome) for entry in audit.kept if entry.who == own]
    assert entries == [
        ("session.begin", "asked"),
        ("session.begin", "done"),
        ("session.end", "asked"),
        ("session.end", "done"),
    ]
    assert {entry.action for entry in audit.kept if entry.who != own} <= {"access.refused"}


async def test_guessing_is_soon_told_to_wait_and_a_good_key_is_not(
    operations: FakeOperations, health: FakeHealth, keys: ApiKeys
) -> None:
    limits = replace(LIMITS, address_requests=3)
    served = AdminServer("127.0.0.1", 0, fake_backends(operations=operations, keys=keys, health=health), limits=limits)
    _, secret = await keys.make("page", Role.VIEWER, None, made_by="test")
    await served.start()
    try:
        async with aiohttp.ClientSession(served.url) as stranger:
            guesses = [(await ask(stranger, "POST", SESSION, json={"key": f"guess{n}"}))[0] for n in range(5)]
            assert guesses == [401, 401, 401, 429, 429]
            assert (await ask(stranger, "POST", SESSION, json={"key": secret}))[0] == 200
    finally:
        await served.stop(timeout=1.0)


async def test_a_cookie_that_is_no_cookie_is_no_session(server: AdminServer) -> None:
    for cookie in (b"plantao_session", b"plantao_session=", b"plantao_session=\xff\xfe", b"=;;=", b"a" * 4000):
        raw = b"GET /api/v1/session HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: " + cookie + b"\r\n\r\n"
        assert (await exchange(server, raw)).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize("chunked", [False, True])
async def test_strangers_are_not_read_at_length(stranger: aiohttp.ClientSession, chunked: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b" " * 5000

    async with stranger.post(SESSION, data=pieces() if chunked else b" " * 5000, headers=JSON) as response:
        assert response.status == 413
