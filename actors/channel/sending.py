"""The part of a channel that sends: takes commands, gives them to the port, settles what comes of them.

It decides nothing by itself: ``outbox`` says who goes, ``gate`` whether anybody may, ``doubt`` finds out what may have
been sent, ``bookkeeping`` has it all recorded, in transactions that an attempt begins with and a result follows from.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Final, assert_never

from actors.channel.attempt import Attempts, Outcomes
from actors.channel.bookkeeping import RecordDue, Recorded
from actors.channel.context import Context
from actors.channel.doubt import Doubts, Finding
from actors.channel.gate import Gate
from actors.channel.intake import Intake
from actors.channel.outbox import Outbox, OutboxPolicy
from actors.channel.parcel import Again, Doubted, Ended, Parcel, Settled
from actors.channel.publishing import Publishing
from actors.channel.taking import FetchEnded, IntakeEnded, Taking
from protocol.codes import ErrorCode
from protocol.events import ErrorBody, ResultEvent
from protocol.interfaces import Failure, Port, SendOutcome
from protocol.ledger import Accepted, Attempt, Ledger, Sender, Setback, Unpublished
from protocol.port import SendAnswered
from protocol.subjects import HEADER_CORRELATION
from supervisor.backoff import Backoff
from supervisor.breaker import Breaker, FailureRate

__all__ = ["Answered", "FetchEnded", "IntakeEnded", "Sending", "SendingPolicy"]

STORE_TIMEOUT_S: Final = 60.0
SECRET_BYTES: Final = 32
LONGEST_WAIT_S: Final = 60.0
"""Dates come nearer by the wall clock, which may be set: it is looked at so often at least."""
DOUBTFUL: Final = "it may have been sent: no answer came, and no receipt"

_BACKOFF: Final = Backoff(base_s=0.2, cap_s=10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingPolicy:
    """``deadline_s``: of a send in the port; ``media_limit``: bytes of outgoing media; ``breaker``: while it is open
    the port is given no command; ``uncertain_wait_s``: for a receipt of what may have been sent."""

    outbox: OutboxPolicy
    breaker: Breaker = field(default_factory=lambda: Breaker(trip=FailureRate(), pause_s=30.0))
    deadline_s: float = 80.0
    media_limit: int = 16 * 1024 * 1024
    uncertain_wait_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Left:
    """What an earlier life of this channel left in the ledger, each oldest first."""

    unfinished: Sequence[Accepted]
    unpublished: Sequence[Unpublished]


@dataclass(frozen=True, slots=True)
class Recovered:
    """What the ledger still owns from before, and the results that it knows of and NATS may not."""

    outcome: Left | Failure


@dataclass(frozen=True, slots=True)
class RecoverDue:
    """Ask the ledger again."""


@dataclass(frozen=True, slots=True)
class Answered:
    """Something came of attempts."""


@dataclass(frozen=True, slots=True)
class OutboxDue:
    """A retry or an expiry may be due."""


class Sending:
    """Belongs to one channel's actor."""

    def __init__(self, context: Context, policy: SendingPolicy, publishing: Publishing) -> None:
        self._context = context
        self._publishing = publishing
        self._books = publishing.books
        self._books.gather = self._gather
        self._outbox = Outbox(policy.outbox)
        self._gate = Gate(policy.breaker, policy.outbox.in_flight)
        self._outcomes = Outcomes(lambda: context.tell(Answered()))
        self._attempts = Attempts(context, self._outcomes, deadline_s=policy.deadline_s, media_limit=policy.media_limit)
        self._doubts = Doubts(context, policy.uncertain_wait_s, self._found)
        self._taking = Taking(context, lambda: self._outbox.room, self._taken)
        self._port: Port | None = None
        self._answered: Sequence[tuple[int, SendAnswered]] = ()
        self._early: dict[tuple[str, int], str] = {}
        self._recovered = False
        self._closing = False
        self._failures = 0
        self._trouble: str | None = None
        self._timer_at: float | None = None

    def __len__(self) -> int:
        return len(self._outbox)

    @property
    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Who deals with which of the messages that this part sends to its actor."""
        own: dict[type, Callable[[Any], None]] = {
            Recovered: self._on_recovered,
            RecoverDue: lambda _: self._recover(),
            Recorded: self._publishing.recorded,
            RecordDue: lambda _: self._books.due(),
            Answered: lambda _: self._on_answered(),
            OutboxDue: lambda _: self._on_due(),
        }
        return own | self._doubts.handlers | self._taking.handlers

    @property
    def flying(self) -> int:
        """Commands with the port, or about to be."""
        return self._outbox.flying

    @property
    def breaker(self) -> Breaker:
        """The circuit breaker around sending."""
        return self._gate.breaker

    @property
    def stuck(self) -> str | None:
        """Why nothing can be recorded, or read, as the last attempt at it says; None if all is well."""
        return self._books.trouble or self._taking.trouble or self._trouble

    @property
    def waiting(self) -> bool:
        """Whether a command could be given to a port now, if there were one; or may have been sent, which only a
        session can tell."""
        now = self._context.now()
        if self._closing or not self._recovered:
            return False
        return self._outbox.doubts > 0 or (self._gate.room(now.mono) > 0 and self._outbox.due(now))

    # -- taking up and taking in --

    def recover(self, answered: Sequence[tuple[int, SendAnswered]]) -> None:
        """Take up what the ledger owns; commands are taken from the queue only after that, so order holds.

        ``answered``: the outcomes of sends that ports left in their journal, with the records' numbers.
        """
        self._answered = answered
        self._recover()

    def _recover(self) -> None:
        work = _left(self._context.ledger, self._context.channel)
        self._context.errand(work, Recovered, timeout=STORE_TIMEOUT_S)

    def _on_recovered(self, message: Recovered) -> None:
        if isinstance(message.outcome, Failure):
            self._failures += 1
            self._trouble = str(message.outcome.error)
            delay = _BACKOFF.delay(self._failures, self._context.random)
            self._context.log.warning("ledger not read", error=self._trouble, retry_in_s=round(delay, 2))
            self._context.timer("recover", delay, RecoverDue())
            return
        self._recovered, self._trouble = True, None
        now = self._context.now()
        self._publishing.recovered(message.outcome.unpublished)
        doubts = dict.fromkeys(self._outbox.add(message.outcome.unfinished, now))
        for number, said in self._answered:
            parcel = self._outbox.away(said.key)
            if parcel is not None:
                doubts.pop(parcel, None)
                self._settle(parcel, SendOutcome(key=said.key, answer=said.answer, record=number))
            else:
                self._books.done([number])
        self._answered = ()
        self._doubts.add(list(doubts))
        early, self._early = self._early, {}
        for (command_id, run), wa_id in early.items():
            self._show(command_id, run, wa_id)
        self._taking.open()
        self.pump()

    def _taken(self, intake: Intake) -> None:
        self._outbox.add(intake.accepted, self._context.now())
        self.pump()

    def close(self) -> None:
        """Take no more commands, begin no more attempts. In any thread."""
        self._closing = True
        self._attempts.closed = True
        self._taking.close()

    def give_back(self, message: FetchEnded) -> None:
        """Have the queue deliver what was fetched too late for us to whoever comes after us. In any thread."""
        self._taking.give_back(message)

    # -- sending --

    def use(self, port: Port | None) -> None:
        """Send through ``port`` from now on; None: not connected."""
        self._port = port
        self._doubts.interrupted()
        self.pump()

    def backlog_in(self) -> None:
        """What waited on WhatsApp's server while we were away is in: a receipt that is still missing is so."""
        self._doubts.backlog_in()

    def pump(self) -> None:
        """Give the port what it may have, end what has expired, take more."""
        self._books.flush()
        self._taking.fetch()

    def _gather(self) -> None:
        """At the last moment before a transaction: who ends, who goes."""
        now = self._context.now()
        for end in self._outbox.sweep(now):
            self._finish(end)
        if self._port is not None and not self._closing:
            batch = self._outbox.take(now, self._gate.room(now.mono))
            if batch:
                self._begin(batch, self._port)
        if len(self._outbox) > self._outbox.flying:
            waits = (self._outbox.wait(now), self._gate.wait(now.mono), LONGEST_WAIT_S)
            self._wake_in(min(wait for wait in waits if wait), now.mono)

    def _begin(self, batch: Sequence[Parcel], port: Port) -> None:
        for parcel in batch:
            parcel.begin(os.urandom(SECRET_BYTES))
        self._gate.let_through(parcel.key for parcel in batch)
        begun = [Attempt(id=parcel.id, run=parcel.run, secret=parcel.secret or b"") for parcel in batch]
        self._books.begin(begun, partial(self._attempts.launch, port, batch))

    def _wake_in(self, seconds: float, now: float) -> None:
        """Be woken once, at the earliest of the times asked for."""
        if self._timer_at is not None and now < self._timer_at <= now + seconds:
            return
        self._timer_at = now + seconds
        self._context.timer("outbox", seconds, OutboxDue())

    def _on_due(self) -> None:
        self._timer_at = None
        self.pump()

    def _on_answered(self) -> None:
        now = self._context.now().mono
        for outcome in self._outcomes.take():
            if self._gate.settle(outcome.key, outcome.answer, now, cut=outcome.cut):
                self._context.log.warning("circuit breaker around sending", **asdict(self.breaker.snapshot(now)))
            parcel = self._outbox.away(outcome.key)
            if parcel is not None:
                self._settle(parcel, outcome)
            elif outcome.record is not None:
                self._books.done([outcome.record])
        self.pump()

    def _settle(self, parcel: Parcel, outcome: SendOutcome) -> None:
        """What came of an attempt."""
        settled = self._outbox.settle(parcel, outcome.answer, self._context.now(), self._context.random)
        if isinstance(settled, Doubted):
            if outcome.record is not None:
                self._books.done([outcome.record])
            self._doubts.add([parcel])
        else:
            self._books.settle(outcome.key, outcome.record)
            self._follow(settled)

    def _follow(self, settled: Settled) -> None:
        match settled:
            case Ended():
                self._finish(settled)
            case Again(parcel=parcel, delay_s=delay, in_doubt=True):
                self._log(parcel).warning("resent in doubt", attempts=parcel.attempts)
            case Again(parcel=parcel, delay_s=delay, spent=spent, error=error):
                code = error.code if error is not None else None
                self._log(parcel).info("send again", error_code=code, retry_in_s=round(delay, 2))
                self._set_back(parcel, spent=spent, uncertain=False, error=error)
            case Doubted():
                pass
            case _:
                assert_never(settled)

    def _set_back(self, parcel: Parcel, *, spent: bool, uncertain: bool, error: ErrorBody | None) -> None:
        self._books.set_back(
            Setback(
                id=parcel.id,
                run=parcel.run,
                spent=spent,
                uncertain=uncertain,
                at=self._context.now().wall,
                wa_id=parcel.wa_id if uncertain else None,
                error=error,
            )
        )

    # -- doubt --

    def _found(self, parcel: Parcel, finding: Finding) -> None:
        """Something was found out of what may have been sent."""
        now, error = self._context.now(), ErrorBody.of(ErrorCode.OUTCOME_UNKNOWN, DOUBTFUL)
        match finding:
            case Finding.ABSENT:
                self._books.settle(parcel.key, None)
                self._follow(self._outbox.unsent(parcel, now))
            case Finding.PRESENT:
                self._books.settle(parcel.key, None)
                self._log(parcel).warning("may have been sent", wa_id=parcel.wa_id)
                self._set_back(parcel, spent=True, uncertain=True, error=error)
            case Finding.SILENT:
                if parcel.wa_id is None:
                    self._books.settle(parcel.key, None)
                    self._set_back(parcel, spent=True, uncertain=True, error=error)
                self._follow(self._outbox.waited(parcel, now, DOUBTFUL))
            case _:
                assert_never(finding)
        self.pump()

    def receipted(self, wa_id: str, kind: str, sender: Sender | None) -> None:
        """The ledger has noted a receipt: it proves what may have been sent."""
        if sender is None or not sender.unsettled:
            return
        if self._recovered:
            self._show(sender.id, sender.run, wa_id)
            self.pump()
        else:
            self._early[sender.id, sender.run] = wa_id

    def _show(self, id: str, run: int, wa_id: str) -> None:
        end = self._outbox.shown(id, run, wa_id, self._context.now())
        if end is not None:
            self._doubts.settled(end.parcel)
            self._log(end.parcel).info("a receipt shows that it was sent", wa_id=wa_id)
            self._finish(end)

    def wrote(self, people: Sequence[str], opted_out: bool | None) -> None:
        """Somebody, known under these JIDs, wrote to us; and wishes to hear no more, or again, if they said so."""
        self._outbox.wrote(people, opted_out, self._context.now())
        self.pump()

    # -- ending --

    def _finish(self, end: Ended) -> None:
        parcel, context = end.parcel, self._context
        command = parcel.command
        result = ResultEvent(
            clinic=context.clinic,
            channel=context.channel,
            id=command.id,
            run=parcel.run,
            status=end.status,
            wa_id=end.wa_id,
            to=command.to,
            attempts=parcel.attempts,
            error=ErrorBody.of(end.code, end.message) if end.code is not None else None,
            queued_at=parcel.accepted.queued_at,
            sent_at=end.sent_at,
            meta=command.meta,
        )
        self._books.finish(result, parcel.headers)
        # What was sent is told by its event; a line for each would cost more than a quarter of the actor's time.
        if end.status != "sent":
            code = end.code.value if end.code else None
            self._log(parcel).info("command ended", status=end.status, error_code=code, attempts=parcel.attempts)

    def _log(self, parcel: Parcel) -> Any:
        return self._context.log.bind(id=parcel.id, correlation_id=parcel.headers.get(HEADER_CORRELATION))


async def _left(ledger: Ledger, channel: str) -> Left:
    return Left(await ledger.unfinished(channel), await ledger.unpublished(channel))
