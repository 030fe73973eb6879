"""Commands that were sent and not delivered by their ``deliver_by``: a second result says so, once.

One timer waits for the earliest of these times that the ledger knows. A receipt that comes before it is noted by the
ledger, which then has nothing to say.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from actors.channel.context import Context
from actors.channel.fitting import publish_fitting
from actors.channel.retry import Retry
from protocol.bus import Publication
from protocol.events import message_id
from protocol.interfaces import Failure
from protocol.ledger import Unpublished
from protocol.subjects import EventKind
from supervisor.backoff import Backoff

LATENESS_TIMEOUT_S: Final = 60.0
LONGEST_WAIT_S: Final = 60.0
"""The wall clock may be set: it is looked at so often at least."""

_BACKOFF: Final = Backoff(base_s=0.5, cap_s=30.0)


@dataclass(frozen=True, slots=True)
class Told:
    """What was late is told; the next one's time, None if none is waited for."""

    outcome: datetime | Failure | None


@dataclass(frozen=True, slots=True)
class LatenessDue:
    """Something may be late, or a time to wait for is new."""


class Lateness:
    """Belongs to one channel's actor."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._looking = False
        self._again = False
        self._open = False
        self._retry = Retry(context, "lateness not told yet", "lateness", LatenessDue(), backoff=_BACKOFF)

    @property
    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Who deals with which of the messages that this part sends to its actor."""
        return {Told: self._on_told, LatenessDue: lambda _: self.look()}

    def open(self) -> None:
        """Watch from now on."""
        self._open = True
        self.look()

    def close(self) -> None:
        """Watch no more. In any thread."""
        self._open = False

    def look(self) -> None:
        """See what is late, and for what to wait next."""
        if self._looking:
            self._again = True
        elif self._open:
            self._looking = True
            self._context.errand(self._tell(), Told, timeout=LATENESS_TIMEOUT_S)

    async def _tell(self) -> datetime | None:
        """On the loop. May be repeated: what was published is looked up."""
        context, channel = self._context, self._context.channel
        late = await context.ledger.overdue(channel, context.now().wall)
        if late:
            await publish_fitting(context, [self._publication(each) for each in late])
            await context.ledger.lateness(channel, [(each.result.id, each.result.run) for each in late])
            context.count.ended["late"] += len(late)
            for each in late:
                context.log_of(each.result.id, each.headers).info("not delivered in time")
        return await context.ledger.next_deadline(channel)

    def _publication(self, late: Unpublished) -> Publication:
        result, channel = late.result, self._context.channel
        return Publication(
            channel=channel,
            kind=EventKind.RESULT,
            event=result,
            message_id=message_id(channel, EventKind.RESULT, result.id, str(result.run), result.status),
            headers=late.headers,
            since=late.at,
        )

    def _on_told(self, message: Told) -> None:
        self._looking = False
        again, self._again = self._again, False
        match message.outcome:
            case Failure(error=error):
                self._retry.failed(error)
                return
            case None:
                pass
            case at:
                wait = (at - self._context.now().wall).total_seconds()
                self._context.timer("lateness", min(LONGEST_WAIT_S, max(0.0, wait)), LatenessDue())
        self._retry.succeeded()
        if again:
            self.look()
