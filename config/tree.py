"""The supervision tree, as data: the only place where actors and gateways meet.

::

    root                        rest_for_one; ends when the loop does
    ├── loop                    the one asyncio loop
    ├── audit                   who did what; before and after all that does anything
    ├── processes               one_for_one; restarted with backoff for ever
    │   ├── broker              nats-server as an OS process (embedded only)
    │   ├── nursery             the process from which ports are forked
    │   └── telemetry           commands' ways to a collector (only where telemetry.endpoint is set)
    ├── store                   SQLite
    ├── bus                     NATS connections, one per clinic account
    ├── clinics                 one_for_one, independent; restarted with backoff, then quarantined
    │   └── clinic <id>         rest_for_one
    │       ├── account         its NATS account and its database, held open
    │       ├── channels        one_for_one, independent; restarted with backoff, then quarantined
    │       │   └── channel <id>
    │       │       └── port    the OS process with the neonize socket; only its channel reopens it
    │       └── reconciler      starts and stops channels as the registry wants them
    ├── registrar               follows the registry: starts and stops clinics
    ├── jobs                    what takes longer than a request: backups, rotations and the like
    ├── resuming                goes on with exchanges of keys that were interrupted
    ├── custody                 finishes interrupted restores and erasures; backups by the clock
    └── admin                   the HTTP endpoint

``rest_for_one`` at the root: what began after the bus holds connections of the bus that ended.

Each child has a role: its kind and its clinic. Metrics count by it, and the live tree shows it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Final

from pykka import ActorRef

from actors import account, places, reconciler, registrar
from actors.account import Account
from actors.channel.actor import Channel
from actors.channel.surroundings import Surroundings
from actors.clinic_parts import ClinicParts
from actors.loop import LoopOwner
from actors.reconciler import Reconciler
from actors.registrar import Registrar
from actors.service import ServiceActor
from config.health import ROOT
from config.parts import Parts
from gateway.audit.service import AuditService
from gateway.jobs import JobService
from gateway.nats.broker import EmbeddedBroker
from protocol.bus import Registry
from protocol.interfaces import Service
from supervisor.actor import Link, tell
from supervisor.backoff import Backoff
from supervisor.names import Name, Names
from supervisor.shell import Supervisor
from supervisor.spec import (
    AutoShutdown,
    ChildSpec,
    ChildType,
    Flags,
    Quarantine,
    Restart,
    Stagger,
    Strategy,
)
from supervisor.tally import Role, Tally

PROCESS_BACKOFF: Final = Backoff(base_s=0.5, cap_s=10.0)
"""Broker and nursery: their ends are not ours, so they are restarted for ever and count towards no intensity."""
ACTOR_BACKOFF: Final = Backoff(base_s=0.2, cap_s=10.0)
"""Clinics and channels: an actor that crashed is a fault of ours; it is back before anybody notices, if it can be."""
ROOT_FLAGS: Final = Flags(
    strategy=Strategy.REST_FOR_ONE, intensity=5, period_s=60.0, auto_shutdown=AutoShutdown.ANY_SIGNIFICANT
)
CLINIC_FLAGS: Final = Flags(strategy=Strategy.REST_FOR_ONE, intensity=5, period_s=60.0)
SERVICE_SHUTDOWN_S: Final = 20.0
CHANNEL_SHUTDOWN_S: Final = 15.0
ACCOUNT_SHUTDOWN_S: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervision:
    """How the tree is supervised. ``hang_s``: an actor that is at one message for so long is given up; ``tally``: where
    it is counted what becomes of all of them."""

    hang_s: float
    quarantine: Quarantine
    stagger: Stagger
    tally: Tally = field(default_factory=Tally)


def root(parts: Parts, supervision: Supervision) -> list[ChildSpec]:
    """The root's children in start order; they are stopped in the reverse order."""
    names, held, hang_s = parts.names, parts.gateways, supervision.hang_s
    broker, telemetry = held.broker, held.telemetry
    processes = [
        *([_service("broker", parts, broker, hang_s, PROCESS_BACKOFF)] if isinstance(broker, EmbeddedBroker) else []),
        _service("nursery", parts, held.nursery, hang_s, PROCESS_BACKOFF),
        *([_service("telemetry", parts, telemetry, hang_s, PROCESS_BACKOFF)] if telemetry is not None else []),
    ]
    return [
        ChildSpec(
            id="loop",
            start=lambda link: LoopOwner.start(link, parts.loop),
            restart=Restart.TEMPORARY,
            significant=True,
            shutdown=SERVICE_SHUTDOWN_S,
            role=Role("loop"),
        ),
        _service("audit", parts, AuditService(held.audit, version("plantao")), hang_s),
        _supervisor(Role("processes"), processes, Flags(), supervision),
        _service("store", parts, held.store, hang_s),
        _service("bus", parts, held.bus, hang_s),
        clinics(names, supervision),
        follow(held.registry, parts.clinics, supervision),
        _service("jobs", parts, JobService(held.jobs), hang_s),
        _service("resuming", parts, parts.resuming, hang_s),
        _service("custody", parts, parts.keeping, hang_s),
        _service("admin", parts, parts.admin, hang_s),
    ]


