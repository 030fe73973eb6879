"""What may have been sent, and how it is found out.

whatsmeow writes each message's secret into the session store before it sends anything. So one whose secret is not there
was never sent, if that is still the store of the session that was to send it; another one says nothing, nor does one
that was restored since from an older snapshot. Of one that is there only the WhatsApp id is known: a receipt that names
it is the proof. It may have come before the id was known, so the ledger is asked first. If none comes while all
receipts could have come (``wait_s`` seconds after the offline backlog is through), there is silence.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from actors.channel.context import Context
from actors.channel.parcel import Parcel, Place
from actors.channel.retry import Failures, Retry
from protocol.errors import StoreGoneError
from protocol.interfaces import Failure
from supervisor.backoff import Backoff

LOOK_TIMEOUT_S: Final = 60.0
ASK_TIMEOUT_S: Final = 60.0
MOST_LOOKS: Final = 8
"""After so many failures the session store is given up (half a minute): it says nothing then."""

_BACKOFF: Final = Backoff(base_s=0.5, cap_s=10.0)
_GIVEN_UP: Final = "session store given up: whether commands were sent is not known"


class Finding(Enum):
    """What was found out of a parcel in doubt."""

    ABSENT = "absent"
    """It was never sent."""
    PRESENT = "present"
    """It may have been sent, and the parcel has the WhatsApp id now. ``Noted`` is to be said once the ledger has it."""
    PROVEN = "proven"
    """A receipt had come for it before."""
    SILENT = "silent"
    """No sign came, and none is waited for any more."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What the session store says of these."""

    parcels: Sequence[Parcel]
    outcome: Mapping[bytes, str] | Failure


@dataclass(frozen=True, slots=True)
class LookDue:
    """Look into the session store again."""


@dataclass(frozen=True, slots=True)
class Noted:
    """The ledger knows under which WhatsApp ids these may have been sent."""

    parcels: Sequence[Parcel]


@dataclass(frozen=True, slots=True)
class Asked:
    """For which of these ids the ledger has a receipt."""

    parcels: Sequence[Parcel]
    outcome: frozenset[str] | Failure


@dataclass(frozen=True, slots=True)
class SilenceDue:
    """The time to wait for a sign may be over."""


