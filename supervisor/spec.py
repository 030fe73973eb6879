"""What a supervisor is told about itself (``Flags``) and about each child (``ChildSpec``), and what is wrong with it.

Everything OTP has, with OTP's defaults; what goes beyond OTP says so, and is off by default.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from pykka import ActorRef

from supervisor.backoff import Backoff
from supervisor.tally import Role

INFINITY: Final = math.inf
"""As ``shutdown``: wait for the child's end for as long as it takes."""


class Restart(Enum):
    """When a child that ended is started again."""

    PERMANENT = "permanent"
    """Always."""
    TRANSIENT = "transient"
    """Only after an end that was not normal."""
    TEMPORARY = "temporary"
    """Never; its spec is forgotten."""


class ChildType(Enum):
    """What a child is, for who counts them; a supervisor is given all the time it needs to end."""

    WORKER = "worker"
    SUPERVISOR = "supervisor"


class Strategy(Enum):
    """Who is restarted when a child ends."""

    ONE_FOR_ONE = "one_for_one"
    ONE_FOR_ALL = "one_for_all"
    REST_FOR_ONE = "rest_for_one"
    """The child, and those started after it."""
    DYNAMIC = "simple_one_for_one"
    """The child alone; all children are instances of one spec, the template, and are named by their refs."""


class AutoShutdown(Enum):
    """Whether the supervisor ends when significant children end by themselves."""

    NEVER = "never"
    ANY_SIGNIFICANT = "any_significant"
    ALL_SIGNIFICANT = "all_significant"


class Kill(Enum):
    """As ``shutdown``: do not ask the child to end."""

    ABANDON = "abandon"
    """OTP's ``brutal_kill``. A thread can't be killed: it is left behind, what it owns is killed (``Actor.given_up``)
    and nothing it does counts any more."""


ABANDON: Final = Kill.ABANDON


@dataclass(frozen=True, slots=True, kw_only=True)
class Stagger:
    """Extension: at most ``at_once`` children are starting at any moment, each after a random pause of up to
    ``jitter_s`` seconds. Only with ``Flags.independent``."""

    at_once: int
    jitter_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """A supervisor's own settings: more than ``intensity`` restarts within ``period_s`` seconds, and it gives up.

    ``independent`` (extension, one_for_one only): a child that takes long to start or to end holds up no other; at the
    supervisor's end all are told to end at once. In OTP a supervisor does one thing at a time.
    """

    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: int = 1
    period_s: float = 5.0
    auto_shutdown: AutoShutdown = AutoShutdown.NEVER
    independent: bool = False
    stagger: Stagger | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """Extension: a child that is restarted more than ``restarts`` times within ``period_s`` seconds is parked and
    reported. It is released after ``release_s`` seconds, or by a person alone (None)."""

    restarts: int
    period_s: float
    release_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """One child.

    ``start`` is called in the supervisor's thread with the link that the actor is to be made with (and the arguments
    of ``start_child``, below a dynamic supervisor); it starts the actor and must not block: the child does its work in
    ``initialize``. ``shutdown``: how many seconds it may take to end when told to, ``INFINITY`` or ``ABANDON``; None is
    5 for a worker and ``INFINITY`` for a supervisor. One that takes longer is killed as ``ABANDON`` says.

    Extensions, each off by default: ``backoff`` delays restarts; ``quarantine`` parks the child instead of letting the
    supervisor give up. The restarts of a child with either count towards no intensity, and one that fails to start is
    kept and started again, unless its supervisor begins with it: then neither starts. ``hang_s``: an actor that is at
    one message for more than so many seconds is killed, and restarted by its restart type. ``role``: under what it is
    counted, and what the snapshot says it is.
    """

    id: str
    start: Callable[..., ActorRef[Any]]
    restart: Restart = Restart.PERMANENT
    shutdown: float | Kill | None = None
    type: ChildType = ChildType.WORKER
    significant: bool = False
    backoff: Backoff | None = None
    quarantine: Quarantine | None = None
    hang_s: float | None = None
    role: Role | None = None

    @property
    def patience(self) -> float | Kill:
        """``shutdown`` with its default filled in."""
        if self.shutdown is not None:
            return self.shutdown
        return INFINITY if self.type is ChildType.SUPERVISOR else 5.0

    @property
    def persists(self) -> bool:
        """Whether its failures are its own: delayed or parked, and never counted against its supervisor. A temporary
        child's are not: it is never started again."""
        extended = self.backoff is not None or self.quarantine is not None
        return extended and self.restart is not Restart.TEMPORARY


