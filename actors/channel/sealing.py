"""When the session store is sealed while a port may use it, pure.

A new device is sealed within seconds; after that, what changed is sealed at most once in an interval, and nothing that
did not change. A seal that fails is one: it is tried again at the next.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class SealingPolicy:
    """In seconds. ``interval_s``: from seal to seal; ``new_s``: from when there is a new device to its seal."""

    interval_s: float = 300.0
    new_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Seals:
    """``since``: when the last one began, or the channel's life (monotonic seconds); ``used``: something went in or
    out since; ``new_since``: there is a device since then that was never sealed."""

    since: float
    used: bool = False
    new_since: float | None = None

    def use(self) -> "Seals":
        """Something went in or out."""
        return self if self.used else replace(self, used=True)

    def pair(self, now: float) -> "Seals":
        """There is a new device; more of it, if it was new before."""
        return self if self.new_since is not None else replace(self, new_since=now)

    def begin(self, now: float) -> "Seals":
        """A seal begins: what changes from now on is for the next."""
        return Seals(now)

    def fail(self) -> "Seals":
        """It came to nothing: there is still what it was for."""
        return self.use()

    def due_at(self, policy: SealingPolicy) -> float | None:
        """When the next one is to begin, unless something happens before; None: there is nothing to seal."""
        if self.new_since is not None:
            return self.new_since + policy.new_s
        return self.since + policy.interval_s if self.used else None
