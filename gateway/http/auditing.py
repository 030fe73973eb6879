"""Middleware: whatever changes something is in the audit, before it is done and when it has ended.

It stands inside the guard: who was not let in has asked for nothing. What cannot be put into the audit is not done.
"""

import asyncio
import logging
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway.http.problems import status_of
from gateway.http.routes import CALLER, ROUTE
from protocol.audit import Audit
from protocol.errors import StoreUnavailableError
from protocol.ids import check_name

log = logging.getLogger(__name__)

_FAILED: Final = 500


def auditing(audit: Audit) -> Middleware:
    """Has every request of a route with an ``action`` in ``audit``."""

    @web.middleware
    async def audited(request: web.Request, handler: Handler) -> web.StreamResponse:
        route = request.get(ROUTE)
        if route is None or route.action is None:
            return await handler(request)
        clinic, channel = (_named(request, name) for name in ("clinic", "channel"))
        about = await audit.asked(request[CALLER].id, route.action, clinic, channel)
        try:
            response = await handler(request)
        except asyncio.CancelledError:
            await _end(audit, about, "failed", {"why": "cut_off"})
            raise
        except Exception as error:
            await _end(audit, about, *_outcome(status_of(error)))
            raise
        await _end(audit, about, *_outcome(response.status))
        return response

    return audited


def _named(request: web.Request, name: str) -> str | None:
    """What the path names. Raises InvalidIdError: what is no identifier stands in no audit."""
    value = request.match_info.get(name)
    return None if value is None else check_name(name, value)


def _outcome(status: int) -> tuple[str, dict[str, str]]:
    outcome = "done" if status < 400 else "refused" if status < _FAILED else "failed"
    return outcome, {"status": str(status)}


async def _end(audit: Audit, about: int, outcome: str, detail: dict[str, str]) -> None:
    """It is done, or not, whether or not that can be written."""
    try:
        await audit.ended(about, outcome, detail)
    except StoreUnavailableError as error:
        log.error("how entry %d of the audit ended is not in it: %s", about, error)
