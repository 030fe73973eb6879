"""Which methods there are where: ``HEAD`` wherever there is ``GET``, and ``OPTIONS``, which tells, everywhere."""

from collections.abc import Sequence
from functools import partial

from aiohttp import hdrs, web

from gateway.http.routes import Route


def all_of(route: Route) -> tuple[str, ...]:
    """The methods that ``route`` answers."""
    return (hdrs.METH_GET, hdrs.METH_HEAD) if route.method == hdrs.METH_GET else (route.method,)


def options(routes: Sequence[Route]) -> Sequence[Route]:
    """For each path one more route, which tells what there is; for whom any of the others is."""
    there: dict[str, list[Route]] = {}
    for route in routes:
        there.setdefault(route.path, []).append(route)
    return [_options(path, found) for path, found in there.items()]


def _options(path: str, there: Sequence[Route]) -> Route:
    easiest = min(there, key=lambda route: route.permission)
    allow = ", ".join(sorted({hdrs.METH_OPTIONS, *(method for route in there for method in all_of(route))}))
    return Route(
        method=hdrs.METH_OPTIONS,
        path=path,
        handler=partial(_tell, allow),
        permission=easiest.permission,
        filtered=any(route.filtered for route in there),
        per_minute=easiest.per_minute,
        status=204,
    )


async def _tell(allow: str, _request: web.Request) -> web.Response:
    return web.Response(status=204, headers={hdrs.ALLOW: allow})
