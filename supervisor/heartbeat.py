"""When silence has lasted too long. Pure: the beats are counted, not the clock, so that time in which nobody could
listen does not count."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """Seconds. ``every``: between two beats, at each of which the other side may be asked for a word; ``silence``: so
    long without one, and it is given up (at the next beat: after ``silence + every`` at most)."""

    every: float
    silence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """Between two beats: ``due`` is when the next one should be (seconds of any clock), ``missed`` how many in a row
    have passed without a word."""

    limits: Heartbeat
    due: float
    missed: int = 0

    @property
    def silent(self) -> float:
        """Seconds of silence that count."""
        return self.missed * self.limits.every

    @property
    def is_lost(self) -> bool:
        """Whether it has been silent for too long."""
        return self.silent >= self.limits.silence

    def beat(self, now: float, *, heard: bool) -> "Pulse":
        """One beat at ``now``; ``heard``: there was a word since the last one. A beat that comes late by more than the
        time between two means that it was we who were busy, and what was said meanwhile may not have been read yet: it
        is not counted as missed."""
        late = now - self.due > self.limits.every
        missed = 0 if heard else self.missed if late else self.missed + 1
        return replace(self, due=now + self.limits.every, missed=missed)
