"""Whether a child that ended is restarted, when, and who with it; and whether its supervisor ends. Pure."""

from dataclasses import dataclass, replace
from enum import Enum
from typing import assert_never

from supervisor.api import ABSENT, Phase
from supervisor.reasons import ExitReason, is_normal
from supervisor.spec import AutoShutdown, Restart, Strategy
from supervisor.state import Child, State


class Verdict(Enum):
    """What becomes of a child that is to be restarted."""

    NOW = "now"
    LATER = "later"
    """After its backoff (extension)."""
    PARKED = "parked"
    """Not before it is let out (extension ``quarantine``)."""
    TOO_MANY = "too many"
    """The supervisor gives up."""


@dataclass(frozen=True, slots=True)
class Judged:
    """``state`` with the restart counted, and ``child`` as it is to be put into it."""

    verdict: Verdict
    state: State
    child: Child


def wanted(child: Child, reason: ExitReason) -> bool:
    """Whether a child that ended by itself for ``reason`` is to be restarted."""
    match child.spec.restart:
        case Restart.PERMANENT:
            return True
        case Restart.TRANSIENT:
            return not is_normal(reason)
        case Restart.TEMPORARY:
            return False
        case _:
            assert_never(child.spec.restart)


def judge(state: State, child: Child, now: float) -> Judged:
    """Count a restart of ``child`` at ``now`` (monotonic seconds), where it counts: in its own quarantine, or in the
    supervisor's intensity."""
    spec = child.spec
    counted = replace(child, restarts=child.restarts + 1)
    if spec.quarantine is not None:
        recent = _within(child.recent, spec.quarantine.period_s, now)
        if len(recent) > spec.quarantine.restarts:
            return Judged(Verdict.PARKED, state, replace(child, phase=Phase.QUARANTINED, recent=(), attempt=0))
        counted = replace(counted, recent=recent)
    if spec.backoff is not None:
        well = child.phase is Phase.UP and spec.backoff.stable(now - child.up_since)
        attempt = 1 if well else child.attempt + 1
        return Judged(Verdict.LATER, state, replace(counted, phase=Phase.WAITING, attempt=attempt))
    if spec.persists:
        return Judged(Verdict.NOW, state, counted)
    recent = _within(state.restarts, state.flags.period_s, now)
    verdict = Verdict.TOO_MANY if len(recent) > state.flags.intensity else Verdict.NOW
    return Judged(verdict, replace(state, restarts=recent), counted)


def group(state: State, id: str) -> tuple[str, ...]:
    """Who is restarted when ``id`` is, in start order."""
    everyone = tuple(state.children)
    match state.flags.strategy:
        case Strategy.ONE_FOR_ONE | Strategy.DYNAMIC:
            return (id,)
        case Strategy.ONE_FOR_ALL:
            return everyone
        case Strategy.REST_FOR_ONE:
            return everyone[everyone.index(id) :]
        case _:
            assert_never(state.flags.strategy)


def ends_supervisor(state: State, ended: Child) -> bool:
    """Whether the supervisor ends because ``ended``, which is at rest by now, did so by itself."""
    if not ended.spec.significant:
        return False
    match state.flags.auto_shutdown:
        case AutoShutdown.ANY_SIGNIFICANT:
            return True
        case AutoShutdown.ALL_SIGNIFICANT:
            return all(not child.spec.significant or child.phase in ABSENT for child in state.children.values())
        case AutoShutdown.NEVER:
            return False
        case _:
            assert_never(state.flags.auto_shutdown)


def _within(times: tuple[float, ...], period_s: float, now: float) -> tuple[float, ...]:
    """``now``, and those of ``times`` that are at most ``period_s`` old."""
    return (*(time for time in times if now - time <= period_s), now)
