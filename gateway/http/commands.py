"""Commands of a channel: what became of them, and what a person decides of those that wait or have failed."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Annotated, Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler
from msgspec import Meta

from gateway.http.requests import CLOSING, answer, channel_of, choice, number
from gateway.http.routes import CHANNEL, Query, Route
from protocol.access import Permission
from protocol.ids import check_command_id
from protocol.operations import Operations
from protocol.views import CommandPage, CommandState, CommandView

MOST_WAIT_S: Final = 30.0
"""How long a command may be waited for in one request."""
MOST_LISTED: Final = 200
LISTED: Final = 50
Listed = Annotated[int, Meta(ge=1, le=MOST_LISTED)]
Wait = Annotated[float, Meta(ge=0, le=MOST_WAIT_S)]


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


def of_commands(commands: CommandRoutes, request_s: float) -> Sequence[Route]:
    """Their routes. ``request_s``: how long a request may take that waits for nothing."""
    view, act = Permission.VIEW, Permission.OPERATE
    message, letter = f"{CHANNEL}/messages/{{id}}", f"{CHANNEL}/dead/{{id}}"
    page = (
        Query(name="cursor", kind=str, what="the next of the page before"),
        Query(name="limit", kind=Listed, what="how many at most"),
    )
    state = Query(name="state", kind=CommandState, what="only commands in this state")
    wait = Query(name="wait", kind=Wait, what="seconds, until the run has ended")

    def decision(path: str, name: str, handler: Handler, action: str) -> Route:
        return Route(
            method="POST",
            path=f"{path}/{name}",
            handler=handler,
            permission=act,
            action=action,
            answer=CommandView,
        )

    return (
        Route(
            method="GET",
            path=f"{CHANNEL}/messages",
            handler=commands.list,
            permission=view,
            query=(state, *page),
            answer=CommandPage,
        ),
        Route(
            method="GET",
            path=message,
            handler=commands.get,
            permission=view,
            patience_s=request_s + MOST_WAIT_S,
            query=(wait,),
            answer=CommandView,
        ),
        decision(message, "cancel", commands.cancel, "message.cancel"),
        decision(message, "release", commands.release, "message.release"),
        Route(
            method="GET",
            path=f"{CHANNEL}/dead",
            handler=commands.dead,
            permission=view,
            query=page,
            answer=CommandPage,
        ),
        decision(letter, "replay", commands.replay, "dead.replay"),
        Route(
            method="DELETE", path=letter, handler=commands.discard, permission=act, action="dead.discard", status=204
        ),
    )
