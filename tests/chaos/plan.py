"""Which kills, in which waves: pure, from a seed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from random import Random

from tests.chaos.kinds import Counts, Kind, Loses

AT_ONCE = 4
"""Kills in a wave at most, each in a clinic of its own."""

Key = tuple[str, str]
"""A clinic and a channel of it."""


@dataclass(frozen=True, slots=True)
class Kill:
    """``channel`` is one of ``clinic``; both empty if the whole node is concerned."""

    kind: Kind
    clinic: str = ""
    channel: str = ""

    @property
    def place(self) -> str:
        """Its victim's place in the tree."""
        return self.kind.victim.place.format(clinic=self.clinic, channel=self.channel)

    @property
    def limit(self) -> tuple[Counts, str]:
        """What its restart counts against."""
        counts = self.kind.victim.counts
        return counts, {Counts.ROOT: "", Counts.CHANNEL: self.place}.get(counts, self.clinic)

    def losing(self, everybody: Iterable[Key]) -> set[Key]:
        """Whose connection is lost by it."""
        match self.kind.victim.loses:
            case Loses.NOBODY:
                return set()
            case Loses.CHANNEL:
                return {(self.clinic, self.channel)}
            case Loses.CLINIC:
                return {key for key in everybody if key[0] == self.clinic}
            case Loses.ALL:
                return set(everybody)

    def __str__(self) -> str:
        return f"{self.kind.name} {self.clinic}{'/' if self.channel else ''}{self.channel}".strip()


Wave = tuple[Kill, ...]


def waves(kinds: Sequence[Kind], channels: Sequence[Key], kills: int, random: Random) -> list[Wave]:
    """``kills`` of kinds drawn by their weights, each kind once at least if there are enough, in random order; those
    that concern one clinic in waves of up to ``AT_ONCE``, in different clinics."""
    drawn = list(kinds[:kills])
    drawn += random.choices(kinds, weights=[kind.weight for kind in kinds], k=kills - len(drawn))
    random.shuffle(drawn)
    planned: list[Wave] = []
    for alone, group in groupby(drawn, key=lambda kind: kind.alone):
        waiting = list(group)
        while waiting:
            size = 1 if alone else random.randint(1, AT_ONCE)
            planned.append(_wave(waiting[:size], channels, random))
            waiting = waiting[len(planned[-1]) :]
    return planned


def _wave(kinds: Sequence[Kind], channels: Sequence[Key], random: Random) -> Wave:
    if kinds[0].alone:
        return (Kill(kinds[0]),)
    clinics = sorted({clinic for clinic, _ in channels})
    chosen = random.sample(clinics, min(len(kinds), len(clinics)))
    kills = []
    for kind, clinic in zip(kinds, chosen, strict=False):
        channel = random.choice([channel for of, channel in channels if of == clinic])
        kills.append(Kill(kind, clinic, channel if "{channel}" in kind.victim.place else ""))
    return tuple(kills)