class Doubts:
    """Belongs to one channel's actor. ``found`` is told of each finding."""

    def __init__(self, context: Context, wait_s: float, found: Callable[[Parcel, Finding], None]) -> None:
        self._context = context
        self._found = found
        self._to_look: list[Parcel] = []
        self._looking = False
        self._looked_up: set[Parcel] = set()
        self._looks = Retry(context, "session store not readable", "look", LookDue(), backoff=_BACKOFF)
        self._asks = Failures(context, "ledger not asked for receipts")
        self._waiting: dict[Parcel, float | None] = {}
        self._through = False
        self.wait_s = wait_s
        self.device: str | None = None
        """As which device (``Connected.jid``) what comes into doubt was to be sent, if that is known."""

    @property
    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Who deals with which of the messages that this part sends to its actor."""
        return {
            Looked: self._on_looked,
            LookDue: lambda _: self._look(),
            Noted: lambda message: self._ask(message.parcels),
            Asked: self._on_asked,
            SilenceDue: lambda _: self._on_silence_due(),
        }

    def add(self, parcels: Sequence[Parcel], *, whole: bool = True) -> None:
        """These are in doubt. Not ``whole``: the session store may be older than the attempts at them."""
        self._ask([parcel for parcel in parcels if parcel.wa_id is not None])
        for parcel in parcels:
            if parcel.place is not Place.DOUBT or parcel.wa_id is not None:  # or ended by what was found of one before
                continue
            if parcel.secret is None:
                self._found(parcel, Finding.SILENT)
            else:
                parcel.device, parcel.whole = self.device, whole
                self._to_look.append(parcel)
        if not self._looks.failing:
            self._look()

    @property
    def looking(self) -> bool:
        """Whether the session store is yet to say something of those in doubt."""
        return self._looking or bool(self._to_look)

    def settled(self, parcel: Parcel) -> None:
        """This one is in doubt no more."""
        self._waiting.pop(parcel, None)
        self._looked_up.discard(parcel)
        if parcel in self._to_look:
            self._to_look.remove(parcel)

    # -- the session store --

    def _look(self) -> None:
        if self._looking:
            return
        if not self._to_look:  # none is left of those that could not be looked up
            self._looks.succeeded()
            return
        self._looking = True
        device = self._to_look[0].device
        parcels = [parcel for parcel in self._to_look if parcel.device == device]
        self._to_look = [parcel for parcel in self._to_look if parcel.device != device]
        self._looked_up = set(parcels)
        self._context.errand(
            self._ids(parcels, device), lambda outcome: Looked(parcels, outcome), timeout=LOOK_TIMEOUT_S
        )

    async def _ids(self, parcels: Sequence[Parcel], device: str | None) -> Mapping[bytes, str]:
        self._context.flights.began(parcel.key for parcel in parcels)
        secrets = [parcel.secret for parcel in parcels if parcel.secret is not None]
        return await self._context.remains.ids_of(secrets, device)

    def _on_looked(self, message: Looked) -> None:
        self._looking = False
        if isinstance(message.outcome, Failure):
            self._look_again(message.parcels, message.outcome)
            return
        self._looks.succeeded()
        for parcel in self._left(message.parcels):
            assert parcel.secret is not None
            parcel.wa_id = message.outcome.get(parcel.secret)
            if parcel.wa_id is not None:
                self._found(parcel, Finding.PRESENT)
            else:
                self._found(parcel, Finding.ABSENT if parcel.whole else Finding.SILENT)
        self._look()

    def _left(self, parcels: Sequence[Parcel]) -> Iterator[Parcel]:
        """Those of a look that were not settled meanwhile: also not by what was found out of those before them."""
        for parcel in parcels:
            if parcel in self._looked_up:
                self._looked_up.discard(parcel)
                yield parcel

    def _look_again(self, parcels: Sequence[Parcel], failure: Failure) -> None:
        if self._looks.in_a_row + 1 >= MOST_LOOKS or isinstance(failure.error, StoreGoneError):
            self._context.log.error(_GIVEN_UP, error=str(failure.error))
            self._looks.succeeded()
            for parcel in self._left(parcels):
                self._found(parcel, Finding.SILENT)
            self._look()
            return
        self._to_look = [*self._left(parcels), *self._to_look]
        self._looks.failed(failure.error)

    # -- receipts --

    def _ask(self, parcels: Sequence[Parcel]) -> None:
        asked = [parcel for parcel in parcels if parcel.place is Place.DOUBT]
        if asked:
            ids = [parcel.wa_id for parcel in asked if parcel.wa_id is not None]
            self._context.errand(
                self._context.ledger.proven(self._context.channel, ids),
                lambda outcome: Asked(asked, outcome),
                timeout=ASK_TIMEOUT_S,
            )

    def _on_asked(self, message: Asked) -> None:
        if isinstance(message.outcome, Failure):
            delay = self._asks.count(message.outcome.error)
            self._context.timer(f"noted {message.parcels[0].key}", delay, Noted(message.parcels))
            return
        self._asks.succeeded()
        for parcel in message.parcels:
            if parcel.place is not Place.DOUBT:
                continue
            if parcel.wa_id in message.outcome:
                self._found(parcel, Finding.PROVEN)
            else:
                self._wait(parcel)

    def backlog_in(self) -> None:
        """What waited on WhatsApp's server is in: from now on a receipt that does not come is none."""
        self._through = True
        deadline = self._context.now().mono + self.wait_s
        for parcel, known in self._waiting.items():
            self._waiting[parcel] = known if known is not None else deadline
        self._set_timer()

    def interrupted(self) -> None:
        """There is no session: nothing can come until the next one's backlog is in."""
        self._through = False
        self._waiting = dict.fromkeys(self._waiting)

    def _wait(self, parcel: Parcel) -> None:
        self._waiting[parcel] = self._context.now().mono + self.wait_s if self._through else None
        self._set_timer()

    def _set_timer(self) -> None:
        deadlines = [deadline for deadline in self._waiting.values() if deadline is not None]
        if deadlines:
            self._context.timer("silence", max(0.0, min(deadlines) - self._context.now().mono), SilenceDue())

    def _on_silence_due(self) -> None:
        now = self._context.now().mono
        over = [parcel for parcel, deadline in self._waiting.items() if deadline is not None and deadline <= now]
        for parcel in over:
            if parcel in self._waiting:
                del self._waiting[parcel]
                self._found(parcel, Finding.SILENT)
        self._set_timer()
