"""The part of a channel that sends: takes commands from the queue, gives them to the port, settles the answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, assert_never

from actors.channel.attempt import attempt, mark
from actors.channel.context import Context
from actors.channel.gate import CutOff, Gate
from actors.channel.intake import Intake, take_in
from actors.channel.outbox import Again, Ended, Outbox, OutboxPolicy
from actors.channel.publishing import Publishing
from protocol.bus import Fetched
from protocol.codec import encode
from protocol.codes import ErrorCode
from protocol.errors import StoreUnavailableError
from protocol.events import DeadLetter, ErrorBody, ResultEvent
from protocol.interfaces import Failure, Port
from protocol.ledger import Accepted, Ledger
from protocol.port import Failed, Sent
from protocol.subjects import HEADER_CORRELATION
from supervisor.backoff import Backoff
from supervisor.breaker import Breaker, FailureRate

FETCH_TIMEOUT_S: Final = 300.0
STORE_TIMEOUT_S: Final = 30.0
INTAKE_TIMEOUT_S: Final = 300.0
"""Far beyond what the store and the bus allow themselves: what the ledger accepted must not be lost to a time-out."""
EXPIRY_CHECK_S: Final = 1.0

_BACKOFF: Final = Backoff(base_s=0.2, cap_s=10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingPolicy:
    """``deadline_s``: of a send call into the port; ``media_limit``: bytes of outgoing media; ``breaker``: while it is
    open the port is given no command."""

    outbox: OutboxPolicy
    breaker: Breaker = field(default_factory=lambda: Breaker(trip=FailureRate(), pause_s=30.0))
    deadline_s: float = 80.0
    media_limit: int = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Left:
    """What an earlier life of this channel left in the ledger, each oldest first."""

    unfinished: Sequence[Accepted]
    unpublished: Sequence[tuple[ResultEvent, Mapping[str, str]]]


@dataclass(frozen=True, slots=True)
class Recovered:
    """What the ledger still owns from before, and the results that it knows of and NATS may not."""

    outcome: Left | Failure


@dataclass(frozen=True, slots=True)
class FetchEnded:
    """Commands from the queue."""

    outcome: Sequence[Fetched] | Failure


@dataclass(frozen=True, slots=True)
class IntakeEnded:
    """What became of them."""

    outcome: Intake | Failure


@dataclass(frozen=True, slots=True)
class Marked:
    """The ledger knows that ``batch`` is about to be sent through ``port``."""

    batch: list[Accepted]
    port: Port
    outcome: Failure | None


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of an attempt."""

    id: str
    outcome: Sent | Failed | CutOff | Failure


@dataclass(frozen=True, slots=True)
class RetryMarked:
    """The ledger knows that an attempt sent nothing."""

    outcome: Failure | None


@dataclass(frozen=True, slots=True)
class FetchDue:
    """Try the queue (or the ledger) again."""


@dataclass(frozen=True, slots=True)
class OutboxDue:
    """A retry or an expiry may be due."""


