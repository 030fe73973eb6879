"""What the model of OTP's supervisor is made of."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from supervisor.api import DeleteChild, GetChildSpec, Process, RestartChild, StartChild, TerminateChild
from supervisor.reasons import ExitReason
from supervisor.spec import ChildSpec, Restart
from supervisor.state import Asked, Begin, Event, Stop

Deed = tuple[Any, ...]
Wanted = Callable[[Event], bool]
Steps = Generator[Wanted | None, Any, None]
"""Yields what it waits for: an event, or (None) that another child may start."""


@dataclass(slots=True, eq=False)
class Kid:
    """A child: ``number`` counts its starts, ``pid`` is the last that came up."""

    spec: ChildSpec
    state: str = "down"
    number: int = 0
    pid: int = 0
    up_at: float | None = None
    failures: int = 0
    recent: list[float] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def never_again(self) -> bool:
        return self.spec.restart is Restart.TEMPORARY

    @property
    def persists(self) -> bool:
        return not self.never_again and (self.spec.backoff is not None or self.spec.quarantine is not None)

    def says(self, *kinds: type) -> Wanted:
        return lambda event: isinstance(event, kinds) and (event.id, event.incarnation) == (self.id, self.number)  # type: ignore[union-attr]


@dataclass(slots=True, eq=False)
class Task:
    """Something it is doing: for whom, with which child (None: with many)."""

    steps: Steps
    about: str | None = None
    to: object = None
    wanted: Wanted | None = None


class Over(Exception):  # noqa: N818 - an end, not an error
    """The supervisor ends."""

    def __init__(self, reason: ExitReason) -> None:
        self.reason = reason


def fields(spec: ChildSpec) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in ChildSpec.__dataclass_fields__}


def named(event: Event) -> str | None:
    """The child that ``event`` is about."""
    match event:
        case Begin() | Stop():
            return None
        case Asked(StartChild(spec)):
            return spec.id if isinstance(spec, ChildSpec) else None
        case Asked(TerminateChild(target) | GetChildSpec(target)):
            return target.id if isinstance(target, Process) else str(target)
        case Asked(RestartChild(id) | DeleteChild(id)):
            return id
        case Asked():
            return None
        case _:
            return event.id
