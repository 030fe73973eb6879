"""What a supervisor is, what happens to it, what it can be asked and what it wants done: the words of ``core``."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pykka import ActorRef

from supervisor.reasons import ExitReason
from supervisor.spec import ChildSpec, ChildType, Flags
from supervisor.tally import Role


class Phase(Enum):
    """Where a child is in its life."""

    DOWN = "down"
    """No process: not started yet, ended for good, terminated, or its start was ignored. OTP's ``undefined``."""
    STARTING = "starting"
    UP = "up"
    STOPPING = "stopping"
    RESTARTING = "restarting"
    """Its restart failed, and is tried again when the requests that wait already are answered."""
    WAITING = "waiting"
    """Its restart is delayed (extension ``backoff``)."""
    QUARANTINED = "quarantined"
    """It was restarted too often, and is parked (extension ``quarantine``)."""


ABSENT = frozenset({Phase.DOWN, Phase.QUARANTINED})
"""No process, and none is on its way."""
TO_COME = frozenset({Phase.RESTARTING, Phase.WAITING})
"""No process, and one is on its way: OTP's ``restarting``."""


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


# -- requests, and answers: a refusal is a value --


@dataclass(frozen=True, slots=True)
class Process:
    """A child named by its process, as OTP's pid: incarnation ``process`` of ``id``, or (None) none of ours."""

    id: str | None
    process: int
    alive: bool


Target = str | Process


@dataclass(frozen=True, slots=True)
class StartChild:
    """Start ``spec``; below a dynamic supervisor: an instance of the template, with ``args`` more arguments."""

    spec: object = None
    args: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class TerminateChild:
    """Stop a child. Its spec stays, unless it is temporary or below a dynamic supervisor."""

    target: Target | ActorRef[Any]


@dataclass(frozen=True, slots=True)
class RestartChild:
    """Start a child that is down; lets one out of quarantine."""

    id: str


@dataclass(frozen=True, slots=True)
class DeleteChild:
    """Forget the spec of a child that is down."""

    id: str


@dataclass(frozen=True, slots=True)
class GetChildSpec:
    """Answered with ``SpecOf``."""

    target: Target | ActorRef[Any]


@dataclass(frozen=True, slots=True)
class WhichChildren:
    """Answered with ``Children``."""


@dataclass(frozen=True, slots=True)
class CountChildren:
    """Answered with ``Counts``."""


Request = StartChild | TerminateChild | RestartChild | DeleteChild | GetChildSpec | WhichChildren | CountChildren


class Why(Enum):
    """Why a request was refused, in OTP's words."""

    NOT_FOUND = "not_found"
    RUNNING = "running"
    RESTARTING = "restarting"
    ALREADY_PRESENT = "already_present"
    ALREADY_STARTED = "already_started"
    DYNAMIC = "simple_one_for_one"
    INVALID_SPEC = "invalid_spec"
    START_FAILED = "start_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """It is done. ``id`` and ``incarnation`` name the process that was started (None: no process, or none asked for),
    ``ref`` is its actor, ``info`` what it said of itself when it came up."""

    id: str | None = None
    incarnation: int = 0
    ref: ActorRef[Any] | None = None
    info: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Nothing was done. ``detail``: the SpecError, the ExitReason of a failed start, or the ``Done`` of the process
    that runs already."""

    why: Why
    detail: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildView:
    """A child as others see it."""

    id: str
    phase: Phase
    incarnation: int
    type: ChildType
    restarts: int
    last_exit: str
    ref: ActorRef[Any] | None = None
    role: Role | None = None


@dataclass(frozen=True, slots=True)
class Children:
    """All of them, the one started last first, as in OTP."""

    children: tuple[ChildView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """``specs`` known, processes ``active``, and how many of the children are ``supervisors`` and ``workers``."""

    specs: int
    active: int
    supervisors: int
    workers: int


@dataclass(frozen=True, slots=True)
class SpecOf:
    """A child's spec."""

    spec: ChildSpec


@dataclass(frozen=True, slots=True)
class Ended:
    """The supervisor ended, for ``reason``, before it answered."""

    reason: ExitReason


Answer = Done | Refused | Children | Counts | SpecOf | Ended


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
