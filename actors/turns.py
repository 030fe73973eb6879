"""Turns at what the whole node has few of, fair between clinics. On the loop's thread alone."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

AT_ONCE: Final = 16


class Turns:
    """At most ``at_once`` at the same time, and of one clinic at most as many as are left for the others: so whoever
    has none gets one as soon as there is one, however many wait before it. The clinic that has the fewest is next; of
    those that have as few, the one whose last ended longest ago."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._free = at_once
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def of(self, clinic: str) -> AsyncIterator[None]:
        """A turn, for as long as the context lasts."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(clinic, deque()).append(turn)
        self._grant()
        try:
            await turn
            yield
        finally:
            self._give_back(clinic, turn)

    def _grant(self) -> None:
        while self._waiting:
            clinic = min(self._waiting, key=self._held.__getitem__)
            if self._held[clinic] >= self._free:
                return
            turns = self._waiting[clinic]
            turn = turns.popleft()
            if not turns:
                del self._waiting[clinic]
            if not turn.cancelled():
                turn.set_result(None)
                self._held[clinic] += 1
                self._free -= 1

    def _leave(self, clinic: str, turn: asyncio.Future[None]) -> None:
        turns = self._waiting.get(clinic)
        if turns is not None and turn in turns:
            turns.remove(turn)
            if not turns:
                del self._waiting[clinic]

    def _give_back(self, clinic: str, turn: asyncio.Future[None]) -> None:
        if turn.cancelled():
            self._leave(clinic, turn)
            return
        self._free += 1
        self._held[clinic] -= 1
        if not self._held[clinic]:
            del self._held[clinic]
        if (turns := self._waiting.pop(clinic, None)) is not None:
            self._waiting[clinic] = turns  # behind all that wait
        self._grant()
