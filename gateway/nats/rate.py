"""How fast a clinic's commands are taken from its work queue: a token bucket, pure, the clock injected."""

import time
from collections.abc import Callable
from typing import Final

_BURST: Final = 2.0
"""Seconds' worth of tokens that a full bucket holds."""
_PORTION: Final = 0.05
"""Seconds' worth of tokens that an empty bucket waits for: one command at a time would cost a round trip each."""


class Bucket:
    """Full at first. The ``rate``, in tokens a second, may be another at each call; 0 is no limit.

    Several who share it may each be told of the same tokens, and together take more than there are: then the bucket is
    in debt, and whoever asks next waits until that is paid.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tokens: float | None = None
        self._at = clock()

    def left(self, rate: float, wanted: int) -> int:
        """How many of ``wanted`` may be taken now."""
        if rate <= 0:
            return wanted
        return max(0, min(wanted, int(self._refilled(rate))))

    def pause(self, rate: float) -> float:
        """Seconds until a good portion may be taken."""
        portion = max(1.0, _PORTION * rate)
        return max(0.0, (portion - self._refilled(rate)) / rate) if rate > 0 else 0.0

    def take(self, count: int) -> None:
        """So many were taken."""
        if self._tokens is not None:
            self._tokens -= count

    def _refilled(self, rate: float) -> float:
        now = self._clock()
        full = max(1.0, _BURST * rate)
        grown = full if self._tokens is None else self._tokens + (now - self._at) * rate
        self._at = now
        self._tokens = min(full, grown)
        return self._tokens
