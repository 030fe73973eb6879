"""An actor's inbox: two lanes and its timers. No thread per timer, and a cancelled timer's message never arrives.

The urgent lane (stop, monitors) is read first, so an end does not wait behind a backlog, and is never full, nor is any
lane for what the actor tells itself: outcomes of its own work must not be lost. What others tell it can be bounded.
"""

import threading
import time
from collections import deque
from queue import Empty, SimpleQueue
from typing import Any, Final

from pykka import ActorDeadError
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from supervisor.timers import Timers


class Urgent:
    """A message of the urgent lane is one of these."""

    __slots__ = ()


class Closed:
    """What is got from an inbox that is closed and empty: its reader may have waited when somebody else closed it."""

    __slots__ = ()


_URGENT: Final = (Urgent, _ActorStop)


class InboxFullError(Exception):
    """The inbox has as many messages as it may, and did not have room in time."""


class Inbox:
    """``put``, ``put_own``, ``close``, ``take`` and ``depth`` are callable from any thread; all else only from the
    actor's own.

    ``limit``: ordinary messages that others may have waiting at most (None: any number). ``in_order``: one lane only,
    for an actor to which order is more than haste.
    """

    def __init__(self, limit: int | None = None, *, in_order: bool = False) -> None:
        self.owner: object = None
        """The actor whose inbox it is: pykka's refs lead to the inbox alone."""
        self._limit = limit
        self._in_order = in_order
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._blocked = 0
        self._closed = False
        self._urgent: deque[Envelope[Any]] = deque()
        self._ordinary: deque[Envelope[Any]] = deque()
        self._signals: SimpleQueue[None] = SimpleQueue()
        self._timers = Timers()

    def put(self, envelope: Envelope[Any], /, timeout: float = 0.0) -> None:
        """Add a message from outside; waits up to ``timeout`` seconds for room (0: not at all).

        Raises:
            InboxFullError: there is no room.
            ActorDeadError: nobody reads this inbox any more.
        """
        with self._lock:
            if self._limit is not None and not self._is_urgent(envelope):
                self._wait_for_room(self._limit, timeout)
            self._add(envelope)

    def put_own(self, envelope: Envelope[Any]) -> None:
        """Add what the actor tells itself; there is always room. Raises ActorDeadError."""
        with self._lock:
            self._add(envelope)

    def close(self) -> None:
        """Take nothing more; what is in it can still be got. Without this a message could slip in unseen at the end."""
        with self._room:
            self._closed = True
            self._room.notify_all()
            self._signals.put(None)

    @property
    def depth(self) -> int:
        """Messages that wait (timers don't count)."""
        return len(self._urgent) + len(self._ordinary)

    def empty(self) -> bool:
        """Whether no message waits."""
        return self.depth == 0

    def get(self) -> Envelope[Any]:
        """The next message, or the message of the timer that is due; waits for one. ``Closed`` if none can come."""
        while not (self._closed and self.empty()):
            due = self._timers.due() if self._timers else None
            if due is None:
                self._signals.get()
            else:
                left = due - time.monotonic()
                if left <= 0:
                    return Envelope(self._timers.take())
                try:
                    self._signals.get(timeout=left)
                except Empty:
                    continue
            if (envelope := self.take()) is not None:
                return envelope
        return Envelope(Closed())

    def take(self) -> Envelope[Any] | None:
        """The next message, if there is one now."""
        try:
            envelope = (self._urgent or self._ordinary).popleft()
        except IndexError:
            return None
        if self._blocked:
            with self._room:
                self._room.notify()
        return envelope

    def schedule(self, name: str, seconds: float, message: Any) -> None:
        """Have ``message`` come in ``seconds``; replaces the timer of the same name."""
        self._timers.set(name, time.monotonic() + seconds, message)

    def cancel(self, name: str) -> None:
        """Forget a timer; harmless if there is none."""
        self._timers.cancel(name)

    def cancel_all(self) -> None:
        """Forget all timers."""
        self._timers.cancel_all()

    def _is_urgent(self, envelope: Envelope[Any]) -> bool:
        return not self._in_order and isinstance(envelope.message, _URGENT)

    def _add(self, envelope: Envelope[Any]) -> None:
        if self._closed:
            raise ActorDeadError("the actor has ended")
        (self._urgent if self._is_urgent(envelope) else self._ordinary).append(envelope)
        self._signals.put(None)

    def _wait_for_room(self, limit: int, timeout: float) -> None:
        self._blocked += 1
        try:
            if not self._room.wait_for(lambda: self._closed or len(self._ordinary) < limit, timeout):
                raise InboxFullError(f"{limit} messages wait already")
        finally:
            self._blocked -= 1
