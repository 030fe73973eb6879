"""While the node drains before its end it takes nothing on: what only looks is answered, the rest refused."""

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway.http.health import Health
from gateway.http.problems import UNAVAILABLE, Refused
from gateway.http.routes import ROUTE

AGAIN_S: Final = 15
"""After about so many seconds its successor, if there is one, may be asked."""


def refusing(health: Health) -> Middleware:
    """Middleware, the innermost: raises Refused, from when the node drains, for what changes anything."""

    @web.middleware
    async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
        route = request.get(ROUTE)
        if health.draining and route is not None and route.action is not None:
            raise Refused(
                UNAVAILABLE,
                "the node is ending and takes nothing on; ask again when it is back",
                headers={"Retry-After": str(AGAIN_S)},
            )
        return await handler(request)

    return admit
