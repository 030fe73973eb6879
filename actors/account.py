"""A clinic's account: its connection to NATS and its database, held open for as long as the clinic runs."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import structlog

from actors.loop import nothing
from actors.places import account_name, reconciler_name
from protocol.bus import Bus, ClinicBus
from protocol.commands import utc_now
from protocol.interfaces import Failure, Loop
from protocol.ledger import Ledger, Store
from supervisor.actor import Actor, Link, tell
from supervisor.backoff import Backoff
from supervisor.names import Names
from supervisor.reasons import ExitReason, Shutdown

OPEN_TIMEOUT_S: Final = 60.0
CLOSE_TIMEOUT_S: Final = 10.0
SWEEP_S: Final = 3600.0
SWEEP_PAUSE_S: Final = 5.0
SWEEP_TIMEOUT_S: Final = 60.0

_BACKOFF: Final = Backoff(base_s=1.0, cap_s=30.0)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AccountOpened:
    """To the reconciler: here they are."""

    bus: ClinicBus
    ledger: Ledger


@dataclass(frozen=True, slots=True)
class AccountNotOpened:
    """To the reconciler: not yet; it is tried again."""

    reason: str


@dataclass(frozen=True, slots=True)
class TellAccount:
    """From the reconciler: say how it stands."""


@dataclass(frozen=True, slots=True)
class _Opened:
    outcome: tuple[ClinicBus, Ledger] | Failure


@dataclass(frozen=True, slots=True)
class _Retry:
    """Time to try again."""


@dataclass(frozen=True, slots=True)
class _SweepDue:
    """Time to delete what is older than it has to be kept."""


@dataclass(frozen=True, slots=True)
class _Swept:
    outcome: int | Failure


@dataclass(frozen=True, slots=True)
class _Closed:
    outcome: Failure | None


class Account(Actor):
    """Up at once, so that a clinic that can't be opened is there to say so; opens, and tells the reconciler."""

    def __init__(self, link: Link, clinic: str, bus: Bus, store: Store, loop: Loop, names: Names) -> None:
        super().__init__(link, names.name(account_name(clinic)))
        self._clinic = clinic
        self._bus = bus
        self._store = store
        self._loop = loop
        self._names = names
        self._standing: AccountOpened | AccountNotOpened | None = None
        self._cancel: Callable[[], None] = nothing
        self._closing: ExitReason | None = None
        self._failures = 0
        self._random = Random()  # noqa: S311 - jitter
        self._log = log.bind(clinic=clinic)

    def initialize(self) -> bool:
        """Begin to open."""
        self._try()
        return True

    def handle(self, message: Any) -> None:
        """What became of opening and closing."""
        match message:
            case _Closed():
                self.exit(self._closing or Shutdown())
            case _ if self._closing is not None:
                pass
            case _Opened(outcome):
                self._on_opened(outcome)
            case _Retry():
                self._try()
            case _SweepDue():
                self._sweep()
            case _Swept(outcome):
                self._on_swept(outcome)
            case TellAccount():
                self._tell()
            case _:
                super().handle(message)

    def shut_down(self, reason: ExitReason) -> None:
        """Close; the channels have ended before."""
        self._closing = reason
        self._cancel()
        work = close(self._bus, self._store, self._clinic)
        self._loop.spawn(work, lambda outcome: self.tell(_Closed(Failure.of(outcome))), timeout=CLOSE_TIMEOUT_S)

    def given_up(self) -> None:
        """Open no more; who comes next finds open what is open."""
        self._cancel()

    def _try(self) -> None:
        work = _open(self._bus, self._store, self._clinic)
        self._cancel = self._loop.spawn(work, lambda outcome: self.tell(_Opened(outcome)), timeout=OPEN_TIMEOUT_S)

    def _on_opened(self, outcome: tuple[ClinicBus, Ledger] | Failure) -> None:
        if isinstance(outcome, Failure):
            self._failures += 1
            delay = _BACKOFF.delay(self._failures, self._random)
            reason = str(outcome.error) or type(outcome.error).__name__
            self._log.error("clinic not opened", error=reason, retry_in_s=round(delay, 2))
            self._standing = AccountNotOpened(reason)
            self.timer("open", delay, _Retry())
        else:
            self._failures = 0
            self._standing = AccountOpened(*outcome)
            self.timer("sweep", SWEEP_PAUSE_S, _SweepDue())
        self._tell()

    def _sweep(self) -> None:
        if isinstance(self._standing, AccountOpened):
            work = self._standing.ledger.sweep(utc_now())
            self._loop.spawn(work, lambda outcome: self.tell(_Swept(outcome)), timeout=SWEEP_TIMEOUT_S)

    def _on_swept(self, outcome: int | Failure) -> None:
        """A little at a time, so that nobody waits for it; then not for long."""
        if isinstance(outcome, Failure):
            self._log.warning("database not swept", error=str(outcome.error) or type(outcome.error).__name__)
        more = not isinstance(outcome, Failure) and outcome > 0
        self.timer("sweep", SWEEP_PAUSE_S if more else SWEEP_S, _SweepDue())

    def _tell(self) -> None:
        reconciler = self._names.whereis(reconciler_name(self._clinic))
        if reconciler is not None and self._standing is not None:
            tell(reconciler, self._standing)


async def _open(bus: Bus, store: Store, clinic: str) -> tuple[ClinicBus, Ledger]:
    ledger = await store.open_clinic(clinic)
    return await bus.open_clinic(clinic), ledger


async def close(bus: Bus, store: Store, clinic: str) -> None:
    """Close what is open of ``clinic``; harmless if nothing is."""
    try:
        await bus.close_clinic(clinic, forget=False)
    finally:
        await store.close_clinic(clinic)
