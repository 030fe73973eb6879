"""The decisions of a one_for_one supervisor. Pure: ``step(state, event, now) -> (state, effects)``.

Two laws: static children are started one after another, each once the one before it is up, and stopped in the reverse
order, after the dynamic ones, which are stopped all at once (as OTP does with simple_one_for_one); and at any moment a
child has at most one incarnation that has not been heard to end (or been abandoned). What a past incarnation says is
dropped.
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import assert_never

from supervisor.reasons import Crash, ExitReason, Shutdown
from supervisor.spec import ChildSpec, Intensity, Restart


class ChildPhase(Enum):
    """Where a child is in its life."""

    QUEUED = "queued"
    """Not started yet: those before it in the start order are not up."""
    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"
    """Ended, and its restart is delayed (extension ``backoff``)."""
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One child as the supervisor sees it. ``attempt`` counts restarts since it was last stable."""

    spec: ChildSpec
    phase: ChildPhase = ChildPhase.QUEUED
    incarnation: int = 0
    attempt: int = 0
    up_since: float = 0.0
    dynamic: bool = False
    removing: bool = False
    restarts: int = 0
    last_exit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """``restarts`` are the times of the restarts within the period; ``stopping`` is set from the decision to end on;
    ``abandoned`` are the incarnations that were left behind and may still say something."""

    intensity: Intensity
    children: tuple[Child, ...] = ()
    booting: bool = True
    stopping: ExitReason | None = None
    restarts: tuple[float, ...] = ()
    abandoned: tuple[tuple[str, int], ...] = ()

    def find(self, id: str) -> Child | None:
        """The child ``id``."""
        return next((child for child in self.children if child.spec.id == id), None)


# -- events --


@dataclass(frozen=True, slots=True)
class Boot:
    """Start the static children."""


@dataclass(frozen=True, slots=True)
class Started:
    """The child is up: its ``initialize`` has returned."""

    id: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class Exited:
    """The child has ended."""

    id: str
    incarnation: int
    reason: ExitReason


@dataclass(frozen=True, slots=True)
class AddChild:
    """Start a child that the supervisor did not have from the beginning."""

    spec: ChildSpec


@dataclass(frozen=True, slots=True)
class RemoveChild:
    """Stop a child and forget its spec."""

    id: str


@dataclass(frozen=True, slots=True)
class RestartDue:
    """The delay before a restart is over."""

    id: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class ShutdownTimedOut:
    """The child did not end in its time."""

    id: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class Stop:
    """End, with all children."""

    reason: ExitReason


Event = Boot | Started | Exited | AddChild | RemoveChild | RestartDue | ShutdownTimedOut | Stop


# -- effects --


@dataclass(frozen=True, slots=True)
class StartChild:
    """Start this incarnation."""

    spec: ChildSpec
    incarnation: int


@dataclass(frozen=True, slots=True)
class StopChild:
    """Tell this incarnation to end, and watch its time."""

    spec: ChildSpec
    incarnation: int


@dataclass(frozen=True, slots=True)
class AbandonChild:
    """It did not end in its time: a thread can't be killed, so it is left behind, and reported."""

    spec: ChildSpec
    incarnation: int


@dataclass(frozen=True, slots=True)
class DelayRestart:
    """Say ``RestartDue`` after the delay that the child's backoff draws for ``attempt``."""

    spec: ChildSpec
    incarnation: int
    attempt: int


@dataclass(frozen=True, slots=True)
class ChildRemoved:
    """The child is gone and forgotten."""

    id: str


@dataclass(frozen=True, slots=True)
class Booted:
    """All static children are up."""


@dataclass(frozen=True, slots=True)
class Exit:
    """The supervisor ends; no child is left."""

    reason: ExitReason


Effect = StartChild | StopChild | AbandonChild | DelayRestart | ChildRemoved | Booted | Exit


class ChildStartError(Exception):
    """A static child did not come up at first start, so the supervisor does not either."""

    def __init__(self, id: str, reason: ExitReason) -> None:
        super().__init__(f"child {id} failed to start: {reason}")
        self.id = id
        self.reason = reason


def step(state: State, event: Event, now: float) -> tuple[State, list[Effect]]:
    """What follows from ``event`` at ``now`` (monotonic seconds). ``Boot`` is the first event."""
    state, effects = _decide(state, event, now)
    state, more = _boot_on(state)
    return state, effects + more


def _decide(state: State, event: Event, now: float) -> tuple[State, list[Effect]]:
    match event:
        case Boot():
            return state, []
        case Started(id, incarnation):
            return _started(state, id, incarnation, now)
        case Exited(id, incarnation, reason):
            return _exited(state, id, incarnation, reason, now)
        case AddChild(spec):
            return _add(state, spec)
        case RemoveChild(id):
            return _remove(state, id)
        case RestartDue(id, incarnation):
            child = _current(state, id, incarnation, ChildPhase.WAITING)
            return (state, []) if child is None else _start(state, child)
        case ShutdownTimedOut(id, incarnation):
            child = _current(state, id, incarnation, ChildPhase.STOPPING)
            if child is None:
                return state, []
            left = replace(state, abandoned=(*state.abandoned, (id, incarnation)))
            after, effects = _gone(left, child)
            return after, [AbandonChild(child.spec, incarnation), *effects]
        case Stop(reason):
            return _stop(state, reason)
        case _:
            assert_never(event)


def _put(state: State, child: Child) -> State:
    return replace(state, children=tuple(child if c.spec.id == child.spec.id else c for c in state.children))


