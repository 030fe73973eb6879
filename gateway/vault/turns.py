"""Blocking work on what may hang (a disk): one piece at a time for each channel, on threads of its own."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, TypeVar

from gateway import thread
from protocol.errors import StoreUnavailableError

T = TypeVar("T")

PATIENCE_S: Final = 10.0
"""How long work waits for that of somebody who was cancelled; then it hangs, as far as we know."""


class Turns:
    """In the order asked for; ``what`` is worked on, for people. On the loop's thread. ``at_once``: how much of such
    work is done at the same time, by all.
    """

    def __init__(self, what: str, at_once: threading.Semaphore, *, patience_s: float = PATIENCE_S) -> None:
        self._what = what
        self._at_once = at_once
        self._patience_s = patience_s
        self._turn = asyncio.Lock()
        self._ended = Future[None]()
        self._ended.set_result(None)

    async def do(self, work: Callable[[], T]) -> T:
        """What ``work`` returns, or raises. Who is cancelled while it runs leaves it behind: it runs to its end.

        Raises:
            StoreUnavailableError: what was left behind does not end.
        """
        async with self._turn:
            await asyncio.wait([asyncio.wrap_future(self._ended)], timeout=self._patience_s)
            if not self._ended.done():
                raise StoreUnavailableError(f"{self._what} cannot be used: earlier work on it hangs; look at the disk")
            try:
                outcome = thread.begin(lambda: self._among_others(work), "vault")
            except RuntimeError as error:
                raise StoreUnavailableError(f"{self._what} cannot be used: {error}") from error
            self._ended = ended = Future[None]()
            ended.set_running_or_notify_cancel()
            outcome.add_done_callback(lambda _: ended.set_result(None))
            return await asyncio.wrap_future(outcome)

    def _among_others(self, work: Callable[[], T]) -> T:
        with self._at_once:
            return work()
