"""Which commands end unsent, and when: pure, a part of the outbox.

One that waits ends when it expires. One that is in doubt is given a while longer, in which a session can show whether
it was sent; but without a session it must not stay for ever.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Final

from actors.channel.parcel import Parcel, Place

GRACE: Final = timedelta(minutes=2)
"""After its expiry, for one in doubt."""


class Expiry:
    """``held``: whether a parcel is still the outbox's; what is not is thrown out when it is the greater part."""

    def __init__(self, held: Callable[[Parcel], bool]) -> None:
        self._held = held
        self._count = count()
        self._entries: list[tuple[datetime, int, Parcel]] = []

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def next(self) -> datetime | None:
        """When to look again."""
        return self._entries[0][0] if self._entries else None

    def watch(self, parcel: Parcel, holding: int) -> None:
        """Have it end when it should; ``holding``: how many the outbox has."""
        at = parcel.command.expires_at
        if at is None or parcel.watched:
            return
        parcel.watched = True
        self._push(at, parcel)
        if len(self._entries) > 2 * holding + 64:
            self._entries = [entry for entry in self._entries if self._held(entry[2])]
            heapify(self._entries)

    def over(self, now: datetime) -> list[Parcel]:
        """Those whose time is over. What is with the port says itself what became of it, and is watched again then."""
        over: dict[Parcel, None] = {}
        while self._entries and self._entries[0][0] <= now:
            at, _, parcel = heappop(self._entries)
            parcel.watched = False
            if not self._held(parcel) or parcel in over:
                continue
            expires_at = parcel.command.expires_at
            assert expires_at is not None
            match parcel.place:
                case Place.LINE:
                    over[parcel] = None
                case Place.DOUBT if at == expires_at:
                    self._push(at + GRACE, parcel)  # not marked: once it waits again its own time holds
                case Place.DOUBT:
                    over[parcel] = None
                case Place.PORT:
                    pass
        return list(over)

    def _push(self, at: datetime, parcel: Parcel) -> None:
        heappush(self._entries, (at, next(self._count), parcel))
