"""A clinic: its supervisor, and the reconciler that keeps its channels as the registry wants them.

::

    clinic <id>             one_for_one, own restart intensity
    ├── reconciler          opens the clinic's NATS account and database, then starts and stops channels
    ├── channel <id>
    └── …
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

import structlog
from pykka import ActorRef

from actors.board import Board
from actors.channel.actor import Channel
from actors.channel.surroundings import ChannelPolicy, Surroundings
from protocol.channel import ChannelRecord, ClinicRecord, ClinicSnapshot, ClinicState
from protocol.interfaces import Bus, ClinicBus, Failure, Ledger, Loop, PortOpener, Store
from supervisor.actor import Actor, Call, Link, tell
from supervisor.backoff import Backoff
from supervisor.names import Names
from supervisor.reasons import Shutdown
from supervisor.shell import Supervisor, WhichChildren, remove_child, start_child
from supervisor.spec import ChildSpec, Intensity, Restart

OPEN_TIMEOUT_S: Final = 60.0
CLOSE_TIMEOUT_S: Final = 10.0
RECONCILE_S: Final = 30.0
CLEAN_UP_PAUSE_S: Final = 5.0
CHANNEL_SHUTDOWN_S: Final = 15.0
INTENSITY: Final = Intensity(restarts=10, period_s=60.0)

_BACKOFF: Final = Backoff(base_s=1.0, cap_s=30.0)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicParts:
    """What every clinic is made with. ``runtime``: the memory-backed directory of session stores."""

    bus: Bus
    store: Store
    loop: Loop
    opener: PortOpener
    board: Board
    names: Names
    policy: ChannelPolicy
    runtime: Path


@dataclass(frozen=True, slots=True)
class ClinicWanted:
    """From the registrar: how the clinic is to be."""

    record: ClinicRecord
    channels: Mapping[str, ChannelRecord]


@dataclass(frozen=True, slots=True)
class ReconcilerUp:
    """To the registrar: tell me what is wanted of ``clinic``."""

    clinic: str


@dataclass(frozen=True, slots=True)
class ChannelGone:
    """From the clinic's supervisor: the channel has ended and is forgotten."""

    channel: str


@dataclass(frozen=True, slots=True)
class _Opened:
    outcome: tuple[ClinicBus, Ledger] | Failure


@dataclass(frozen=True, slots=True)
class _Served:
    channels: frozenset[str]
    outcome: Failure | None


@dataclass(frozen=True, slots=True)
class _Children:
    children: object


@dataclass(frozen=True, slots=True)
class _Closed:
    outcome: Failure | None


@dataclass(frozen=True, slots=True)
class _CleanedUp:
    channel: str
    outcome: Failure | None


@dataclass(frozen=True, slots=True)
class _CleanUp:
    """Time to try again to remove what a channel left."""

    channel: str


@dataclass(frozen=True, slots=True)
class _Reconcile:
    """Time to look again."""


@dataclass(frozen=True, slots=True)
class _Retry:
    """Time to try to open the clinic again."""


def supervisor_name(clinic: str) -> str:
    """The clinic's supervisor in ``Names``."""
    return f"clinic/{clinic}"


def reconciler_name(clinic: str) -> str:
    """The clinic's reconciler in ``Names``."""
    return f"clinic/{clinic}/reconciler"


def channel_name(clinic: str, channel: str) -> str:
    """A channel in ``Names``."""
    return f"clinic/{clinic}/channel/{channel}"


def clinic_spec(clinic: str, parts: ClinicParts) -> ChildSpec:
    """The clinic as a child of ``clinics``: its end is not counted against the other clinics, only delayed."""

    def start(link: Link) -> ActorRef[Any]:
        def start_reconciler(inner: Link) -> ActorRef[Any]:
            return Reconciler.start(inner, clinic, parts)

        def removed(channel: str) -> None:
            reconciler = parts.names.whereis(reconciler_name(clinic))
            if reconciler is not None:
                tell(reconciler, ChannelGone(channel))

        children = [ChildSpec(id=RECONCILER, start=start_reconciler, shutdown_s=CLOSE_TIMEOUT_S * 2)]
        name = parts.names.name(supervisor_name(clinic))
        return Supervisor.start(link, f"clinic {clinic}", children, INTENSITY, removed, name)

    return ChildSpec(id=clinic, start=start, shutdown_s=CHANNEL_SHUTDOWN_S + CLOSE_TIMEOUT_S * 2, backoff=_BACKOFF)


