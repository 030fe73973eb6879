"""The channel's actor: one WhatsApp number. A thin shell around ``lifecycle`` and the parts that send and receive.

Everything here runs in the actor's thread. The port's events and the outcomes of errands come as messages.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final, assert_never

import structlog

from actors.channel import lifecycle, publishing, receiving, sending, unlinking, views
from actors.channel.context import Context
from actors.channel.flights import Flights
from actors.channel.life import (
    CancelTimer,
    Close,
    ClosePort,
    CommandWaits,
    Effect,
    FromPort,
    IdleCheckDue,
    IdleChecked,
    LifeEvent,
    LoggedOutByUs,
    Now,
    Open,
    OpenPort,
    PatienceOver,
    PortNotOpened,
    PortOpened,
    PortPhase,
    ProbePort,
    RetryDue,
    SetTimer,
    Sleep,
    SuspendedBy,
    began,
    begin,
)
from actors.channel.machine import WANTS_PORT
from actors.channel.pairing import CodeAnswered, Pairing
from actors.channel.requests import Connect, Disconnect, Logout, Pair, Resume, ShowQr, Suspend
from actors.channel.surroundings import Surroundings
from protocol import port as port_protocol
from protocol.channel import ChannelSnapshot, ChannelState, WantedState
from protocol.errors import ConflictError, NotFoundError, PortError, UnavailableError
from protocol.interfaces import Failure, Port
from protocol.port import Inbound, PortAnswer, PortEvent, PortSpec, Probe
from protocol.subjects import EventKind
from supervisor.actor import Actor, Link
from supervisor.names import Name
from supervisor.reasons import ExitReason, Shutdown

STOP_PORT_S: Final = 8.0
OPEN_LIMIT_S: Final = 86_400.0
"""Not to be reached by waiting in line: the opener keeps the deadline for opening."""
PROBE_DEADLINE_S: Final = 10.0
GONE_TIMEOUT_S: Final = 12.0


# -- messages to itself --


@dataclass(frozen=True, slots=True)
class _Opened:
    incarnation: int
    outcome: Port | Failure


@dataclass(frozen=True, slots=True)
class _Ignored:
    outcome: object


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
        self._context = Context(
            clinic=record.clinic,
            channel=record.id,
            bus=surroundings.bus,
            ledger=surroundings.ledger,
            loop=surroundings.loop,
            flights=Flights(),
            tell=self.tell,
            timer=self.timer,
            random=Random(),  # noqa: S311 - jitter
            log=structlog.get_logger(__name__).bind(clinic=record.clinic, channel=record.id),
        )
        self._began = began(record, surroundings.board.channel(record.clinic, record.id))
        self._wanted = self._began.wanted
        policy = surroundings.policy
        self._life = begin(self._context.now(), policy.breaker)
        self._publishing = publishing.Publishing(self._context)
        self._sending = sending.Sending(self._context, policy.sending, self._publishing)
        self._receiving = receiving.Receiving(self._context, policy.receiving)
        self._pairing = Pairing(self._context)
        self._port: Port | None = None
        self._early: list[Inbound] = []
        self._last_activity: Now | None = None
        self._shown: object = None
        self._leaving = False
        self._handlers: dict[type, Callable[[Any], None]] = {
            **self._sending.handlers,
            receiving.Published: self._receiving.on_published,
            receiving.PublishDue: self._receiving.on_due,
            publishing.Flushed: self._publishing.flushed,
            publishing.FlushDue: lambda _: self._publishing.due(),
            publishing.Recorded: self._publishing.recorded,
            CodeAnswered: self._pairing.on_answered,
        }

    # -- the actor's hooks --

    def initialize(self) -> bool:
        """Take up what the ledger owns, and be as wanted."""
        self._sending.recover()
        self._step(self._began)
        self._look()
        return True

    def handle(self, message: Any) -> None:
        """Outcomes, port events, timers."""
        match message:
            case FromPort():
                self._port_said(message)
            case _Opened(incarnation, outcome):
                self._opened(incarnation, outcome)
            case RetryDue() | PatienceOver():
                self._step(message)
            case IdleCheckDue():
                self._step(self._idleness())
            case unlinking.LogoutAnswered(outcome, reply):
                self._logged_out(outcome, reply)
            case _Ignored():
                pass
            case _Leave():
                self.exit(Shutdown("port or publication did not end in time"))
            case _ if type(message) in self._handlers:
                if isinstance(message, sending.IntakeEnded | sending.Answered):
                    self._last_activity = self._context.now()
                self._handlers[type(message)](message)
            case _:
                super().handle(message)
        self._look()

    def answer(self, request: Any, reply: Callable[[Any], None]) -> None:
        """Requests from outside."""
        if self._leaving:
            raise UnavailableError(f"channel {self._name} is shutting down; try again later")
        match request:
            case Connect():
                self._want(WantedState.CONNECTED, Open(), reply)
            case Disconnect():
                self._want(WantedState.DISCONNECTED, Close(), reply)
            case Suspend():
                self._want(WantedState.SUSPENDED, Sleep(), reply)
            case Resume():
                self._resume(reply)
            case Logout():
                self._log_out(reply)
            case Pair(phone):
                self._pair(phone, reply)
            case ShowQr():
                if self._life.qr is None:
                    raise NotFoundError(f"a QR code of channel {self._name} (it is {self._life.state})")
                reply(self._life.qr)
            case _:
                super().answer(request, reply)
        self._look()

    def shut_down(self, reason: ExitReason) -> None:
        """Finish what is in flight, close the port, publish what waits; then end."""
        self._leaving = True
        self._sending.close()
        self._pairing.refuse("the channel is shutting down")
        self._step(Close("shutting down"))
        self.timer("leave", GONE_TIMEOUT_S, _Leave())
        self._look()

    def cleanup(self, reason: ExitReason) -> None:
        """Leave no port behind, whatever happened."""
        self._sending.close()
        self._pairing.refuse(f"the channel ended ({reason})")
        if self._port is not None:
            self._port.kill(f"its channel ended ({reason})")

    def given_up(self) -> None:
        """Kill the port, and leave what is in the queue to the channel that comes in this one's place."""
        self._sending.close()
        port = self._port
        if port is not None:
            port.kill("its channel hung")

    def facts(self) -> dict[str, object]:
        """Its state, and its port."""
        port, life = self._port, self._life
        facts: dict[str, object] = {"state": life.state.value}
        return facts if port is None else facts | {"port": port.pid, "port_incarnation": port.incarnation}

    def dropped(self, message: Any) -> None:
        """What came too late: a port that nobody owns is killed, commands that nobody took go back to the queue."""
        match message:
            case _Opened(outcome=port) if not isinstance(port, Failure):
                port.kill("its channel ended before it was open")
            case sending.FetchEnded():
                self._sending.give_back(message)

    # -- the lifecycle --

    @property
    def _name(self) -> str:
        return f"{self._record.clinic}/{self._record.id}"

    def _step(self, event: LifeEvent) -> None:
        before = self._life
        policy, random = self._with.policy.life, self._context.random
        self._life, effects = lifecycle.step(before, event, self._context.now(), policy, random)
        for effect in effects:
            self._perform(effect)
        if (self._life.state, self._life.reason) != (before.state, before.reason):
            self._announce(before.state)
        if self._life.qr is not None and self._life.qr != before.qr:
            self._publishing.event(EventKind.QR, views.qr_event(self._record, self._life.qr), self._life.qr.code)
        if self._life.connected != before.connected:
            self._sending.use(self._port if self._life.connected else None)

    def _perform(self, effect: Effect) -> None:
        match effect:
            case OpenPort(incarnation):
                self._open_port(incarnation)
            case ClosePort(_, orderly, reason):
                self._close_port(orderly, reason)
            case ProbePort():
                if self._port is not None:
                    work = self._port.call(Probe(), deadline=PROBE_DEADLINE_S)
                    self._context.errand(work, _Ignored, timeout=PROBE_DEADLINE_S * 2)
            case SetTimer(event, seconds):
                self.timer(type(event).__name__, seconds, event)
            case CancelTimer(event):
                self.cancel(type(event).__name__)
            case _:
                assert_never(effect)

    def _open_port(self, incarnation: int) -> None:
        spec = PortSpec(
            clinic=self._record.clinic,
            channel=self._record.id,
            incarnation=incarnation,
            store=self._with.store,
            device_name=self._with.policy.device_name,
            proxy=self._with.policy.proxy,
        )

        def said(event: PortEvent) -> None:
            self.tell(FromPort(incarnation, event))

        work = self._with.opener.open(spec, said)
        self._context.errand(work, lambda outcome: _Opened(incarnation, outcome), timeout=OPEN_LIMIT_S)

    def _opened(self, incarnation: int, outcome: Port | Failure) -> None:
        if isinstance(outcome, Failure):
            reason = str(outcome.error) or type(outcome.error).__name__
            if not isinstance(outcome.error, PortError):
                self._context.log.error("port not opened", error=repr(outcome.error))
            self._step(PortNotOpened(incarnation, reason))
            return
        if incarnation != self._life.incarnation or self._life.phase is PortPhase.ABSENT:
            outcome.kill("it ended, or was given up, before it was known to be open")
            return
        self._port = outcome
        early, self._early = self._early, []
        for event in early:
            self._receiving.take(event, outcome)
        self._step(PortOpened(incarnation))

    def _close_port(self, orderly: bool, reason: str) -> None:
        if self._port is None:
            return
        if orderly:
            work = self._port.stop(timeout=STOP_PORT_S)
            self._context.errand(work, _Ignored, timeout=STOP_PORT_S * 2)
        else:
            self._port.kill(reason)

    def _port_said(self, message: FromPort) -> None:
        event = message.event
        current = message.incarnation == self._life.incarnation
        if isinstance(event, port_protocol.MessageReceived | port_protocol.ReceiptReceived):
            if current:
                self._receive(event)
            return
        if isinstance(event, port_protocol.Undecryptable):
            self._context.log.warning("undecryptable message", wa_id=event.wa_id)
        if isinstance(event, port_protocol.PortExited) and current:
            self._port = None
            self._early = []
            self._context.log.info("port exited", reason=event.reason, expected=event.expected)
        self._step(message)

    def _receive(self, event: Inbound) -> None:
        self._last_activity = self._context.now()
        if self._port is None:
            self._early.append(event)
        else:
            self._receiving.take(event, self._port)

    def _idleness(self) -> IdleChecked:
        last = self._last_activity
        quiet_s = self._context.now().mono - last.mono if last is not None else math.inf
        return IdleChecked(quiet_s, busy=len(self._sending) > 0 or not self._receiving.idle)

    # -- requests --

    def _want(self, wanted: WantedState, event: LifeEvent, reply: Callable[[Any], None]) -> None:
        self._wanted = wanted
        self._step(event)
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
            self._step(Open("pairing requested"))

    def _log_out(self, reply: Callable[[Any], None]) -> None:
        if not self._life.connected or self._port is None:
            raise ConflictError(f"channel {self._name} is {self._life.state}: only a connected one can log out")
        unlinking.log_out(self._context, self._port, reply)

    def _logged_out(self, outcome: PortAnswer | Failure, reply: Callable[[Any], None]) -> None:
        refused = unlinking.refusal(outcome, self._name)
        if refused is None and self._life.state in WANTS_PORT:
            self._step(LoggedOutByUs())
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
        )

    def _announce(self, previous: ChannelState) -> None:
        life, log = self._life, self._context.log
        tell = log.warning if life.state is ChannelState.ERROR else log.info
        tell("channel state", state=life.state, previous=previous, reason=life.reason, attempt=life.attempt)
        event = views.state_event(self._record, life, previous)
        self._publishing.event(EventKind.STATE, event, life.state, self._context.now().wall.isoformat())

    def _look(self) -> None:
        """After every message: wake for a command, show what changed, answer who waits, and leave when all is done."""
        if self._life.suspended_by is SuspendedBy.POLICY and self._sending.waiting:
            self._step(CommandWaits())
        showing = (self._life, self._wanted, self._sending.breaker.state, len(self._sending), self._last_activity)
        if showing != self._shown and self.actor_ref.is_alive():  # else another is in its place
            self._shown = showing
            self._with.board.put_channel(self.snapshot())
        self._pairing.look(self._life.state, self._life.reason, self._life.qr, self._port)
        parts = (self._publishing, self._receiving)
        if (
            self._leaving
            and self._life.phase is PortPhase.ABSENT
            and self._sending.flying == 0
            and all(part.idle or part.stuck for part in parts)
        ):
            self.exit(Shutdown())
