"""What a supervisor is, what happens to it and what it wants done: the words of ``core``."""

from dataclasses import dataclass, field

from supervisor.api import Answer, ChildView, Phase, Request
from supervisor.reasons import ExitReason
from supervisor.spec import ChildSpec, ChildType, Flags


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One child as the supervisor sees it.

    ``incarnation`` numbers the attempts to start it, ``process`` is the last of them that came up. ``restarts`` counts
    what the supervisor did by itself; ``attempt`` those since the child was last stable; ``recent`` are the times of
    those that count for its quarantine.
    """

    spec: ChildSpec
    phase: Phase = Phase.DOWN
    incarnation: int = 0
    process: int = 0
    up_since: float = 0.0
    restarts: int = 0
    attempt: int = 0
    recent: tuple[float, ...] = ()
    last_exit: str = ""


# -- what it is in the midst of --


@dataclass(frozen=True, slots=True)
class Boot:
    """Starting the children it begins with."""


@dataclass(frozen=True, slots=True)
class Revive:
    """Restarting ``id``, and whoever the strategy says."""

    id: str


@dataclass(frozen=True, slots=True)
class Serve:
    """Doing what ``to`` asked for; ``new``: with a child that was not there before."""

    to: object
    new: bool = False


@dataclass(frozen=True, slots=True)
class End:
    """Ending, for ``reason``."""

    reason: ExitReason


Goal = Boot | Revive | Serve | End


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """First ``stop`` these, then ``start`` these, each in this order; ``waiting`` are those told to, that are not done
    yet. ``answer`` is what a request is answered with in the end."""

    goal: Goal
    stop: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    waiting: frozenset[str] = frozenset()
    answer: "Answer | None" = None

    def concerns(self, id: str) -> bool:
        """Whether ``id`` is part of it."""
        return id in self.waiting or id in self.start or id in self.stop


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """``children`` in start order; ``restarts``: the times of those that count for the intensity; ``mailbox``: what
    happened while it could not be attended to."""

    flags: Flags
    children: dict[str, Child] = field(default_factory=dict)
    template: ChildSpec | None = None
    instances: int = 0
    restarts: tuple[float, ...] = ()
    works: tuple[Work, ...] = ()
    mailbox: "tuple[Event, ...]" = ()

    @property
    def ending(self) -> bool:
        """Whether it is on its way out; it does nothing else then."""
        return bool(self.works) and isinstance(self.works[0].goal, End)


# -- events --


@dataclass(frozen=True, slots=True)
class Begin:
    """The first event: start the children."""


@dataclass(frozen=True, slots=True)
class Started:
    """The child is up."""

    id: str
    incarnation: int
    info: object = None


@dataclass(frozen=True, slots=True)
class Ignored:
    """The child said that it is not to be, which is no error."""

    id: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class Exited:
    """The child has ended; before ``Started``: its start failed."""

    id: str
    incarnation: int
    reason: ExitReason


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody wants ``request`` done; ``to`` is whom to answer."""

    request: Request
    to: object


@dataclass(frozen=True, slots=True)
class TryAgain:
    """To itself: the restart of ``id`` failed."""

    id: str


@dataclass(frozen=True, slots=True)
class RestartDue:
    """The delay before a restart, or the time in quarantine, is over."""

    id: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The child did not end in its time."""

    id: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class Stop:
    """End, with all children."""

    reason: ExitReason


Event = Begin | Started | Ignored | Exited | Asked | TryAgain | RestartDue | TimedOut | Stop


# -- effects --


@dataclass(frozen=True, slots=True)
class Launch:
    """Start this incarnation."""

    spec: ChildSpec
    incarnation: int


@dataclass(frozen=True, slots=True)
class SignalShutdown:
    """Tell this incarnation to end, and watch its time."""

    spec: ChildSpec
    incarnation: int


@dataclass(frozen=True, slots=True)
class KillChild:
    """Give this incarnation up; its ``Exited`` follows."""

    id: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class Defer:
    """Put the event at the end of the supervisor's own inbox."""

    event: TryAgain


@dataclass(frozen=True, slots=True)
class DelayRestart:
    """Say ``RestartDue`` after the delay that the child's backoff draws for ``attempt``."""

    spec: ChildSpec
    incarnation: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Park:
    """The child is in quarantine: report it, and say ``RestartDue`` when its time is over, if it has one."""

    spec: ChildSpec
    incarnation: int


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer ``to``."""

    to: object
    answer: Answer


@dataclass(frozen=True, slots=True)
class Count:
    """Answer ``to`` with the ``Counts`` of ``children``, of which those are active whose actor lives; ``template`` is
    the type of a dynamic supervisor's one spec, below which all that are not restarting count as active."""

    to: object
    children: tuple[ChildView, ...]
    template: ChildType | None


@dataclass(frozen=True, slots=True)
class Booted:
    """All children are up."""


@dataclass(frozen=True, slots=True)
class Exit:
    """The supervisor ends; no child is left."""

    reason: ExitReason


Effect = Launch | SignalShutdown | KillChild | Defer | DelayRestart | Park | Reply | Count | Booted | Exit
