"""Who is let in where: every route, with every kind of key."""

from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.access.api_keys import ApiKeys
from gateway.audit import words
from gateway.http.app import table
from gateway.http.origins import Origins
from gateway.http.routes import API, CHANNEL, CLINIC, Route
from gateway.http.surround import HttpLimits, surround
from protocol.access import RPC_PERMISSION, Permission, Role
from protocol.commands import utc_now
from protocol.subjects import Verb
from tests.unit.gateway.access.made import api_key
from tests.unit.gateway.http.fake_node import NO_AUDIT, fake_backends

OPEN, VIEW, OPERATE, ADMINISTER = Permission
MESSAGES, DEAD = f"{CHANNEL}/messages", f"{CHANNEL}/dead"

CLINICS: Final = {
    f"GET {CLINIC}": VIEW,
    f"PATCH {CLINIC}": ADMINISTER,
    f"DELETE {CLINIC}": ADMINISTER,
    f"GET {CLINIC}/stats": VIEW,
    f"POST {CLINIC}/release": OPERATE,
    f"GET {CLINIC}/channels": VIEW,
    f"POST {CLINIC}/channels": ADMINISTER,
    f"GET {CHANNEL}": VIEW,
    f"PATCH {CHANNEL}": ADMINISTER,
    f"DELETE {CHANNEL}": ADMINISTER,
    f"POST {CHANNEL}/connect": OPERATE,
    f"POST {CHANNEL}/disconnect": OPERATE,
    f"POST {CHANNEL}/suspend": OPERATE,
    f"POST {CHANNEL}/resume": OPERATE,
    f"POST {CHANNEL}/logout": OPERATE,
    f"POST {CHANNEL}/pair": OPERATE,
    f"POST {CHANNEL}/send": OPERATE,
    f"POST {CHANNEL}/check": OPERATE,
    f"POST {CHANNEL}/mark_read": OPERATE,
    f"POST {CHANNEL}/presence": OPERATE,
    f"GET {CHANNEL}/qr": OPERATE,
    f"GET {CHANNEL}/qr.png": OPERATE,
    f"GET {CLINIC}/nats": ADMINISTER,
    f"POST {CLINIC}/nats": ADMINISTER,
    f"POST {CLINIC}/nats/{{name}}/rotate": ADMINISTER,
    f"DELETE {CLINIC}/nats/{{name}}": ADMINISTER,
    f"GET {MESSAGES}": VIEW,
    f"GET {MESSAGES}/{{id}}": VIEW,
    f"POST {MESSAGES}/{{id}}/cancel": OPERATE,
    f"POST {MESSAGES}/{{id}}/release": OPERATE,
    f"GET {DEAD}": VIEW,
    f"POST {DEAD}/{{id}}/replay": OPERATE,
    f"DELETE {DEAD}/{{id}}": OPERATE,
    f"GET {CHANNEL}/consents": VIEW,
    f"POST {CHANNEL}/consents": OPERATE,
}
"""Of one clinic: a key that is not for it is told that there is none."""
NODE: Final = {
    "GET /metrics": VIEW,
    f"GET {API}/audit/verify": ADMINISTER,
    f"POST {API}/clinics": ADMINISTER,
    f"GET {API}/nats": ADMINISTER,
    f"POST {API}/nats": ADMINISTER,
    f"POST {API}/nats/{{name}}/rotate": ADMINISTER,
    f"DELETE {API}/nats/{{name}}": ADMINISTER,
    f"POST {API}/restore": ADMINISTER,
    f"POST {API}/reload": ADMINISTER,
}
"""Of all clinics, or of the node: only with a key for all."""
FILTERED: Final = {
    f"GET {API}/openapi.json": VIEW,
    f"GET {API}/session": VIEW,
    f"DELETE {API}/session": VIEW,
    f"GET {API}/tree": VIEW,
    f"GET {API}/clinics": VIEW,
    f"GET {API}/channels": VIEW,
    f"GET {API}/events": VIEW,
    f"GET {API}/keys": ADMINISTER,
    f"POST {API}/keys": ADMINISTER,
    f"GET {API}/keys/{{key}}": ADMINISTER,
    f"DELETE {API}/keys/{{key}}": ADMINISTER,
    f"GET {API}/audit": ADMINISTER,
    f"POST {API}/backup": ADMINISTER,
    f"POST {API}/rotate": ADMINISTER,
    f"POST {API}/erase": ADMINISTER,
    f"POST {API}/export": ADMINISTER,
    f"GET {API}/jobs": VIEW,
    f"GET {API}/jobs/{{id}}": VIEW,
    f"GET {API}/jobs/{{id}}/file": ADMINISTER,
    f"DELETE {API}/jobs/{{id}}/file": ADMINISTER,
}
"""Everyone sees its own part; that it is no more is for a test of each."""
PUBLIC: Final = {
    "GET /health": OPEN,
    "GET /ready": OPEN,
    "GET /": OPEN,
    "GET /page/{file}": OPEN,
    f"POST {API}/session": OPEN,
}
EVERYTHING: Final = {**CLINICS, **NODE, **FILTERED, **PUBLIC}

