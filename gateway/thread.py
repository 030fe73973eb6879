"""Blocking work on what may hang (a disk): on a thread of its own, so that it holds up nobody but who waits for it."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def begin(work: Callable[[], T], name: str) -> Future[T]:
    """Have ``work`` done on a thread called ``name``: what it returns, or raises. A cancel of who waits does not touch
    it. The thread is a daemon and ends with its work: nothing has to be shut down.

    Raises:
        RuntimeError: the machine gives no thread.
    """
    future = Future[T]()
    future.set_running_or_notify_cancel()  # from now on a cancel of who waits is none of the work
    threading.Thread(target=_run, args=(future, work), name=name, daemon=True).start()
    return future


def _run(future: Future[T], work: Callable[[], T]) -> None:
    try:
        outcome = work()
    except BaseException as error:  # noqa: BLE001 - it is who waits that has to know
        future.set_exception(error)
    else:
        future.set_result(outcome)
