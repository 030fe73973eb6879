"""A circuit breaker. Pure: the clock is an argument, every change is a new value.

closed --(as its ``trip`` says)--> open --(after ``pause_s``)--> half-open, which lets one probe through:
its success closes the breaker, its failure opens it again.
"""

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import assert_never

from supervisor.window import Window


class BreakerState(Enum):
    """What the breaker lets through: all, nothing, one probe that is under way."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Consecutive:
    """``limit`` failures in a row open the breaker."""

    limit: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureRate:
    """A failure opens the breaker if with it ``threshold`` (0 to 1) of the calls in the window have failed, and there
    were at least ``minimum`` of them."""

    threshold: float = 0.5
    minimum: int = 10


Trip = Consecutive | FailureRate


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerSnapshot:
    """A breaker as it is now. ``failures`` in a row; ``failure_rate`` (0 to 1) and ``calls`` of the window; ``opened``:
    how often so far; ``retry_in_s``: seconds until a probe is let through."""

    state: BreakerState
    failures: int
    failure_rate: float
    calls: int
    opened: int
    retry_in_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """Opens for ``pause_s`` seconds; times are of one monotonic clock, in seconds.

    ``failures`` counts those in a row. A call belongs to the ``opened`` that it began with: if the breaker has opened
    since, its outcome says nothing new, and whoever has several calls under way leaves it out.
    """

    trip: Trip = field(default_factory=Consecutive)
    pause_s: float = 60.0
    window: Window = field(default_factory=Window)
    state: BreakerState = BreakerState.CLOSED
    failures: int = 0
    opened: int = 0
    open_until: float = 0.0

    def ready(self, now: float) -> bool:
        """Whether an attempt is let through."""
        match self.state:
            case BreakerState.CLOSED:
                return True
            case BreakerState.OPEN:
                return now >= self.open_until
            case BreakerState.HALF_OPEN:
                return False
            case _:
                assert_never(self.state)

    def wait(self, now: float) -> float:
        """Seconds that an open breaker lets nothing through; 0 if its pause is over, or it is not open."""
        return max(0.0, self.open_until - now) if self.state is BreakerState.OPEN else 0.0

    def attempt(self) -> "Breaker":
        """An attempt begins; the caller has seen that it is ``ready``, or has waited as ``wait`` said."""
        return replace(self, state=BreakerState.HALF_OPEN) if self.state is BreakerState.OPEN else self

    def abandon(self) -> "Breaker":
        """The attempt came to nothing that says whether the way is open: a probe may be followed by another at once."""
        return replace(self, state=BreakerState.OPEN) if self.state is BreakerState.HALF_OPEN else self

    def success(self, now: float) -> "Breaker":
        """An attempt succeeded."""
        match self.state:
            case BreakerState.CLOSED:
                # As ``replace`` would, for half of what that costs: this is said of each message.
                return Breaker(
                    trip=self.trip,
                    pause_s=self.pause_s,
                    window=self.window.add(now, failed=False),
                    opened=self.opened,
                    open_until=self.open_until,
                )
            case BreakerState.HALF_OPEN:
                return self.reset()
            case BreakerState.OPEN:
                return self
            case _:
                assert_never(self.state)

    def failure(self, now: float) -> "Breaker":
        """An attempt failed."""
        counted = replace(self, failures=self.failures + 1, window=self.window.add(now, failed=True))
        match self.state:
            case BreakerState.CLOSED:
                return counted._open(now) if counted._trips(now) else counted
            case BreakerState.HALF_OPEN:
                return counted._open(now)
            case BreakerState.OPEN:
                return self
            case _:
                assert_never(self.state)

    def reset(self) -> "Breaker":
        """Closed, with nothing to remember but how often it has opened."""
        return replace(self, state=BreakerState.CLOSED, failures=0, window=self.window.emptied())

    def snapshot(self, now: float) -> BreakerSnapshot:
        """As it is now."""
        tally = self.window.tally(now)
        return BreakerSnapshot(
            state=self.state,
            failures=self.failures,
            failure_rate=tally.rate,
            calls=tally.calls,
            opened=self.opened,
            retry_in_s=self.wait(now),
        )

    def _trips(self, now: float) -> bool:
        match self.trip:
            case Consecutive(limit=limit):
                return self.failures >= limit
            case FailureRate(threshold=threshold, minimum=minimum):
                tally = self.window.tally(now)
                return tally.calls >= minimum and tally.rate >= threshold
            case _:
                assert_never(self.trip)

    def _open(self, now: float) -> "Breaker":
        return replace(self, state=BreakerState.OPEN, opened=self.opened + 1, open_until=now + self.pause_s)
