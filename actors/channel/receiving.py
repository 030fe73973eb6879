"""The part of a channel that receives: from what the ports heard to events stored by NATS.

Two parts follow each other, each for itself: ``claiming`` makes the ledger the owner of what came in, ``spooling``
publishes what the ledger owns.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from actors.channel import claiming
from actors.channel.claiming import Claiming, Taken
from actors.channel.context import Context
from actors.channel.spooling import Spooling
from actors.channel.telling import ReceivingPolicy
from protocol.interfaces import Port
from protocol.ledger import Sender
from protocol.port_events import Record, Undecryptable


class Hearer(Protocol):
    """Who has to know what was heard: the part of the channel that sends."""

    def wrote(self, people: Sequence[str], opted_out: bool | None) -> None:
        """A person known by these JIDs wrote to us, and perhaps asked not to be written to, or to be again."""

    def receipted(self, wa_id: str, kind: str, sender: Sender | None) -> None:
        """A message that ``sender`` sent was received; the ledger has noted it. May be said again."""


class Receiving:
    """Belongs to one channel's actor."""

    def __init__(self, context: Context, policy: ReceivingPolicy, hearer: Hearer) -> None:
        self._hearer = hearer
        self._claiming = Claiming(context, policy.optout, self._taken)
        self._spooling = Spooling(context, policy, hearer.receipted)
        self.undecryptable = 0
        """Messages of this life that could not be decrypted."""

    @property
    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Who deals with which of the messages that this part sends to its actor."""
        return {
            **self._spooling.handlers,
            claiming.Claimed: self._claiming.on_claimed,
            claiming.ClaimDue: self._claiming.on_due,
        }

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is out."""
        return self._claiming.idle and self._spooling.idle

    @property
    def stuck(self) -> bool:
        """What could not be stored or published is to be tried again."""
        return self._spooling.stuck or self._claiming.trouble is not None

    @property
    def trouble(self) -> str | None:
        """Why what comes in cannot be stored; None if it can."""
        return self._claiming.trouble

    @property
    def spooled(self) -> int:
        """About how many claims wait for NATS."""
        return self._spooling.waiting

    @property
    def heard(self) -> int:
        """How many records were taken so far: a mark for ``passed``."""
        return self._claiming.heard

    def passed(self, mark: int) -> bool:
        """Whether all that was taken up to ``mark`` is the ledger's."""
        return self._claiming.settled >= mark

    def configure(self, policy: ReceivingPolicy) -> None:
        """Go by ``policy`` from now on."""
        self._claiming.configure(policy.optout)
        self._spooling.configure(policy)

    def begin(self) -> None:
        """Publish what an earlier life left in the database."""
        self._spooling.pump()

    def close(self) -> None:
        """Read nothing back any more."""
        self._spooling.close()

    def take(self, records: Sequence[Record], incarnation: int) -> None:
        """The port of this incarnation said these records; 0: they were found in the journal."""
        self._claiming.take(records, incarnation)

    def opened(self, port: Port | None) -> None:
        """Credit is ``port``'s from now on; None: it is gone."""
        self._claiming.use(port)

    def use(self, port: Port | None) -> None:
        """Fetch media through ``port`` from now on; None: not connected."""
        self._spooling.use(port)

    def _taken(self, taken: Taken) -> None:
        for claim in taken.claims:
            if claim.people:
                self._hearer.wrote(claim.people, claim.opted_out)
        self.undecryptable += sum(isinstance(item.what, Undecryptable) for item in taken.items)
        self._spooling.claimed(taken.items, taken.repeats)
