"""The registrar: follows the registry and keeps the clinics as it wants them. Boot is the same path as change."""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import structlog
from msgspec.structs import replace

from actors.account import CLOSE_TIMEOUT_S
from actors.board import Board
from actors.loop import nothing
from actors.places import CLINICS, REGISTRAR, reconciler_name
from actors.reconciler import ClinicWanted, ReconcilerUp, quarantined
from protocol.bus import Registry, Wanted
from protocol.channel import ChannelRecord, ChannelState, ClinicSnapshot, ClinicState
from protocol.interfaces import Failure, Loop
from supervisor.actor import Actor, Link, tell
from supervisor.api import Children, ChildView, Phase
from supervisor.client import is_gone, remove_child, start_child, which_children
from supervisor.names import Names
from supervisor.reasons import ExitReason
from supervisor.spec import ChildSpec

ONE_DAY_S: Final = 86_400.0
PAUSE_S: Final = 1.0
RECONCILE_S: Final = 30.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """Look at the supervisor of clinics: time has passed, or one of them was quarantined."""


@dataclass(frozen=True, slots=True)
class _ClinicGone:
    """The clinic has ended and is forgotten."""

    clinic: str


@dataclass(frozen=True, slots=True)
class _ClinicClosed:
    """Nothing of the clinic is open any more."""

    clinic: str


@dataclass(frozen=True, slots=True)
class _ClinicStays:
    """It was started again before it could be forgotten."""

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


class Registrar(Actor):
    """One for the node. Asks nobody; tells the supervisor of clinics and the reconcilers."""

    def __init__(
        self,
        link: Link,
        registry: Registry,
        loop: Loop,
        board: Board,
        names: Names,
        clinic_spec: Callable[[str], ChildSpec],
        close: Callable[[str], Coroutine[Any, Any, None]],
    ) -> None:
        super().__init__(link, names.name(REGISTRAR))
        self._registry = registry
        self._loop = loop
        self._board = board
        self._names = names
        self._clinic_spec = clinic_spec
        self._close = close
        self._wanted: Wanted | None = None
        self._channels: dict[str, dict[str, ChannelRecord]] = {}
        self._told: dict[str, ClinicWanted] = {}
        self._running: set[str] | None = None
        self._removing: set[str] = set()
        self._cancel_watch: Callable[[], None] = nothing

    def initialize(self) -> bool:
        """Watch the registry, and see which clinics run already."""
        self._look()
        self._watch()
        return True

    def cleanup(self, reason: ExitReason) -> None:
        """Watch no more."""
        self._cancel_watch()

    def given_up(self) -> None:
        """Watch no more."""
        self._cancel_watch()

    def handle(self, message: Any) -> None:
        """Changes, and ends of clinics."""
        match message:
            case _Changed(wanted):
                self._wanted = wanted
                self._show(wanted)
                self._channels = _by_clinic(wanted)
                self._reconcile()
            case ReconcilerUp(clinic):
                self._told.pop(clinic, None)
                self._tell_reconciler(clinic)
            case _Children(children):
                if isinstance(children, Children):
                    self._on_children(children.children)
            case _ClinicStays(clinic):
                self._removing.discard(clinic)
                self._reconcile()
            case _ClinicGone(clinic):
                # Its account has done so, unless it crashed or was given up before.
                work = self._close(clinic)
                self._loop.spawn(work, partial(self._on_closed, clinic), timeout=CLOSE_TIMEOUT_S)
            case _ClinicClosed(clinic):
                self._removing.discard(clinic)
                self._told.pop(clinic, None)
                if self._running is not None:
                    self._running.discard(clinic)
                if self._wanted is None or clinic not in self._wanted.clinics:
                    self._board.drop_clinic(clinic)
                self._reconcile()
            case _WatchEnded(outcome):
                log.warning("registry watch ended", error=str(outcome.error) if outcome else "")
                self.timer("watch", PAUSE_S, _Watch())
            case _Watch():
                self._watch()
            case Look():
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

    def _show(self, wanted: Wanted) -> None:
        """Every clinic that is wanted is there, as it is called now, before it is said that the registry has been read;
        how it is, its own actors say from when they run."""
        for clinic, record in wanted.clinics.items():
            shown = self._board.clinic(clinic)
            if shown is None:
                self._board.put_clinic(ClinicSnapshot.of(record, ClinicState.DEGRADED, "opening"))
            elif (shown.name, shown.timezone) != (record.name, record.timezone):
                self._board.put_clinic(ClinicSnapshot.of(record, shown.state, shown.reason))
        self._board.put_wanted(wanted)

    def _look(self) -> None:
        """Ask which clinics run; another registrar, or another supervisor of clinics, may have been here before."""
        self.timer("reconcile", RECONCILE_S, Look())
        clinics = self._names.whereis(CLINICS)
        if clinics is not None:
            which_children(clinics, lambda answer: self.tell(_Children(answer)))

    def _on_children(self, children: Sequence[ChildView]) -> None:
        self._running = {child.id for child in children}
        self._reconcile()
        for child in children:
            if child.phase is Phase.QUARANTINED:
                self._show_quarantined(child)

    def _show_quarantined(self, child: ChildView) -> None:
        """All its actors are gone, so it falls to us to say what became of the clinic."""
        record = self._wanted.clinics.get(child.id) if self._wanted is not None else None
        if record is None:
            return
        for shown in self._board.channels(child.id):
            self._board.put_channel(replace(shown, state=ChannelState.ERROR, reason="its clinic is quarantined"))
        self._board.put_clinic(ClinicSnapshot.of(record, ClinicState.QUARANTINED, quarantined(child)))

    def _reconcile(self) -> None:
        clinics = self._names.whereis(CLINICS)
        if self._wanted is None or self._running is None or clinics is None:
            return
        for clinic in self._wanted.clinics:
            if clinic in self._running:
                self._tell_reconciler(clinic)
            else:
                self._running.add(clinic)
                start_child(clinics, self._clinic_spec(clinic))
        for clinic in self._running - self._wanted.clinics.keys() - self._removing:
            self._removing.add(clinic)
            remove_child(clinics, clinic, partial(self._on_removed, clinic))
        for shown in self._board.clinics():
            if shown.id not in self._running | self._wanted.clinics.keys():  # it was never started
                self._board.drop_clinic(shown.id)

    def _on_removed(self, clinic: str, answer: object) -> None:
        self.tell(_ClinicGone(clinic) if is_gone(answer) else _ClinicStays(clinic))

    def _on_closed(self, clinic: str, outcome: object) -> None:
        if isinstance(outcome, Failure):
            log.warning("clinic not closed", clinic=clinic, error=str(outcome.error))
        self.tell(_ClinicClosed(clinic))

    def _tell_reconciler(self, clinic: str) -> None:
        reconciler = self._names.whereis(reconciler_name(clinic))
        if self._wanted is None or reconciler is None or clinic not in self._wanted.clinics:
            return
        wanted = ClinicWanted(self._wanted.clinics[clinic], self._channels.get(clinic, {}))
        if self._told.get(clinic) != wanted:
            self._told[clinic] = wanted
            tell(reconciler, wanted)


def _by_clinic(wanted: Wanted) -> dict[str, dict[str, ChannelRecord]]:
    channels: dict[str, dict[str, ChannelRecord]] = {}
    for (clinic, channel), record in wanted.channels.items():
        channels.setdefault(clinic, {})[channel] = record
    return channels
