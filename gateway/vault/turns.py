"""Blocking work on what may hang (a disk): one piece at a time for each channel, on threads of its own."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from protocol.errors import StoreUnavailableError

T = TypeVar("T")

PATIENCE_S: Final = 10.0
"""How long work waits for that of somebody who was cancelled; then it hangs, as far as we know."""


class Turns:
    """In the order asked for; ``what`` is worked on, for people. On the loop's thread. ``at_once``: how much of such
    work is done at the same time, by all.

    The threads are daemons, and there is none while nothing is done: nothing has to be shut down.
    """

    def __init__(self, what: str, at_once: threading.Semaphore, *, patience_s: float = PATIENCE_S) -> None:
        self._what = what
        self._at_once = at_once
        self._patience_s = patience_s
        self._turn = asyncio.Lock()
        self._ended = _ended()

    async def do(self, work: Callable[[], T]) -> T:
        """What ``work`` returns, or raises. Who is cancelled while it runs leaves it behind: it runs to its end.

        Raises:
            StoreUnavailableError: what was left behind does not end.
        """
        async with self._turn:
            await asyncio.wait([asyncio.wrap_future(self._ended)], timeout=self._patience_s)
            if not self._ended.done():
                raise StoreUnavailableError(f"{self._what} cannot be used: earlier work on it hangs; look at the disk")
            outcome, ended = _running(), _running()
            try:
                threading.Thread(target=self._run, args=(work, outcome, ended), name="vault", daemon=True).start()
            except RuntimeError as error:
                raise StoreUnavailableError(f"{self._what} cannot be used: {error}") from error
            self._ended = ended
            result: T = await asyncio.wrap_future(outcome)
            return result

    def _run(self, work: Callable[[], Any], outcome: Future[Any], ended: Future[Any]) -> None:
        try:
            with self._at_once:
                result = work()
        except BaseException as error:  # noqa: BLE001 - it is who waits that has to know
            outcome.set_exception(error)
        else:
            outcome.set_result(result)
        finally:
            ended.set_result(None)


def _running() -> Future[Any]:
    """One that a cancel of who waits does not touch."""
    future = Future[Any]()
    future.set_running_or_notify_cancel()
    return future


def _ended() -> Future[Any]:
    future = _running()
    future.set_result(None)
    return future
