"""Middleware: whatever changes something is in the audit, before it is done and when it has ended.

It stands inside the guard: who was not let in has asked for nothing. What cannot be put into the audit is not done.
Who asks a route that is open is known to its handler alone, if at all: that puts it into the audit itself.
"""

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway.audit.around import audited
from gateway.http.problems import status_of
from gateway.http.routes import CALLER, ROUTE
from protocol.access import Permission
from protocol.audit import Audit
from protocol.ids import check_name


def auditing(audit: Audit) -> Middleware:
    """Has every request of a route with an ``action`` in ``audit``."""

    @web.middleware
    async def enter(request: web.Request, handler: Handler) -> web.StreamResponse:
        route = request.get(ROUTE)
        if route is None or route.action is None or route.permission is Permission.OPEN:
            return await handler(request)
        subject = (request[CALLER].id, route.action, _named(request, "clinic"), _named(request, "channel"))
        return await audited(audit, subject, lambda: handler(request), _status)

    return enter


def _named(request: web.Request, name: str) -> str | None:
    """What the path names. Raises InvalidIdError: what is no identifier stands in no audit."""
    value = request.match_info.get(name)
    return None if value is None else check_name(name, value)


def _status(outcome: web.StreamResponse | Exception) -> int:
    return status_of(outcome) if isinstance(outcome, Exception) else outcome.status
