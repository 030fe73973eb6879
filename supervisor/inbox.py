"""An actor's inbox with its timers inside: no thread per timer, and a cancelled timer's message never arrives."""

import threading
import time
from queue import Empty, SimpleQueue
from typing import Any

from pykka import ActorDeadError
from pykka._envelope import Envelope


class Inbox:
    """``put`` is callable from any thread; all else only from the actor's own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self._queue: SimpleQueue[Envelope[Any]] = SimpleQueue()
        self._timers: dict[str, tuple[float, Any]] = {}

    def put(self, envelope: Envelope[Any], /) -> None:
        """Add a message; returns at once.

        Raises:
            ActorDeadError: nobody reads this inbox any more.
        """
        with self._lock:
            if self._closed:
                raise ActorDeadError("the actor has ended")
            self._queue.put(envelope)

    def close(self) -> None:
        """Take nothing more; what is in it can still be got. Without this a message could slip in unseen at the end."""
        with self._lock:
            self._closed = True

    def empty(self) -> bool:
        """Whether no message waits (timers don't count)."""
        return self._queue.empty()

    def get(self) -> Envelope[Any]:
        """The next message, or the message of the timer that is due; waits for one."""
        while True:
            name = min(self._timers, key=lambda n: self._timers[n][0], default=None)
            if name is None:
                return self._queue.get()
            due, message = self._timers[name]
            left = due - time.monotonic()
            if left <= 0:
                del self._timers[name]
                return Envelope(message)
            try:
                return self._queue.get(timeout=left)
            except Empty:
                continue

    def schedule(self, name: str, seconds: float, message: Any) -> None:
        """Have ``message`` come in ``seconds``; replaces the timer of the same name."""
        self._timers[name] = (time.monotonic() + seconds, message)

    def cancel(self, name: str) -> None:
        """Forget a timer; harmless if there is none."""
        self._timers.pop(name, None)

    def cancel_all(self) -> None:
        """Forget all timers."""
        self._timers.clear()
