"""What is open when a key is revoked is cut, also in the middle of an answer."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.access.api_keys import ApiKeys
from gateway.http.guard import AT_ONCE
from gateway.http.origins import Origins
from gateway.http.routes import API, Route
from gateway.http.surround import HttpLimits, surround
from protocol.access import Permission, Role
from protocol.commands import utc_now
from tests.fakes.memory_audit import MemoryAudit


async def forever(request: web.Request) -> web.StreamResponse:
    """As a stream of events is."""
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"begun\n")
    await asyncio.Event().wait()
    return response


@pytest.mark.parametrize("revoked", [True, False])
async def test_a_stream_ends_when_its_key_is_revoked_or_expires(keys: ApiKeys, tmp_path: Path, revoked: bool) -> None:
    end = None if revoked else utc_now() + timedelta(seconds=3)
    key, secret = await keys.make("k", Role.VIEWER, None, made_by="test", expires_at=end)
    route = Route(method="GET", path=f"{API}/events", handler=forever, permission=Permission.VIEW, answer=str)
    app = surround([route], keys, HttpLimits(), Origins(), Counter(), MemoryAudit(), secure=False)

    async with (
        TestClient[web.Request, web.Application](TestServer(app)) as client,
        client.get(route.path, headers={"X-API-Key": secret}) as response,
    ):
        assert await response.content.readline() == b"begun\n"
        if revoked:
            await keys.revoke(key.id)
        with pytest.raises(aiohttp.ClientPayloadError):
            await asyncio.wait_for(response.content.read(), 20)


async def test_one_clinics_keys_do_not_take_all_connections(keys: ApiKeys) -> None:
    acme, bela, both = [
        await keys.make("k", Role.VIEWER, clinics, made_by="test", per_hour=0)
        for clinics in (["acme"], ["bela"], ["acme", "bela"])
    ]
    route = Route(
        method="GET", path=f"{API}/events", handler=forever, permission=Permission.VIEW, filtered=True, answer=str
    )
    app = surround([route], keys, HttpLimits(), Origins(), Counter(), MemoryAudit(), secure=False)

    async with AsyncExitStack() as opened:
        client = await opened.enter_async_context(TestClient[web.Request, web.Application](TestServer(app)))

        async def follow(secret: str) -> int:
            asking = client.get(route.path, headers={"X-API-Key": secret})
            return (await opened.enter_async_context(asking)).status

        assert [await follow(acme[1]) for _ in range(AT_ONCE)] == [200] * AT_ONCE
        assert await follow(acme[1]) == 429
        assert await follow(bela[1]) == 200
        assert await follow(both[1]) == 200


async def test_an_application_that_has_ended_hears_of_no_revocation(keys: ApiKeys) -> None:
    app = surround([], keys, HttpLimits(), Origins(), Counter(), MemoryAudit(), secure=False)
    async with TestServer(app):
        pass

    assert keys._told == []
