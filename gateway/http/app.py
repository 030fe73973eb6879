"""The application: its routes, and what surrounds every one of them.

From outside in: security headers, errors as problems, the key, the deadline, the handler.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from msgspec import Struct

from gateway.http.auth import AdminKey, presented
from gateway.http.backups import UPLOAD_S, BackupRoutes, NewBackup
from gateway.http.channels import (
    ChannelChange,
    ChannelRoutes,
    NewChannel,
    NumberCheckRequest,
    PairRequest,
    PresenceChange,
    ReadMark,
)
from gateway.http.clinics import ClinicRoutes, NewClinic
from gateway.http.commands import MOST_WAIT_S, CommandRoutes
from gateway.http.consents import ConsentRoutes
from gateway.http.custody import CustodyRoutes
from gateway.http.health import Health
from gateway.http.jobs import FETCH_S, JobRoutes
from gateway.http.node import VIEW_DEADLINE_S, NodeRoutes
from gateway.http.problems import NO_ANSWER, TOO_LARGE, UNAUTHORIZED, Refused, of_status, respond, respond_to
from gateway.http.requests import BODY_LIMIT, BODY_TIMEOUT_S
from gateway.http.routes import API, CALLER, CHANNEL, CLINIC, Route
from gateway.http.tree import TreeRoutes
from protocol.access import Caller, Permission, Role
from protocol.commands import SendCommand
from protocol.custody import Backups, PersonalData
from protocol.jobs import Jobs, JobView
from protocol.operations import Operations

OPEN: Final = frozenset({"/health", "/ready"})
"""Paths that need no key; a wrong one is refused all the same."""
HEADERS: Final = {
    "Server": "plantao",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


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
    archive_bytes: int = 16 << 30


def build(
    operations: Operations,
    jobs: Jobs,
    backups: Backups,
    personal: PersonalData,
    key: AdminKey,
    health: Health,
    limits: HttpLimits,
    executor: Executor,
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
    for route in (
        *_of_node(NodeRoutes(operations, health, executor), TreeRoutes(health, executor)),
        *_of_clinics(ClinicRoutes(operations)),
        *_of_channels(ChannelRoutes(operations, executor), limits),
        *_of_commands(CommandRoutes(operations), limits),
        *_of_jobs(JobRoutes(jobs)),
        *_of_backups(BackupRoutes(backups, limits.archive_bytes)),
        *CustodyRoutes(personal).routes(),
        *ConsentRoutes(operations).routes(),
    ):
        bounded = _within(route.patience_s or limits.request_s, route.handler)
        app.router.add_route(route.method, route.path, bounded, expect_handler=_expect)
    return app


def _of_node(node: NodeRoutes, tree: TreeRoutes) -> Sequence[Route]:
    return (
        Route(method="GET", path="/health", handler=node.alive, permission=Permission.OPEN),
        Route(method="GET", path="/ready", handler=node.ready, permission=Permission.OPEN),
        Route(method="GET", path="/metrics", handler=node.scrape, permission=Permission.VIEW),
        Route(method="GET", path=f"{API}/tree", handler=tree.get, permission=Permission.VIEW),
    )


def _of_clinics(clinics: ClinicRoutes) -> Sequence[Route]:
    many, admin, act = f"{API}/clinics", Permission.ADMINISTER, Permission.OPERATE
    return (
        Route(method="GET", path=many, handler=clinics.list, permission=Permission.VIEW, filtered=True),
        Route(method="POST", path=many, handler=clinics.add, permission=admin, action="clinic.add", body=NewClinic),
        Route(method="GET", path=CLINIC, handler=clinics.get, permission=Permission.VIEW),
        Route(method="DELETE", path=CLINIC, handler=clinics.remove, permission=admin, action="clinic.remove"),
        Route(method="GET", path=f"{CLINIC}/stats", handler=clinics.stats, permission=Permission.VIEW),
        Route(
            method="POST", path=f"{CLINIC}/release", handler=clinics.release, permission=act, action="clinic.release"
        ),
    )


def _of_channels(channels: ChannelRoutes, limits: HttpLimits) -> Sequence[Route]:
    many, one = f"{CLINIC}/channels", CHANNEL
    view, act, admin = Permission.VIEW, Permission.OPERATE, Permission.ADMINISTER

    def verb(name: str, handler: Handler, body: Any = None, patience_s: float | None = None) -> Route:
        return Route(
            method="POST",
            path=f"{one}/{name}",
            handler=handler,
            permission=act,
            action=f"channel.{name}",
            body=body,
            patience_s=patience_s,
        )

    return (
        Route(method="GET", path=f"{API}/channels", handler=channels.search, permission=view, filtered=True),
        Route(method="GET", path=many, handler=channels.list, permission=view),
        Route(method="POST", path=many, handler=channels.add, permission=admin, action="channel.add", body=NewChannel),
        Route(method="GET", path=one, handler=channels.get, permission=view),
        Route(
            method="PATCH",
            path=one,
            handler=channels.change,
            permission=admin,
            action="channel.change",
            body=ChannelChange,
        ),
        Route(method="DELETE", path=one, handler=channels.remove, permission=admin, action="channel.remove"),
        verb("connect", channels.connect),
        verb("disconnect", channels.disconnect),
        verb("suspend", channels.suspend),
        verb("resume", channels.resume),
        verb("logout", channels.logout),
        verb("pair", channels.pair, PairRequest, limits.pair_s),
        verb("send", channels.send, SendCommand),
        verb("check", channels.check, NumberCheckRequest),
        verb("mark_read", channels.mark_read, ReadMark),
        verb("presence", channels.presence, PresenceChange),
        Route(method="GET", path=f"{one}/qr", handler=channels.qr, permission=act),
        Route(method="GET", path=f"{one}/qr.png", handler=channels.qr_png, permission=act),
    )


def _of_commands(commands: CommandRoutes, limits: HttpLimits) -> Sequence[Route]:
    view, act = Permission.VIEW, Permission.OPERATE
    message, letter = f"{CHANNEL}/messages/{{id}}", f"{CHANNEL}/dead/{{id}}"
    wait_s = limits.request_s + MOST_WAIT_S
    return (
        Route(method="GET", path=f"{CHANNEL}/messages", handler=commands.list, permission=view),
        Route(method="GET", path=message, handler=commands.get, permission=view, patience_s=wait_s),
        Route(
            method="POST",
            path=f"{message}/cancel",
            handler=commands.cancel,
            permission=act,
            action="message.cancel",
        ),
        Route(
            method="POST", path=f"{message}/release", handler=commands.release, permission=act, action="message.release"
        ),
        Route(method="GET", path=f"{CHANNEL}/dead", handler=commands.dead, permission=view),
        Route(method="POST", path=f"{letter}/replay", handler=commands.replay, permission=act, action="dead.replay"),
        Route(method="DELETE", path=letter, handler=commands.discard, permission=act, action="dead.discard"),
    )


def _of_jobs(jobs: JobRoutes) -> Sequence[Route]:
    view, admin, one = Permission.VIEW, Permission.ADMINISTER, f"{API}/jobs/{{id}}"
    file = f"{one}/file"
    return (
        Route(method="GET", path=f"{API}/jobs", handler=jobs.list, permission=view, filtered=True),
        Route(method="GET", path=one, handler=jobs.get, permission=view, filtered=True, answer=JobView),
        Route(method="GET", path=file, handler=jobs.fetch, permission=admin, filtered=True, patience_s=FETCH_S),
        Route(method="DELETE", path=file, handler=jobs.discard, permission=admin, filtered=True, action="job.discard"),
    )


def _of_backups(backups: BackupRoutes) -> Sequence[Route]:
    admin = Permission.ADMINISTER
    return (
        Route(
            method="POST",
            path=f"{API}/backup",
            handler=backups.backup,
            permission=admin,
            filtered=True,
            action="backup",
            body=NewBackup,
            answer=JobView,
        ),
        Route(
            method="POST",
            path=f"{API}/restore",
            handler=backups.restore,
            permission=admin,
            filtered=True,
            action="restore",
            patience_s=UPLOAD_S,
            stream=True,
            answer=JobView,
        ),
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
        request[CALLER] = Caller(id="admin", role=Role.ADMIN)
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
