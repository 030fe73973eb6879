"""The spool as a channel holds it, pure: which of its claims are in memory, and which have to be read back.

The ledger has every claim until NATS has it. Memory holds at most ``limit`` of them, the oldest; what is claimed beyond
that is left in the database alone and read back by pages when there is room. It is the same at the start, when an
earlier life left something there, and after NATS was away. Laws: no claim is taken twice, none is left behind, and what
is taken is taken in the order of claims.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from actors.channel.inbox import Batch, Inbox, Item


@dataclass(frozen=True, slots=True)
class PageWanted:
    """Read at most ``limit`` claims from beyond ``after``."""

    after: int
    limit: int


class Spool:
    """Not thread-safe: it belongs to one channel's actor.

    ``_read_to``: every claim up to this place was taken; ``_behind``: there may be more beyond it in the database.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._inbox = Inbox()
        self._held = 0
        self._read_to = 0
        self._behind = True
        self._reading = False
        self._first_own: int | None = None
        self._beyond = 0

    def __len__(self) -> int:
        """Claims in memory."""
        return self._held

    @property
    def waiting(self) -> int:
        """About how many claims are not published, as far as is known."""
        return self._held + self._beyond

    @property
    def caught_up(self) -> bool:
        """Whether all that is claimed and not published is in memory."""
        return not self._behind and not self._reading

    def claimed(self, items: Sequence[Item]) -> None:
        """These were just claimed, in this order."""
        for item in items:
            if self._first_own is None:
                self._first_own = item.seq
            if item.seq <= self._read_to:
                continue
            if self.caught_up and self._held < self._limit:
                self._take(item)
            else:
                self._behind = True
                self._beyond += 1

    def missed(self) -> None:
        """There may be claims in the database that nobody told us of."""
        self._behind = True

    def page_wanted(self) -> PageWanted | None:
        """What to read now, if anything; ``page`` or ``page_failed`` must follow."""
        if not self._behind or self._reading or self._held > self._limit // 2:
            return None
        self._reading, self._behind = True, False
        return PageWanted(self._read_to, self._limit - self._held)

    def page(self, wanted: PageWanted, items: Sequence[Item]) -> None:
        """What was read. Those of an earlier life may have been published by it."""
        self._reading = False
        for item in items:
            if item.seq > self._read_to:
                self._take(replace(item, tried=self._first_own is None or item.seq < self._first_own))
        if len(items) >= wanted.limit:
            self._behind = True
        self._beyond = max(0, self._beyond - len(items)) if self._behind else 0

    def page_failed(self) -> None:
        """Nothing was read."""
        self._reading, self._behind = False, True

    def _take(self, item: Item) -> None:
        self._inbox.add((item,))
        self._held += 1
        self._read_to = item.seq

    def take(self) -> list[Batch]:
        """What can be published now; each batch must come back through ``done``."""
        return self._inbox.take()

    def done(self, batch: Batch) -> None:
        """``batch`` is published."""
        self._held -= len(batch.items)
        self._inbox.done(batch)