def _drop(state: State, id: str) -> State:
    return replace(state, children=tuple(c for c in state.children if c.spec.id != id))


def _current(state: State, id: str, incarnation: int, *phases: ChildPhase) -> Child | None:
    child = state.find(id)
    return child if child and child.incarnation == incarnation and child.phase in phases else None


def _start(state: State, child: Child) -> tuple[State, list[Effect]]:
    started = replace(child, phase=ChildPhase.STARTING, incarnation=child.incarnation + 1)
    return _put(state, started), [StartChild(child.spec, started.incarnation)]


def _boot_on(state: State) -> tuple[State, list[Effect]]:
    """Start the next static child if the one before it is up, has been up, or is no more."""
    if not state.booting or state.stopping is not None or any(_first_start(child) for child in state.children):
        return state, []
    waiting = next((c for c in state.children if c.phase is ChildPhase.QUEUED), None)
    if waiting is not None:
        return _start(state, waiting)
    return replace(state, booting=False), [Booted()]


def _first_start(child: Child) -> bool:
    return child.phase is ChildPhase.STARTING and child.incarnation == 1 and not child.dynamic


def _started(state: State, id: str, incarnation: int, now: float) -> tuple[State, list[Effect]]:
    child = _current(state, id, incarnation, ChildPhase.STARTING)
    if child is None:
        return state, []
    return _put(state, replace(child, phase=ChildPhase.RUNNING, up_since=now)), []


def _exited(state: State, id: str, incarnation: int, reason: ExitReason, now: float) -> tuple[State, list[Effect]]:
    state = replace(state, abandoned=tuple(past for past in state.abandoned if past != (id, incarnation)))
    child = _current(state, id, incarnation, ChildPhase.STARTING, ChildPhase.RUNNING, ChildPhase.STOPPING)
    if child is None:
        return state, []
    child = replace(child, last_exit=str(reason))
    if child.phase is ChildPhase.STOPPING or state.stopping is not None:
        return _gone(_put(state, child), child)
    if state.booting and _first_start(child):
        return _stop(_drop(state, id), Crash(ChildStartError(id, reason)))
    match child.spec.restart:
        case Restart.PERMANENT:
            return _restart(state, child, reason, now)
        case Restart.TRANSIENT if isinstance(reason, Crash):
            return _restart(state, child, reason, now)
        case Restart.TRANSIENT | Restart.TEMPORARY:
            return _drop(state, id), [ChildRemoved(id)]
        case _:
            assert_never(child.spec.restart)


def _restart(state: State, child: Child, reason: ExitReason, now: float) -> tuple[State, list[Effect]]:
    backoff = child.spec.backoff
    if backoff is not None:
        well = child.phase is ChildPhase.RUNNING and backoff.stable(now - child.up_since)
        attempt = 1 if well else child.attempt + 1
        child = replace(child, phase=ChildPhase.WAITING, attempt=attempt, restarts=child.restarts + 1)
        return _put(state, child), [DelayRestart(child.spec, child.incarnation, attempt)]
    recent = (*(t for t in state.restarts if now - t <= state.intensity.period_s), now)
    state = replace(state, restarts=recent)
    if len(recent) > state.intensity.restarts:
        return _stop(_drop(state, child.spec.id), Shutdown(f"restart intensity reached by {child.spec.id}: {reason}"))
    return _start(state, replace(child, restarts=child.restarts + 1))


def _add(state: State, spec: ChildSpec) -> tuple[State, list[Effect]]:
    if state.stopping is not None or state.find(spec.id) is not None:
        return state, []
    last = max((incarnation for past, incarnation in state.abandoned if past == spec.id), default=0)
    child = Child(spec=spec, dynamic=True, incarnation=last)
    return _start(replace(state, children=(*state.children, child)), child)


def _remove(state: State, id: str) -> tuple[State, list[Effect]]:
    child = state.find(id)
    if child is None or child.removing:
        return state, []
    if child.phase in (ChildPhase.QUEUED, ChildPhase.WAITING):
        return _drop(state, id), [ChildRemoved(id)]
    if child.phase is ChildPhase.STOPPING:
        return _put(state, replace(child, removing=True)), []
    stopping = replace(child, phase=ChildPhase.STOPPING, removing=True)
    return _put(state, stopping), [StopChild(child.spec, child.incarnation)]


def _gone(state: State, child: Child) -> tuple[State, list[Effect]]:
    """A child that is not to be restarted has ended, or been abandoned."""
    state = _drop(state, child.spec.id)
    effects: list[Effect] = [ChildRemoved(child.spec.id)] if child.removing else []
    if state.stopping is None:
        return state, effects
    after, more = _stop_next(state)
    return after, effects + more


def _stop(state: State, reason: ExitReason) -> tuple[State, list[Effect]]:
    if state.stopping is not None:
        return state, []
    return _stop_next(replace(state, stopping=reason))


def _stop_next(state: State) -> tuple[State, list[Effect]]:
    reason = state.stopping
    assert reason is not None
    alive = (ChildPhase.STARTING, ChildPhase.RUNNING, ChildPhase.STOPPING)
    state = replace(state, children=tuple(c for c in state.children if c.phase in alive))
    if not state.children:
        return state, [Exit(reason)]
    dynamic = [child for child in state.children if child.dynamic]
    effects: list[Effect] = []
    for child in dynamic or state.children[-1:]:
        if child.phase is not ChildPhase.STOPPING:
            state = _put(state, replace(child, phase=ChildPhase.STOPPING))
            effects.append(StopChild(child.spec, child.incarnation))
    return state, effects