def clinics(names: Names, supervision: Supervision) -> ChildSpec:
    """The supervisor of all clinics, which begins with none."""
    flags = Flags(independent=True, stagger=supervision.stagger)
    name = names.name(places.CLINICS)
    quarantined = _tell(names, places.REGISTRAR, registrar.Look())
    return _supervisor(Role(places.CLINICS), [], flags, supervision, name, quarantined)


def follow(registry: Registry, parts: ClinicParts, supervision: Supervision) -> ChildSpec:
    """The registrar, which has the clinics run that ``registry`` wants."""

    def start(link: Link) -> ActorRef[Any]:
        def clinic_spec(id: str) -> ChildSpec:
            return clinic(id, parts, supervision)

        async def close(clinic: str) -> None:
            parts.meters.forget_clinic(clinic)
            await account.close(parts.bus, parts.store, clinic)

        return Registrar.start(link, registry, parts.loop, parts.board, parts.names, clinic_spec, close)

    return ChildSpec(id=places.REGISTRAR, start=start, hang_s=supervision.hang_s, role=Role(places.REGISTRAR))


def clinic(id: str, parts: ClinicParts, supervision: Supervision) -> ChildSpec:
    """One clinic: whatever becomes of it, the others don't notice."""

    def channel_spec(surroundings: Surroundings) -> ChildSpec:
        return channel(surroundings, parts.names, supervision)

    quarantined = _tell(parts.names, places.reconciler_name(id), reconciler.Look())
    channels_name = parts.names.name(places.channels_name(id))
    children = [
        ChildSpec(
            id="account",
            start=lambda link: Account.start(link, id, parts.bus, parts.store, parts.loop, parts.names),
            shutdown=ACCOUNT_SHUTDOWN_S,
            hang_s=supervision.hang_s,
            role=Role("account", id),
        ),
        _supervisor(Role("channels", id), [], Flags(independent=True), supervision, channels_name, quarantined),
        ChildSpec(
            id="reconciler",
            start=lambda link: Reconciler.start(link, id, parts, channel_spec),
            hang_s=supervision.hang_s,
            role=Role("reconciler", id),
        ),
    ]
    tally = supervision.tally
    return ChildSpec(
        id=id,
        start=lambda link: Supervisor.start(link, f"clinic {id}", children, CLINIC_FLAGS, tally=tally),
        type=ChildType.SUPERVISOR,
        backoff=ACTOR_BACKOFF,
        quarantine=supervision.quarantine,
        role=Role("clinic", id),
    )


def channel(surroundings: Surroundings, names: Names, supervision: Supervision) -> ChildSpec:
    """One channel. Its port is its own: the end of one counts towards nothing here."""
    record = surroundings.record
    name = names.name(places.channel_name(record.clinic, record.id))
    return ChildSpec(
        id=record.id,
        start=lambda link: Channel.start(link, surroundings.now(), name),
        shutdown=CHANNEL_SHUTDOWN_S,
        backoff=ACTOR_BACKOFF,
        quarantine=supervision.quarantine,
        hang_s=supervision.hang_s,
        role=Role("channel", record.clinic),
    )


def start(parts: Parts, supervision: Supervision, link: Link) -> ActorRef[Any]:
    """Start the tree; ``link`` hears when it is up and when it has ended."""
    children, name = root(parts, supervision), parts.names.name(ROOT)
    return Supervisor.start(link, ROOT, children, ROOT_FLAGS, name, tally=supervision.tally)


def _supervisor(
    role: Role,
    children: list[ChildSpec],
    flags: Flags,
    supervision: Supervision,
    name: Name | None = None,
    on_quarantine: Callable[[str], None] = lambda _: None,
) -> ChildSpec:
    def start(link: Link) -> ActorRef[Any]:
        tally = supervision.tally
        return Supervisor.start(link, role.kind, children, flags, name, on_quarantine=on_quarantine, tally=tally)

    return ChildSpec(id=role.kind, start=start, type=ChildType.SUPERVISOR, role=role)


def _service(id: str, parts: Parts, service: Service, hang_s: float, backoff: Backoff | None = None) -> ChildSpec:
    return ChildSpec(
        id=id,
        start=lambda link: ServiceActor.start(link, id, parts.loop, service),
        shutdown=SERVICE_SHUTDOWN_S,
        backoff=backoff,
        hang_s=hang_s,
        role=Role(id),
    )


def _tell(names: Names, name: str, message: object) -> Callable[[str], None]:
    """Tells whoever has ``name`` by then."""

    def told(_id: str) -> None:
        ref = names.whereis(name)
        if ref is not None:
            tell(ref, message)

    return told
