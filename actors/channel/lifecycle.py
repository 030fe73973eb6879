"""The life of a channel's session, pure: ``step(life, event, now, policy, random) -> (life, effects)``.

The state comes first and is moved by ``machine.TRANSITIONS`` alone; the rest are side facts. The laws:

- at most one port at a time: a new one is opened only when the one before it is known to be gone;
- one owner of reconnection: whatsmeow may bring a lost connection back, within ``patience_s`` and not again and again;
  else the port is killed and only the backoff and the breaker here say when the next one is opened;
- what an old incarnation says is dropped;
- a send wakes what the policy suspended, and never what an operator did;
- no port while nothing can be stored: WhatsApp keeps what we don't take;
- none for what was condemned in an earlier life, until an operator says so (``condemning``).
"""

from dataclasses import replace
from datetime import datetime
from random import Random
from typing import assert_never

from actors.channel import machine
from actors.channel.condemning import Cause, condemnation, holds
from actors.channel.life import (
    Began,
    CancelTimer,
    Close,
    ClosePort,
    CommandWaits,
    Effect,
    FromPort,
    IdleCheckDue,
    IdleChecked,
    Life,
    LifeEvent,
    LoggedOutByUs,
    Now,
    Open,
    OpenPort,
    PatienceOver,
    Policy,
    PortNotOpened,
    PortOpened,
    PortPhase,
    ProbePort,
    Ready,
    RetryDue,
    SetTimer,
    Sleep,
    StoreFailed,
    StoreWorks,
    SuspendedBy,
)
from actors.channel.machine import WANTS_PORT, next_state
from protocol import port_events
from protocol.channel import ChannelState as S
from protocol.channel import QrCode, WantedState
from protocol.condemnation import Condemnation


def step(life: Life, event: LifeEvent, now: Now, policy: Policy, random: Random) -> tuple[Life, list[Effect]]:
    """What follows from ``event``.

    Raises:
        IllegalTransitionError: the machine's table has no such transition.
    """
    after, effects = _Step(life, now, policy, random).take(event)
    return after, effects


