"""The part of a channel that sends: takes commands, gives them to the port, settles what comes of them.

It decides nothing by itself: ``outbox`` says who goes, ``gate`` and ``pacing`` whether anybody may, ``settling`` what
follows from an outcome, ``bookkeeping`` has it all recorded, in transactions that an attempt begins with and a result
follows from.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Final

from actors.channel.attempt import Attempts, Outcomes
from actors.channel.bookkeeping import MarkDue, RecordDue, Recorded
from actors.channel.context import Context
from actors.channel.gate import Gate
from actors.channel.intake import Intake
from actors.channel.lateness import Lateness
from actors.channel.life import Now
from actors.channel.lines import Chat
from actors.channel.orders import Orders, Reply
from actors.channel.outbox import Outbox, OutboxPolicy
from actors.channel.pacing import OFF, Candidate, Counts, Hold, Pacing, PacingPolicy, Stop
from actors.channel.parcel import Disowned, Ended, Parcel
from actors.channel.publishing import Publishing
from actors.channel.recovering import Left, Recovering
from actors.channel.schedules import Schedules
from actors.channel.settling import Settling
from actors.channel.taking import FetchEnded, Taking
from protocol.codes import ErrorCode
from protocol.errors import UnavailableError
from protocol.interfaces import Port, SendOutcome
from protocol.ledger import Accepted, Attempt, Sender
from protocol.port import Failed
from protocol.port_events import SendAnswered
from protocol.views import CommandState
from supervisor.breaker import Breaker, FailureRate

SECRET_BYTES: Final = 32
LONGEST_WAIT_S: Final = 60.0
"""Dates come nearer by the wall clock, which may be set: it is looked at so often at least."""

Judge = Callable[[Candidate, Now], Hold | Stop | None]

_GROUP: Final = "@g.us"


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingPolicy:
    """``deadline_s``: of a send in the port; ``media_limit``: bytes of outgoing media; ``breaker``: while it is open
    the port is given no command; ``uncertain_wait_s``: for a receipt of what may have been sent. Of a channel that
    runs only ``pacing`` and ``media_limit`` can be changed."""

    outbox: OutboxPolicy
    pacing: PacingPolicy = OFF
    breaker: Breaker = field(default_factory=lambda: Breaker(trip=FailureRate(), pause_s=30.0))
    deadline_s: float = 80.0
    media_limit: int = 16 * 1024 * 1024
    uncertain_wait_s: float = 30.0


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
        self._attempts.typing = policy.pacing.typing
        self._pacing = Pacing(policy.pacing, context.now())
        self._settling = Settling(
            context, self._outbox, self._books, self._pacing, wait_s=policy.uncertain_wait_s, settled=self.pump
        )
        self._recovering = Recovering(context, lambda: self._pacing.day(context.now()), self._on_recovered)
        self._taking = Taking(context, lambda: self._outbox.room, self._taken)
        self._schedules = Schedules(context, lambda: self._outbox.room, self._send)
        self._lateness = Lateness(context)
        self._orders = Orders(context, self._outbox, self._schedules, send=self._send, end=self._end_by_order)
        self._port: Port | None = None
        self._answered: Sequence[tuple[int, SendAnswered]] = ()
        self._whole = True
        self._early: dict[tuple[str, int], str] = {}
        self._closing = False
        self._timer_at: float | None = None

    def __len__(self) -> int:
        return len(self._outbox)

    @property
    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Who deals with which of the messages that this part sends to its actor."""
        own: dict[type, Callable[[Any], None]] = {
            Recorded: self._publishing.recorded,
            RecordDue: lambda _: self._books.due(),
            MarkDue: lambda _: self._books.mark(),
            Answered: lambda _: self._on_answered(),
            OutboxDue: lambda _: self._on_due(),
        }
        for part in (
            self._recovering,
            self._taking,
            self._schedules,
            self._settling,
            self._lateness,
            self._orders,
        ):
            own |= part.handlers
        return own

    @property
    def flying(self) -> int:
        """Commands with the port, or about to be."""
        return self._outbox.flying

    @property
    def waits_since(self) -> datetime | None:
        """Since when the oldest command waits that could be sent by now; None: none does."""
        return self._outbox.waits_since or self._taking.waits_since

    @property
    def closed(self) -> bool:
        """Whether it takes and begins nothing any more."""
        return self._closing

    @property
    def recovered(self) -> bool:
        """Whether all was taken up, and the session store was asked for what may have been sent."""
        return self._recovering.done and not self._settling.looking

    @property
    def breaker(self) -> Breaker:
        """The circuit breaker around sending."""
        return self._gate.breaker

    @property
    def stuck(self) -> str | None:
        """Why nothing can be recorded, or read, as the last attempt at it says; None if all is well."""
        return self._books.trouble or self._taking.trouble or self._schedules.trouble or self._recovering.trouble

    @property
    def conditions(self) -> Counts:
        """What pacing has counted, and until when it holds new contacts because WhatsApp restricts this number."""
        return self._pacing.counts(self._context.now())

    @property
    def waiting(self) -> bool:
        """Whether a command could be given to a port now, if there were one; or may have been sent, which only a
        session can tell."""
        now = self._context.now()
        if self._closing or not self._recovering.done:
            return False
        if self._outbox.doubts > 0:
            return True
        waiting = self._gate.room(now.mono) > 0 and self._outbox.due(
            now, partial(self._pace, now, self._pacing.refusal)
        )
        self._wake_later(now)
        return waiting

    # -- taking up and taking in --

    def recover(self, answered: Sequence[tuple[int, SendAnswered]], *, whole: bool = True) -> None:
        """Take up what the ledger owns; commands are taken from the queue only after that, so order holds.

        ``answered``: the outcomes of sends that ports left in their journal, with the records' numbers. Not ``whole``:
        the session store is older than what was sent in it.
        """
        self._answered, self._whole = answered, whole
        self._recovering.begin()

    def _on_recovered(self, left: Left) -> None:
        now = self._context.now()
        self._pacing.restore(left.sendings, now)
        self._publishing.recovered(left.unpublished)
        doubts = dict.fromkeys(self._outbox.add(left.unfinished, now))
        for number, said in self._answered:
            parcel = self._outbox.away(said.key)
            if parcel is not None:
                doubts.pop(parcel, None)
                self._settling.settle(parcel, SendOutcome(key=said.key, answer=said.answer, record=number), now)
            else:
                self._books.done([number])
        self._answered = ()
        self._settling.doubt(list(doubts), whole=self._whole)
        early, self._early = self._early, {}
        for (command_id, run), wa_id in early.items():
            self._settling.show(command_id, run, wa_id)
        self._schedules.add(left.scheduled)
        if not self._closing:
            self._taking.open()
            self._schedules.open()
            self._lateness.open()
        self.pump()

    def _taken(self, intake: Intake) -> None:
        self._schedules.add(intake.scheduled)
        self._send(intake.accepted)

    def _send(self, commands: Sequence[Accepted]) -> None:
        self._outbox.add(commands, self._context.now())
        self.pump()

    def close(self) -> None:
        """Take no more commands, begin no more attempts. In any thread."""
        self._closing = True
        self._attempts.closed = True
        self._taking.close()
        self._schedules.close()
        self._lateness.close()

    def give_back(self, message: FetchEnded) -> None:
        """Have the queue deliver what was fetched too late for us to whoever comes after us. In any thread."""
        self._taking.give_back(message)

    # -- sending --

    def linked(self, device: str | None) -> None:
        """What is given to a port from now on, and what may have been sent before, is of the session of ``device``."""
        self._settling.linked(device)

    def use(self, port: Port | None) -> None:
        """Send through ``port`` from now on; None: not connected."""
        if port is None or self._port not in (None, port):
            self._settling.interrupted()
        self._port = port
        self.pump()

    def backlog_in(self) -> None:
        """What waited on WhatsApp's server while we were away is in: a receipt that is still missing is so. May come
        before the port of this session is known."""
        self._settling.backlog_in()

    def pump(self) -> None:
        """Give the port what it may have, end what has expired, take more."""
        self._books.flush()
        self._taking.fetch()
        self._schedules.listen()

    def _gather(self) -> None:
        """At the last moment before a transaction: who ends, who goes."""
        now = self._context.now()
        for end in self._outbox.sweep(now):
            self._settling.end(end, now)
        if self._port is not None and not self._closing:
            batch = self._outbox.take(now, self._gate.room(now.mono), partial(self._pace, now, self._pacing.admit))
            if batch:
                self._begin(batch, self._port)
        self._wake_later(now)

    def _pace(self, now: Now, judge: Judge, parcel: Parcel, chat: Chat) -> Hold | Stop | None:
        parcel.new_contact = not chat.known and not parcel.chat.endswith(_GROUP)
        return judge(Candidate(parcel.priority, parcel.new_contact, now.mono < chat.favoured_until), now)

    def _begin(self, batch: Sequence[Parcel], port: Port) -> None:
        for parcel in batch:
            parcel.begin(os.urandom(SECRET_BYTES))
        self._gate.let_through(parcel.key for parcel in batch)
        begun = [Attempt(id=parcel.id, run=parcel.run, secret=parcel.secret or b"") for parcel in batch]
        self._books.begin(begun, partial(self._attempts.launch, port, batch))

    def _wake_later(self, now: Now) -> None:
        """Be woken when something is due that is not yet; once, at the earliest of the times asked for."""
        if len(self._outbox) == self._outbox.flying:
            return
        waits = (self._outbox.wait(now), self._gate.wait(now.mono), LONGEST_WAIT_S)
        seconds = min(wait for wait in waits if wait)
        if self._timer_at is not None and now.mono < self._timer_at <= now.mono + seconds:
            return
        self._timer_at = now.mono + seconds
        self._context.timer("outbox", seconds, OutboxDue())

    def _on_due(self) -> None:
        self._timer_at = None
        self.pump()

    def _on_answered(self) -> None:
        now = self._context.now()
        for outcome in self._outcomes.take():
            if self._gate.settle(outcome.key, outcome.answer, now.mono, cut=outcome.cut):
                self._tell_of_breaker(now)
            parcel = self._outbox.away(outcome.key)
            if parcel is not None:
                self._heed(outcome, now)
                self._settling.settle(parcel, outcome, now)
            elif outcome.record is not None:
                self._books.done([outcome.record])
        self.pump()

    def _tell_of_breaker(self, now: Now) -> None:
        shown = self.breaker.snapshot(now.mono)
        self._context.log.warning(
            "circuit breaker around sending",
            state=shown.state,
            failures=shown.failures,
            failure_rate=shown.failure_rate,
            calls=shown.calls,
            opened=shown.opened,
            retry_in_s=shown.retry_in_s,
        )

    def _heed(self, outcome: SendOutcome, now: Now) -> None:
        answer = outcome.answer
        if isinstance(answer, Failed) and answer.code == ErrorCode.RESTRICTED.value:
            self._pacing.restrict(now)
            until = self._pacing.counts(now).restricted_until
            self._context.log.warning("WhatsApp restricts this number: new contacts wait", until=until)

    # -- what comes in --

    def receipted(self, wa_id: str, kind: str, sender: Sender | None) -> None:
        """The ledger has noted a receipt: it proves what may have been sent."""
        if sender is None or not sender.unsettled:
            return
        if self._recovering.done:
            self._settling.show(sender.id, sender.run, wa_id)
            self.pump()
        else:
            self._early[sender.id, sender.run] = wa_id

    def disown(self, what: Disowned) -> None:
        """That is not to be sent by this channel any more."""
        now = self._context.now()
        for end in self._outbox.disown(what, now):
            self._settling.end(end, now)
        self.pump()

    def wrote(self, people: Sequence[str], opted_out: bool | None) -> None:
        """Somebody, known under these JIDs, wrote to us; and wishes to hear no more, or again, if they said so."""
        self._outbox.wrote(people, opted_out, self._context.now())
        self.pump()

    def consented(self, people: Iterable[str], opted_out: bool) -> None:
        """Somebody, known under these JIDs, wishes to hear no more, or again, and did not write that to us."""
        self._outbox.consented(people, opted_out)
        self.pump()

    # -- what people ask for --

    def cancel(self, id: str, reply: Reply) -> None:
        """End a command that waits or is scheduled; answered, as the others, with its view once that is recorded."""
        self._once_recovered(partial(self._orders.cancel, id), reply)

    def release(self, id: str, reply: Reply) -> None:
        """Send a held command in a new run."""
        self._once_recovered(partial(self._orders.again, id, CommandState.HELD), reply)

    def replay(self, id: str, reply: Reply) -> None:
        """Send a failed command in a new run."""
        self._once_recovered(partial(self._orders.again, id, CommandState.FAILED), reply)

    def discard(self, id: str, reply: Reply) -> None:
        """Put a failed or held command away."""
        self._once_recovered(partial(self._orders.discard, id), reply)

    def _once_recovered(self, order: Callable[[Reply], None], reply: Reply) -> None:
        """What the ledger has must be here as well before anything is done about it."""
        if self._recovering.done:
            order(reply)
        else:
            reply(UnavailableError("the channel is still reading its ledger; try again later"))

    def _end_by_order(self, end: Ended, recorded: Callable[[], None]) -> None:
        self._settling.end(end, self._context.now())
        self._books.follow(recorded)
        self.pump()

    def configure(self, policy: SendingPolicy) -> None:
        """Go by this from now on: its pacing, and the limit of media. All else is as it was at the channel's start."""
        self._attempts.media_limit = policy.media_limit
        if policy.pacing != self._pacing.policy:
            self._pacing.configure(policy.pacing)
            self._attempts.typing = policy.pacing.typing
            self._outbox.reconsider(self._context.now())
            self.pump()
