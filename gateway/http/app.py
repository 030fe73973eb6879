"""The application: all its routes. What surrounds each of them is in ``surround``."""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.access.api_keys import ApiKeys
from gateway.http.audit import VERIFY_S, AuditRoutes
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
from gateway.http.health import Health
from gateway.http.jobs import FETCH_S, JobRoutes
from gateway.http.keys import KeyRoutes, NewKey
from gateway.http.node import NodeRoutes
from gateway.http.origins import HEALTH, Origins
from gateway.http.routes import API, CHANNEL, CLINIC, Query, Route
from gateway.http.surround import HttpLimits, surround
from gateway.http.tree import TreeRoutes
from protocol.access import Permission
from protocol.audit import Verification, VerifiedAudit
from protocol.commands import SendCommand
from protocol.custody import Backups
from protocol.jobs import Jobs, JobView
from protocol.operations import Operations

_NO_OTHERS: Final = Origins()


def build(
    operations: Operations,
    jobs: Jobs,
    backups: Backups,
    audit: VerifiedAudit,
    keys: ApiKeys,
    health: Health,
    limits: HttpLimits,
    executor: Executor,
    origins: Origins = _NO_OTHERS,
    *,
    secure: bool = False,
) -> web.Application:
    """The whole application; ``executor`` does what would hold up the loop. ``secure``: it is served with TLS."""
    refused = Counter[str]()
    routes = table(operations, jobs, backups, audit, keys, health, limits, executor, refused)
    return surround(routes, keys, limits, origins, refused, audit, secure=secure)


def table(
    operations: Operations,
    jobs: Jobs,
    backups: Backups,
    audit: VerifiedAudit,
    keys: ApiKeys,
    health: Health,
    limits: HttpLimits,
    executor: Executor,
    refused: Mapping[str, int],
) -> Sequence[Route]:
    """All routes. ``refused`` counts, by reason, the requests that were not let in."""
    return (
        *_of_node(NodeRoutes(operations, health, executor, refused), TreeRoutes(health, executor), limits),
        *_of_clinics(ClinicRoutes(operations, keys)),
        *_of_channels(ChannelRoutes(operations, executor), limits),
        *_of_commands(CommandRoutes(operations), limits),
        *_of_jobs(JobRoutes(jobs)),
        *_of_backups(BackupRoutes(backups, limits.archive_bytes)),
        *_of_audit(AuditRoutes(audit)),
        *_of_keys(KeyRoutes(keys, operations, limits.key_requests)),
    )


def _of_node(node: NodeRoutes, tree: TreeRoutes, limits: HttpLimits) -> Sequence[Route]:
    view, often = Permission.VIEW, limits.ready_per_minute
    return (
        Route(method="GET", path=HEALTH, handler=node.alive, permission=Permission.OPEN, per_minute=0),
        Route(method="GET", path="/ready", handler=node.ready, permission=Permission.OPEN, per_minute=often),
        Route(method="GET", path="/metrics", handler=node.scrape, permission=view),
        Route(method="GET", path=f"{API}/tree", handler=tree.get, permission=view, filtered=True),
    )


def _of_keys(keys: KeyRoutes) -> Sequence[Route]:
    many, one, admin = f"{API}/keys", f"{API}/keys/{{key}}", Permission.ADMINISTER
    return (
        Route(method="GET", path=many, handler=keys.list, permission=admin, filtered=True),
        Route(
            method="POST", path=many, handler=keys.add, permission=admin, filtered=True, action="key.add", body=NewKey
        ),
        Route(method="GET", path=one, handler=keys.get, permission=admin, filtered=True),
        Route(method="DELETE", path=one, handler=keys.revoke, permission=admin, filtered=True, action="key.revoke"),
    )


def _of_jobs(jobs: JobRoutes) -> Sequence[Route]:
    view, admin, one = Permission.VIEW, Permission.ADMINISTER, f"{API}/jobs/{{id}}"
    file = f"{one}/file"
    return (
        Route(method="GET", path=f"{API}/jobs", handler=jobs.list, permission=view, filtered=True),
        Route(method="GET", path=one, handler=jobs.get, permission=view, filtered=True, answer=JobView),
        Route(
            method="GET",
            path=file,
            handler=jobs.fetch,
            permission=admin,
            filtered=True,
            patience_s=FETCH_S,
            content="application/octet-stream",
        ),
        Route(method="DELETE", path=file, handler=jobs.discard, permission=admin, filtered=True, action="job.discard"),
    )


def _of_backups(backups: BackupRoutes) -> Sequence[Route]:
    admin = Permission.ADMINISTER
    how = (
        Query(name="clinic", kind=str, what="only this clinic of those that the archive holds"),
        Query(name="replace", kind=bool, what="also what is there, which is lost"),
        Query(name="resume", kind=bool, what="send what waited when the archive was made, which else is held"),
    )
    return (
        Route(
            method="POST",
            path=f"{API}/backup",
            handler=backups.backup,
            permission=admin,
            filtered=True,
            action="backup.ask",
            body=NewBackup,
            answer=JobView,
            status=202,
        ),
        Route(
            method="POST",
            path=f"{API}/restore",
            handler=backups.restore,
            permission=admin,
            action="restore.ask",
            patience_s=UPLOAD_S,
            stream=True,
            query=how,
            answer=JobView,
            status=202,
        ),
    )


def _of_audit(audit: AuditRoutes) -> Sequence[Route]:
    where, admin = f"{API}/audit", Permission.ADMINISTER
    listed = (
        Query(name="clinic", kind=str, what="only what concerns this clinic"),
        Query(name="before", kind=int, what="only entries with a lower number"),
        Query(name="limit", kind=int, what="at most so many"),
    )
    since = (Query(name="since", kind=str, what="SEQ:HASH of an entry that must be a part of it"),)
    return (
        Route(method="GET", path=where, handler=audit.list, permission=admin, filtered=True, query=listed),
        Route(
            method="GET",
            path=f"{where}/verify",
            handler=audit.verify,
            permission=admin,
            patience_s=VERIFY_S,
            query=since,
            answer=Verification,
        ),
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
