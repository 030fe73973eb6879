"""Whoever reads a stream of Server-Sent Events."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp

EVENTS: Final = "/api/v1/events"
PATIENCE_S: Final = 30.0


class Reader:
    """Of one stream; ``seen``: its events in order, as (name, data, id)."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.seen: list[tuple[str, dict[str, Any], str | None]] = []

    @property
    def last_id(self) -> str:
        return [last for _, _, last in self.seen if last is not None][-1]

    async def event(self) -> tuple[str, dict[str, Any], str | None]:
        """The next one."""
        fields: dict[str, str] = {}
        while True:
            line = (await asyncio.wait_for(self._response.content.readline(), PATIENCE_S)).decode().rstrip("\n")
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "event" in fields:
                self.seen.append((fields["event"], json.loads(fields["data"]), fields.get("id")))
                return self.seen[-1]

    async def until(self, name: str, holds: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """What the next of this name says of which ``holds`` is true."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    found, data, _ = await self.event()
                    if found == name and holds(data):
                        return data
        except TimeoutError:
            raise AssertionError(f"no such {name} within {PATIENCE_S:g} s; came: {self.seen[-10:]}") from None

    async def shown(self, name: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """What the newest of this name says, once ``holds`` is true of that."""
        newest = [data for found, data, _ in self.seen if found == name][-1:]
        return newest[0] if newest and holds(newest[0]) else await self.until(name, holds)

    async def ended(self) -> None:
        """Until there is no more."""
        await asyncio.wait_for(self._response.content.read(), PATIENCE_S)


@asynccontextmanager
async def watching(client: aiohttp.ClientSession, *, last: str | None = None, **query: str) -> AsyncIterator[Reader]:
    """A stream, from the event after ``last`` on."""
    headers = {} if last is None else {"Last-Event-ID": last}
    async with client.get(EVENTS, headers=headers, params=query) as response:
        assert response.status == 200
        yield Reader(response)
