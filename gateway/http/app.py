"""The application: its routes, and what surrounds every one of them.

From outside in: security headers, errors as problems, the key, the deadline, the handler.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from msgspec import Struct

from gateway.http.auth import AdminKey, presented
from gateway.http.channels import ChannelRoutes
from gateway.http.clinics import ClinicRoutes
from gateway.http.commands import MOST_WAIT_S, CommandRoutes
from gateway.http.health import Health
from gateway.http.node import VIEW_DEADLINE_S, NodeRoutes
from gateway.http.problems import NO_ANSWER, TOO_LARGE, UNAUTHORIZED, Refused, of_status, respond, respond_to
from gateway.http.requests import BODY_LIMIT, BODY_TIMEOUT_S
from gateway.http.tree import TreeRoutes
from protocol.operations import Operations

API: Final = "/api/v1"
CLINIC: Final = f"{API}/clinics/{{clinic}}"
CHANNEL: Final = f"{CLINIC}/channels/{{channel}}"
PAIR: Final = f"{CHANNEL}/pair"
COMMAND: Final = f"{CHANNEL}/messages/{{id}}"
OPEN: Final = frozenset({"/health", "/ready"})
"""Paths that need no key; a wrong one is refused all the same."""
HEADERS: Final = {
    "Server": "plantao",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

Route = tuple[Callable[..., web.RouteDef], str, Handler]
"""How a method's route is made, its path, and who answers."""


class HttpLimits(Struct, frozen=True, kw_only=True):
    """Bounds of the admin endpoint: bytes of a body, open connections, and times in seconds.

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


def build(
    operations: Operations, key: AdminKey, health: Health, limits: HttpLimits, executor: Executor
) -> web.Application:
    """The whole application; ``executor`` does what would hold up the loop."""
    app = web.Application(
        middlewares=[_problems, _authentication(key)],
        client_max_size=limits.body_bytes,
    )
    app[BODY_LIMIT] = limits.body_bytes
    app[BODY_TIMEOUT_S] = limits.body_s
    app[VIEW_DEADLINE_S] = limits.view_s
    app.on_response_prepare.append(_secure)
    patience = {PAIR: limits.pair_s, COMMAND: limits.request_s + MOST_WAIT_S}
    for method, path, handler in (
        *_whole(NodeRoutes(operations, health, executor), TreeRoutes(health, executor), ClinicRoutes(operations)),
        *_of_channels(ChannelRoutes(operations, executor)),
        *_of_commands(CommandRoutes(operations)),
    ):
        bounded = _within(patience.get(path, limits.request_s), handler)
        app.add_routes([method(path, bounded, expect_handler=_expect)])
    return app


def _whole(node: NodeRoutes, tree: TreeRoutes, clinics: ClinicRoutes) -> Sequence[Route]:
    return (
        (web.get, "/health", node.alive),
        (web.get, "/ready", node.ready),
        (web.get, "/metrics", node.scrape),
        (web.get, f"{API}/tree", tree.get),
        (web.get, f"{API}/clinics", clinics.list),
        (web.post, f"{API}/clinics", clinics.add),
        (web.get, CLINIC, clinics.get),
        (web.delete, CLINIC, clinics.remove),
        (web.get, f"{CLINIC}/stats", clinics.stats),
        (web.post, f"{CLINIC}/release", clinics.release),
    )


def _of_channels(channels: ChannelRoutes) -> Sequence[Route]:
    many, one = f"{CLINIC}/channels", CHANNEL
    return (
        (web.get, f"{API}/channels", channels.search),
        (web.get, many, channels.list),
        (web.post, many, channels.add),
        (web.get, one, channels.get),
        (web.patch, one, channels.change),
        (web.delete, one, channels.remove),
        (web.post, f"{one}/connect", channels.connect),
        (web.post, f"{one}/disconnect", channels.disconnect),
        (web.post, f"{one}/suspend", channels.suspend),
        (web.post, f"{one}/resume", channels.resume),
        (web.post, f"{one}/logout", channels.logout),
        (web.post, PAIR, channels.pair),
        (web.post, f"{one}/send", channels.send),
        (web.get, f"{one}/qr", channels.qr),
        (web.get, f"{one}/qr.png", channels.qr_png),
        (web.post, f"{one}/check", channels.check),
        (web.post, f"{one}/mark_read", channels.mark_read),
        (web.post, f"{one}/presence", channels.presence),
    )


def _of_commands(commands: CommandRoutes) -> Sequence[Route]:
    letter = f"{CHANNEL}/dead/{{id}}"
    return (
        (web.get, f"{CHANNEL}/messages", commands.list),
        (web.get, COMMAND, commands.get),
        (web.post, f"{COMMAND}/cancel", commands.cancel),
        (web.post, f"{COMMAND}/release", commands.release),
        (web.get, f"{CHANNEL}/dead", commands.dead),
        (web.post, f"{letter}/replay", commands.replay),
        (web.delete, letter, commands.discard),
    )


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


def _authentication(key: AdminKey) -> Middleware:
    @web.middleware
    async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
        candidate = presented(request.headers)
        if candidate is None and request.path in OPEN:
            return await handler(request)
        if candidate is None or not key.matches(candidate):
            what = "no key was presented" if candidate is None else "the key is not valid"
            raise Refused(
                UNAUTHORIZED,
                f"{what}: send it as Authorization: Bearer … or X-API-Key",
                headers={"WWW-Authenticate": 'Bearer realm="plantao"'},
            )
        return await handler(request)

    return authenticate


async def _expect(request: web.Request) -> web.StreamResponse | None:
    """Answer ``Expect: 100-continue`` before the body is sent, with the refusal if it is known to be too large."""
    if (request.content_length or 0) > request.app[BODY_LIMIT]:
        response = respond(TOO_LARGE, f"at most {request.app[BODY_LIMIT]} bytes")
        response.force_close()
        return response
    if request.headers[hdrs.EXPECT].lower() != "100-continue":
        return of_status(417, "only 100-continue can be expected")
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    # Not a part of the response: that begins anew.
    request.writer.output_size = 0
    return None


async def _secure(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
