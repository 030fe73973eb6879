"""A channel's life moved by a test, with its timers and its ports as the effects left them."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random

from actors.channel import life as words
from actors.channel.life import IdleCheckDue, Life, LifeEvent, Now, PatienceOver, Policy, RetryDue, begin
from actors.channel.lifecycle import step
from protocol import port_events
from protocol.channel import ChannelState, WantedState
from supervisor.backoff import Backoff
from supervisor.breaker import Breaker, BreakerState

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = Policy(backoff=Backoff(base_s=1.0, cap_s=30.0, stable_s=30.0))
UP = port_events.Connected(
    jid="5511999990000:7@s.whatsapp.net", lid="1:7@lid", phone="5511999990000", profile_name="Acme"
)
PAIRED = port_events.PairingSucceeded(jid="5511999990000:7@s.whatsapp.net", lid="1:7@lid")


def qr(number: int = 1, valid_s: float = 20.0) -> port_events.QrShown:
    return port_events.QrShown(code=f"code-{number}", valid_s=valid_s)


def exited(reason: str = "killed", *, expected: bool = False) -> port_events.PortExited:
    return port_events.PortExited(reason=reason, expected=expected)


@dataclass
class Story:
    """``timers``: when each is due, by the kind of its event; ``effects``: of the last step."""

    policy: Policy = POLICY
    breaker: Breaker = field(default_factory=Breaker)
    seconds: float = 0.0
    timers: dict[type, float] = field(default_factory=dict)
    opened: list[int] = field(default_factory=list)
    closed: list[words.ClosePort] = field(default_factory=list)
    probed: list[int] = field(default_factory=list)
    random: Random = field(default_factory=lambda: Random(1))

    def __post_init__(self) -> None:
        self.life: Life = replace(begin(self.now, self.breaker), ready=True)

    @property
    def now(self) -> Now:
        return Now(EPOCH + timedelta(seconds=self.seconds), self.seconds)

    @property
    def state(self) -> ChannelState:
        return self.life.state

    @property
    def code(self) -> str | None:
        return self.life.qr.code if self.life.qr else None

    @property
    def breaker_state(self) -> BreakerState:
        return self.life.breaker.state

    @property
    def reason(self) -> str:
        return self.life.reason

    def do(self, event: LifeEvent) -> list[words.Effect]:
        self.life, effects = step(self.life, event, self.now, self.policy, self.random)
        for effect in effects:
            match effect:
                case words.SetTimer(event=timer, seconds=seconds):
                    self.timers[type(timer)] = self.seconds + seconds
                case words.CancelTimer(event=timer):
                    self.timers.pop(type(timer), None)
                case words.OpenPort(incarnation=incarnation):
                    self.opened.append(incarnation)
                case words.ClosePort():
                    self.closed.append(effect)
                case words.ProbePort(incarnation=incarnation):
                    self.probed.append(incarnation)
        return effects

    def said(self, *events: port_events.PortEvent) -> "Story":
        """The present port says this."""
        for event in events:
            self.do(words.FromPort(self.life.incarnation, event))
        return self

    def port_opened(self) -> "Story":
        self.do(words.PortOpened(self.life.incarnation))
        return self

    def port_exited(self, reason: str = "killed") -> "Story":
        return self.said(exited(reason))

    def fire(self, timer: type[RetryDue | PatienceOver]) -> "Story":
        """Time passes until this timer is due, and no other is before it."""
        due = self.timers.pop(timer)
        assert all(due <= other for other in self.timers.values())
        self.seconds = max(self.seconds, due)
        self.do(timer())
        return self

    def idle_check(self, quiet_s: float, *, busy: bool = False) -> "Story":
        """Time passes until the channel looks whether it is idle, and this is what it sees."""
        self.seconds = max(self.seconds, self.timers.pop(IdleCheckDue))
        self.do(words.IdleChecked(quiet_s, busy))
        return self

    def wait_s(self, timer: type[RetryDue | PatienceOver | IdleCheckDue]) -> float:
        """Seconds until this timer is due."""
        return self.timers[timer] - self.seconds

    # -- where stories begin --

    def begun(self, wanted: WantedState = WantedState.CONNECTED) -> "Story":
        """The first port is being opened, if one is wanted."""
        self.do(words.Began(wanted))
        return self

    def opening_done(self) -> "Story":
        return self.begun().port_opened()

    def showing_code(self) -> "Story":
        return self.opening_done().said(qr())

    def pairing(self) -> "Story":
        return self.showing_code().said(PAIRED)

    def connected(self) -> "Story":
        return self.opening_done().said(UP)

    def redialling(self) -> "Story":
        """The socket is lost and whatsmeow dials again."""
        return self.connected().said(port_events.Disconnected())

    def waiting(self) -> "Story":
        """The port is gone and its successor's time has not come."""
        return self.connected().port_exited()
