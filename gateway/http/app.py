"""The application: all its routes. What surrounds each of them is in ``surround``."""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import Annotated, Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler
from msgspec import Meta

from gateway.http.audit import AuditRoutes, of_audit
from gateway.http.backends import Backends
from gateway.http.backups import BackupRoutes, of_backups
from gateway.http.channels import (
    ChannelChange,
    ChannelList,
    ChannelRoutes,
    NewChannel,
    NumberCheckRequest,
    PairRequest,
    PresenceChange,
    Queued,
    ReadMark,
)
from gateway.http.clinics import ClinicList, ClinicRoutes, NewClinic
from gateway.http.commands import MOST_LISTED, MOST_WAIT_S, CommandRoutes
from gateway.http.consents import ConsentRoutes
from gateway.http.custody import CustodyRoutes
from gateway.http.health import TreeNode
from gateway.http.jobs import JobRoutes, of_jobs
from gateway.http.keys import KeyList, KeyRoutes, KeyView, MadeKey, NewKey
from gateway.http.nats_keys import of_logins
from gateway.http.node import Alive, NodeRoutes, Readiness
from gateway.http.openapi import OpenApiRoutes
from gateway.http.origins import HEALTH, Origins
from gateway.http.rotate import RotateRoutes, of_rotations
from gateway.http.routes import API, CHANNEL, CLINIC, Query, Route
from gateway.http.surround import HttpLimits, surround
from gateway.http.tree import DEEPEST, TreeRoutes
from protocol.access import Permission
from protocol.channel import ChannelSnapshot, ChannelState, ClinicSnapshot, PairingCode, QrCode
from protocol.commands import SendCommand
from protocol.ids import ClinicId
from protocol.subjects import Priority
from protocol.views import ClinicStats, CommandPage, CommandState, CommandView, NumberChecks

_NO_OTHERS: Final = Origins()
OF_CLINIC: Final = Query(name="clinic", kind=ClinicId, what="only of this clinic")
Depth = Annotated[int, Meta(ge=0, le=DEEPEST)]
Listed = Annotated[int, Meta(ge=1, le=MOST_LISTED)]
Wait = Annotated[float, Meta(ge=0, le=MOST_WAIT_S)]


def build(
    backends: Backends,
    limits: HttpLimits,
    executor: Executor,
    origins: Origins = _NO_OTHERS,
    *,
    secure: bool = False,
) -> web.Application:
    """The whole application; ``executor`` does what would hold up the loop. ``secure``: it is served with TLS."""
    refused = Counter[str]()
    routes = table(backends, limits, executor, refused)
    return surround(routes, backends.keys, limits, origins, refused, backends.audit, secure=secure)


def table(backends: Backends, limits: HttpLimits, executor: Executor, refused: Mapping[str, int]) -> Sequence[Route]:
    """All routes. ``refused`` counts, by reason, the requests that were not let in."""
    operations, keys, health = backends.operations, backends.keys, backends.health
    routes = (
        *_of_node(NodeRoutes(operations, health, executor, refused), TreeRoutes(health, executor), limits),
        *_of_clinics(ClinicRoutes(operations, keys)),
        *_of_channels(ChannelRoutes(operations, executor), limits),
        *_of_commands(CommandRoutes(operations), limits),
        *of_audit(AuditRoutes(backends.audit)),
        *of_backups(BackupRoutes(backends.backups, limits.archive_bytes)),
        *CustodyRoutes(backends.personal).routes(),
        *ConsentRoutes(operations).routes(),
        *_of_keys(KeyRoutes(keys, operations, limits.key_requests)),
        *of_logins(backends.logins),
        *of_jobs(JobRoutes(backends.jobs)),
        *of_rotations(RotateRoutes(backends.rotations)),
    )
    return (*routes, OpenApiRoutes(routes, executor).route)


def _of_node(node: NodeRoutes, tree: TreeRoutes, limits: HttpLimits) -> Sequence[Route]:
    view, often = Permission.VIEW, limits.ready_per_minute
    depth = Query(name="depth", kind=Depth, what="levels below the root")
    return (
        Route(method="GET", path=HEALTH, handler=node.alive, permission=Permission.OPEN, per_minute=0, answer=Alive),
        Route(
            method="GET",
            path="/ready",
            handler=node.ready,
            permission=Permission.OPEN,
            per_minute=often,
            answer=Readiness,
            also=(503,),
        ),
        Route(method="GET", path="/metrics", handler=node.scrape, permission=view, answer=str, content="text/plain"),
        Route(
            method="GET",
            path=f"{API}/tree",
            handler=tree.get,
            permission=view,
            filtered=True,
            query=(depth, OF_CLINIC),
            answer=TreeNode,
        ),
    )


