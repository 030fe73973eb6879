"""``/api/v1/reload``: the settings read again."""

from collections.abc import Sequence

from aiohttp import web

from gateway.http.requests import answer
from gateway.http.routes import API, Route
from protocol.access import Permission
from protocol.reloading import Reloaded, Reloading


class ReloadRoutes:
    """The handler; it raises what ``Reloading`` raises."""

    def __init__(self, reloading: Reloading) -> None:
        self._reloading = reloading

    async def reload(self, _request: web.Request) -> web.Response:
        """Read the settings again and go by what can change at run time: which that is, and what takes a restart. If
        anything is wrong with them nothing changes."""
        return answer(await self._reloading.reload())


def of_reload(routes: ReloadRoutes) -> Sequence[Route]:
    """Its route."""
    return (
        Route(
            method="POST",
            path=f"{API}/reload",
            handler=routes.reload,
            permission=Permission.ADMINISTER,
            action="settings.reload",
            answer=Reloaded,
        ),
    )