RPC_ROUTES: Final = {
    Verb.STATUS: f"GET {CHANNEL}",
    Verb.QR: f"GET {CHANNEL}/qr",
    Verb.COMMAND: f"GET {MESSAGES}/{{id}}",
    Verb.CANCEL: f"POST {MESSAGES}/{{id}}/cancel",
    Verb.RELEASE: f"POST {MESSAGES}/{{id}}/release",
    Verb.REPLAY: f"POST {DEAD}/{{id}}/replay",
    Verb.DISCARD: f"DELETE {DEAD}/{{id}}",
}

GRANTED: Final = {Role.VIEWER: VIEW, Role.OPERATOR: OPERATE, Role.ADMIN: ADMINISTER}
SCOPES: Final = {"own": ["acme"], "both": ["acme", "bela"], "foreign": ["bela"], "all": None}


def everyone() -> ApiKeys:
    """A key of each role for each scope, called ``role-scope``, and one that has expired."""
    made = [
        api_key(f"{role}-{scope}", f"{role}-{scope}", role=role, clinics=clinics)
        for role in Role
        for scope, clinics in SCOPES.items()
    ]
    return ApiKeys(
        Path("/nowhere/keys.json"),
        [
            *made,
            api_key("expired", "expired", expires_at=utc_now() - timedelta(seconds=1)),
            api_key("revoked", "revoked", revoked_at=utc_now()),
        ],
        utc_now,
    )


LIMITS: Final = HttpLimits(address_requests=0, key_requests=0, ready_per_minute=0)


def routes() -> list[Route]:
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    return list(table(fake_backends(keys=everyone()), LIMITS, executor, {}))


ROUTES: Final = {f"{route.method} {route.path}": route for route in routes()}


@pytest.fixture
async def client() -> AsyncIterator[TestClient[web.Request, web.Application]]:
    """To an application of all routes, of which each says yes to whoever is let in."""

    async def yes(request: web.Request) -> web.Response:
        return web.Response(text="in")

    said_yes = [replace(route, handler=yes) for route in ROUTES.values()]
    app = surround(said_yes, everyone(), LIMITS, Origins(), Counter(), NO_AUDIT, secure=False)
    async with TestClient(TestServer(app)) as opened:
        yield opened


def test_no_route_is_left_out_and_each_asks_for_what_is_stated_here() -> None:
    assert {name: route.permission for name, route in ROUTES.items()} == EVERYTHING
    assert {name for name, route in ROUTES.items() if route.filtered} == set(FILTERED)
    assert {name for name, route in ROUTES.items() if "{clinic}" in route.path} == set(CLINICS)


def test_whatever_changes_something_is_named_for_the_audit() -> None:
    assert {name for name, route in ROUTES.items() if route.action} == {
        name for name in ROUTES if not name.startswith("GET ")
    }
    actions = [route.action for route in ROUTES.values() if route.action]
    assert len(set(actions)) == len(actions)
    for action in actions:
        words.check("key", action, "asked", None, None)


