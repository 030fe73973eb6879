"""The supervision tree, as data: the only place where actors and gateways meet.

::

    root                    one_for_one
    ├── loop                the one asyncio loop
    ├── store               SQLite
    ├── broker              nats-server as an OS process (embedded only)
    ├── bus                 NATS connections, one per clinic account
    ├── nursery             the process from which ports are forked
    ├── clinics             dynamic; restart with backoff
    │   └── clinic <id>     see actors/clinic.py
    ├── registrar           follows the registry: starts and stops clinics
    └── admin               the HTTP endpoint
"""

from collections.abc import Callable
from typing import Any, Final

from pykka import ActorRef

from actors.loop import LoopOwner
from actors.registrar import CLINICS, NAME, ClinicGone, Registrar
from actors.service import ServiceActor
from config.health import ROOT
from config.parts import Parts
from gateway.nats.broker import EmbeddedBroker
from protocol.interfaces import Service
from supervisor.actor import Link, tell
from supervisor.backoff import Backoff
from supervisor.shell import Supervisor
from supervisor.spec import ChildSpec, Intensity

PROCESS_BACKOFF: Final = Backoff(base_s=0.5, cap_s=10.0)
"""Broker and nursery: their ends are not ours, so they are restarted for ever and count towards no intensity."""
INTENSITY: Final = Intensity(restarts=5, period_s=60.0)
SERVICE_SHUTDOWN_S: Final = 20.0
CLINICS_SHUTDOWN_S: Final = 60.0


def children(parts: Parts) -> list[ChildSpec]:
    """The root's children in start order; they are stopped in the reverse order."""
    broker = parts.broker
    return [
        ChildSpec(id="loop", start=lambda link: LoopOwner.start(link, parts.loop), shutdown_s=SERVICE_SHUTDOWN_S),
        _service("store", parts, parts.store),
        *([_service("broker", parts, broker, PROCESS_BACKOFF)] if isinstance(broker, EmbeddedBroker) else []),
        _service("bus", parts, parts.bus),
        _service("nursery", parts, parts.nursery, PROCESS_BACKOFF),
        ChildSpec(id=CLINICS, start=_clinics(parts), shutdown_s=CLINICS_SHUTDOWN_S),
        ChildSpec(
            id=NAME,
            start=lambda link: Registrar.start(link, parts.registry, parts.loop, parts.clinics),
        ),
        _service("admin", parts, parts.admin),
    ]


def start(parts: Parts, link: Link) -> ActorRef[Any]:
    """Start the tree; ``link`` hears when it is up and when it has ended."""
    return Supervisor.start(link, ROOT, children(parts), INTENSITY, None, parts.names.name(ROOT))


def _service(id: str, parts: Parts, service: Service, backoff: Backoff | None = None) -> ChildSpec:
    return ChildSpec(
        id=id,
        start=lambda link: ServiceActor.start(link, id, parts.loop, service),
        shutdown_s=SERVICE_SHUTDOWN_S,
        backoff=backoff,
    )


def _clinics(parts: Parts) -> Callable[[Link], ActorRef[Any]]:
    def removed(clinic: str) -> None:
        registrar = parts.names.whereis(NAME)
        if registrar is not None:
            tell(registrar, ClinicGone(clinic))

    return lambda link: Supervisor.start(link, CLINICS, (), INTENSITY, removed, parts.names.name(CLINICS))