class Sending:
    """Belongs to one channel's actor."""

    def __init__(self, context: Context, policy: SendingPolicy, publishing: Publishing) -> None:
        self._context = context
        self._policy = policy
        self._publishing = publishing
        self._outbox = Outbox(policy.outbox)
        self._gate = Gate(policy.breaker, policy.outbox.in_flight)
        self._port: Port | None = None
        self._cancel_fetch: Callable[[], None] | None = None
        self._fetched: Sequence[Fetched] = ()
        self._recovered = False
        self._closing = False
        self._failures = 0

    def __len__(self) -> int:
        return len(self._outbox)

    @property
    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Who deals with which of the messages that this part sends to its actor."""
        return {
            Recovered: self.on_recovered,
            FetchEnded: self.on_fetched,
            IntakeEnded: self.on_intake,
            FetchDue: lambda _: self.on_fetch_due(),
            Marked: self.on_marked,
            Answered: self.on_answered,
            RetryMarked: self.on_retry_marked,
            OutboxDue: lambda _: self.pump(),
        }

    @property
    def flying(self) -> int:
        """Commands with the port."""
        return self._outbox.flying

    @property
    def breaker(self) -> Breaker:
        """The circuit breaker around sending."""
        return self._gate.breaker

    @property
    def waiting(self) -> bool:
        """Whether a command could be given to a port now, if there were one."""
        now = self._context.now().mono
        return not self._closing and self._gate.room(now) > 0 and self._outbox.due(now)

    # -- taking in --

    def recover(self) -> None:
        """Take up what the ledger owns; commands are taken from the queue only after that, so order holds."""
        work = _left(self._context.ledger, self._context.channel)
        self._context.errand(work, Recovered, timeout=STORE_TIMEOUT_S)

    def on_recovered(self, message: Recovered) -> None:
        """The ledger has answered."""
        if isinstance(message.outcome, Failure):
            self._later(message.outcome)
            return
        self._recovered = True
        self._failures = 0
        for result, headers in message.outcome.unpublished:
            self._publishing.result(result, headers)
        self._outbox.add(message.outcome.unfinished)
        self._end(self._outbox.hold_uncertain())
        self._fetch()
        self.pump()

    def _fetch(self) -> None:
        room = self._outbox.room
        if self._cancel_fetch is not None or self._closing or not self._recovered or room == 0:
            return
        work = self._context.bus.fetch(self._context.channel, room)
        self._cancel_fetch = self._context.errand(work, FetchEnded, timeout=FETCH_TIMEOUT_S)

    def on_fetched(self, message: FetchEnded) -> None:
        """The queue gave something, or nothing for long."""
        match message.outcome:
            case Failure(error=TimeoutError()):
                self._cancel_fetch = None
                self._fetch()
            case Failure():
                self._later(message.outcome)
            case fetched:
                self._take_in(fetched)

    def _take_in(self, fetched: Sequence[Fetched]) -> None:
        context = self._context
        self._fetched = fetched
        work = take_in(context.bus, context.ledger, context.clinic, context.channel, fetched)
        context.errand(work, IntakeEnded, timeout=INTAKE_TIMEOUT_S)

    def on_intake(self, message: IntakeEnded) -> None:
        """The ledger has them. What it could not take is offered to it again before anything newer, so order holds.

        Raises what is not known to have left the ledger as it was: the channel begins anew and takes up what is there.
        """
        match message.outcome:
            case Failure(error=StoreUnavailableError()):
                self._later(message.outcome)
                return
            case Failure(error=error):
                raise error
            case intake:
                self._fetched = ()
        if intake.refused:
            self._context.log.warning("commands refused", count=intake.refused)
        self._outbox.add(intake.accepted)
        if intake.error is not None:
            self._later(Failure(intake.error))
        else:
            self._failures = 0
            self._cancel_fetch = None
            self._fetch()
        self.pump()

    def _later(self, failure: Failure) -> None:
        if self._closing:
            return
        self._failures += 1
        delay = _BACKOFF.delay(self._failures, self._context.random)
        self._context.log.warning("commands not taken in", error=str(failure.error), retry_in_s=round(delay, 2))
        self._context.timer("fetch", delay, FetchDue())

    def on_fetch_due(self) -> None:
        """The pause after a failure is over."""
        if self._fetched:
            self._take_in(self._fetched)
            return
        self._cancel_fetch = None
        if self._recovered:
            self._fetch()
        else:
            self.recover()

    def close(self) -> None:
        """Take no more commands."""
        self._closing = True
        if self._cancel_fetch is not None:
            self._cancel_fetch()

    def give_back(self, message: FetchEnded) -> None:
        """Have the queue deliver what was fetched too late for us to whoever comes after us. In any thread."""
        if not isinstance(message.outcome, Failure):
            self._context.loop.spawn(_nak(message.outcome), _ignore, timeout=STORE_TIMEOUT_S)

    # -- sending --

    def use(self, port: Port | None) -> None:
        """Send through ``port`` from now on; None: not connected."""
        self._port = port
        self.pump()

    def pump(self) -> None:
        """Give the port what it may have, and end what has expired."""
        context, now = self._context, self._context.now()
        self._end(self._outbox.expire(now.wall))
        if self._port is not None and not self._closing:
            batch = self._outbox.take(now.mono, self._gate.room(now.mono))
            if batch:
                port = self._port
                self._gate.let_through(accepted.command.id for accepted in batch)
                context.errand(
                    mark(context.ledger, context.channel, batch),
                    lambda outcome: Marked(batch, port, outcome),
                    timeout=STORE_TIMEOUT_S,
                )
        if len(self._outbox) > self._outbox.flying:
            waits = (self._outbox.wait(now.mono), self._gate.wait(now.mono), EXPIRY_CHECK_S)
            context.timer("outbox", min(wait for wait in waits if wait), OutboxDue())

    def on_marked(self, message: Marked) -> None:
        """The attempts may begin."""
        context, policy = self._context, self._policy
        for accepted in message.batch:
            command_id = accepted.command.id
            if isinstance(message.outcome, Failure):
                failed = Failed(code=ErrorCode.STORE_FAILED.value, message=str(message.outcome.error))
                self.on_answered(Answered(command_id, failed))
                continue
            context.errand(
                attempt(context, message.port, accepted, deadline=policy.deadline_s, media_limit=policy.media_limit),
                _answered(command_id),
                timeout=policy.deadline_s + STORE_TIMEOUT_S,
            )

    def on_answered(self, message: Answered) -> None:
        """An attempt is over."""
        answer = message.outcome
        if isinstance(answer, Failure):
            self._context.log.error("attempt failed in an unknown way", id=message.id, error=repr(answer.error))
            answer = Failed(code=ErrorCode.INTERNAL.value, message=type(answer.error).__name__)
        now = self._context.now().mono
        if self._gate.settle(message.id, answer, now):
            self._context.log.warning("circuit breaker around sending", **asdict(self.breaker.snapshot(now)))
        if isinstance(answer, CutOff):
            answer = answer.failed
        settled = self._outbox.settle(message.id, answer, now, self._context.random)
        match settled:
            case None:
                pass
            case Ended():
                self._end([settled])
            case Again(accepted=accepted, delay_s=delay, nothing_sent=nothing_sent):
                self._log(accepted).info("send again", error_code=_code_of(answer), retry_in_s=round(delay, 2))
                if nothing_sent:
                    work = self._context.ledger.retry(self._context.channel, message.id)
                    self._context.errand(work, RetryMarked, timeout=STORE_TIMEOUT_S)
            case _:
                assert_never(settled)
        self.pump()
        self._fetch()

    def on_retry_marked(self, message: RetryMarked) -> None:
        """Only a failure matters: the command would count as uncertain after a crash, which is safe."""
        if isinstance(message.outcome, Failure):
            self._context.log.warning("retry not recorded", error=str(message.outcome.error))

    def _end(self, ended: Sequence[Ended]) -> None:
        for end in ended:
            self._finish(end)

    def _finish(self, end: Ended) -> None:
        command, context = end.accepted.command, self._context
        error = ErrorBody.of(end.code, end.message) if end.code is not None else None
        result = ResultEvent(
            clinic=context.clinic,
            channel=context.channel,
            id=command.id,
            run=end.accepted.run,
            status=end.status,
            wa_id=end.wa_id,
            to=command.to,
            attempts=end.attempts,
            error=error,
            queued_at=end.accepted.queued_at,
            sent_at=end.sent_at,
            meta=command.meta,
        )
        if end.status == "failed" and error is not None:
            self._bury(end, error)
        self._publishing.result(result, end.accepted.headers)
        code = end.code.value if end.code else None
        # What was sent is told by its event; a line for each would cost more than a quarter of the actor's time.
        if end.status != "sent":
            self._log(end.accepted).info("command ended", status=end.status, error_code=code, attempts=end.attempts)

    def _bury(self, end: Ended, error: ErrorBody) -> None:
        accepted, context = end.accepted, self._context
        letter = DeadLetter(
            clinic=context.clinic,
            channel=context.channel,
            id=accepted.command.id,
            run=accepted.run,
            error=error,
            attempts=end.attempts,
            at=context.now().wall,
            body=encode(accepted.command),
        )
        parts = (accepted.command.id, str(accepted.run))
        self._publishing.event(None, letter, *parts, headers=accepted.headers)

    def _log(self, accepted: Accepted) -> Any:
        correlation = accepted.headers.get(HEADER_CORRELATION)
        return self._context.log.bind(id=accepted.command.id, correlation_id=correlation)


async def _nak(fetched: Sequence[Fetched]) -> None:
    for each in fetched:
        await each.nak()


def _ignore(_outcome: object) -> None:
    """If it could not be given back it comes again by itself, only later."""


async def _left(ledger: Ledger, channel: str) -> Left:
    return Left(await ledger.unfinished(channel), await ledger.unpublished(channel))


def _answered(id: str) -> Callable[[Sent | Failed | CutOff | Failure], Answered]:
    return lambda outcome: Answered(id, outcome)


def _code_of(answer: Sent | Failed) -> str | None:
    """The error code of an answer, for a log."""
    return answer.code if isinstance(answer, Failed) else None
