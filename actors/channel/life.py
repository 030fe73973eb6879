"""What a channel's session is, what happens to it, and what it wants done: the words of ``lifecycle``."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from actors.channel.machine import WANTS_PORT
from protocol import port_events
from protocol.channel import ChannelRecord, ChannelSnapshot, QrCode, WantedState
from protocol.channel import ChannelState as S
from protocol.condemnation import Condemnation
from supervisor.backoff import Backoff
from supervisor.breaker import Breaker


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Times in seconds. ``open_s``: for a port that is open to connect, or to show a code. ``max_attempts`` 0 is: never
    give up. ``lazy``: the first port is opened when it is needed; ``idle_after_s``: without traffic for so long the
    port is given up until it is needed (0: never). ``client``: the version of what connects."""

    patience_s: float = 10.0
    open_s: float = 60.0
    pairing_s: float = 10.0
    max_codes: int = 6
    max_attempts: int = 0
    backoff: Backoff = field(default_factory=Backoff)
    lazy: bool = False
    idle_after_s: float = 0.0
    client: str = ""


@dataclass(frozen=True, slots=True)
class Now:
    """The time, as a date for people and as monotonic seconds for waiting."""

    wall: datetime
    mono: float

    def after(self, seconds: float) -> datetime:
        """The date ``seconds`` from now."""
        return self.wall + timedelta(seconds=seconds)


class PortPhase(Enum):
    """Where this channel's port is in its life."""

    ABSENT = "absent"
    OPENING = "opening"
    UP = "up"
    CLOSING = "closing"


class SuspendedBy(Enum):
    """Who put the channel to rest, which decides who may wake it."""

    POLICY = "policy"
    """It is lazy or was idle: a send wakes it, and so does an operator."""
    OPERATOR = "operator"
    """Only an operator wakes it; commands wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """``failures`` counts ports lost since the channel was last stable; ``codes`` the QR codes this port has shown;
    ``suspended_by`` is None unless it is suspended. ``connected_since``: when this port connected first, and
    ``back_since``: when whatsmeow last brought that connection back, if it did; in monotonic seconds.

    ``ready``: what earlier lives left is known, before which no port is opened. ``trouble``: why nothing can be stored;
    ``halted``: it is in error for that alone, and opens a port when it can. ``condemned``: it is in error for what the
    next life has to know; ``asked``: an operator wanted a port before it was ``ready``.
    """

    state: S
    reason: str
    since: datetime
    breaker: Breaker
    phase: PortPhase = PortPhase.ABSENT
    incarnation: int = 0
    failures: int = 0
    next_retry_at: datetime | None = None
    connected_since: float | None = None
    back_since: float | None = None
    last_connected_at: datetime | None = None
    codes: int = 0
    qr: QrCode | None = None
    suspended_by: SuspendedBy | None = None
    ready: bool = False
    trouble: str | None = None
    halted: bool = False
    condemned: Condemnation | None = None
    asked: bool = False
    jid: str | None = None
    phone: str | None = None
    profile_name: str | None = None

    @property
    def attempt(self) -> int:
        """Ports lost since the last connection."""
        return 0 if self.state is S.CONNECTED else self.failures

    @property
    def connected(self) -> bool:
        """Whether messages can be sent now."""
        return self.state is S.CONNECTED and self.phase is PortPhase.UP


# -- events --


@dataclass(frozen=True, slots=True)
class Began:
    """The channel's actor is up, and the channel is to be so. ``again``: the actor before it crashed while the channel
    had a port or was on its way to one, so it is needed, however lazy."""

    wanted: WantedState = WantedState.CONNECTED
    again: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """What earlier lives left is known: ports may be opened, unless the one before was ``condemned``."""

    condemned: Condemnation | None = None


@dataclass(frozen=True, slots=True)
class StoreFailed:
    """What comes in, or is sent, cannot be stored, for this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class StoreWorks:
    """It can be stored again."""


@dataclass(frozen=True, slots=True)
class PortOpened:
    """The port that was asked for is there."""

    incarnation: int


@dataclass(frozen=True, slots=True)
class PortNotOpened:
    """The port that was asked for could not be had."""

    incarnation: int
    reason: str


@dataclass(frozen=True, slots=True)
class FromPort:
    """What a port said, but records."""

    incarnation: int
    event: port_events.PortEvent


@dataclass(frozen=True, slots=True)
class RetryDue:
    """The wait before the next port is over."""


@dataclass(frozen=True, slots=True)
class PatienceOver:
    """What should have happened has not."""


@dataclass(frozen=True, slots=True)
class Open:
    """``connect`` or ``pair``: open a port now; a live one is replaced."""

    reason: str = "requested"


@dataclass(frozen=True, slots=True)
class Close:
    """``disconnect``, or the node's end."""

    reason: str = "requested"


@dataclass(frozen=True, slots=True)
class Sleep:
    """``suspend``: close the port until an operator wants one again."""


@dataclass(frozen=True, slots=True)
class CommandWaits:
    """There is a command that could be sent now."""


@dataclass(frozen=True, slots=True)
class IdleCheckDue:
    """Time to look whether there is still traffic; answered by ``IdleChecked``."""


@dataclass(frozen=True, slots=True)
class IdleChecked:
    """No message, receipt or command for ``quiet_s`` seconds; ``busy``: something is queued or under way."""

    quiet_s: float
    busy: bool


@dataclass(frozen=True, slots=True)
class LoggedOutByUs:
    """``logout`` succeeded, or the session was forgotten."""


LifeEvent = (
    Began
    | Ready
    | StoreFailed
    | StoreWorks
    | PortOpened
    | PortNotOpened
    | FromPort
    | RetryDue
    | PatienceOver
    | Open
    | Close
    | Sleep
    | CommandWaits
    | IdleChecked
    | LoggedOutByUs
)


# -- effects --


@dataclass(frozen=True, slots=True)
class OpenPort:
    """Open this incarnation."""

    incarnation: int


@dataclass(frozen=True, slots=True)
class ClosePort:
    """End this incarnation: in an orderly way, or at once."""

    incarnation: int
    orderly: bool
    reason: str


@dataclass(frozen=True, slots=True)
class ProbePort:
    """Ask the server something through this incarnation; one that misses the deadline is killed."""

    incarnation: int


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Say ``event`` in ``seconds``; replaces the timer for the same kind of event."""

    event: RetryDue | PatienceOver | IdleCheckDue
    seconds: float


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """Forget the timer for this kind of event."""

    event: RetryDue | PatienceOver | IdleCheckDue


Effect = OpenPort | ClosePort | ProbePort | SetTimer | CancelTimer


def begin(now: Now, breaker: Breaker) -> Life:
    """A channel before anything happened."""
    return Life(state=S.INITIALIZING, reason="starting", since=now.wall, breaker=breaker)


def began(record: ChannelRecord, shown: ChannelSnapshot | None) -> Began:
    """How a channel's actor begins. ``shown``: as the one before it left the channel on the board, with what an
    operator asked of it; one that ended in good order left no state in which a port is wanted."""
    return Began(record.wanted) if shown is None else Began(shown.wanted, again=shown.state in WANTS_PORT)


def reconnects(before: Life, after: Life, effects: Sequence[Effect]) -> int:
    """How often, in one step, a lost session was got back, or it was tried with another port: what comes back in the
    port that had lost it is seen only then."""
    back = before.state is S.RECONNECTING and after.state is S.CONNECTED and before.connected_since is not None
    return back + (after.failures > 0 and any(isinstance(effect, OpenPort) for effect in effects))
