"""A clinic's reconciler: keeps its channels as the registry wants them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
import structlog
from pykka import ActorRef

from actors import remnants
from actors.account import (
    OPEN_TIMEOUT_S,
    AccountNotOpened,
    AccountOpened,
    TellAccount,
)
from actors.channel import views
from actors.channel.context import Context
from actors.channel.life import begin
from actors.channel.requests import Configure
from actors.channel.surroundings import ChannelPolicy, Surroundings
from actors.clinic_parts import ClinicParts
from actors.places import REGISTRAR, account_name, channel_name, channels_name, reconciler_name
from protocol.bus import Publication
from protocol.channel import ChannelRecord, ChannelState, ClinicRecord, ClinicSnapshot, ClinicState
from protocol.events import message_id
from protocol.interfaces import Failure
from protocol.subjects import EventKind
from protocol.vault import Vault
from supervisor.actor import Actor, Call, Link, tell
from supervisor.api import Children, ChildView, Phase
from supervisor.backoff import Backoff
from supervisor.client import is_gone, remove_child, start_child, which_children
from supervisor.inbox import InboxFullError
from supervisor.spec import ChildSpec

RECONCILE_S: Final = 30.0
CLEAN_UP_PAUSE_S: Final = 5.0

_BACKOFF: Final = Backoff(base_s=1.0, cap_s=30.0)

log = structlog.get_logger(__name__)


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
class Look:
    """Look at the channels' supervisor: one of them was quarantined, or the settings of all have changed."""


@dataclass(frozen=True, slots=True)
class _ChannelGone:
    """The channel has ended and is forgotten."""

    channel: str


@dataclass(frozen=True, slots=True)
class _ChannelStays:
    """It was started again before it could be forgotten."""

    channel: str


@dataclass(frozen=True, slots=True)
class _Served:
    channels: Mapping[str, datetime]
    outcome: frozenset[str] | Failure


@dataclass(frozen=True, slots=True)
class _Children:
    children: object


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


def quarantined(child: ChildView) -> str:
    """The reason to show for a clinic or channel that is parked."""
    return f"quarantined after {child.restarts} restarts: {child.last_exit}"