RECONCILER: Final = "reconciler."
"""The id of the reconciler among the clinic's children; no channel can have it, for its dot."""


class Reconciler(Actor):
    """Keeps one clinic as it is wanted, on every change and periodically."""

    def __init__(self, link: Link, clinic: str, parts: ClinicParts) -> None:
        super().__init__(link, parts.names.name(reconciler_name(clinic)))
        self._clinic = clinic
        self._parts = parts
        self._wanted: ClinicWanted | None = None
        self._open: tuple[ClinicBus, Ledger] | None = None
        self._cancel_opening: Callable[[], None] = lambda: None
        self._served: frozenset[str] | None = None
        self._serving = False
        self._closing = False
        self._failures = 0
        self._running: dict[str, ChannelRecord | None] | None = None
        self._cleaning: set[str] = set()
        self._random = Random()  # noqa: S311 - jitter
        self._log = log.bind(clinic=clinic)

    def initialize(self) -> bool:
        """Ask what is wanted, and open the clinic's account and database."""
        registrar = self._parts.names.whereis("registrar")
        if registrar is not None:
            tell(registrar, ReconcilerUp(self._clinic))
        supervisor = self._parts.names.whereis(supervisor_name(self._clinic))
        if supervisor is not None:
            tell(supervisor, Call(WhichChildren(), lambda answer: self.tell(_Children(answer))))
        self._try_to_open()
        return True

    def handle(self, message: Any) -> None:
        """What is wanted, what was opened, what ended."""
        if self._closing and not isinstance(message, _Closed):
            return
        match message:
            case ClinicWanted():
                self._wanted = message
                self._show()
                self._reconcile()
            case _Opened(outcome):
                self._on_opened(outcome)
            case _Retry():
                self._try_to_open()
            case _Reconcile():
                self._reconcile()
            case _Served(channels, outcome):
                self._on_served(channels, outcome)
            case ChannelGone(channel):
                self._on_gone(channel)
            case _CleanedUp(channel, Failure(error=error)):
                self._log.warning(
                    "what a removed channel left is not cleaned up yet", channel=channel, error=str(error)
                )
                self.timer(f"clean up {channel}", CLEAN_UP_PAUSE_S, _CleanUp(channel))
            case _CleanedUp(channel):
                self._cleaning.discard(channel)
                self._reconcile()
            case _Children(children):
                self._on_children(children)
            case _CleanUp(channel):
                self._clean_up(channel)
            case _Closed():
                self.exit(Shutdown())
            case _:
                super().handle(message)

    def shut_down(self) -> None:
        """Close the account and the database; the channels have ended before."""
        self._closing = True
        self._cancel_opening()
        work = _close(self._parts.bus, self._parts.store, self._clinic)
        self._parts.loop.spawn(work, lambda o: self.tell(_Closed(Failure.of(o))), timeout=CLOSE_TIMEOUT_S)

    # -- opening --

    def _try_to_open(self) -> None:
        work = _open(self._parts.bus, self._parts.store, self._clinic)
        loop = self._parts.loop
        self._cancel_opening = loop.spawn(work, lambda o: self.tell(_Opened(o)), timeout=OPEN_TIMEOUT_S)

    def _on_opened(self, outcome: tuple[ClinicBus, Ledger] | Failure) -> None:
        if isinstance(outcome, Failure):
            self._failures += 1
            delay = _BACKOFF.delay(self._failures, self._random)
            reason = str(outcome.error) or type(outcome.error).__name__
            self._log.error("clinic not opened", error=reason, retry_in_s=round(delay, 2))
            self._show(ClinicState.ERROR, reason)
            self.timer("open", delay, _Retry())
            return
        self._failures = 0
        self._open = outcome
        self._show()
        self._reconcile()

    # -- reconciling --

    def _reconcile(self) -> None:
        self.timer("reconcile", RECONCILE_S, _Reconcile())
        if self._open is None or self._wanted is None or self._running is None:
            return
        supervisor = self._parts.names.whereis(supervisor_name(self._clinic))
        if supervisor is None:
            return
        wanted = self._wanted.channels
        if self._served != frozenset(wanted):
            self._serve(frozenset(wanted), self._open[0])
            return
        for channel, running in self._running.items():
            if not _same(running, wanted.get(channel)):
                remove_child(supervisor, channel)
        for shown in self._parts.board.channels(self._clinic):
            if shown.channel not in self._running.keys() | wanted.keys():
                self._forget(shown.channel)
        for channel, record in wanted.items():
            if channel not in self._running and channel not in self._cleaning:
                self._running[channel] = record
                start_child(supervisor, self._channel_spec(record, *self._open))

    def _on_children(self, children: object) -> None:
        """What an earlier incarnation of this reconciler had started runs still."""
        if isinstance(children, list):
            self._running = {child.id: None for child in children if child.id != RECONCILER}
            self._reconcile()

    def _serve(self, channels: frozenset[str], bus: ClinicBus) -> None:
        """Have the account take commands for exactly these channels, before any is started or stopped."""
        if self._serving:
            return
        self._serving = True
        work = bus.serve_channels(channels)
        self._parts.loop.spawn(work, lambda o: self.tell(_Served(channels, Failure.of(o))), timeout=OPEN_TIMEOUT_S)

    def _on_served(self, channels: frozenset[str], outcome: Failure | None) -> None:
        self._serving = False
        if outcome is None:
            self._failures = 0
            self._served = channels
            self._reconcile()
            return
        self._failures += 1
        delay = _BACKOFF.delay(self._failures, self._random)
        self._log.warning("channels not served yet", error=str(outcome.error), retry_in_s=round(delay, 2))
        self.timer("reconcile", delay, _Reconcile())

    def _on_gone(self, channel: str) -> None:
        was = self._running.pop(channel, None) if self._running is not None else None
        if self._wanted is not None and not _same(was, self._wanted.channels.get(channel)):
            self._forget(channel)
        self._reconcile()

    def _forget(self, channel: str) -> None:
        """The channel is no more. One that is added again under its name begins when all of it is cleaned up."""
        self._cleaning.add(channel)
        self._parts.board.drop_channel(self._clinic, channel)
        self._clean_up(channel)

    def _clean_up(self, channel: str) -> None:
        """Remove the session store and the queue of a channel that is gone."""
        if self._open is None:
            return
        work = _clean_up(self._open[0], channel, self._store_of(channel))
        loop = self._parts.loop
        loop.spawn(work, lambda o: self.tell(_CleanedUp(channel, Failure.of(o))), timeout=OPEN_TIMEOUT_S)

    def _channel_spec(self, record: ChannelRecord, bus: ClinicBus, ledger: Ledger) -> ChildSpec:
        parts = self._parts
        surroundings = Surroundings(
            record=record,
            store=str(self._store_of(record.id)),
            bus=bus,
            ledger=ledger,
            loop=parts.loop,
            opener=parts.opener,
            board=parts.board,
            policy=parts.policy,
        )

        def start(link: Link) -> ActorRef[Any]:
            return Channel.start(link, surroundings, parts.names.name(channel_name(record.clinic, record.id)))

        return ChildSpec(id=record.id, start=start, restart=Restart.PERMANENT, shutdown_s=CHANNEL_SHUTDOWN_S)

    def _store_of(self, channel: str) -> Path:
        return self._parts.runtime / "clinics" / self._clinic / f"{channel}.db"

    def _show(self, state: ClinicState = ClinicState.RUNNING, reason: str = "") -> None:
        if self._wanted is None:
            return
        if state is ClinicState.RUNNING and self._open is None:
            shown = self._parts.board.clinic(self._clinic)
            if shown is not None:
                return
            state, reason = ClinicState.DEGRADED, "opening"
        record = self._wanted.record
        self._parts.board.put_clinic(
            ClinicSnapshot(
                id=record.id,
                name=record.name,
                timezone=record.timezone,
                state=state,
                reason=reason,
                channels={},
                created_at=record.created_at,
            )
        )


def _same(running: ChannelRecord | None, wanted: ChannelRecord | None) -> bool:
    """Whether what runs (None: its record is not known) is still wanted, and has not been removed and added again."""
    return wanted is not None and (running is None or running.created_at == wanted.created_at)


async def _open(bus: Bus, store: Store, clinic: str) -> tuple[ClinicBus, Ledger]:
    ledger = await store.open_clinic(clinic)
    return await bus.open_clinic(clinic), ledger


async def _close(bus: Bus, store: Store, clinic: str) -> None:
    try:
        await bus.close_clinic(clinic, forget=False)
    finally:
        await store.close_clinic(clinic)


async def _clean_up(bus: ClinicBus, channel: str, store: Path) -> None:
    def delete() -> None:
        for suffix in ("", "-wal", "-shm", "-journal", ".lock"):
            store.with_name(store.name + suffix).unlink(missing_ok=True)

    await asyncio.to_thread(delete)
    await bus.forget_channel(channel)
