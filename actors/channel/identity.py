"""The part of a channel that knows which number it is: what was queued for one is not sent from another.

The ledger keeps the number that was connected last, and as which device, over restarts and logouts. When another one
connects, all that was queued before that moment, wherever it waits, is held for a person to decide; a release is a new
run, queued anew. A clinic that was put back from an archive is held likewise: what was queued before may have been sent
since the archive was made.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from actors.channel.context import Context
from actors.channel.retry import Retry
from protocol.ids import mask
from protocol.interfaces import Failure
from protocol.ledger import NO_NUMBER, Paired
from supervisor.backoff import Backoff

NOTE_TIMEOUT_S: Final = 30.0

_BACKOFF: Final = Backoff(base_s=0.5, cap_s=30.0)


@dataclass(frozen=True, slots=True)
class Noted:
    """The ledger knows the number, or not yet."""

    failure: Failure | None


@dataclass(frozen=True, slots=True)
class NoteDue:
    """Try again."""


class Identity:
    """Belongs to one channel's actor. ``changed`` is called with the moment since which another number is connected."""

    def __init__(self, context: Context, changed: Callable[[datetime], None]) -> None:
        self._context = context
        self._changed = changed
        self._paired: Paired | None = None
        self._noting = False
        self._noted: Paired | None = None
        self._retry = Retry(context, "the number is not noted yet", "identity", NoteDue(), backoff=_BACKOFF)

    @property
    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Who deals with which of the messages that this part sends to its actor."""
        return {Noted: self.on_noted, NoteDue: lambda _: self._note()}

    def begin(self, paired: Paired | None) -> None:
        """This is the number that the ledger knows."""
        self._paired = self._noted = paired
        if paired is not None and paired.changed_at is not None:
            self._changed(paired.changed_at)

    def connected(self, phone: str, jid: str) -> None:
        """This number is connected, as this device; to be said before anything is sent from it."""
        before = self._paired
        if before is not None and (before.phone, before.jid) == (phone, jid):
            return
        if before is None or before.phone in (phone, NO_NUMBER):
            self._paired = Paired(phone=phone, jid=jid, changed_at=before.changed_at if before is not None else None)
        else:
            self._context.log.warning(
                "another number is connected: what waited is held", phone=mask(phone), before=mask(before.phone)
            )
            changed_at = self._context.now().wall
            self._paired = Paired(phone=phone, jid=jid, changed_at=changed_at)
            self._changed(changed_at)
        if not self._noting:
            self._note()

    def _note(self) -> None:
        assert self._paired is not None
        self._noting, self._noted = True, self._paired
        work = self._context.ledger.pair(self._context.channel, self._paired)
        self._context.errand(work, lambda outcome: Noted(Failure.of(outcome)), timeout=NOTE_TIMEOUT_S)

    def on_noted(self, message: Noted) -> None:
        """The ledger has answered."""
        if message.failure is not None:
            self._retry.failed(message.failure.error)
            return
        self._retry.succeeded()
        self._noting = False
        if self._noted != self._paired:
            self._note()
