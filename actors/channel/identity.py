"""The part of a channel that knows which number it is: what was queued for one is not sent from another.

The ledger keeps the number that was connected last, and as which device, over restarts and logouts. When another one
connects, all that was queued before that moment, wherever it waits, is held for a person to decide; a release is a new
run, queued anew. So is what was queued before the clinic was put back from an archive: it may have been sent since that
was made. With the number the ledger keeps why it is not to be connected, if only a person can help it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from actors.channel.context import Context
from actors.channel.parcel import Disowned
from actors.channel.retry import Retry
from protocol.codes import ErrorCode
from protocol.condemnation import Condemnation
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
    """Belongs to one channel's actor. ``disown`` is told what is not to be sent."""

    def __init__(self, context: Context, disown: Callable[[Disowned], None]) -> None:
        self._context = context
        self._disown = disown
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
        if paired is not None and paired.restored_at is not None:
            self._disown(Disowned(paired.restored_at, ErrorCode.RESTORED))
        if paired is not None and paired.changed_at is not None:
            self._disown(Disowned(paired.changed_at, ErrorCode.OTHER_NUMBER))

    def connected(self, phone: str, jid: str) -> None:
        """This number is connected, as this device; to be said before anything is sent from it."""
        before = self._paired
        if before is not None and (before.phone, before.jid) == (phone, jid):
            return
        if before is None or before.phone in (phone, NO_NUMBER):
            self._paired = replace(before or Paired(phone=phone), phone=phone, jid=jid)
        else:
            self._context.log.warning(
                "another number is connected: what waited is held", phone=mask(phone), before=mask(before.phone)
            )
            changed_at = self._context.now().wall
            self._paired = replace(before, phone=phone, jid=jid, changed_at=changed_at)
            self._disown(Disowned(changed_at, ErrorCode.OTHER_NUMBER))
        self._look()

    def condemned(self, condemned: Condemnation | None) -> None:
        """Only a person can help it, for this; None: it may be connected."""
        before = self._paired or Paired(phone=NO_NUMBER)
        if before.condemned != condemned:
            self._paired = replace(before, condemned=condemned)
            self._look()

    def _look(self) -> None:
        if not self._noting and self._noted != self._paired:
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
        self._look()
