"""Commands of a channel: what became of them, and what a person decides of those that wait or have failed."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from aiohttp import web

from gateway.http.requests import CLOSING, answer, channel_of, choice, number
from protocol.ids import check_command_id
from protocol.operations import Operations
from protocol.views import CommandState, CommandView

MOST_WAIT_S: Final = 30.0
"""How long a command may be waited for in one request."""
MOST_LISTED: Final = 200
LISTED: Final = 50


class CommandRoutes:
    """Handlers; each raises what ``Operations`` raises."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def list(self, request: web.Request) -> web.Response:
        """A page of commands, newest first, in all states or in ``?state=``; the next one is at ``?cursor=``."""
        return await self._listed(request, choice(request, "state", CommandState))

    async def dead(self, request: web.Request) -> web.Response:
        """A page of dead letters: commands that failed and were neither sent again nor put away."""
        return await self._listed(request, CommandState.FAILED)

    async def get(self, request: web.Request) -> web.Response:
        """One command; with ``?wait=`` seconds, as soon as its run has ended."""
        where = (*channel_of(request), _id(request))
        wait_s = number(request, "wait", 0.0, most=MOST_WAIT_S)
        if wait_s > 0:
            waiting = self._operations.command(*where, wait_s=wait_s)
            found = await _unless(request.app[CLOSING], waiting)
            if found is not None:
                return answer(found)
        return answer(await self._operations.command(*where))

    async def cancel(self, request: web.Request) -> web.Response:
        """End one that waits or is scheduled."""
        return await self._act(self._operations.cancel, request)

    async def release(self, request: web.Request) -> web.Response:
        """Send a held one in a new run."""
        return await self._act(self._operations.release, request)

    async def replay(self, request: web.Request) -> web.Response:
        """Send a failed one in a new run."""
        return await self._act(self._operations.replay, request)

    async def discard(self, request: web.Request) -> web.Response:
        """Put a failed or held one away: 204."""
        await self._operations.discard(*channel_of(request), _id(request))
        return web.Response(status=204)

    async def _listed(self, request: web.Request, state: CommandState | None) -> web.Response:
        limit = int(number(request, "limit", LISTED, least=1, most=MOST_LISTED, whole=True))
        cursor = request.query.get("cursor")
        page = await self._operations.commands(*channel_of(request), state=state, cursor=cursor, limit=limit)
        return answer(page)

    async def _act(
        self, action: Callable[[str, str, str], Awaitable[CommandView]], request: web.Request
    ) -> web.Response:
        return answer(await action(*channel_of(request), _id(request)))


async def _unless(closing: asyncio.Event, waiting: Coroutine[Any, Any, CommandView]) -> CommandView | None:
    """What ``waiting`` comes to; None, and that is given up, if ``closing`` is set before."""
    tasks = asyncio.ensure_future(waiting), asyncio.ensure_future(closing.wait())
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return tasks[0].result() if tasks[0].done() else None
    finally:
        for task in tasks:
            task.cancel()


def _id(request: web.Request) -> str:
    return check_command_id(request.match_info["id"])
