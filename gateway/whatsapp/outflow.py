"""The way of a port's events to main: one queue, in order, emptied by a thread of its own.

neonize's callback only puts them in and returns at once, so that what WhatsApp takes for received is written down and
not held up by main. Records go on under credit; whatever else happens waits behind them, so that nothing overtakes.
What main does not take stays in the queue, and beyond a bound the port has to hang up: it must not grow in memory, and
WhatsApp keeps what we don't take.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from gateway.whatsapp.credit import Credit
from gateway.whatsapp.frames import Happened
from gateway.whatsapp.journal import Inbound, Journal, JournalError
from protocol.port import PortEvent, Record

MAX_RECORDS: Final = 2048
MAX_BYTES: Final = 8 << 20
"""How much may wait for main."""

_AT_ONCE: Final = 64
"""Frames in one write, at most."""
_OVERHEAD: Final = 512
"""About what a message takes beside its text, in bytes."""


class Outflow:
    """``write`` sends frames to main and says whether it took them; ``overflow`` is told why the port must end: once,
    from the callback, which it must not hold up."""

    def __init__(
        self,
        journal: Journal,
        credit: Credit,
        write: Callable[[Sequence[Happened]], bool],
        overflow: Callable[[str], None],
        *,
        max_records: int = MAX_RECORDS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._journal = journal
        self._credit = credit
        self._write = write
        self._overflow = overflow
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._order = threading.Lock()
        self._changed = threading.Condition()
        self._queue: deque[PortEvent] = deque()
        self._records = 0
        self._bytes = 0
        self._under_way = False
        self._overflowed = False
        self._cut = False
        threading.Thread(target=self._work, name="outflow", daemon=True).start()

    def put(self, event: PortEvent | Inbound) -> None:
        """Write it down if it is something that came in, and queue it. Callable from any thread; records are queued in
        the order of their numbers."""
        with self._order:
            if isinstance(event, Inbound):
                self._enqueue(self._recorded(event), _size(event))
            else:
                self._enqueue(event, 0)

    def _recorded(self, event: Inbound) -> Record:
        try:
            return Record(number=self._journal.append(event), what=event)
        except JournalError as error:
            self._end(str(error))
            return Record(number=self._journal.unwritten(), what=event)

    def _enqueue(self, event: PortEvent, size: int) -> None:
        with self._changed:
            self._queue.append(event)
            self._bytes += size
            self._records += isinstance(event, Record)
            full = self._records > self._max_records or self._bytes > self._max_bytes
            self._changed.notify_all()
        if full:
            self._end("the main process takes nothing: too much that came in waits for it")

    def _end(self, reason: str) -> None:
        if not self._overflowed:
            self._overflowed = True
            self._overflow(reason)

    def flush(self, timeout: float) -> bool:
        """Send all there is, on credit or not, for at most ``timeout`` seconds; whether it is done."""
        self._credit.lift()
        return self.wait_empty(timeout)

    def wait_empty(self, timeout: float) -> bool:
        """Wait until main has been sent all there is, for at most ``timeout`` seconds; whether it has."""
        with self._changed:
            self._changed.wait_for(lambda: self._cut or not (self._queue or self._under_way), timeout)
            return not (self._queue or self._under_way)

    def _work(self) -> None:
        while self._write([Happened(event=event) for event in self._next()]):
            with self._changed:
                self._under_way = False
                self._changed.notify_all()
        with self._changed:
            self._cut = True  # main is gone or hears nothing: it finds the rest in the journal
            self._changed.notify_all()

    def _next(self) -> list[PortEvent]:
        """As much as there is and as there is credit for, once there is something."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue)
            first = self._queue[0]
        if isinstance(first, Record):
            self._credit.take()
        with self._changed:
            self._under_way = True
            taken = [self._pop()]
            while self._queue and len(taken) < _AT_ONCE:
                if isinstance(self._queue[0], Record) and not self._credit.take_at_once():
                    break
                taken.append(self._pop())
            return taken

    def _pop(self) -> PortEvent:
        event = self._queue.popleft()
        if isinstance(event, Record):
            self._records -= 1
            self._bytes -= _size(event.what)
        return event


def _size(what: object) -> int:
    """About what it takes in memory, in bytes."""
    text = getattr(what, "text", None)
    return _OVERHEAD + (len(text) if text else 0)
