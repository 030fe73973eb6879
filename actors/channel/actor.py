"""The channel's actor: one WhatsApp number. A thin shell around ``lifecycle`` and the parts that send and receive.

Everything here runs in the actor's thread. The port's events and the outcomes of errands come as messages.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from actors.channel import asking, publishing, requests, sending, taking, unlinking, views
from actors.channel.identity import Identity
from actors.channel.keeping import Keeping
from actors.channel.leaving import Leaving
from actors.channel.leftover import Found, Leftover
from actors.channel.life import (
    Close,
    CommandWaits,
    FromPort,
    IdleCheckDue,
    IdleChecked,
    Life,
    LifeEvent,
    LoggedOutByUs,
    Now,
    Open,
    Ready,
    Sleep,
    StoreFailed,
    StoreWorks,
    SuspendedBy,
    began,
)
from actors.channel.machine import WANTS_PORT
from actors.channel.pairing import CodeAnswered, Pairing
from actors.channel.receiving import Receiving
from actors.channel.reporting import Reporting
from actors.channel.session import PortSaid, Session
from actors.channel.surroundings import Surroundings
from protocol.channel import ChannelRecord, ChannelSnapshot, ChannelState, WantedState
from protocol.errors import ConflictError, NotFoundError, UnavailableError
from protocol.interfaces import Failure, Port
from protocol.port import PortAnswer
from protocol.port_events import Connected, PortEvent, PortExited, Record, Undecryptable
from protocol.subjects import EventKind
from supervisor.actor import Actor, Link
from supervisor.names import Name
from supervisor.reasons import ExitReason, Shutdown

GONE_TIMEOUT_S: Final = 12.0


@dataclass(frozen=True, slots=True)
class _Leave:
    """The time for an orderly end is over."""


class Channel(Actor):
    """One WhatsApp number."""

    inbox_limit = 1000

    def __init__(self, link: Link, surroundings: Surroundings, name: Name | None = None) -> None:
        super().__init__(link, name)
        record = surroundings.record
        self._with = surroundings
        self._record = record
        self._context = surroundings.context(self.tell, self.timer)
        self._began = began(record, surroundings.board.channel(record.clinic, record.id))
        self._wanted = self._began.wanted
        policy = surroundings.policy.of(record)
        self._publishing = publishing.Publishing(self._context)
        self._sending = sending.Sending(self._context, policy.sending, self._publishing)
        self._receiving = Receiving(self._context, policy.receiving, self._sending)
        self._reporting = Reporting(
            self._context, self._receiving, self._sending.backlog_in, backlog_s=policy.receiving.backlog_s
        )
        self._identity = Identity(self._context, self._sending.disown)
        self._leftover = Leftover(self._context, self._found)
        store, vault = surroundings.store, surroundings.vault
        self._keeping = Keeping(self._context, store, vault, policy.sealing, self._leftover.look)
        self._pairing = Pairing(self._context)
        self._session = Session(
            self._context, surroundings, policy, self._keeping, self, lambda: self._reporting.traced
        )
        self._last_activity: Now | None = None
        self._shown: object = None
        self._leaving = Leaving(
            self._context, surroundings.drain, self._sending, self._receiving, self._publishing, self._keeping
        )
        self._orders: dict[type, Callable[[str, Callable[[Any], None]], None]] = {
            requests.Cancel: self._sending.cancel,
            requests.Release: self._sending.release,
            requests.Replay: self._sending.replay,
            requests.Discard: self._sending.discard,
        }
        self._handlers = self._handlers_by_type()

    def _handlers_by_type(self) -> dict[type, Callable[[Any], None]]:
        return {
            **self._sending.handlers,
            **self._receiving.handlers,
            **self._reporting.handlers,
            **self._identity.handlers,
            **self._keeping.handlers,
            **self._leftover.handlers,
            **self._session.handlers,
            **self._leaving.handlers,
            asking.PortAsked: asking.answered,
            publishing.Flushed: self._publishing.flushed,
            publishing.FlushDue: lambda _: self._publishing.due(),
            CodeAnswered: self._pairing.on_answered,
        }

    # -- the actor's hooks --

    def initialize(self) -> bool:
        """Be as wanted, once it is known what earlier lives left."""
        self._with.board.put_trouble(self._record.clinic, self._record.id, None)
        self._session.step(self._began)
        self._keeping.restore()
        self._look()
        return True

    def handle(self, message: Any) -> None:
        """Outcomes, port events, timers."""
        match message:
            case PortSaid(incarnation, events):
                self._port_said(incarnation, events)
            case IdleCheckDue():
                self._session.step(self._idleness())
            case unlinking.LogoutAnswered(outcome, reply):
                self._logged_out(outcome, reply)
            case _Leave():
                self.exit(Shutdown("port, publication or vault did not end in time"))
            case _ if type(message) in self._handlers:
                if isinstance(message, taking.IntakeEnded | sending.Answered):
                    self._last_activity = self._context.now()
                    self._keeping.used()
                self._handlers[type(message)](message)
            case _:
                super().handle(message)
        self._look()

    def answer(self, request: Any, reply: Callable[[Any], None]) -> None:
        """Requests from outside."""
        if self._leaving.refuses(request):
            raise UnavailableError(f"channel {self._name} is shutting down; try again later")
        match request:
            case requests.Connect():
                self._want(WantedState.CONNECTED, Open(), reply)
            case requests.Disconnect():
                self._want(WantedState.DISCONNECTED, Close(), reply)
            case requests.Suspend():
                self._want(WantedState.SUSPENDED, Sleep(), reply)
            case requests.Resume():
                self._resume(reply)
            case requests.Logout():
                unlinking.log_out(self._context, self._life, self._session.connected, reply)
            case requests.Pair(phone):
                self._pair(phone, reply)
            case requests.ShowQr():
                if self._life.qr is None:
                    raise NotFoundError(f"a QR code of channel {self._name} (it is {self._life.state})")
                reply(self._life.qr)
            case requests.Cancel(id) | requests.Release(id) | requests.Replay(id) | requests.Discard(id):
                self._orders[type(request)](id, reply)
            case requests.CheckNumbers() | requests.MarkRead() | requests.ShowPresence():
                asking.ask_port(self._context, self._session.connected, request, reply)
            case requests.HearConsent(people, opted_out):
                self._sending.consented(people, opted_out)
                reply(None)
            case requests.Configure(record):
                self._configure(record)
                reply(self.snapshot())
            case _:
                super().answer(request, reply)
        self._look()

    def shut_down(self, reason: ExitReason) -> None:
        """Finish what is in flight, close the port, publish what waits, have the store kept; then end."""
        self._leaving.begin()
        self._pairing.refuse("the channel is shutting down")
        self._session.step(Close("shutting down"))
        self.timer("leave", GONE_TIMEOUT_S, _Leave())
        self._look()

    def cleanup(self, reason: ExitReason) -> None:
        """Leave no port behind, whatever happened."""
        self._sending.close()
        self._publishing.books.close()
        self._pairing.refuse(f"the channel ended ({reason})")
        self._session.kill(f"its channel ended ({reason})")
        self._leaving.over()

    def given_up(self) -> None:
        """Kill the port, and leave what is in the queue to the channel that comes in this one's place."""
        self._sending.close()
        self._publishing.books.close()
        self._session.kill("its channel hung")
        self._leaving.over()

    def facts(self) -> dict[str, object]:
        """Its state, and its port."""
        port, life = self._session.port, self._life
        facts: dict[str, object] = {"state": life.state.value}
        return facts if port is None else facts | {"port": port.pid, "port_incarnation": port.incarnation}

    def dropped(self, message: Any) -> None:
        """What came too late: a port that nobody owns is killed, commands that nobody took go back to the queue."""
        self._session.dropped(message)
        if isinstance(message, taking.FetchEnded):
            self._sending.give_back(message)

    # -- the session --

    @property
    def _life(self) -> Life:
        return self._session.life

    @property
    def _name(self) -> str:
        return f"{self._record.clinic}/{self._record.id}"

    def moved(self, before: Life) -> None:
        """The session changed: tell of it what is told."""
        life = self._life
        if life.ready and not self._leaving.begun:  # what it is put to rest for at its end is nobody's wish
            self._identity.condemned(life.condemned)
        if (life.state, life.reason) != (before.state, before.reason):
            self._show()  # first: whoever hears of it may ask at once
            self._announce(before.state)
        if life.qr is not None and life.qr != before.qr:
            self._publishing.event(EventKind.QR, views.qr_event(self._record, life.qr), life.qr.code)

    def port_is(self, port: Port | None) -> None:
        """Who gives credit to it."""
        self._receiving.opened(port)

    def connected_is(self, port: Port | None) -> None:
        """Who sends and fetches through it."""
        self._sending.use(port)
        self._receiving.use(port)
        if port is not None:
            self._reporting.came_up()

    # -- what ports say --

    def _port_said(self, incarnation: int, events: Sequence[PortEvent]) -> None:
        """Records count whoever said them: they were written down, and are claimed once."""
        records: list[Record] = []
        for event in events:
            if isinstance(event, Record):
                records.append(event)
                continue
            self._heard(incarnation, records)
            records = []
            if incarnation == self._life.incarnation:
                self._told(incarnation, event)
        self._heard(incarnation, records)

    def _heard(self, incarnation: int, records: Sequence[Record]) -> None:
        if not records:
            return
        self._last_activity = self._context.now()
        self._keeping.used()
        for record in records:
            if isinstance(record.what, Undecryptable):
                self._context.log.warning("undecryptable message", wa_id=record.what.wa_id)
            self._reporting.said(record)
        self._receiving.take(records, incarnation)

    def _told(self, incarnation: int, event: PortEvent) -> None:
        if isinstance(event, PortExited):
            self._session.exited()
            self._context.log.info("port exited", reason=event.reason, expected=event.expected)
        if isinstance(event, Connected):
            self._identity.connected(event.phone, event.jid)
            self._sending.linked(event.jid)
        self._keeping.said(event)
        self._reporting.said(event)
        self._session.step(FromPort(incarnation, event))

    # -- what earlier lives left --

    def _found(self, found: Found) -> None:
        if self._leaving.begun:
            return
        self._receiving.take(found.inbound, 0)
        self._reporting.begin(found.traced, found.row, found.inbound)
        self._receiving.begin()
        self._identity.begin(found.paired)
        self._sending.linked(found.device)
        self._sending.recover(found.answered, whole=found.whole)
        self._session.step(Ready(None if found.paired is None else found.paired.condemned))

    def _idleness(self) -> IdleChecked:
        last = self._last_activity
        quiet_s = self._context.now().mono - last.mono if last is not None else math.inf
        return IdleChecked(quiet_s, busy=len(self._sending) > 0 or not self._receiving.idle)

    # -- requests --

    def _configure(self, record: ChannelRecord) -> None:
        """Live by this record's own settings, which are about sending and receiving alone."""
        self._record = record
        policy = self._with.policy.of(record)
        self._sending.configure(policy.sending)
        self._receiving.configure(policy.receiving)

    def _want(self, wanted: WantedState, event: LifeEvent, reply: Callable[[Any], None]) -> None:
        self._wanted = wanted
        self._session.step(event)
        reply(self.snapshot())

    def _resume(self, reply: Callable[[Any], None]) -> None:
        if self._life.state is ChannelState.SUSPENDED:
            self._want(WantedState.CONNECTED, Open("resumed"), reply)
        elif self._life.state in WANTS_PORT:
            reply(self.snapshot())
        else:
            raise ConflictError(f"channel {self._name} is {self._life.state}, not suspended; connect it instead")

    def _pair(self, phone: str | None, reply: Callable[[Any], None]) -> None:
        if self._life.state in (ChannelState.CONNECTED, ChannelState.PAIRING):
            raise ConflictError(f"channel {self._name} is {self._life.state}: it is paired already; log it out first")
        self._pairing.ask(phone, reply)
        if self._life.state not in WANTS_PORT:
            self._wanted = WantedState.CONNECTED
            self._session.step(Open("pairing requested"))

    def _logged_out(self, outcome: PortAnswer | unlinking.Forgot | Failure, reply: Callable[[Any], None]) -> None:
        refused = unlinking.refusal(outcome, self._name)
        if isinstance(outcome, unlinking.Forgot):
            self._reporting.ended(outcome.row)
        if refused is None:
            self._session.step(LoggedOutByUs())
        reply(refused or self.snapshot())

    # -- what others see --

    def snapshot(self) -> ChannelSnapshot:
        """As it is now."""
        return views.snapshot(
            self._record,
            self._life,
            wanted=self._wanted,
            sending_breaker=self._sending.breaker.state,
            queued=len(self._sending),
            last_activity_at=self._last_activity.wall if self._last_activity is not None else None,
            restricted_until=self._sending.conditions.restricted_until,
            spooled=self._receiving.spooled,
            undecryptable=self._receiving.undecryptable,
            kept=self._keeping.kept,
        )

    def _announce(self, previous: ChannelState) -> None:
        life = self._life
        log = self._context.log.bind(state=life.state, previous=previous, reason=life.reason, attempt=life.attempt)
        (log.warning if life.state is ChannelState.ERROR else log.info)("channel state")
        event = views.state_event(self._record, life, previous)
        self._publishing.event(EventKind.STATE, event, life.state, self._context.now().wall.isoformat())

    def _look_at_store(self) -> None:
        trouble = self._keeping.trouble or self._leftover.trouble or self._receiving.trouble or self._sending.stuck
        if trouble != self._life.trouble:
            self._with.board.put_trouble(self._record.clinic, self._record.id, trouble)
            self._session.step(StoreWorks() if trouble is None else StoreFailed(trouble))

    def _look(self) -> None:
        """After every message: hang up if nothing can be stored, wake for a command, show, answer, leave when done."""
        self._reporting.look()
        self._look_at_store()
        if self._life.suspended_by is SuspendedBy.POLICY and self._sending.waiting:
            self._session.step(CommandWaits())
        self._keeping.look(self._life, recovered=self._sending.recovered)
        self._show()
        self._pairing.look(self._life.state, self._life.reason, self._life.qr, self._session.port)
        self._leaving.look()
        if self._leaving.through(self._life.phase):
            self.exit(Shutdown())

    def _show(self) -> None:
        self._context.count.oldest_waiting_at = self._sending.waits_since
        counts = (len(self._sending), self._receiving.spooled, self._keeping.kept)
        showing = (self._record, self._life, self._wanted, self._sending.breaker.state, counts, self._last_activity)
        if showing != self._shown and self.actor_ref.is_alive():  # else another is in its place
            self._shown = showing
            self._with.board.put_channel(self.snapshot(), self._life.qr)