@pytest.mark.parametrize("verb", Verb)
def test_over_nats_the_same_takes_the_same(verb: Verb) -> None:
    assert RPC_PERMISSION[verb] == EVERYTHING[RPC_ROUTES.get(verb, f"POST {CHANNEL}/{verb}")]


def expected(name: str, role: Role, scope: str) -> int:
    """The status of a request for ``acme``, by a key that is for ``SCOPES[scope]``."""
    if name in CLINICS and scope == "foreign":
        return 404
    if name in NODE and scope != "all":
        return 403
    return 200 if GRANTED[role] >= EVERYTHING[name] else 403


async def asked(client: TestClient[Any, Any], name: str, key: str | None, clinic: str = "acme") -> tuple[int, bytes]:
    method, _, path = name.partition(" ")
    filled = path.format(clinic=clinic, channel="front", id="m-1", key="some", name="some", file="some")
    async with client.request(method, filled, headers={} if key is None else {"X-API-Key": key}) as response:
        return response.status, await response.read()


@pytest.mark.parametrize("name", EVERYTHING)
async def test_only_whom_it_is_for_is_let_in(client: TestClient[Any, Any], name: str) -> None:
    without = 200 if name in PUBLIC else 401
    assert (await asked(client, name, None))[0] == without
    for bad in ("wrong", "expired", "revoked", ""):
        assert (await asked(client, name, bad))[0] == 401
    for role in Role:
        for scope in SCOPES:
            status, _ = await asked(client, name, f"{role}-{scope}")
            assert status == expected(name, role, scope), (role, scope)


@pytest.mark.parametrize("name", CLINICS)
async def test_a_clinic_of_others_looks_like_one_that_does_not_exist(client: TestClient[Any, Any], name: str) -> None:
    for role in Role:
        foreign = await asked(client, name, f"{role}-own", "bela")
        missing = await asked(client, name, f"{role}-own", "nada")
        assert foreign[0] == missing[0] == 404
        assert foreign[1].replace(b"bela", b"nada") == missing[1]


@pytest.mark.parametrize("name", [name for name in EVERYTHING if name.startswith("GET ")])
async def test_head_takes_what_get_takes(client: TestClient[Any, Any], name: str) -> None:
    head = name.replace("GET ", "HEAD ")
    for role in Role:
        for scope in SCOPES:
            assert (await asked(client, head, f"{role}-{scope}"))[0] == expected(name, role, scope)
    assert (await asked(client, head, None))[0] == (200 if name in PUBLIC else 401)


@pytest.mark.parametrize("path", ["/nowhere", f"{API}/clinics/bela/nowhere", f"{API}/clinics/nada/nowhere"])
async def test_what_is_not_there_is_told_to_nobody_without_a_key(client: TestClient[Any, Any], path: str) -> None:
    assert (await asked(client, f"GET {path}", None))[0] == 401
    assert (await asked(client, f"GET {path}", "viewer-own"))[0] == 404


async def test_the_problem_for_a_clinic_of_others_is_the_one_of_a_node_that_has_none(
    client: TestClient[Any, Any], server_without: TestClient[Any, Any]
) -> None:
    _, foreign = await asked(client, f"GET {CLINIC}", "viewer-foreign", "nada")
    _, missing = await asked(server_without, f"GET {CLINIC}", "viewer-all", "nada")

    assert msgspec.json.decode(foreign) == msgspec.json.decode(missing)


@pytest.fixture
async def server_without() -> AsyncIterator[TestClient[web.Request, web.Application]]:
    """To a node without clinics."""
    with ThreadPoolExecutor(1) as executor:
        real = table(fake_backends(keys=everyone()), LIMITS, executor, {})
        app = surround(real, everyone(), LIMITS, Origins(), Counter(), NO_AUDIT, secure=False)
        async with TestClient(TestServer(app)) as opened:
            yield opened