def _of_keys(keys: KeyRoutes) -> Sequence[Route]:
    many, one, admin = f"{API}/keys", f"{API}/keys/{{key}}", Permission.ADMINISTER
    return (
        Route(method="GET", path=many, handler=keys.list, permission=admin, filtered=True, answer=KeyList),
        Route(
            method="POST",
            path=many,
            handler=keys.add,
            permission=admin,
            filtered=True,
            action="key.add",
            body=NewKey,
            answer=MadeKey,
            status=201,
        ),
        Route(method="GET", path=one, handler=keys.get, permission=admin, filtered=True, answer=KeyView),
        Route(
            method="DELETE",
            path=one,
            handler=keys.revoke,
            permission=admin,
            filtered=True,
            action="key.revoke",
            status=204,
        ),
    )


def _of_clinics(clinics: ClinicRoutes) -> Sequence[Route]:
    many, view, admin = f"{API}/clinics", Permission.VIEW, Permission.ADMINISTER
    return (
        Route(method="GET", path=many, handler=clinics.list, permission=view, filtered=True, answer=ClinicList),
        Route(
            method="POST",
            path=many,
            handler=clinics.add,
            permission=admin,
            action="clinic.add",
            body=NewClinic,
            answer=ClinicSnapshot,
            status=201,
        ),
        Route(method="GET", path=CLINIC, handler=clinics.get, permission=view, answer=ClinicSnapshot),
        Route(
            method="DELETE", path=CLINIC, handler=clinics.remove, permission=admin, action="clinic.remove", status=204
        ),
        Route(method="GET", path=f"{CLINIC}/stats", handler=clinics.stats, permission=view, answer=ClinicStats),
        Route(
            method="POST",
            path=f"{CLINIC}/release",
            handler=clinics.release,
            permission=Permission.OPERATE,
            action="clinic.release",
            answer=ClinicSnapshot,
        ),
    )


def _of_channels(channels: ChannelRoutes, limits: HttpLimits) -> Sequence[Route]:
    many, one, view, admin = f"{CLINIC}/channels", CHANNEL, Permission.VIEW, Permission.ADMINISTER
    state = Query(name="state", kind=ChannelState, what="only channels in this state")
    return (
        Route(
            method="GET",
            path=f"{API}/channels",
            handler=channels.search,
            permission=view,
            filtered=True,
            query=(OF_CLINIC, state),
            answer=ChannelList,
        ),
        Route(method="GET", path=many, handler=channels.list, permission=view, answer=ChannelList),
        Route(
            method="POST",
            path=many,
            handler=channels.add,
            permission=admin,
            action="channel.add",
            body=NewChannel,
            answer=ChannelSnapshot,
            status=201,
        ),
        Route(method="GET", path=one, handler=channels.get, permission=view, answer=ChannelSnapshot),
        Route(
            method="PATCH",
            path=one,
            handler=channels.change,
            permission=admin,
            action="channel.change",
            body=ChannelChange,
            answer=ChannelSnapshot,
        ),
        Route(
            method="DELETE", path=one, handler=channels.remove, permission=admin, action="channel.remove", status=204
        ),
        *_of_verbs(channels, limits),
    )


def _of_verbs(channels: ChannelRoutes, limits: HttpLimits) -> Sequence[Route]:
    act = Permission.OPERATE
    codes = (QrCode, PairingCode)
    priority = Query(name="priority", kind=Priority, what="of the queue; normal if not given")

    def verb(name: str, handler: Handler, **more: Any) -> Route:
        return Route(
            method="POST", path=f"{CHANNEL}/{name}", handler=handler, permission=act, action=f"channel.{name}", **more
        )

    return (
        verb("connect", channels.connect, answer=ChannelSnapshot),
        verb("disconnect", channels.disconnect, answer=ChannelSnapshot),
        verb("suspend", channels.suspend, answer=ChannelSnapshot),
        verb("resume", channels.resume, answer=ChannelSnapshot),
        verb("logout", channels.logout, answer=ChannelSnapshot),
        verb("pair", channels.pair, body=PairRequest | None, answer=codes, patience_s=limits.pair_s),
        verb("send", channels.send, body=SendCommand, answer=Queued, status=202, query=(priority,)),
        verb("check", channels.check, body=NumberCheckRequest, answer=NumberChecks),
        verb("mark_read", channels.mark_read, body=ReadMark, status=204),
        verb("presence", channels.presence, body=PresenceChange, status=204),
        Route(method="GET", path=f"{CHANNEL}/qr", handler=channels.qr, permission=act, answer=QrCode),
        Route(
            method="GET",
            path=f"{CHANNEL}/qr.png",
            handler=channels.qr_png,
            permission=act,
            answer=bytes,
            content="image/png",
        ),
    )


def _of_commands(commands: CommandRoutes, limits: HttpLimits) -> Sequence[Route]:
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
            patience_s=limits.request_s + MOST_WAIT_S,
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
