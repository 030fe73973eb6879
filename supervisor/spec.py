"""The child spec: how a supervisor starts, restarts and stops one child."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from pykka import ActorRef

from supervisor.backoff import Backoff

if TYPE_CHECKING:
    from supervisor.actor import Link


class Restart(Enum):
    """When a child that ended is started again."""

    PERMANENT = "permanent"
    """Always."""
    TRANSIENT = "transient"
    """Only after a crash."""
    TEMPORARY = "temporary"
    """Never; its spec is forgotten."""


@dataclass(frozen=True, slots=True)
class Intensity:
    """More than ``restarts`` restarts within ``period_s`` seconds, and the supervisor gives up."""

    restarts: int = 1
    period_s: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """One child.

    ``start`` makes and starts the actor with the link given, in the supervisor's thread, and must not block: the
    child does its work in ``initialize``. ``shutdown_s``: how long it may take to end when told to; a thread that
    takes longer can't be killed: it is abandoned, and reported. ``backoff`` is an extension, off by default: restarts
    are delayed by it and don't count towards the supervisor's intensity.
    """

    id: str
    start: Callable[["Link"], ActorRef[Any]]
    restart: Restart = Restart.PERMANENT
    shutdown_s: float = 5.0
    backoff: Backoff | None = None
