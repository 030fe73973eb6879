"""What a ledger in memory is made of: commands and their outcomes, people, claims."""

from dataclasses import dataclass, field
from datetime import datetime

from protocol.codec import encode
from protocol.codes import ErrorCode
from protocol.commands import SendCommand
from protocol.events import DeadLetter, ErrorBody, FailedAttempt, ResultEvent
from protocol.inbound import Inbound
from protocol.ledger import RECEIPTS, STRANGER, Accepted, Contact, Paired, Receipt
from protocol.views import CommandState, CommandView

ENDED = frozenset(CommandState) - {CommandState.SCHEDULED, CommandState.WAITING, CommandState.IN_FLIGHT}
PUT_AWAY = (CommandState.FAILED, CommandState.HELD)


@dataclass(slots=True)
class Outcome:
    """How a run ended, recorded ``at``; ``place`` is its place in the order of finishing."""

    result: ResultEvent
    at: datetime
    place: int
    published: bool = False


class Entry:
    """A command as the ledger knows it."""

    def __init__(
        self,
        accepted: Accepted,
        state: CommandState | str = CommandState.WAITING,
        result: ResultEvent | None = None,
        published: bool = False,
        *,
        body: bytes | None = None,
        at: datetime | None = None,
    ) -> None:
        self.accepted = accepted
        self.state = CommandState(state)
        self.body = encode(accepted.command) if body is None else body
        self.seq = self.turn = 0
        self.history: list[FailedAttempt] = []
        self.outcomes: dict[int, Outcome] = {}
        if result is not None:
            self.outcomes[accepted.run] = Outcome(result, at or accepted.queued_at, 0, published)
        self.ended_at: datetime | None = None
        self.deadline: datetime | None = None
        self.delivered_at: datetime | None = None
        self.read_at: datetime | None = None
        self.played_at: datetime | None = None

    @property
    def id(self) -> str:
        return self.accepted.command.id

    @property
    def run(self) -> int:
        return self.accepted.run

    @property
    def final(self) -> bool:
        return self.state in ENDED

    @property
    def result(self) -> ResultEvent | None:
        """Of its last run."""
        return self.outcomes[self.run].result if self.run in self.outcomes else None

    @property
    def published(self) -> bool:
        """Whether NATS has that result."""
        return self.run in self.outcomes and self.outcomes[self.run].published

    def failed(self, error: ErrorBody, at: datetime) -> None:
        """Note that the attempt under way did; the same of one attempt is noted once."""
        attempt = FailedAttempt(run=self.run, number=self.accepted.attempts, at=at, error=error)
        last = self.history[-1] if self.history else None
        if last is None or (last.run, last.number, last.error.code) != (attempt.run, attempt.number, error.code):
            self.history.append(attempt)


@dataclass(slots=True)
class Person:
    """What is known of a person; ``cold``: we wrote first."""

    contact: Contact = STRANGER
    first_out: datetime | None = None
    last_out: datetime | None = None
    cold: bool = False


@dataclass(slots=True)
class Came:
    """A claim; ``what`` is None once NATS has it."""

    seq: int
    at: datetime
    what: Inbound | None


@dataclass(slots=True)
class Channel:
    """What is kept of a channel beside commands."""

    people: dict[str, Person] = field(default_factory=dict)
    claims: dict[str, Came] = field(default_factory=dict)
    traced: int | None = None
    paired: Paired | None = None
    first_sent: datetime | None = None


def due_later(command: SendCommand, now: datetime) -> bool:
    """Whether it is not to be sent yet."""
    return command.not_before is not None and command.not_before > now


def buried(result: ResultEvent) -> bool:
    """Whether a dead letter goes with it."""
    cancelled = result.error is not None and result.error.code == ErrorCode.CANCELLED.value
    return result.status == "failed" and not cancelled


def letter(entry: Entry, outcome: Outcome) -> DeadLetter:
    result = outcome.result
    return DeadLetter(
        clinic=result.clinic,
        channel=result.channel,
        id=result.id,
        run=result.run,
        error=result.error or ErrorBody.of(ErrorCode.INTERNAL, "no error was given"),
        attempts=result.attempts,
        at=outcome.at,
        body=entry.body,
        history=[attempt for attempt in entry.history if attempt.run <= result.run],
        meta=entry.accepted.command.meta,
    )


def note(entry: Entry, receipt: Receipt) -> None:
    """Whoever read it has received it."""
    entry.delivered_at = min(receipt.at, entry.delivered_at or receipt.at)
    if receipt.kind != "delivered":
        entry.read_at = min(receipt.at, entry.read_at or receipt.at)
    if receipt.kind == "played":
        entry.played_at = min(receipt.at, entry.played_at or receipt.at)
    entry.deadline = None


def noted(entry: Entry, run: int) -> frozenset[str]:
    """The kinds of receipts that a run has; all if it is not the present one."""
    marks = (entry.delivered_at, entry.read_at, entry.played_at)
    return frozenset(kind for kind, at in zip(RECEIPTS, marks, strict=True) if at is not None or run != entry.run)


def was_sent(entry: Entry, run: int) -> bool:
    """Whether this is the present run, and sent."""
    return run == entry.run and entry.result is not None and entry.result.status == "sent"


def view(entry: Entry) -> CommandView:
    command, result = entry.accepted.command, entry.result
    return CommandView(
        id=command.id,
        run=entry.run,
        state=entry.state,
        priority=entry.accepted.priority,
        to=command.to,
        type=command.type,
        attempts=entry.accepted.attempts,
        queued_at=entry.accepted.queued_at,
        not_before=command.not_before,
        expires_at=command.expires_at,
        deliver_by=command.deliver_by,
        sent_at=result.sent_at if result else None,
        delivered_at=entry.delivered_at,
        read_at=entry.read_at,
        wa_id=result.wa_id if result else entry.accepted.wa_id,
        error=result.error if result else None,
        meta=command.meta,
    )
