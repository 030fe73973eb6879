"""What has happened to all children of a tree since it began. It only grows: unlike what a supervisor knows of its
children, it survives the supervisor."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

from supervisor.reasons import Crash, ExitReason, Killed, Normal, Shutdown


@dataclass(frozen=True, slots=True)
class Role:
    """What a child is to people and to metrics, where its id says which one it is: one of a few kinds, in one of a few
    groups, or in none (empty)."""

    kind: str
    group: str = ""


class Ending(StrEnum):
    """Exit reasons without their details."""

    NORMAL = "normal"
    SHUTDOWN = "shutdown"
    KILLED = "killed"
    CRASH = "crash"

    @classmethod
    def of(cls, reason: ExitReason) -> "Ending":
        """The kind of ``reason``."""
        match reason:
            case Normal():
                return cls.NORMAL
            case Shutdown():
                return cls.SHUTDOWN
            case Killed():
                return cls.KILLED
            case Crash():
                return cls.CRASH
            case _:
                assert_never(reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Since the beginning, of all children of a role: ``starts``, of which ``restarts`` were not the first of their
    child; how they ended; and how many were killed because they ``hung`` (their ends are counted too)."""

    starts: int = 0
    restarts: int = 0
    hung: int = 0
    exits: Mapping[Ending, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Counting:
    starts: int = 0
    restarts: int = 0
    hung: int = 0
    exits: dict[Ending, int] = field(default_factory=dict)


class Tally:
    """One for a tree; all methods from any thread. What has no role is not counted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[Role, _Counting] = {}

    def started(self, role: Role | None, *, again: bool) -> None:
        """One is being started; ``again``: it is not the first of its child."""
        if role is not None:
            with self._lock:
                counting = self._of.setdefault(role, _Counting())
                counting.starts += 1
                counting.restarts += again

    def exited(self, role: Role | None, reason: ExitReason) -> None:
        """One has ended, or could not be started."""
        if role is not None:
            ending = Ending.of(reason)
            with self._lock:
                exits = self._of.setdefault(role, _Counting()).exits
                exits[ending] = exits.get(ending, 0) + 1

    def hung(self, role: Role | None) -> None:
        """One is being killed because it hung."""
        if role is not None:
            with self._lock:
                self._of.setdefault(role, _Counting()).hung += 1

    def read(self) -> dict[Role, Totals]:
        """As it is now."""
        with self._lock:
            return {
                role: Totals(starts=of.starts, restarts=of.restarts, hung=of.hung, exits=dict(of.exits))
                for role, of in self._of.items()
            }
