"""How many calls there were of late, and how many of them failed. Pure: the clock is an argument.

The time is cut into buckets, of which only the last ``BUCKETS`` are kept: the memory is bounded whatever the traffic.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

BUCKETS: Final = 10


class Bucket(NamedTuple):
    """The calls of one stretch of time; ``number`` counts stretches since the clock's zero."""

    number: int
    calls: int
    failures: int


@dataclass(frozen=True, slots=True)
class Tally:
    """Calls in a window."""

    calls: int
    failures: int

    @property
    def rate(self) -> float:
        """The part of the calls that failed, 0 to 1; 0 if there were none."""
        return self.failures / self.calls if self.calls else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The last ``span_s`` seconds of one monotonic clock. It slides by a bucket, so it forgets up to a tenth early."""

    span_s: float = 60.0
    buckets: tuple[Bucket, ...] = ()

    def add(self, now: float, *, failed: bool) -> "Window":
        """With a call that ended now."""
        number, buckets = self._number(now), self.buckets
        if buckets and buckets[-1].number == number:  # nothing has become too old since that one began
            *kept, last = buckets
        else:
            kept, last = self._kept(number), Bucket(number, 0, 0)
        return Window(span_s=self.span_s, buckets=(*kept, Bucket(number, last.calls + 1, last.failures + failed)))

    def tally(self, now: float) -> Tally:
        """What it holds now."""
        kept = self._kept(self._number(now))
        return Tally(sum(bucket.calls for bucket in kept), sum(bucket.failures for bucket in kept))

    def emptied(self) -> "Window":
        """As if there had been no calls."""
        return Window(span_s=self.span_s)

    def _number(self, now: float) -> int:
        return int(now // (self.span_s / BUCKETS))

    def _kept(self, number: int) -> list[Bucket]:
        return [bucket for bucket in self.buckets if bucket.number > number - BUCKETS]
