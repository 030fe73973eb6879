"""The group commit of a channel: one transaction is out at a time, and what happens meanwhile gathers into the next.

What the ledger has to know before anything follows from it is tied to the transaction here: attempts are given to the
port, journal records are done, results are published when it is committed. A transaction that fails is kept as it is
and repeated: nothing of it is lost, and nothing follows from it before.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from actors.channel import way
from actors.channel.context import Context
from actors.channel.retry import Retry
from protocol.errors import StoreUnavailableError, UnavailableError
from protocol.events import ResultEvent
from protocol.interfaces import Failure
from protocol.ledger import Attempt, Changes, Setback

RECORD_TIMEOUT_S: Final = 300.0
"""Far beyond what the store allows itself: whether a transaction was committed must not be left open by a time-out."""
MARK_WITHIN_S: Final = 0.1
"""So long may it take until the ledger knows that NATS has a result: until then, a restart looks into the stream. A
transaction for that alone was a quarter of what a command by itself cost main (2.5 ms), and most go with another."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A final result and the headers that go with it; ``waited_s``: how long it took, of what was sent."""

    result: ResultEvent
    headers: Mapping[str, str]
    waited_s: float | None = None


@dataclass(slots=True)
class Transaction:
    """What goes into one transaction, and what follows once it is committed.

    ``launches`` are called on the loop; ``records``: numbers in the port's journal; ``settled``: attempts whose outcome
    is in it.
    """

    setbacks: list[Setback] = field(default_factory=list)
    finals: list[Outcome] = field(default_factory=list)
    published: list[tuple[str, int]] = field(default_factory=list)
    begun: list[Attempt] = field(default_factory=list)
    launches: list[Callable[[], None]] = field(default_factory=list)
    records: list[int] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.published) or self.urgent

    @property
    def urgent(self) -> bool:
        """Whether something waits for it to be recorded."""
        return bool(self.setbacks or self.finals or self.begun or self.launches or self.records or self.settled)

    def changes(self) -> Changes:
        """For the ledger."""
        results = [final.result for final in self.finals]
        return Changes(setbacks=self.setbacks, results=results, published=self.published, begun=self.begun)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A transaction is committed, or not yet."""

    transaction: Transaction
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class RecordDue:
    """The pause after a failed transaction is over."""


@dataclass(frozen=True, slots=True)
class MarkDue:
    """Nothing came with which it could be recorded what NATS has."""


class Bookkeeping:
    """Belongs to one channel's actor. ``committed`` is called with the results of each committed transaction.

    Once it is ``closed`` nothing more is recorded: a successor may have read already what the ledger knows, and what
    this one would add to it is of a life that is over.
    """

    def __init__(self, context: Context, committed: Callable[[Sequence[Outcome]], None]) -> None:
        self._context = context
        self._committed = committed
        self._next = Transaction()
        self._out: Transaction | None = None
        self._retry = Retry(context, "not recorded yet", "record", RecordDue())
        self._closed = False
        self._marking = False
        self.gather: Callable[[], None] = lambda: None
        """Called before a transaction is made up, for what can go with it."""

    @property
    def trouble(self) -> str | None:
        """Why the last transaction failed; None if it did not."""
        return self._retry.trouble

    def close(self) -> None:
        """Record nothing more. In any thread."""
        self._closed = True

    @property
    def idle(self) -> bool:
        """Nothing is to be recorded."""
        return self._out is None and not self._next

    def begin(self, attempts: Sequence[Attempt], launch: Callable[[], None]) -> None:
        """Record that these are about to begin, then ``launch`` them."""
        self._next.begun += attempts
        self._next.launches.append(launch)

    def follow(self, launch: Callable[[], None]) -> None:
        """Call ``launch``, on the loop, once what is recorded with it is committed."""
        self._next.launches.append(launch)

    def set_back(self, setback: Setback) -> None:
        """Record an attempt that did not end its run."""
        self._next.setbacks.append(setback)

    def finish(self, result: ResultEvent, headers: Mapping[str, str], waited_s: float | None = None) -> None:
        """Record a final result, then have it published."""
        self._next.finals.append(Outcome(result, headers, waited_s))

    def publish(self, runs: Sequence[tuple[str, int]]) -> None:
        """Record that NATS has the results of these (id, run), with the next transaction or within a moment."""
        self._next.published += runs

    def settle(self, key: str, record: int | None) -> None:
        """What came of the attempt ``key`` is in this transaction, and was in this ``record`` of the journal."""
        self._next.settled.append(key)
        if record is not None:
            self._next.records.append(record)

    def done(self, records: Sequence[int]) -> None:
        """These records of the journal say nothing that is not known."""
        self._next.records += records

    def flush(self) -> None:
        """Have what has gathered recorded, unless a transaction is out: then it goes with the next."""
        if self._out is not None or self._closed:
            return
        self.gather()
        if self._next.urgent:
            self._send_off()
        elif self._next and not self._marking:
            self._marking = True
            self._context.timer("mark", MARK_WITHIN_S, MarkDue())

    def mark(self) -> None:
        """What NATS has is recorded now, if nothing came with which it could be."""
        if self._marking and self._out is None and not self._closed:
            self._send_off()

    def _send_off(self) -> None:
        self._marking = False
        self._out, self._next = self._next, Transaction()
        self._commit(self._out)

    def _commit(self, transaction: Transaction) -> None:
        self._context.errand(
            self._record(transaction),
            lambda outcome: Recorded(transaction, Failure.of(outcome)),
            timeout=RECORD_TIMEOUT_S,
        )

    def recorded(self, message: Recorded) -> None:
        """The ledger has answered.

        Raises what is not known to have left the ledger as it was: the channel begins anew, from what is there.
        """
        failure = message.failure
        if self._closed:
            return
        if failure is None:
            self._out = None
            self._retry.succeeded()
            if message.transaction.finals:
                self._committed(message.transaction.finals)
            self.flush()
            return
        if not isinstance(failure.error, StoreUnavailableError):
            raise failure.error
        self._retry.failed(failure.error)

    def due(self) -> None:
        """The pause is over: repeat the transaction."""
        if self._out is not None:
            self._commit(self._out)

    async def _record(self, transaction: Transaction) -> None:
        """On the loop."""
        if self._closed:
            raise UnavailableError("the channel has ended")
        context, changes = self._context, transaction.changes()
        if changes:
            await context.ledger.record(context.channel, changes)
            if transaction.finals:
                self._ended(transaction.finals)
        if transaction.records:
            context.remains.done(transaction.records)
        context.flights.recorded(transaction.settled)
        for launch in transaction.launches:
            launch()

    def _ended(self, finals: Sequence[Outcome]) -> None:
        """The ledger has these."""
        count = self._context.count
        for final in finals:
            count.ends(final.result)
            way.ended(self._context, final.result, final.headers)
            if final.waited_s is not None:
                count.times.queue.took(final.waited_s)
        self._context.ended([final.result.id for final in finals])
