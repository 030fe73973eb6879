"""Exponential backoff with cap, full jitter and reset after a stable time. Pure: clock and randomness are arguments.

Full jitter (a delay drawn evenly between nothing and the ceiling) spreads a crowd that failed at the same moment.
"""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """``delay`` before attempt n is drawn from [0, min(cap_s, base_s * factor ** (n - 1))], in seconds.

    What stayed up for ``stable_s`` seconds is held to be well again: the count begins anew.
    """

    base_s: float = 1.0
    factor: float = 2.0
    cap_s: float = 30.0
    stable_s: float = 30.0

    def ceiling(self, attempt: int) -> float:
        """The longest delay before ``attempt`` (1 is the first retry), in seconds."""
        if self.base_s <= 0:
            return 0.0
        # The exponent is bounded so that a long outage can't overflow a float.
        return min(self.cap_s, self.base_s * self.factor ** min(attempt - 1, 64))

    def delay(self, attempt: int, random: Random) -> float:
        """A delay before ``attempt``, in seconds."""
        return random.uniform(0.0, self.ceiling(attempt))

    def stable(self, up_s: float) -> bool:
        """Whether what was up for ``up_s`` seconds counts as well again."""
        return up_s >= self.stable_s
