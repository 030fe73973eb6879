"""What an earlier life of a channel left in its ledger, read once before anything is taken from the queue."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from actors.channel.context import Context
from actors.channel.retry import Retry
from protocol.bus import Later
from protocol.interfaces import Failure
from protocol.ledger import Accepted, Sendings, Unpublished

STORE_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Left:
    """What there is, each oldest first; ``sendings``: what counts against the present allowance."""

    unfinished: Sequence[Accepted]
    unpublished: Sequence[Unpublished]
    scheduled: Sequence[Later]
    sendings: Sendings


@dataclass(frozen=True, slots=True)
class Recovered:
    """The ledger has answered."""

    outcome: Left | Failure


@dataclass(frozen=True, slots=True)
class RecoverDue:
    """Ask the ledger again."""


class Recovering:
    """Belongs to one channel's actor. ``day``: when the present day began; ``recovered`` gets what there is."""

    def __init__(self, context: Context, day: Callable[[], datetime], recovered: Callable[[Left], None]) -> None:
        self._context = context
        self._day = day
        self._recovered = recovered
        self._retry = Retry(
            context, "ledger not read", "recover", RecoverDue(), silent=f"no answer within {STORE_TIMEOUT_S:g} s"
        )
        self.done = False
        """Whether the ledger has been read."""

    @property
    def trouble(self) -> str | None:
        """Why it could not be read."""
        return self._retry.trouble

    @property
    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Who deals with which of the messages that this part sends to its actor."""
        return {Recovered: self._on_recovered, RecoverDue: lambda _: self.begin()}

    def begin(self) -> None:
        """Ask the ledger."""
        self._context.errand(self._left(), Recovered, timeout=STORE_TIMEOUT_S)

    async def _left(self) -> Left:
        ledger, channel = self._context.ledger, self._context.channel
        minute = self._context.now().wall - timedelta(minutes=1)
        return Left(
            unfinished=await ledger.unfinished(channel),
            unpublished=await ledger.unpublished(channel),
            scheduled=await ledger.scheduled(channel),
            sendings=await ledger.sendings(channel, minute=minute, day=self._day()),
        )

    def _on_recovered(self, message: Recovered) -> None:
        if isinstance(message.outcome, Failure):
            self._retry.failed(message.outcome.error)
            return
        self.done = True
        self._retry.succeeded()
        self._recovered(message.outcome)
