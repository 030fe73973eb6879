"""The registrar: follows the registry and keeps the clinics as it wants them. Boot is the same path as change."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog

from actors.clinic import ClinicParts, ClinicWanted, ReconcilerUp, clinic_spec, reconciler_name
from actors.loop import nothing
from protocol.interfaces import Failure, Loop, Registry, Wanted
from supervisor.actor import Actor, Call, Link, tell
from supervisor.reasons import ExitReason
from supervisor.shell import WhichChildren, remove_child, start_child

ONE_DAY_S: Final = 86_400.0
PAUSE_S: Final = 1.0
RECONCILE_S: Final = 30.0
CLINICS: Final = "clinics"
NAME: Final = "registrar"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ClinicGone:
    """From the supervisor of clinics: the clinic has ended and is forgotten."""

    clinic: str


@dataclass(frozen=True, slots=True)
class _Changed:
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class _WatchEnded:
    outcome: Failure | None


@dataclass(frozen=True, slots=True)
class _Watch:
    """Time to watch again."""


@dataclass(frozen=True, slots=True)
class _Children:
    children: object


@dataclass(frozen=True, slots=True)
class _Reconcile:
    """Time to look again."""


class Registrar(Actor):
    """One for the node. Asks nobody; tells the supervisor of clinics and the reconcilers."""

    def __init__(self, link: Link, registry: Registry, loop: Loop, parts: ClinicParts) -> None:
        super().__init__(link, parts.names.name(NAME))
        self._registry = registry
        self._loop = loop
        self._parts = parts
        self._wanted: Wanted | None = None
        self._running: set[str] | None = None
        self._cancel_watch: Callable[[], None] = nothing

    def initialize(self) -> bool:
        """Watch the registry, and see which clinics run already."""
        self._look()
        self._watch()
        return True

    def cleanup(self, reason: ExitReason) -> None:
        """Watch no more."""
        self._cancel_watch()

    def handle(self, message: Any) -> None:
        """Changes, and ends of clinics."""
        match message:
            case _Changed(wanted):
                self._wanted = wanted
                self._reconcile()
            case ReconcilerUp(clinic):
                self._tell_reconciler(clinic)
            case _Children(children):
                if isinstance(children, list):
                    self._running = {child.id for child in children}
                    self._reconcile()
            case ClinicGone(clinic):
                if self._running is not None:
                    self._running.discard(clinic)
                if self._wanted is None or clinic not in self._wanted.clinics:
                    self._parts.board.drop_clinic(clinic)
                self._reconcile()
            case _WatchEnded(outcome):
                log.warning("registry watch ended", error=str(outcome.error) if outcome else "")
                self.timer("watch", PAUSE_S, _Watch())
            case _Watch():
                self._watch()
            case _Reconcile():
                self._look()
            case _:
                super().handle(message)

    def _watch(self) -> None:
        work = self._registry.watch(lambda wanted: self.tell(_Changed(wanted)))
        self._cancel_watch = self._loop.spawn(
            work,
            lambda outcome: self.tell(_WatchEnded(Failure.of(outcome))),
            timeout=ONE_DAY_S,
        )

    def _look(self) -> None:
        """Ask which clinics run; another registrar, or another supervisor of clinics, may have been here before."""
        self.timer("reconcile", RECONCILE_S, _Reconcile())
        clinics = self._parts.names.whereis(CLINICS)
        if clinics is not None:
            tell(clinics, Call(WhichChildren(), lambda answer: self.tell(_Children(answer))))

    def _reconcile(self) -> None:
        clinics = self._parts.names.whereis(CLINICS)
        if self._wanted is None or self._running is None or clinics is None:
            return
        for clinic in self._wanted.clinics:
            if clinic in self._running:
                self._tell_reconciler(clinic)
            else:
                self._running.add(clinic)
                start_child(clinics, clinic_spec(clinic, self._parts))
        for clinic in self._running - self._wanted.clinics.keys():
            remove_child(clinics, clinic)

    def _tell_reconciler(self, clinic: str) -> None:
        reconciler = self._parts.names.whereis(reconciler_name(clinic))
        if self._wanted is None or reconciler is None or clinic not in self._wanted.clinics:
            return
        channels = {channel: record for (of, channel), record in self._wanted.channels.items() if of == clinic}
        tell(reconciler, ClinicWanted(self._wanted.clinics[clinic], channels))
