"""What follows from the outcomes of attempts: for the outbox, for the ledger, for pacing.

What may have been sent is handed to ``doubt`` and comes back with what was found out; nothing of it is silent.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, assert_never

from actors.channel.bookkeeping import Bookkeeping
from actors.channel.context import Context
from actors.channel.doubt import Doubts, Finding, Noted
from actors.channel.lateness import LatenessDue
from actors.channel.life import Now
from actors.channel.outbox import Outbox
from actors.channel.pacing import Pacing
from actors.channel.parcel import Again, Doubted, Ended, Parcel, Settled
from protocol.codes import ErrorCode
from protocol.events import ErrorBody, ResultEvent
from protocol.interfaces import SendOutcome
from protocol.ledger import Setback

DOUBTFUL: Final = "it may have been sent: no answer came, and no receipt"


class Settling:
    """Belongs to one channel's actor. ``settled`` is called when something was found out that may let others go."""

    def __init__(
        self,
        context: Context,
        outbox: Outbox,
        books: Bookkeeping,
        pacing: Pacing,
        *,
        wait_s: float,
        settled: Callable[[], None],
    ) -> None:
        self._context = context
        self._outbox = outbox
        self._books = books
        self._pacing = pacing
        self._settled = settled
        self._doubts = Doubts(context, wait_s, self._found)

    @property
    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Who deals with which of the messages that this part sends to its actor."""
        return self._doubts.handlers

    def doubt(self, parcels: Sequence[Parcel], *, whole: bool) -> None:
        """These may have been sent. ``whole``: by a session store that has all that there was."""
        self._doubts.add(parcels, whole=whole)

    @property
    def looking(self) -> bool:
        """Whether the session store is yet to be asked of some of them."""
        return self._doubts.looking

    def linked(self, device: str | None) -> None:
        """What comes into doubt from now on was to be sent in the session of ``device``."""
        self._doubts.device = device

    def backlog_in(self) -> None:
        """A receipt that has not come by now, and does not come soon, is none."""
        self._doubts.backlog_in()

    def interrupted(self) -> None:
        """There is no session, or a new one."""
        self._doubts.interrupted()

    def settle(self, parcel: Parcel, outcome: SendOutcome, now: Now) -> None:
        """What came of an attempt."""
        settled = self._outbox.settle(parcel, outcome.answer, now, self._context.random, cut=outcome.cut)
        if isinstance(settled, Doubted):
            if outcome.record is not None:
                self._books.done([outcome.record])
            self._doubts.add([parcel])
        else:
            self._doubts.settled(parcel)
            self._books.settle(outcome.key, outcome.record)
            self._follow(settled, now)

    def _follow(self, settled: Settled, now: Now) -> None:
        match settled:
            case Ended():
                self.end(settled, now)
            case Again(parcel=parcel, delay_s=delay, in_doubt=True):
                self._log(parcel).warning("resent in doubt", attempts=parcel.attempts)
            case Again(parcel=parcel, delay_s=delay, spent=spent, error=error):
                code = error.code if error is not None else None
                self._log(parcel).info("send again", error_code=code, retry_in_s=round(delay, 2))
                self._pacing.give_back(new=parcel.new_contact)
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

    def _found(self, parcel: Parcel, finding: Finding) -> None:
        """Something was found out of what may have been sent."""
        now, error = self._context.now(), ErrorBody.of(ErrorCode.OUTCOME_UNKNOWN, DOUBTFUL)
        match finding:
            case Finding.ABSENT:
                self._books.settle(parcel.key, None)
                self._follow(self._outbox.absent(parcel, now, self._context.random), now)
            case Finding.PRESENT:
                self._books.settle(parcel.key, None)
                self._log(parcel).warning("may have been sent", wa_id=parcel.wa_id)
                self._set_back(parcel, spent=True, uncertain=True, error=error)
                self._books.follow(partial(self._context.tell, Noted([parcel])))
            case Finding.PROVEN:
                assert parcel.wa_id is not None
                self.show(parcel.id, parcel.run, parcel.wa_id)
            case Finding.SILENT:
                if parcel.wa_id is None:
                    self._books.settle(parcel.key, None)
                    self._set_back(parcel, spent=True, uncertain=True, error=error)
                self._follow(self._outbox.waited(parcel, now, DOUBTFUL), now)
            case _:
                assert_never(finding)
        self._settled()

    def show(self, id: str, run: int, wa_id: str) -> None:
        """A receipt proves that this run was sent as ``wa_id``."""
        now = self._context.now()
        end = self._outbox.shown(id, run, wa_id, now)
        if end is not None:
            self._log(end.parcel).info("a receipt shows that it was sent", wa_id=wa_id)
            self.end(end, now)

    def end(self, end: Ended, now: Now) -> None:
        """Record a final result, which is then published."""
        parcel, context = end.parcel, self._context
        command = parcel.command
        self._doubts.settled(parcel)
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
        if parcel.key:
            self._books.settle(parcel.key, None)
        sent = end.status == "sent"
        self._books.finish(result, parcel.headers, (now.wall - parcel.waits_since).total_seconds() if sent else None)
        if sent:
            self._pacing.sent(now)
            if command.deliver_by is not None:
                self._books.follow(lambda: context.tell(LatenessDue()))
        else:  # what was sent is told by its event; a line for each would cost a quarter of the actor's time
            code = end.code.value if end.code else None
            self._log(parcel).info("command ended", status=end.status, error_code=code, attempts=parcel.attempts)

    def _log(self, parcel: Parcel) -> Any:
        return self._context.log_of(parcel.id, parcel.headers)
