"""The application: all its routes. What surrounds each of them is in ``surround``."""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import Final

from aiohttp import web

from gateway.http.audit import AuditRoutes, of_audit
from gateway.http.backends import Backends
from gateway.http.backups import BackupRoutes, of_backups
from gateway.http.channels import ChannelRoutes, of_channels
from gateway.http.clinics import ClinicRoutes, of_clinics
from gateway.http.commands import CommandRoutes, of_commands
from gateway.http.consents import ConsentRoutes, of_consents
from gateway.http.custody import CustodyRoutes, of_custody
from gateway.http.draining import refusing
from gateway.http.events import EventRoutes, of_events
from gateway.http.jobs import JobRoutes, of_jobs
from gateway.http.keys import KeyRoutes, of_keys
from gateway.http.nats_keys import of_logins
from gateway.http.node import NodeRoutes, of_node
from gateway.http.openapi import OpenApiRoutes
from gateway.http.origins import Origins
from gateway.http.reload import ReloadRoutes, of_reload
from gateway.http.rotate import RotateRoutes, of_rotations
from gateway.http.routes import Route
from gateway.http.session import SessionRoutes, of_session
from gateway.http.static import StaticRoutes, of_page, read_page
from gateway.http.streams import Streams
from gateway.http.surround import HttpLimits, surround
from gateway.http.tree import TreeRoutes, of_tree

_NO_OTHERS: Final = Origins()


def build(
    backends: Backends,
    limits: HttpLimits,
    executor: Executor,
    refused: Counter[str],
    origins: Origins = _NO_OTHERS,
    *,
    secure: bool = False,
) -> web.Application:
    """The whole application; ``executor`` does what would hold up the loop, ``refused`` counts by reason what was not
    let in. ``secure``: it is served with TLS."""
    routes = table(backends, limits, executor, refused)
    app = surround(routes, backends.keys, limits, origins, refused, backends.audit, secure=secure)
    app.middlewares.append(refusing(backends.health))
    return app


def table(backends: Backends, limits: HttpLimits, executor: Executor, refused: Mapping[str, int]) -> Sequence[Route]:
    """All routes. ``refused`` counts, by reason, the requests that were not let in."""
    operations, keys, health = backends.operations, backends.keys, backends.health
    streams = Streams()
    node = NodeRoutes(operations, health, backends.meters, executor, refused, streams)
    routes = (
        *of_node(node, limits.ready_per_minute),
        *of_page(StaticRoutes(read_page())),
        *of_session(SessionRoutes(keys, backends.audit)),
        *of_tree(TreeRoutes(health, executor)),
        *of_clinics(ClinicRoutes(operations, keys)),
        *of_channels(ChannelRoutes(operations, executor), limits.pair_s),
        *of_commands(CommandRoutes(operations), limits.request_s),
        *of_audit(AuditRoutes(backends.audit)),
        *of_backups(BackupRoutes(backends.backups, limits.archive_bytes)),
        *of_custody(CustodyRoutes(backends.personal)),
        *of_consents(ConsentRoutes(operations)),
        *of_keys(KeyRoutes(keys, operations)),
        *of_logins(backends.logins),
        *of_jobs(JobRoutes(backends.jobs)),
        *of_rotations(RotateRoutes(backends.rotations)),
        *of_reload(ReloadRoutes(backends.reloading)),
        *of_events(EventRoutes(operations, backends.live, backends.meters, streams)),
    )
    return (*routes, OpenApiRoutes(routes, executor).route)