class Reconciler(Actor):
    """Keeps one clinic as it is wanted, on every change and periodically."""

    def __init__(
        self, link: Link, clinic: str, parts: ClinicParts, channel_spec: Callable[[Surroundings], ChildSpec]
    ) -> None:
        super().__init__(link, parts.names.name(reconciler_name(clinic)))
        self._clinic = clinic
        self._parts = parts
        self._channel_spec = channel_spec
        self._wanted: ClinicWanted | None = None
        self._open: AccountOpened | None = None
        self._served: Mapping[str, datetime] | None = None
        self._serving = False
        self._failures = 0
        self._running: dict[str, datetime | None] | None = None
        self._live_by: dict[str, ChannelPolicy] = {}
        self._removing: set[str] = set()
        self._cleaning: set[str] = set()
        self._random = Random()  # noqa: S311 - jitter
        self._log = log.bind(clinic=clinic)

    def initialize(self) -> bool:
        """Ask what is wanted, what there is to do it with, and what runs already."""
        registrar = self._parts.names.whereis(REGISTRAR)
        if registrar is not None:
            tell(registrar, ReconcilerUp(self._clinic))
        account = self._parts.names.whereis(account_name(self._clinic))
        if account is not None:
            tell(account, TellAccount())
        self._look()
        return True

    def handle(self, message: Any) -> None:
        """What is wanted, what was opened, what ended."""
        match message:
            case ClinicWanted():
                self._wanted = message
                for record in message.channels.values():
                    self._parts.board.put_record(record)
                self._show()
                self._reconcile()
            case AccountOpened():
                self._open = message
                for channel in self._cleaning:
                    self._clean_up(channel)
                self._show()
                self._reconcile()
            case AccountNotOpened(reason):
                self._show(ClinicState.ERROR, reason)
            case _Reconcile():
                self._look()
                self._reconcile()
            case _Served(channels, outcome):
                self._on_served(channels, outcome)
            case _ChannelGone(channel):
                self._on_gone(channel)
            case _ChannelStays(channel):
                self._removing.discard(channel)
                self._reconcile()
            case _CleanedUp(channel, Failure(error=error)):
                self._log.warning(
                    "what a removed channel left is not cleaned up yet", channel=channel, error=str(error)
                )
                self.timer(f"clean up {channel}", CLEAN_UP_PAUSE_S, _CleanUp(channel))
            case _CleanedUp(channel):
                self._cleaning.discard(channel)
                self._served = None  # its name is free, and has to be registered anew
                self._reconcile()
            case _Children(children):
                self._on_children(children)
            case Look():
                self._look()
            case _CleanUp(channel):
                self._clean_up(channel)
            case _:
                super().handle(message)

    # -- reconciling --

    def _reconcile(self) -> None:
        self.timer("reconcile", RECONCILE_S, _Reconcile())
        if self._open is None or self._wanted is None or self._running is None:
            return
        supervisor = self._parts.names.whereis(channels_name(self._clinic))
        if supervisor is None:
            return
        wanted = self._wanted.channels
        times = {channel: record.created_at for channel, record in wanted.items()}
        if self._served != times:
            self._serve(times, self._open)
            return
        for channel, running in self._running.items():
            if not _same(running, wanted.get(channel)):
                self._remove(supervisor, channel)
        for channel, record in wanted.items():
            if channel not in self._running and channel not in self._cleaning:
                self._running[channel] = record.created_at
                start_child(supervisor, self._channel_spec(self._surroundings(record, self._open)))
            elif channel not in self._removing:
                self._configure(record)

    def _configure(self, record: ChannelRecord) -> None:
        """Have a channel that runs live by its record, the clinic's timezone, and what the settings say by now;
        whatever of this is lost is seen at the next look."""
        shown = self._parts.board.channel(self._clinic, record.id)
        policy = self._parts.policies.of(self._parts.board.clinic(self._clinic))
        same = shown is not None and (shown.name, shown.config) == (record.name, record.config)
        if shown is None or (same and self._live_by.get(record.id) == policy):
            return
        ref = self._parts.names.whereis(channel_name(self._clinic, record.id))
        if ref is not None:
            try:
                if tell(ref, Call(Configure(record), lambda _: None)):
                    self._live_by[record.id] = policy
            except InboxFullError:
                self._log.warning("a channel has too much to do to be told its settings", channel=record.id)
        elif shown.state is ChannelState.ERROR and not same:  # in quarantine; it begins with them when it is let out
            self._parts.board.put_channel(msgspec.structs.replace(shown, name=record.name, config=record.config))

    def _remove(self, supervisor: ActorRef[Any], channel: str) -> None:
        if channel not in self._removing:
            self._removing.add(channel)
            remove_child(supervisor, channel, partial(self._on_removed, channel))

    def _on_removed(self, channel: str, answer: object) -> None:
        self.tell(_ChannelGone(channel) if is_gone(answer) else _ChannelStays(channel))

    def _look(self) -> None:
        supervisor = self._parts.names.whereis(channels_name(self._clinic))
        if supervisor is not None:
            which_children(supervisor, lambda answer: self.tell(_Children(answer)))

    def _on_children(self, answer: object) -> None:
        """What really runs, also from before this reconciler began; what is quarantined is shown so."""
        supervisor = self._parts.names.whereis(channels_name(self._clinic))
        if not isinstance(answer, Children) or supervisor is None:
            return
        known, board = self._running or {}, self._parts.board
        shown = {channel.channel: channel.created_at for channel in board.channels(self._clinic)}
        self._running = {child.id: known.get(child.id) or shown.get(child.id) for child in answer.children}
        for child in answer.children:
            if child.phase is Phase.QUARANTINED:
                self._show_quarantined(child)
            elif child.phase is Phase.DOWN:  # it was stopped to be forgotten
                self._remove(supervisor, child.id)
        self._reconcile()

    def _show_quarantined(self, child: ChildView) -> None:
        """Its actor is gone, so it falls to us to say what became of the channel."""
        record = self._wanted.channels.get(child.id) if self._wanted is not None else None
        shown = self._parts.board.channel(self._clinic, child.id)
        reason = quarantined(child)
        if record is None or self._open is None or (shown is not None and shown.reason == reason):
            return
        breaker = self._parts.policies.current.breaker
        life = replace(begin(Context.now(), breaker), state=ChannelState.ERROR, reason=reason)
        self._parts.board.put_channel(views.without_actor(record, life))
        event = views.state_event(record, life, shown.state if shown is not None else ChannelState.INITIALIZING)
        publication = Publication(
            channel=child.id,
            kind=EventKind.STATE,
            event=event,
            message_id=message_id(child.id, EventKind.STATE, life.state, life.since.isoformat()),
            headers={},
        )
        work = self._open.bus.publish([publication])
        self._parts.loop.spawn(work, self._on_quarantine_published, timeout=OPEN_TIMEOUT_S)

    def _on_quarantine_published(self, outcome: object) -> None:
        if isinstance(outcome, Failure):
            self._log.warning("a channel's quarantine was not published", error=str(outcome.error))

    def _serve(self, channels: Mapping[str, datetime], account: AccountOpened) -> None:
        """Have the account take commands for exactly these channels, before any is started or stopped, and see what
        there is of others: nobody may be left who remembers that they were removed."""
        if self._serving:
            return
        self._serving = True
        work = remnants.serve(account, channels, self._folder)
        self._parts.loop.spawn(work, lambda o: self.tell(_Served(channels, o)), timeout=OPEN_TIMEOUT_S)

    def _on_served(self, channels: Mapping[str, datetime], outcome: frozenset[str] | Failure) -> None:
        self._serving = False
        if not isinstance(outcome, Failure):
            self._failures = 0
            self._served = channels
            for channel in outcome - (self._running or {}).keys() - self._cleaning:
                self._log.info("what a removed channel left is cleaned up", channel=channel)
                self._forget(channel)
            self._reconcile()
            return
        self._failures += 1
        delay = _BACKOFF.delay(self._failures, self._random)
        self._log.warning("channels not served yet", error=str(outcome.error), retry_in_s=round(delay, 2))
        self.timer("reconcile", delay, _Reconcile())

    def _on_gone(self, channel: str) -> None:
        self._removing.discard(channel)
        was = self._running.pop(channel, None) if self._running is not None else None
        if self._wanted is not None and not _same(was, self._wanted.channels.get(channel)):
            self._forget(channel)
        self._reconcile()

    def _forget(self, channel: str) -> None:
        """The channel is no more. One that is added again under its name begins when all of it is cleaned up."""
        self._cleaning.add(channel)
        self._live_by.pop(channel, None)
        self._parts.board.drop_channel(self._clinic, channel)
        self._parts.meters.forget(self._clinic, channel)
        self._clean_up(channel)

    def _clean_up(self, channel: str) -> None:
        """Remove the session store, its snapshots, the queue and the ledger of a channel that is gone."""
        if self._open is None:
            return
        work = remnants.clean_up(self._open, self._vault, channel, self._folder)
        loop = self._parts.loop
        loop.spawn(work, lambda o: self.tell(_CleanedUp(channel, Failure.of(o))), timeout=OPEN_TIMEOUT_S)

    def _surroundings(self, record: ChannelRecord, account: AccountOpened) -> Surroundings:
        parts = self._parts
        return Surroundings(
            record=record,
            store=str(remnants.store_of(self._folder, record.id)),
            bus=account.bus,
            ledger=account.ledger,
            loop=parts.loop,
            opener=parts.opener,
            board=parts.board,
            meters=parts.meters,
            policies=parts.policies,
            vault=self._vault,
            web=parts.web,
            drain=parts.drain,
            telemetry=parts.telemetry,
            media_turns=parts.media_turns,
        )

    @property
    def _folder(self) -> Path:
        return self._parts.runtime / "clinics" / self._clinic

    @property
    def _vault(self) -> Vault:
        return self._parts.vaults.clinic(self._clinic)

    def _show(self, state: ClinicState = ClinicState.RUNNING, reason: str = "") -> None:
        if self._wanted is None:
            return
        if state is ClinicState.RUNNING and self._open is None:
            shown = self._parts.board.clinic(self._clinic)
            state, reason = (ClinicState.DEGRADED, "opening") if shown is None else (shown.state, shown.reason)
        self._parts.board.put_clinic(ClinicSnapshot.of(self._wanted.record, state, reason))


def _same(running: datetime | None, wanted: ChannelRecord | None) -> bool:
    """Whether what runs, registered at ``running`` (None: not known), is still wanted, not removed and added again."""
    return wanted is not None and running in (None, wanted.created_at)
