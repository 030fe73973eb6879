"""What a supervisor can be asked, and what it answers. A refusal is a value."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from pykka import ActorRef

from supervisor.reasons import ExitReason
from supervisor.spec import ChildSpec, ChildType
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
