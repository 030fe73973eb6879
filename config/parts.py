"""The parts of a node, made from its settings and not yet started: the one place where gateways are constructed."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from actors.board import Board
from actors.channel.surroundings import Policies
from actors.clinic_parts import ClinicParts
from actors.custody.keeping import Keeping
from actors.custody.resuming import Resuming
from actors.desk import Desk
from actors.drain import Drain
from actors.loop import AsyncioLoop
from actors.meters import NodeMeters
from actors.switchboard import Switchboard
from actors.turns import Turns
from config import custody, master_keys, overrides, serving
from config.boot import StaggeredOpener
from config.counted import CountedOpener
from config.health import NodeHealth
from config.nats_quota import nats_quota
from config.noting import PassedOverNotes
from config.policies import channel_policy
from config.reload import Reload, Reread
from config.sections import Nats, Settings
from config.telemetry import span_export
from gateway.access.api_keys import open_keys
from gateway.audit.keeper import NodeAudit, audit_key
from gateway.http.backends import Backends
from gateway.http.server import AdminServer
from gateway.http.tls import Certificate
from gateway.jobs import NodeJobs
from gateway.lgpd.sessions import PeopleInSessions
from gateway.lgpd.tombstones import DiskTombstones
from gateway.media_fetch import networks
from gateway.media_fetch.fetcher import WebFetcher
from gateway.nats.broker import EmbeddedBroker
from gateway.nats.bus import NatsBus
from gateway.nats.external import ExternalBroker
from gateway.nats.logins import Logins
from gateway.nats.registry import NatsRegistry
from gateway.nats.server_config import Tls
from gateway.nats.streams import Retention
from gateway.nats.tls import checked
from gateway.store.part import Bounds
from gateway.store.store import SqliteStore
from gateway.vault import KeyRotation, Vaults
from gateway.vault.keys import DataKey
from gateway.vault.node_key import ensure_node_key
from gateway.whatsapp.opener import Nursery
from protocol.commands import utc_now
from protocol.errors import InvalidInputError
from supervisor.names import Names
from supervisor.tally import Tally

if TYPE_CHECKING:
    from gateway.telemetry.export import SpanExport


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """All that the tree supervises, and what its actors share."""

    loop: AsyncioLoop
    names: Names
    tally: Tally
    board: Board
    store: SqliteStore
    broker: EmbeddedBroker | ExternalBroker
    bus: NatsBus
    logins: Logins
    registry: NatsRegistry
    nursery: Nursery
    clinics: ClinicParts
    drain: Drain
    desk: Desk
    health: NodeHealth
    audit: NodeAudit
    telemetry: "SpanExport | None"
    jobs: NodeJobs
    resuming: Resuming
    keeping: Keeping
    certificate: Certificate | None
    admin: AdminServer
    reloading: Reload


def make(settings: Settings, reread: Reread) -> Parts:
    """Construct everything; opens nothing but the admin key and the master key. ``reread`` reads the settings again.

    Raises:
        InvalidInputError: settings that do not go together.
        StoreUnavailableError: a key's file cannot be read or written, or the data was sealed with another master key.
    """
    loop, names, tally, board, drain = AsyncioLoop(), Names(), Tally(), Board(), Drain()
    meters = NodeMeters(board)
    telemetry = span_export(settings)
    master_key = master_keys.present(settings)
    node_key = ensure_node_key(settings.data, master_key)
    broker = _broker(settings, node_key)
    audit = NodeAudit(settings.data, audit_key(node_key), utc_now)
    kept = Vaults(settings.data, master_key, keep=settings.vault.keep, passed_over=PassedOverNotes(audit))
    key_rotation = KeyRotation(settings.data, kept, partial(master_keys.next_one, settings))
    key_rotation.finish()
    limits, reloading = settings.limits, Reload(settings, reread)
    bus = NatsBus(
        broker,
        encoding=lambda _clinic: settings.events.encoding,
        retention=Retention(clinic_bytes=limits.stream_bytes),
        commands_per_s=lambda _clinic: reloading.settings.limits.commands_per_s,
        schedules_key=node_key.derive("schedules"),
    )
    tombstones = DiskTombstones(settings.data)
    registry = NatsRegistry(bus, is_erased=tombstones.stands)
    store = SqliteStore(settings.data, kept.data_keys, bounds=_bounds(settings))
    nursery = Nursery(settings.whatsapp.port_command, settings.whatsapp.env, port_bytes=limits.port_bytes)
    sessions = PeopleInSessions(settings.runtime, kept)
    desk = Desk(
        board,
        names,
        registry,
        bus,
        store,
        overrides.check,
        most_channels=lambda: reloading.settings.limits.channels_per_clinic,
        forms_of=sessions.forms_of,
    )
    bus.serve(desk, audit)
    jobs = NodeJobs(settings.data, audit)
    keys = open_keys(settings.data, admin_key_file(settings.data), utc_now)
    custodians = custody.make(
        custody.Held(
            settings=settings,
            switchboard=Switchboard(board, names),
            operations=desk,
            jobs=jobs,
            vaults=kept,
            rotation=key_rotation,
            bus=bus,
            broker=broker,
            registry=registry,
            store=store,
            keys=keys,
            tombstones=tombstones,
            sessions=sessions,
        )
    )
    health = NodeHealth(names, tally, bus, audit, settings.data, drain, lambda: custodians.keeping.made)
    logins = Logins(broker if isinstance(broker, EmbeddedBroker) else None, utc_now)
    backends = Backends(
        operations=desk,
        keys=keys,
        logins=logins,
        jobs=jobs,
        backups=custodians.backups,
        personal=custodians.personal,
        rotations=custodians.rotations,
        audit=audit,
        health=health,
        live=board,
        meters=meters,
        reloading=reloading,
    )
    shown = serving.certificate(settings.http)
    return Parts(
        loop=loop,
        names=names,
        tally=tally,
        board=board,
        store=store,
        broker=broker,
        bus=bus,
        logins=logins,
        registry=registry,
        nursery=nursery,
        clinics=ClinicParts(
            bus=bus,
            store=store,
            loop=loop,
            opener=_opener(settings, nursery, tally),
            board=board,
            meters=meters,
            names=names,
            policies=Policies(channel_policy(settings)),
            runtime=settings.runtime,
            vaults=kept,
            web=_web(settings),
            drain=drain,
            telemetry=telemetry,
            media_turns=Turns(settings.inbox.media_at_once),
        ),
        drain=drain,
        desk=desk,
        health=health,
        audit=audit,
        telemetry=telemetry,
        jobs=jobs,
        resuming=custodians.resuming,
        keeping=custodians.keeping,
        certificate=shown,
        admin=serving.admin(settings, backends, shown),
        reloading=reloading,
    )


def _opener(settings: Settings, nursery: Nursery, tally: Tally) -> StaggeredOpener:
    return StaggeredOpener(
        CountedOpener(nursery, tally),
        parallel=settings.boot.parallel,
        jitter_s=settings.boot.jitter_s,
        deadline_s=settings.calls.connect_deadline,
        random=Random(),  # noqa: S311 - jitter
    )


def admin_key_file(data: Path) -> Path:
    """Where the admin key is."""
    return data / "admin.key"


def _web(settings: Settings) -> WebFetcher:
    media = settings.media
    return WebFetcher(
        allow=networks.read(media.allow_networks, "media.allow_networks"),
        at_once=media.at_once,
        deadline_s=media.deadline,
    )


def _broker(settings: Settings, node_key: DataKey) -> EmbeddedBroker | ExternalBroker:
    if not settings.nats.url:
        return EmbeddedBroker(
            settings.data / "nats",
            key=node_key,
            runtime=settings.runtime / "nats",
            host=settings.nats.host,
            port=settings.nats.port,
            tls=_nats_tls(settings.nats),
            quota=nats_quota(settings.limits),
        )
    if settings.nats.accounts_file is None:
        raise InvalidInputError("nats.accounts_file", "the file with the accounts of the broker that nats.url names")
    return ExternalBroker(settings.nats.url, settings.nats.accounts_file, settings.nats.ca)


def _nats_tls(nats: Nats) -> Tls | None:
    if nats.certificate is None or nats.key is None:
        return None
    return checked(Tls(nats.certificate.absolute(), nats.key.absolute()))


def _bounds(settings: Settings) -> Bounds:
    return Bounds(
        keep=timedelta(days=settings.ledger.keep_days),
        remember=timedelta(days=settings.ledger.remember_days),
        people=timedelta(days=settings.ledger.people_days),
        max_bytes=settings.limits.database_bytes,
        spool_bytes=settings.limits.spool_bytes,
    )
