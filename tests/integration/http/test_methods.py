"""Which methods there are where, on every path."""

from typing import Any, Final

import aiohttp
import pytest

from protocol.access import Role
from tests.integration.http.test_access import (
    CLINICS,
    GRANTED,
    NODE,
    PUBLIC,
    ROUTES,
    SCOPES,
    asked,
    client,  # noqa: F401 - a fixture
)

METHODS: Final = ("GET", "HEAD", "OPTIONS", "POST", "PATCH", "PUT", "DELETE")
PATHS: Final = sorted({route.path for route in ROUTES.values()})


def there(path: str) -> list[str]:
    found = {route.method for route in ROUTES.values() if route.path == path} | {"OPTIONS"}
    return sorted(found | ({"HEAD"} if "GET" in found else set()))


@pytest.mark.parametrize("path", PATHS)
async def test_every_path_tells_what_there_is_and_answers_nothing_else(client: Any, path: str) -> None:  # noqa: F811
    filled = path.format(clinic="acme", channel="front", id="m-1", key="some", name="some", file="index.html")
    for method in METHODS:
        async with client.request(method, filled, headers={"X-API-Key": "admin-all"}) as response:
            if method == "OPTIONS" or method not in there(path):
                assert (method, response.status) == (method, 204 if method == "OPTIONS" else 405)
                assert response.headers["Allow"] == ", ".join(there(path))
            else:
                assert (method, response.status) == (method, 200)


@pytest.mark.parametrize("path", PATHS)
async def test_it_is_told_to_whom_there_is_something_for(client: Any, path: str) -> None:  # noqa: F811
    names = [name for name in ROUTES if name.split()[1] == path]
    of_node, public = all(name in NODE for name in names), any(name in PUBLIC for name in names)
    assert (await asked(client, f"OPTIONS {path}", None))[0] == (204 if public else 401)
    for role in Role:
        for scope in SCOPES:
            may = GRANTED[role] >= min(ROUTES[name].permission for name in names)
            expected = 204 if may and not (of_node and scope != "all") else 403
            if scope == "foreign" and names[0] in CLINICS:
                expected = 404
            assert (await asked(client, f"OPTIONS {path}", f"{role}-{scope}"))[0] == expected, (role, scope)


@pytest.mark.parametrize("path", [name.split()[1] for name in ROUTES if name.startswith("GET ")])
async def test_head_is_get_without_its_body(operator: aiohttp.ClientSession, path: str) -> None:
    filled = path.format(clinic="acme", channel="front", id="m-1", key="some", name="some", file="index.html")
    async with operator.head(filled) as head:
        assert await head.read() == b""
    async with operator.get(filled) as get:
        if not ROUTES[f"GET {path}"].endless:
            await get.read()
    same = ("Content-Type", "ETag", "Cache-Control", "Content-Security-Policy")
    assert head.status == get.status
    assert {name: head.headers.get(name) for name in same} == {name: get.headers.get(name) for name in same}
    changing = {"/metrics", "/ready"}
    if path not in changing:
        assert head.headers.get("Content-Length") == get.headers.get("Content-Length")
