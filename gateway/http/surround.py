"""What surrounds every route, and bounds it.

From outside in: security headers, errors as problems, the door (under which name, from which page), the guard (with
which key, how often), the audit, the deadline, the handler.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler
from msgspec import Struct

from gateway.access.api_keys import ApiKeys
from gateway.audit.refusals import Refusals
from gateway.http.auditing import auditing
from gateway.http.correlating import correlated, tell_correlation
from gateway.http.guard import GUARD, Guard
from gateway.http.methods import all_of, options
from gateway.http.node import VIEW_DEADLINE_S
from gateway.http.origins import Doorman, Origins
from gateway.http.places import holding
from gateway.http.problems import NO_ANSWER, TOO_LARGE, Refused, respond, respond_to
from gateway.http.requests import BODY_LIMIT, BODY_TIMEOUT_S
from gateway.http.routes import Route
from gateway.http.rules import RULES, Rules
from protocol.audit import Audit

HEADERS: Final = {
    "Server": "plantao",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_THEIR_OWN: Final = frozenset({"Cache-Control", "Content-Security-Policy"})
"""What an answer may say differently: the page's files do."""
HSTS: Final = {"Strict-Transport-Security": "max-age=31536000"}
"""Of what is served with TLS."""


class HttpLimits(Struct, frozen=True, kw_only=True):
    """Bounds of the admin endpoint: bytes of a body and of an archive, connections, times in seconds, and requests.

    Requests (0: no limit): ``address_requests`` in ``address_period_s`` from an address without a key that is good, but
    ``ready_per_minute`` to ``/ready``; ``key_requests`` an hour with a key that has no limit of its own.
    ``idle_s``: how long a connection may be open without a complete request head. ``pair_s``: pairing may have to open
    a port and wait for WhatsApp before there is a code.
    """

    body_bytes: int = 1 << 20
    connections: int = 256
    idle_s: float = 15.0
    body_s: float = 10.0
    request_s: float = 30.0
    pair_s: float = 90.0
    view_s: float = 3.0
    address_requests: int = 100
    address_period_s: float = 900.0
    ready_per_minute: int = 1200
    key_requests: int = 1000
    archive_bytes: int = 16 << 30


def surround(
    routes: Sequence[Route],
    keys: ApiKeys,
    limits: HttpLimits,
    origins: Origins,
    refused: Counter[str],
    audit: Audit,
    *,
    secure: bool,
) -> web.Application:
    """An application of ``routes``, with what surrounds every one of them."""
    door = Doorman(origins, refused)
    guard = Guard(
        keys,
        refused,
        Refusals(audit),
        address_requests=limits.address_requests,
        address_period_s=limits.address_period_s,
        key_requests=limits.key_requests,
    )
    middlewares = [correlated, _problems, door.check, guard.admit, holding, auditing(audit)]
    app = web.Application(middlewares=middlewares, client_max_size=limits.body_bytes)
    app[GUARD] = guard
    app[BODY_LIMIT] = limits.body_bytes
    app[BODY_TIMEOUT_S] = limits.body_s
    app[VIEW_DEADLINE_S] = limits.view_s
    app.on_response_prepare.append(_secured(door, secure))
    app.on_response_prepare.append(tell_correlation)
    app.on_cleanup.append(guard.close)
    app[RULES] = Rules(guard, door, key_requests=limits.key_requests)
    for route in (*routes, *options(routes)):
        handler = route.handler
        bounded = handler if route.endless else _within(route.patience_s or limits.request_s, handler)
        expect = _expecting(limits.archive_bytes if route.stream else limits.body_bytes)
        for method in all_of(route):
            guard.watch(app.router.add_route(method, route.path, bounded, expect_handler=expect), route)
    return app


def _within(seconds: float, handler: Handler) -> Handler:
    """``handler`` with a deadline. What it had begun may still come to its end in the node."""

    async def bounded(request: web.Request) -> web.StreamResponse:
        try:
            async with asyncio.timeout(seconds):
                return await handler(request)
        except TimeoutError as error:
            raise Refused(NO_ANSWER, f"not done within {seconds:g} seconds; it may still be done later") from error

    return bounded


@web.middleware
async def _problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ConnectionError:
        raise  # the client has gone: there is nobody to answer
    except Exception as error:  # noqa: BLE001 - the border: everything becomes an answer, the unknown is logged
        return respond_to(error)


def _expecting(most: int) -> Callable[[web.Request], Awaitable[web.StreamResponse | None]]:
    """Answers ``Expect: 100-continue`` before the body is sent, with the refusal if that is known to have more bytes
    than ``most``."""

    async def expect(request: web.Request) -> web.StreamResponse | None:
        if (request.content_length or 0) > most:
            response = respond(TOO_LARGE, f"at most {most} bytes")
            response.force_close()
            return response
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # Not a part of the response: that begins anew.
        request.writer.output_size = 0
        return None

    return expect


def _secured(door: Doorman, secure: bool) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    headers = HEADERS | (HSTS if secure else {})

    async def prepare(request: web.Request, response: web.StreamResponse) -> None:
        kept = {name: response.headers[name] for name in _THEIR_OWN if name in response.headers}
        response.headers.update(headers | kept)
        door.tell(request, response)

    return prepare
