"""The gateways by which a node reaches the world, made from its settings and not yet started. HTTP is made in
``serving``, the archives in ``custody``."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from config import master_keys, serving
from config.nats_quota import nats_quota
from config.noting import PassedOverNotes
from config.reload import Reload
from config.sections import Nats, Settings
from config.telemetry import span_export
from gateway.access.api_keys import ApiKeys, open_keys
from gateway.audit.keeper import NodeAudit, audit_key
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

if TYPE_CHECKING:
    from gateway.telemetry.export import SpanExport


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateways:
    """All by which a node reaches the world: NATS, its disk, WhatsApp, the web."""

    telemetry: "SpanExport | None"
    broker: EmbeddedBroker | ExternalBroker
    audit: NodeAudit
    vaults: Vaults
    rotation: KeyRotation
    bus: NatsBus
    logins: Logins
    tombstones: DiskTombstones
    registry: NatsRegistry
    store: SqliteStore
    nursery: Nursery
    sessions: PeopleInSessions
    jobs: NodeJobs
    keys: ApiKeys
    web: WebFetcher
    certificate: Certificate | None


def make(settings: Settings, reloading: Reload) -> Gateways:
    """Opens nothing but the admin key and the master key; ``reloading`` has the settings as they are at any time.

    Raises:
        InvalidInputError: settings that do not go together.
        StoreUnavailableError: a key's file cannot be read or written, or the data was sealed with another master key.
    """
    data = settings.data
    telemetry = span_export(settings)
    master_key = master_keys.present(settings)
    node_key = ensure_node_key(data, master_key)
    broker = _broker(settings, node_key)
    audit = NodeAudit(data, audit_key(node_key), utc_now)
    vaults = Vaults(data, master_key, keep=settings.vault.keep, passed_over=PassedOverNotes(audit))
    rotation = KeyRotation(data, vaults, partial(master_keys.next_one, settings))
    rotation.finish()
    bus = _bus(settings, reloading, broker, node_key)
    tombstones = DiskTombstones(data)
    return Gateways(
        telemetry=telemetry,
        broker=broker,
        audit=audit,
        vaults=vaults,
        rotation=rotation,
        bus=bus,
        logins=Logins(broker if isinstance(broker, EmbeddedBroker) else None, utc_now),
        tombstones=tombstones,
        registry=NatsRegistry(bus, is_erased=tombstones.stands),
        store=SqliteStore(data, vaults.data_keys, bounds=_bounds(settings)),
        nursery=Nursery(settings.whatsapp.port_command, settings.whatsapp.env, port_bytes=settings.limits.port_bytes),
        sessions=PeopleInSessions(settings.runtime, vaults),
        jobs=NodeJobs(data, audit),
        keys=open_keys(data, admin_key_file(data), utc_now),
        web=_web(settings),
        certificate=serving.certificate(settings.http),
    )


def admin_key_file(data: Path) -> Path:
    """Where the admin key is."""
    return data / "admin.key"


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


def _bus(settings: Settings, reloading: Reload, broker: EmbeddedBroker | ExternalBroker, node_key: DataKey) -> NatsBus:
    return NatsBus(
        broker,
        encoding=lambda _clinic: settings.events.encoding,
        retention=Retention(clinic_bytes=settings.limits.stream_bytes),
        commands_per_s=lambda _clinic: reloading.settings.limits.commands_per_s,
        schedules_key=node_key.derive("schedules"),
    )


def _bounds(settings: Settings) -> Bounds:
    return Bounds(
        keep=timedelta(days=settings.ledger.keep_days),
        remember=timedelta(days=settings.ledger.remember_days),
        people=timedelta(days=settings.ledger.people_days),
        max_bytes=settings.limits.database_bytes,
        spool_bytes=settings.limits.spool_bytes,
    )


def _web(settings: Settings) -> WebFetcher:
    media = settings.media
    return WebFetcher(
        allow=networks.read(media.allow_networks, "media.allow_networks"),
        at_once=media.at_once,
        deadline_s=media.deadline,
    )