class SpecError(Exception):
    """A child spec or flags that can't be; ``code`` is OTP's word for what is wrong with ``value``."""

    def __init__(self, code: str, value: object = None) -> None:
        super().__init__(code if value is None else f"{code}: {value!r}")
        self.code = code
        self.value = value


def check_flags(flags: Flags) -> None:
    """Raises SpecError with OTP's codes; ``invalid_extension`` for what OTP does not have."""
    if not isinstance(flags.strategy, Strategy):
        raise SpecError("invalid_strategy", flags.strategy)
    if not _is_number(flags.intensity) or isinstance(flags.intensity, float) or flags.intensity < 0:
        raise SpecError("invalid_intensity", flags.intensity)
    if not _is_number(flags.period_s) or flags.period_s <= 0:
        raise SpecError("invalid_period", flags.period_s)
    if not isinstance(flags.auto_shutdown, AutoShutdown):
        raise SpecError("invalid_auto_shutdown", flags.auto_shutdown)
    if flags.independent and flags.strategy is not Strategy.ONE_FOR_ONE:
        raise SpecError("invalid_extension", "independent children need one_for_one")
    if flags.stagger is not None and not flags.independent:
        raise SpecError("invalid_extension", "only independent children can be staggered")
    if flags.stagger is not None and flags.stagger.at_once < 1:
        raise SpecError("invalid_extension", flags.stagger)


def check_child_spec(spec: object, auto_shutdown: AutoShutdown) -> ChildSpec:
    """``spec`` if it can be. Raises SpecError: the first thing that is wrong, in OTP's order and words."""
    if not isinstance(spec, ChildSpec):
        raise SpecError("invalid_child_spec", spec)
    if spec.id is None:
        raise SpecError("missing_id")
    if spec.start is None:
        raise SpecError("missing_start")
    if not callable(spec.start):
        raise SpecError("invalid_mfa", spec.start)
    if not isinstance(spec.restart, Restart):
        raise SpecError("invalid_restart_type", spec.restart)
    if spec.significant is True and auto_shutdown is AutoShutdown.NEVER:
        raise SpecError("bad_combination", "a significant child, and auto_shutdown never")
    if spec.significant is True and spec.restart is Restart.PERMANENT:
        raise SpecError("bad_combination", "a significant child, and permanent")
    if not isinstance(spec.significant, bool):
        raise SpecError("invalid_significant", spec.significant)
    if not isinstance(spec.type, ChildType):
        raise SpecError("invalid_child_type", spec.type)
    if not isinstance(spec.patience, Kill) and not (_is_number(spec.patience) and spec.patience >= 0):
        raise SpecError("invalid_shutdown", spec.shutdown)
    if spec.hang_s is not None and not (_is_number(spec.hang_s) and spec.hang_s > 0):
        raise SpecError("invalid_extension", f"hang_s {spec.hang_s!r}")
    return spec


def check_start_specs(specs: Iterable[object], flags: Flags) -> list[ChildSpec]:
    """The specs that a supervisor starts with. Raises SpecError: ``bad_start_spec`` for a dynamic one without exactly
    one template, ``duplicate_child_name``, or what ``check_child_spec`` says of the first that is wrong."""
    listed = list(specs)
    if flags.strategy is Strategy.DYNAMIC and len(listed) != 1:
        raise SpecError("bad_start_spec", f"{len(listed)} templates")
    checked: dict[str, ChildSpec] = {}
    for given in listed:
        spec = check_child_spec(given, flags.auto_shutdown)
        if spec.id in checked:
            raise SpecError("duplicate_child_name", spec.id)
        checked[spec.id] = spec
    return list(checked.values())


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
