"""What the parts of a channel do when something failed: count, say so in the log, pause for ever longer, try again."""

from typing import Final

from actors.channel.context import Context
from protocol.errors import PlantaoError
from supervisor.backoff import Backoff

BACKOFF: Final = Backoff(base_s=0.2, cap_s=10.0)
"""Of what goes to the ledger and to NATS, unless a part says otherwise."""


def reason(error: BaseException, silent: str) -> tuple[bool, str]:
    """Whether somebody raised it on purpose, and what it says for people: ``silent`` if nothing, as a time-out."""
    known = isinstance(error, PlantaoError | TimeoutError)
    return known, (str(error) or silent) if known else repr(error)


class Failures:
    """Failures in a row of one thing; for who sets its own timers. Belongs to one channel's actor.

    ``what`` is the line in the log; ``silent``: what is said of a time-out, which has no words itself. An error that
    nobody raises on purpose is logged as such, by its ``repr``.
    """

    def __init__(
        self, context: Context, what: str, *, backoff: Backoff = BACKOFF, silent: str = "no answer in time"
    ) -> None:
        self._context = context
        self._what = what
        self._backoff = backoff
        self._silent = silent
        self.in_a_row = 0
        """How many there have been since the last success."""
        self.trouble: str | None = None
        """Why the last attempt failed; None if it did not."""

    @property
    def failing(self) -> bool:
        """Whether the last attempt failed."""
        return self.in_a_row > 0

    def count(self, error: BaseException) -> float:
        """Count and log this failure; seconds until it is to be tried again."""
        self.in_a_row += 1
        delay = self._backoff.delay(self.in_a_row, self._context.random)
        known, self.trouble = reason(error, self._silent)
        tell = self._context.log.warning if known else self._context.log.error
        tell(self._what, error=self.trouble, retry_in_s=round(delay, 2))
        return delay

    def succeeded(self) -> None:
        """It is well: the next failure is the first again."""
        self.in_a_row = 0
        self.trouble = None


class Retry(Failures):
    """Failures after each of which ``due`` comes to the actor when the pause is over, by its timer ``timer``."""

    def __init__(
        self,
        context: Context,
        what: str,
        timer: str,
        due: object,
        *,
        backoff: Backoff = BACKOFF,
        silent: str = "no answer in time",
    ) -> None:
        super().__init__(context, what, backoff=backoff, silent=silent)
        self._timer = timer
        self._due = due

    def failed(self, error: BaseException) -> None:
        """Count and log this failure, and have ``due`` come after the pause. In the actor's thread."""
        self._context.timer(self._timer, self.count(error), self._due)
