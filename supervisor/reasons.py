"""Why an actor ended: OTP's exit reasons."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Normal:
    """It was done."""

    def __str__(self) -> str:
        return "normal"


@dataclass(frozen=True, slots=True)
class Shutdown:
    """It was told to, by its supervisor or an operator; a normal end too. ``term`` says more, if there is more.
    ``cause`` is for people alone: why a supervisor gave up, which OTP says in its log only."""

    term: object = None
    cause: str = field(default="", compare=False)

    def __str__(self) -> str:
        said = "shutdown" if self.term is None else f"shutdown: {self.term}"
        return f"{said} ({self.cause})" if self.cause else said


@dataclass(frozen=True, slots=True)
class Killed:
    """It was given up (``supervisor.actor.kill``). Not a normal end."""

    why: str = ""

    def __str__(self) -> str:
        return f"killed: {self.why}" if self.why else "killed"


@dataclass(frozen=True, slots=True)
class Crash:
    """It failed. ``error`` is the exception, or what stands for it."""

    error: BaseException

    def __str__(self) -> str:
        return f"{type(self.error).__name__}: {self.error}"


ExitReason = Normal | Shutdown | Killed | Crash


def is_normal(reason: ExitReason) -> bool:
    """Whether a transient child that ended for ``reason`` stays down."""
    return isinstance(reason, Normal | Shutdown)


@dataclass(frozen=True, slots=True)
class FailedToStartChild:
    """The term of a supervisor's ``Shutdown`` when a child of its own did not start with it."""

    id: str
    reason: ExitReason

    def __str__(self) -> str:
        return f"child {self.id} failed to start: {self.reason}"
