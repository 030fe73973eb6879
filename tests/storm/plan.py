"""What strikes when: pure, from a seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Final

Key = tuple[str, str]
"""A clinic and a channel of it."""


class What(Enum):
    """The first three are killed with SIGKILL; the others are the network."""

    PORT = "SIGKILL port"
    MAIN = "SIGKILL main"
    BROKER = "SIGKILL nats-server"
    CUT = "connections cut"
    SLOW = "slow network"

    @property
    def kills(self) -> bool:
        """Whether it is the end of a process."""
        return self in WEIGHTS


WEIGHTS: Final = {What.PORT: 6, What.MAIN: 2, What.BROKER: 2}
"""How often each is killed, in proportion."""
EXPECTED_S: Final = {What.PORT: 0.1, What.MAIN: 8.0, What.BROKER: 0.1, What.CUT: 0.1, What.SLOW: 0.1}
"""About how long a strike holds up the next one: the node has to be started again."""

_CUTS: Final = 4
_SLOWS: Final = 8
"""One cut and one slow phase for each so many kills."""
_ALL: Final = 0.3
"""The share of cuts and slow phases that concern everybody."""
_LONGEST_DOWN_S: Final = 2.0
_LONGEST_SLOW_S: Final = 6.0
_LATENCIES_S: Final = (0.02, 0.1, 0.4)
_BANDWIDTHS: Final = (None, 20_000.0, 5_000.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """``after``: seconds since the strike before. ``key``: whose port or connection, None for everybody's.

    ``lasts``: how long main stays down or the network slow, with this ``latency`` (seconds) and so many bytes a
    ``second`` (None: any number).
    """

    what: What
    after: float
    key: Key | None = None
    lasts: float = 0.0
    latency: float = 0.0
    second: float | None = None

    @property
    def takes(self) -> float:
        """About how many seconds, with the pause before."""
        return self.after + EXPECTED_S[self.what] + (self.lasts if self.what is What.MAIN else 0.0)

    def concerns(self, key: Key) -> bool:
        """Whether it can be felt by that channel."""
        return self.key is None or self.key == key

    def __str__(self) -> str:
        whom = "/".join(self.key) if self.key else ("everybody" if not self.what.kills else "")
        how = f" for {self.lasts:.1f} s" if self.lasts else ""
        slow = f", {self.latency:g} s late, {self.second or 'any'} bytes/s" if self.what is What.SLOW else ""
        return f"{self.what.value} {whom}{how}{slow}".replace("  ", " ").strip()


def plan(channels: Sequence[Key], kills: int, pause: float, random: Random) -> list[Strike]:
    """``kills`` kills, each sort at least once if there are enough, with cuts and slow phases among them, after pauses
    of ``pause`` seconds on average."""
    sorts = list(WEIGHTS)[:kills]
    sorts += random.choices(list(WEIGHTS), weights=list(WEIGHTS.values()), k=kills - len(sorts))
    sorts += [What.CUT] * -(-kills // _CUTS) + [What.SLOW] * -(-kills // _SLOWS)
    random.shuffle(sorts)
    return [_strike(what, channels, min(random.expovariate(1 / pause), 4 * pause), random) for what in sorts]


def _strike(what: What, channels: Sequence[Key], after: float, random: Random) -> Strike:
    one = random.choice(channels)
    match what:
        case What.PORT:
            return Strike(what=what, after=after, key=one)
        case What.MAIN:
            return Strike(what=what, after=after, lasts=random.uniform(0.0, _LONGEST_DOWN_S))
        case What.BROKER:
            return Strike(what=what, after=after)
        case What.CUT:
            return Strike(what=what, after=after, key=None if random.random() < _ALL else one)
        case What.SLOW:
            return Strike(
                what=what,
                after=after,
                key=None if random.random() < _ALL else one,
                lasts=random.uniform(1.0, _LONGEST_SLOW_S),
                latency=random.choice(_LATENCIES_S),
                second=random.choice(_BANDWIDTHS),
            )
