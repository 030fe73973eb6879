"""Reads of what is on disk, which may hang: each store's on threads of their own, so that one holds up no other."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from gateway import thread
from protocol.errors import StoreUnavailableError

T = TypeVar("T")


class Reader:
    """One read at a time, in the order asked for. On the loop's thread; ``what`` is read, for people."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._turn = asyncio.Lock()
        self._last: Future[Any] | None = None

    async def read(self, work: Callable[[], T]) -> T:
        """What ``work`` returns, or raises. Who is cancelled while it runs leaves it behind.

        Raises:
            StoreUnavailableError: one that was left behind still runs.
        """
        async with self._turn:
            if self._last is not None and not self._last.done():
                raise StoreUnavailableError(f"{self._what} cannot be read: an earlier read of it hangs")
            try:
                self._last = future = thread.begin(work, "remains")
            except RuntimeError as error:
                raise StoreUnavailableError(f"{self._what} cannot be read: {error}") from error
            return await asyncio.wrap_future(future)