class _Step:
    """One step: a cursor over the life as it changes, and the effects gathered on the way."""

    def __init__(self, life: Life, now: Now, policy: Policy, random: Random) -> None:
        self.life = life
        self.now = now
        self.policy = policy
        self.random = random
        self.effects: list[Effect] = []

    def take(self, event: LifeEvent) -> tuple[Life, list[Effect]]:
        before = self.life.state
        match event:
            case Began(wanted, again):
                self.begin(wanted, lazily=self.policy.lazy and not again)
            case Ready(condemned):
                self.life = replace(self.life, ready=True)
                self.recall(condemned)
            case StoreFailed(reason):
                self.life = replace(self.life, trouble=reason)
                self.halt()
            case StoreWorks():
                self.life = replace(self.life, trouble=None)
                if self.life.halted:
                    self.open("it can be stored again")
            case Open(reason):
                self.open(reason)
                self.life = replace(self.life, asked=not self.life.ready)
            case Close(reason):
                self.retire(machine.CloseRequested(), reason)
            case Sleep():
                self.suspend(SuspendedBy.OPERATOR, "requested")
            case CommandWaits():
                if self.life.suspended_by is SuspendedBy.POLICY:
                    self.open("a command waits")
            case IdleChecked(quiet_s, busy):
                self.idle_checked(quiet_s, busy)
            case LoggedOutByUs():
                self.rest(machine.SessionEnded(), "logout")
            case RetryDue():
                self.life = replace(self.life, next_retry_at=None, breaker=self.life.breaker.attempt())
            case PatienceOver():
                self.lose_port(self.impatience())
            case PortOpened(incarnation):
                self.opened(incarnation)
            case PortNotOpened(incarnation, reason):
                self.gone(incarnation, reason)
            case FromPort(incarnation, said):
                self.heard(incarnation, said)
            case _:
                assert_never(event)
        self.reconcile()
        self.look_for_idleness(before)
        return self.life, self.effects

    # -- moving --

    def move(self, event: machine.MachineEvent, reason: str) -> None:
        state = next_state(self.life.state, event)
        if (state, reason) != (self.life.state, self.life.reason):
            since = self.now.wall if state is not self.life.state else self.life.since
            self.life = replace(self.life, state=state, reason=reason, since=since)
        if state is not S.QR_REQUIRED:
            self.life = replace(self.life, qr=None)
        if state is not S.SUSPENDED:
            self.life = replace(self.life, suspended_by=None)
        if state is not S.ERROR:
            self.life = replace(self.life, halted=False, condemned=None)

    def reconcile(self) -> None:
        """Open the port that the state wants, close the one it doesn't."""
        life = self.life
        wanted = life.state in WANTS_PORT
        if wanted and life.ready and life.phase is PortPhase.ABSENT and life.next_retry_at is None:
            incarnation = life.incarnation + 1
            self.life = replace(life, phase=PortPhase.OPENING, incarnation=incarnation, codes=0)
            # No timer: its opener answers, however long the line before it. It has time to connect once it is there.
            self.effects.append(OpenPort(incarnation))
        elif not wanted:
            self.close(orderly=True, reason=life.reason)

    def begin(self, wanted: WantedState, *, lazily: bool) -> None:
        match wanted:
            case WantedState.CONNECTED:
                if lazily:
                    self.suspend(SuspendedBy.POLICY, "lazy: waits for a send or connect")
            case WantedState.DISCONNECTED:
                self.retire(machine.CloseRequested(), "requested before a restart")
            case WantedState.SUSPENDED:
                self.suspend(SuspendedBy.OPERATOR, "requested before a restart")
            case _:
                assert_never(wanted)

    def open(self, reason: str) -> None:
        self.move(machine.OpenRequested(), reason)
        self.close(orderly=True, reason="replaced by request")
        self.effects += [CancelTimer(RetryDue()), CancelTimer(PatienceOver())]
        self.life = replace(self.life, next_retry_at=None, failures=0, breaker=self.life.breaker.reset())
        self.halt()

    def halt(self) -> None:
        """Have no port while nothing can be stored; be in error for as long, if one is wanted."""
        if self.life.trouble is not None and (self.life.state in WANTS_PORT or self.life.halted):
            if not self.life.halted:
                self.rest(machine.StoreLost(), "")
            self.life = replace(self.life, halted=True, reason=f"cannot store: {self.life.trouble}")

    def rest(self, event: machine.MachineEvent, reason: str) -> None:
        self.move(event, reason)
        self.effects += [CancelTimer(RetryDue()), CancelTimer(PatienceOver())]
        self.life = replace(self.life, next_retry_at=None)

    def condemn(self, cause: Cause, reason: str, until: datetime | None = None) -> None:
        self.rest(machine.Condemned(), reason)
        known = condemnation(cause, reason, self.now.wall, until=until, client=self.policy.client)
        self.life = replace(self.life, condemned=known)

    def recall(self, before: Condemnation | None) -> None:
        """Be in error as an earlier life was, unless an operator wants something else since."""
        life = self.life
        tries = life.state in WANTS_PORT or life.halted or life.suspended_by is SuspendedBy.POLICY
        if before is not None and tries and not life.asked and holds(before, self.now.wall, self.policy.client):
            self.rest(machine.Recalled(), before.reason)
            self.life = replace(self.life, since=before.since, halted=False, condemned=before)

    def retire(self, event: machine.CloseRequested | machine.SuspendRequested, reason: str) -> None:
        """Put to rest; why it is logged out stays true, and has to be known to whoever looks later."""
        self.rest(event, self.life.reason if self.life.state is S.LOGGED_OUT else reason)

    # -- suspension --

    def suspend(self, by: SuspendedBy, reason: str) -> None:
        self.retire(machine.SuspendRequested(), reason)
        if self.life.state is S.SUSPENDED:
            self.life = replace(self.life, suspended_by=by)

    def look_for_idleness(self, before: S) -> None:
        idle_after_s, connected = self.policy.idle_after_s, self.life.state is S.CONNECTED
        if idle_after_s and connected != (before is S.CONNECTED):
            timer = SetTimer(IdleCheckDue(), idle_after_s) if connected else CancelTimer(IdleCheckDue())
            self.effects.append(timer)

    def idle_checked(self, quiet_s: float, busy: bool) -> None:
        idle_after_s = self.policy.idle_after_s
        if self.life.state is not S.CONNECTED:
            return
        if busy or quiet_s < idle_after_s:
            self.effects.append(SetTimer(IdleCheckDue(), idle_after_s if busy else idle_after_s - quiet_s))
        else:
            self.suspend(SuspendedBy.POLICY, f"idle for {idle_after_s:g} s: waits for a send or connect")

    # -- the port --

    def close(self, *, orderly: bool, reason: str) -> None:
        match self.life.phase:
            case PortPhase.UP:
                self.effects.append(ClosePort(self.life.incarnation, orderly, reason))
                self.life = replace(self.life, phase=PortPhase.CLOSING)
            case PortPhase.OPENING:
                self.life = replace(self.life, phase=PortPhase.CLOSING)
            case PortPhase.ABSENT | PortPhase.CLOSING:
                pass
            case _:
                assert_never(self.life.phase)

    def opened(self, incarnation: int) -> None:
        if incarnation != self.life.incarnation:
            self.effects.append(ClosePort(incarnation, orderly=False, reason="stale"))
        elif self.life.phase is PortPhase.OPENING:
            self.life = replace(self.life, phase=PortPhase.UP)
            if self.silent:
                self.effects.append(SetTimer(PatienceOver(), self.policy.open_s))
        else:
            self.effects.append(ClosePort(incarnation, orderly=False, reason="no longer wanted"))

    @property
    def silent(self) -> bool:
        """Whether this port has yet to connect or to show a code; what it said started a wait of its own."""
        return self.life.state in (S.INITIALIZING, S.RECONNECTING) and self.life.connected_since is None

    @property
    def flaps(self) -> bool:
        """Whether the connection is one that whatsmeow brought back, and not stable yet."""
        back_since = self.life.back_since
        return back_since is not None and not self.policy.backoff.stable(self.now.mono - back_since)

    def gone(self, incarnation: int, reason: str) -> None:
        if incarnation != self.life.incarnation or self.life.phase is PortPhase.ABSENT:
            return
        asked = self.life.phase is PortPhase.CLOSING
        self.life = replace(self.life, phase=PortPhase.ABSENT)
        if asked:
            self.life = replace(self.life, connected_since=None)
        else:
            self.fail(reason)

    def lose_port(self, reason: str) -> None:
        """The port is of no more use: kill it, and open another when it is time."""
        self.close(orderly=False, reason=reason)
        self.fail(reason)

    def fail(self, reason: str) -> None:
        life = self.life
        up_s = self.now.mono - life.connected_since if life.connected_since is not None else 0.0
        failures = 1 if self.policy.backoff.stable(up_s) else life.failures + 1
        breaker = life.breaker.failure(self.now.mono)
        self.life = replace(life, failures=failures, breaker=breaker, connected_since=None)
        self.effects.append(CancelTimer(PatienceOver()))
        if self.policy.max_attempts and failures > self.policy.max_attempts:
            self.condemn(Cause.GAVE_UP, f"gave up after {self.policy.max_attempts} attempts: {reason}")
            return
        self.move(machine.PortLost(), reason)
        delay = max(self.policy.backoff.delay(failures, self.random), breaker.wait(self.now.mono))
        self.life = replace(self.life, next_retry_at=self.now.after(delay))
        self.effects.append(SetTimer(RetryDue(), delay))

    def impatience(self) -> str:
        match self.life.state:
            case S.PAIRING:
                return f"paired, but not connected within {self.policy.pairing_s:g} s"
            case S.QR_REQUIRED:
                return "the code expired, and no other came"
            case S.RECONNECTING if self.life.connected_since is not None:
                return f"not reconnected within {self.policy.patience_s:g} s ({self.life.reason})"
            case _:
                return f"not connected within {self.policy.open_s:g} s"

    # -- what it says --

    def heard(self, incarnation: int, said: port_events.PortEvent) -> None:
        if incarnation != self.life.incarnation:
            return
        if isinstance(said, port_events.PortExited):
            self.gone(incarnation, said.reason)
        elif self.life.phase in (PortPhase.OPENING, PortPhase.UP):
            self.translate(said)

    def translate(self, said: port_events.PortEvent) -> None:
        match said:
            case port_events.QrShown():
                self.code_shown(said)
            case port_events.PairingSucceeded():
                self.move(machine.PhoneAccepted(), "paired")
                self.effects.append(SetTimer(PatienceOver(), self.policy.pairing_s))
            case port_events.PairingFailed(status=status):
                self.pairing_failed(status)
            case port_events.Connected():
                self.came_up(said)
            case port_events.Disconnected():
                self.lose_socket("connection lost")
            case port_events.StreamFailed(code=code):
                self.lose_socket(f"stream error {code}")
            case port_events.KeepAliveMissed(count=count):
                if count == 1:
                    self.effects.append(ProbePort(self.life.incarnation))
                else:
                    self.lose_port(f"{count} keep-alives unanswered")
            case port_events.LoggedOut(reason=reason):
                self.rest(machine.SessionEnded(), f"logged out by WhatsApp: {reason}")
            case port_events.Replaced():
                self.condemn(Cause.REPLACED, "session used elsewhere (replaced)")
            case port_events.Banned(code=code, expires_in_s=expires):
                known, until = f" for {expires:g} s" if expires else "", self.now.after(expires) if expires else None
                self.condemn(Cause.BANNED, f"banned by WhatsApp (code {code}){known}", until)
            case port_events.Outdated():
                self.condemn(Cause.OUTDATED, "client outdated: upgrade Plantão")
            case port_events.StoreUnusable(reason=reason):
                self.condemn(Cause.STORE_UNUSABLE, f"session store unusable: {reason}")
            case port_events.ConnectRefused(reason=reason):
                self.lose_port(f"login refused: {reason}")
            case (
                port_events.KeepAliveRestored()
                | port_events.BacklogAnnounced()
                | port_events.BacklogDelivered()
                | port_events.Record()
                | port_events.PortExited()
            ):
                pass
            case _:
                assert_never(said)

    def code_shown(self, said: port_events.QrShown) -> None:
        self.life = replace(self.life, codes=self.life.codes + 1)
        if self.life.codes > self.policy.max_codes:
            self.rest(machine.PairingEnded(), "qr_expired")
            return
        self.move(machine.CodeShown(), "waiting for a phone")
        self.life = replace(self.life, qr=QrCode(code=said.code, expires_at=self.now.after(said.valid_s)))
        # A port that loses its connection before it is paired says nothing of it, ever.
        self.effects.append(SetTimer(PatienceOver(), said.valid_s + self.policy.patience_s))

    def pairing_failed(self, status: str) -> None:
        match status:
            case "timeout":
                self.rest(machine.PairingEnded(), "qr_expired")
            case "refused":
                self.rest(machine.PairingEnded(), "pairing_refused")
            case "client_outdated":
                self.condemn(Cause.OUTDATED, "client outdated: upgrade Plantão")
            case _:
                self.lose_port(f"pairing failed: {status}")

    def came_up(self, said: port_events.Connected) -> None:
        if self.life.state is S.CONNECTED and self.flaps:  # whatsmeow says nothing else of a 515
            self.lose_port("stream error 515")
            return
        self.move(machine.CameUp(), "")
        first = self.life.connected_since is None
        self.life = replace(
            self.life,
            breaker=self.life.breaker.success(self.now.mono),
            connected_since=self.now.mono if first else self.life.connected_since,
            back_since=None if first else self.now.mono,
            last_connected_at=self.now.wall,
            jid=said.jid,
            phone=said.phone,
            profile_name=said.profile_name,
        )
        self.effects.append(CancelTimer(PatienceOver()))

    def lose_socket(self, reason: str) -> None:
        """Have whatsmeow dial again for a while, if there was a session to bring back: one that was not let in at all
        would dial on by itself, unseen, and so would one that comes back only to be lost at once."""
        before = self.life.state
        if self.silent or (before is S.CONNECTED and self.flaps):
            self.lose_port(reason)
            return
        self.move(machine.SocketLost(), reason)
        if before is S.CONNECTED:
            self.effects.append(SetTimer(PatienceOver(), self.policy.patience_s))
