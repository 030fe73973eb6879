"""Reads of what is on disk, which may hang: each store's on threads of their own, so that one holds up no other."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from protocol.errors import StoreUnavailableError

T = TypeVar("T")


class Reader:
    """One read at a time, in the order asked for. On the loop's thread; ``what`` is read, for people.

    The threads are daemons, and there is none while nothing is read: nothing has to be shut down.
    """

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
            self._last = future = Future[T]()
            future.set_running_or_notify_cancel()  # from now on a cancel of who waits is none of the work
            try:
                threading.Thread(target=_run, args=(future, work), name="remains", daemon=True).start()
            except RuntimeError as error:
                future.set_exception(error)
                raise StoreUnavailableError(f"{self._what} cannot be read: {error}") from error
            return await asyncio.wrap_future(future)


def _run(future: Future[T], work: Callable[[], T]) -> None:
    try:
        outcome = work()
    except BaseException as error:  # noqa: BLE001 - it is who waits that has to know
        future.set_exception(error)
    else:
        future.set_result(outcome)
