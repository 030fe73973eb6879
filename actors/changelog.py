"""When each thing on the board last changed. Pure; whoever has one locks it."""

from collections import OrderedDict
from collections.abc import Sequence
from enum import Enum
from itertools import takewhile
from typing import Final

MOST_GONE: Final = 1000
"""Of what is no more so much is remembered; whoever looked longer ago is told all there is."""


class Kind(Enum):
    """What it is that changed; ``GONE``: that it is no more."""

    CLINIC = "clinic"
    CHANNEL = "channel"
    CODE = "code"
    GONE = "gone"


Thing = tuple[Kind, str, str | None]
"""What, of which clinic, of which channel (None: of the clinic itself)."""


class Changelog:
    """``version`` grows with every change."""

    def __init__(self, most_gone: int = MOST_GONE) -> None:
        self.version = 0
        self._most_gone = most_gone
        self._known_from = 0
        self._at: OrderedDict[Thing, int] = OrderedDict()  # the newest last
        self._gone: OrderedDict[Thing, None] = OrderedDict()

    def note(self, kind: Kind, clinic: str, channel: str | None = None) -> None:
        """It is different now."""
        self.version += 1
        thing = (kind, clinic, channel)
        self._at[thing] = self.version
        self._at.move_to_end(thing)

    def note_gone(self, clinic: str, channel: str | None = None) -> None:
        """It is no more, and what changed of it before does not matter; so it is of a clinic's channels."""
        of = self._of(clinic) if channel is None else [(kind, clinic, channel) for kind in Kind]
        for thing in of:
            self._at.pop(thing, None)
        self.note(Kind.GONE, clinic, channel)
        last = (Kind.GONE, clinic, channel)
        self._gone[last] = None
        self._gone.move_to_end(last)
        while len(self._gone) > self._most_gone:
            forgotten, _ = self._gone.popitem(last=False)
            self._known_from = max(self._known_from, self._at.pop(forgotten, 0))

    def _of(self, clinic: str) -> list[Thing]:
        return [thing for thing in self._at if thing[1] == clinic]

    def since(self, version: int) -> Sequence[Thing] | None:
        """What changed after ``version``, each thing once; None: that is not known, since it is too long ago or no
        version of this log."""
        if not self._known_from <= version <= self.version:
            return None
        newer = takewhile(lambda thing: self._at[thing] > version, reversed(self._at))
        return list(newer)[::-1]
