"""The part of sending that takes commands: from the queue, through the ledger, into the outbox.

One fetch is out at a time, and what it brought is taken in before the next: so order holds. What the ledger could not
take is offered to it again before anything newer. What was fetched goes on to the ledger on the loop: to pass it by the
actor, which has nothing to decide there, would wake a thread and the loop once more for a command that comes alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from actors.channel.context import Context
from actors.channel.intake import Intake, take_in
from actors.channel.retry import Retry
from protocol.bus import Fetched
from protocol.errors import StoreFullError, StoreUnavailableError
from protocol.interfaces import Failure

FETCH_TIMEOUT_S: Final = 300.0
INTAKE_TIMEOUT_S: Final = 300.0
"""Far beyond what the store and the bus allow themselves: what the ledger accepted must not be lost to a time-out."""
GIVE_BACK_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class FetchEnded:
    """Commands from the queue."""

    outcome: Sequence[Fetched] | Failure


@dataclass(frozen=True, slots=True)
class IntakeEnded:
    """What became of those that were ``fetched``."""

    outcome: Intake | Failure
    fetched: Sequence[Fetched]


@dataclass(frozen=True, slots=True)
class FetchDue:
    """Try again."""


class Taking:
    """Belongs to one channel's actor. ``room``: how many commands may be taken now; ``taken`` gets each intake."""

    def __init__(self, context: Context, room: Callable[[], int], taken: Callable[[Intake], None]) -> None:
        self._context = context
        self._room = room
        self._taken = taken
        self._cancel: Callable[[], None] | None = None
        self._fetched: Sequence[Fetched] = ()
        self._open = False
        self._retry = Retry(context, "commands not taken in", "fetch", FetchDue())
        self.trouble: str | None = None
        """Why the ledger could not take the last commands; not that it has no room for more, as then it works, and
        the session with it: commands wait in the queue."""

    @property
    def waits_since(self) -> datetime | None:
        """Since when what the ledger could not take waits."""
        return min((fetched.queued_at for fetched in self._fetched), default=None)

    @property
    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Who deals with which of the messages that this part sends to its actor."""
        return {FetchEnded: self._on_fetched, IntakeEnded: self._on_intake, FetchDue: lambda _: self._on_due()}

    def open(self) -> None:
        """Take commands from now on."""
        self._open = True
        self.fetch()

    def close(self) -> None:
        """Take no more. In any thread."""
        self._open = False
        if self._cancel is not None:
            self._cancel()

    def fetch(self) -> None:
        """Ask the queue, if there is room and it is not being asked."""
        if self._cancel is not None or not self._open or (room := self._room()) == 0:
            return
        work = self._context.bus.fetch(self._context.channel, room)
        self._cancel = self._context.loop.spawn(work, self._arrived, timeout=FETCH_TIMEOUT_S)

    def _arrived(self, outcome: Sequence[Fetched] | Failure) -> None:
        """On the loop. Once this is closed only the actor, if it still lives, has a word in it."""
        if isinstance(outcome, Failure) or not self._open:
            self._context.tell(FetchEnded(outcome))
        else:
            self._take_in(outcome)

    def _on_fetched(self, message: FetchEnded) -> None:
        match message.outcome:
            case Failure(error=TimeoutError()):
                self._cancel = None
                self.fetch()
            case Failure(error=error):
                self._later(error)
            case fetched:
                self._take_in(fetched)

    def _take_in(self, fetched: Sequence[Fetched]) -> None:
        work = take_in(self._context, fetched, lambda: self._open)
        self._context.errand(work, lambda outcome: IntakeEnded(outcome, fetched), timeout=INTAKE_TIMEOUT_S)

    def _on_intake(self, message: IntakeEnded) -> None:
        """Raises what is not known to have left the ledger as it was: the channel begins anew and takes up what is
        there."""
        match message.outcome:
            case Failure(error=StoreUnavailableError() as error):
                self.trouble = None if isinstance(error, StoreFullError) else str(error)
                self._fetched = message.fetched
                self._later(error)
                return
            case Failure(error=error):
                raise error
            case intake:
                self._fetched = ()
                self.trouble = None
        if intake.error is not None:
            self._later(intake.error)
        else:
            self._retry.succeeded()
            self._cancel = None
        self._taken(intake)
        self.fetch()

    def _later(self, error: BaseException) -> None:
        if self._open:
            self._retry.failed(error)

    def _on_due(self) -> None:
        if self._fetched:
            self._take_in(self._fetched)
            return
        self._cancel = None
        self.fetch()

    def give_back(self, message: FetchEnded) -> None:
        """Have the queue deliver what was fetched too late for us to whoever comes after us. In any thread."""
        if not isinstance(message.outcome, Failure):
            work = self._context.bus.settle(message.outcome, taken=False)
            self._context.loop.spawn(work, _ignore, timeout=GIVE_BACK_TIMEOUT_S)


def _ignore(_outcome: object) -> None:
    """If it could not be given back it comes again by itself, only later."""
