"""Why an actor ended."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Normal:
    """It was done."""

    def __str__(self) -> str:
        return "normal"


@dataclass(frozen=True, slots=True)
class Shutdown:
    """It was told to, by its supervisor or an operator; a normal end too. ``term`` says more, if there is more."""

    term: str = ""

    def __str__(self) -> str:
        return f"shutdown: {self.term}" if self.term else "shutdown"


@dataclass(frozen=True, slots=True)
class Crash:
    """It failed. ``error`` is the exception, or what stands for it."""

    error: BaseException

    def __str__(self) -> str:
        return f"{type(self.error).__name__}: {self.error}"


ExitReason = Normal | Shutdown | Crash
