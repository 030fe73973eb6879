"""A circuit breaker that counts failures in a row. Pure: the clock is an argument, every change is a new value.

closed --(``failures`` in a row)--> open --(after ``pause_s``)--> half-open, which lets one probe through:
its success closes the breaker, its failure opens it again.
"""

from dataclasses import dataclass, replace
from enum import Enum


class BreakerState(Enum):
    """What the breaker lets through: all, nothing, one probe."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """``limit`` failures in a row open it for ``pause_s`` seconds; times are of one monotonic clock, in seconds."""

    limit: int = 5
    pause_s: float = 60.0
    failures: int = 0
    open_until: float | None = None
    probing: bool = False

    @property
    def state(self) -> BreakerState:
        """As it stands; an open breaker becomes half-open when its probe is let through."""
        if self.open_until is None:
            return BreakerState.CLOSED
        return BreakerState.HALF_OPEN if self.probing else BreakerState.OPEN

    def wait(self, now: float) -> float:
        """Seconds until an attempt is let through; 0 if one is now."""
        return 0.0 if self.open_until is None else max(0.0, self.open_until - now)

    def attempt(self) -> "Breaker":
        """An attempt begins; the caller has waited as ``wait`` said."""
        return replace(self, probing=self.open_until is not None)

    def success(self) -> "Breaker":
        """The attempt succeeded."""
        return replace(self, failures=0, open_until=None, probing=False)

    def failure(self, now: float) -> "Breaker":
        """The attempt failed."""
        failures = self.failures + 1
        opens = self.probing or failures >= self.limit
        return replace(
            self,
            failures=failures,
            open_until=now + self.pause_s if opens else self.open_until,
            probing=False,
        )
