"""Authentications that were refused: counted, and put into the audit once a minute. One entry each would let anybody
fill the disk."""

import asyncio
import logging
from collections import Counter
from typing import Final

from protocol.audit import Audit
from protocol.errors import StoreUnavailableError

log = logging.getLogger(__name__)

PERIOD_S: Final = 60.0
MOST_ADDRESSES: Final = 100
"""Addresses that have an entry of their own each minute; what the others do is counted in one."""
MOST_COUNTED: Final = 999_999
_OTHERS: Final = "others"


class Refusals:
    """On the loop's thread. A count is of one address and one reason."""

    def __init__(self, audit: Audit, *, period_s: float = PERIOD_S) -> None:
        self._audit = audit
        self._period_s = period_s
        self._counts: Counter[tuple[str, str]] = Counter()
        self._telling: asyncio.Task[None] | None = None

    def count(self, address: str, why: str) -> None:
        """One more from ``address``. The first of a while is told at once, what follows after a minute."""
        key = (address, why)
        if key not in self._counts and len(self._counts) >= MOST_ADDRESSES:
            key = (_OTHERS, why)
        self._counts[key] += 1
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell(), name="refused authentications")

    async def close(self) -> None:
        """Tell what has not been told."""
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.wait([self._telling])
        await self._note()

    async def _tell(self) -> None:
        while self._counts:
            await self._note()
            await asyncio.sleep(self._period_s)

    async def _note(self) -> None:
        counts, self._counts = self._counts, Counter()
        try:
            await asyncio.gather(*(self._note_one(*key, count) for key, count in counts.items()))
        except StoreUnavailableError as error:
            log.error("%d refused authentications are not in the audit: %s", counts.total(), error)

    async def _note_one(self, address: str, why: str, count: int) -> None:
        detail = {"address": address, "why": why, "count": str(min(count, MOST_COUNTED))}
        await self._audit.noted("nobody", "access.refused", detail=detail)
