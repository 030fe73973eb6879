"""The way to main of what happens in a port: one queue, in order, emptied by a thread of its own.

neonize's callback and the thread that sends only put things in and return at once, so that what WhatsApp takes for
received, and what came of a send, is written down and not held up by main. Records go on under credit; whatever else
happens waits behind them, so that nothing overtakes. Only the outcomes of sends do: they wait for nobody's credit.

What main does not take stays in the queue, and beyond a bound the port has to hang up: it must not grow in memory, and
WhatsApp keeps what we don't take.

Each write costs main and this process more than what is in it, so what is in no hurry waits a little for company: a
receipt, and an outcome while more sends are in line.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from gateway.whatsapp.frames import Happened, Outcome
from gateway.whatsapp.journal import Inbound, Journal, JournalError
from protocol.port import Failed, Sent
from protocol.port_events import PortEvent, ReceiptReceived, Record, SendAnswered

MAX_RECORDS: Final = 2048
MAX_BYTES: Final = 8 << 20
"""How much may wait for main."""

RECEIPT_PATIENCE_S: Final = 0.05
OUTCOME_PATIENCE_S: Final = 0.05
"""How long they may wait for company."""

_AT_ONCE: Final = 64
"""Events in one write, at most."""
_OVERHEAD: Final = 512
"""About what a message takes beside its text, in bytes."""
_NEVER: Final = float("inf")


class Outflow:
    """``write`` sends frames to main and says whether it took them; ``overflow`` is told why the port must end: from
    whatever thread noticed, which it must not hold up, and maybe more than once. ``credit``: how many records may go
    before the first ``grant``. All methods may be called from any thread."""

    def __init__(
        self,
        journal: Journal,
        credit: int,
        write: Callable[[Sequence[Happened | Outcome]], bool],
        overflow: Callable[[str], None],
        *,
        max_records: int = MAX_RECORDS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._journal = journal
        self._credit: float = credit
        self._write = write
        self._overflow = overflow
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._order = threading.Lock()
        self._changed = threading.Condition()
        self._queue: deque[PortEvent] = deque()
        self._outcomes: list[Outcome] = []
        self._due = _NEVER
        self._starved = False
        self._records = 0
        self._bytes = 0
        self._under_way = False
        self._cut = False
        threading.Thread(target=self._work, name="outflow", daemon=True).start()

    # -- what happens --

    def put(self, event: PortEvent | Inbound) -> None:
        """Write it down if it is something that came in, and queue it. Records are queued in the order of their
        numbers."""
        with self._order:
            if isinstance(event, Inbound):
                patience = RECEIPT_PATIENCE_S if isinstance(event, ReceiptReceived) else 0.0
                self._enqueue(self._recorded(event), _size(event), patience)
            else:
                self._enqueue(event, 0, 0.0)

    def answer(self, key: str, answer: Sent | Failed, *, more: bool) -> None:
        """Write down what came of the send ``key``, and queue it. ``more``: other sends are in line."""
        record = None
        try:
            record = self._journal.append(SendAnswered(key=key, answer=answer))
        except JournalError as error:
            self._overflow(str(error))
        with self._changed:
            self._outcomes.append(Outcome(key=key, answer=answer, record=record))
            self._hurry(OUTCOME_PATIENCE_S if more else 0.0)

    def _recorded(self, event: Inbound) -> Record:
        try:
            return Record(number=self._journal.append(event), what=event)
        except JournalError as error:
            self._overflow(str(error))
            return Record(number=self._journal.unwritten(), what=event)

    def _enqueue(self, event: PortEvent, size: int, patience: float) -> None:
        with self._changed:
            before = self._is_full
            self._queue.append(event)
            self._bytes += size
            self._records += isinstance(event, Record)
            overflows = self._is_full and not before
            self._hurry(patience)
        if overflows:
            self._overflow("the main process takes nothing: too much that came in waits for it")

    @property
    def _is_full(self) -> bool:
        return self._records > self._max_records or self._bytes > self._max_bytes

    def _hurry(self, patience: float) -> None:
        due = time.monotonic() + patience
        if due < self._due or self._starved:
            self._due = min(due, self._due)
            self._changed.notify_all()

    # -- what main lets through --

    def grant(self, count: float) -> None:
        """Let ``count`` more records through."""
        with self._changed:
            self._credit += count
            self._changed.notify_all()

    def flush(self, timeout: float) -> bool:
        """Send all there is, on credit or not, for at most ``timeout`` seconds; whether it is done."""
        with self._changed:
            self._credit = _NEVER
            self._hurry(0.0)
            self._changed.notify_all()
        return self.wait_empty(timeout)

    def wait_empty(self, timeout: float) -> bool:
        """Wait until main has been sent all there is, for at most ``timeout`` seconds; whether it has."""
        with self._changed:
            self._changed.wait_for(lambda: self._cut or self._is_empty, timeout)
            return self._is_empty

    @property
    def _is_empty(self) -> bool:
        return not (self._queue or self._outcomes or self._under_way)

    # -- the thread --

    def _work(self) -> None:
        while self._write(self._next()):
            with self._changed:
                self._under_way = False
                self._changed.notify_all()
        with self._changed:
            self._cut = True  # main is gone or hears nothing: it finds the rest in the journal
            self._changed.notify_all()

    def _next(self) -> list[Happened | Outcome]:
        """All outcomes, and as many events as there is credit for, once one of them can wait no longer."""
        with self._changed:
            while not (may_go := self._may_go) or time.monotonic() < self._due:
                self._starved = not may_go
                self._changed.wait(self._due - time.monotonic() if may_go else None)
            self._starved = False
            self._under_way = True
            frames: list[Happened | Outcome] = [*self._outcomes]
            self._outcomes.clear()
            events = 0
            while self._head_may_go and events < _AT_ONCE:
                frames.append(Happened(event=self._pop()))
                events += 1
            self._due = 0.0 if self._queue else _NEVER
            return frames

    @property
    def _may_go(self) -> bool:
        return bool(self._outcomes) or self._head_may_go

    @property
    def _head_may_go(self) -> bool:
        return bool(self._queue) and (self._credit > 0 or not isinstance(self._queue[0], Record))

    def _pop(self) -> PortEvent:
        event = self._queue.popleft()
        if isinstance(event, Record):
            self._credit -= 1
            self._records -= 1
            self._bytes -= _size(event.what)
        return event


def _size(what: object) -> int:
    """About what it takes in memory, in bytes."""
    text = getattr(what, "text", None)
    return _OVERHEAD + (len(text) if text else 0)
