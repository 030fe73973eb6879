"""The clinic's database as actors see it: commands and their outcomes, and which number is paired. Two parts of it have
modules of their own: ``inbound`` (what came in) and ``records`` (what there is of people).

Everything runs on the asyncio loop. Every method is one committed transaction, and raises StoreUnavailableError, having
changed nothing. What is committed survives the death of every process.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

from msgspec import Struct

from protocol.bus import Later
from protocol.commands import SendCommand
from protocol.condemnation import Condemnation
from protocol.events import DeadLetter, ErrorBody, ResultEvent
from protocol.inbound import InboundLedger
from protocol.records import Records
from protocol.subjects import Priority
from protocol.views import CommandState, CommandView

# -- commands --


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """What the clinic's channel knows of a person: when they last wrote to it, whether it has ever written to them, and
    whether they asked not to be written to."""

    last_in: datetime | None = None
    written: bool = False
    opted_out: bool = False

    @property
    def known(self) -> bool:
        """No new contact: one has written to the other before."""
        return self.written or self.last_in is not None


STRANGER = Contact()


class Accepted(Struct, frozen=True, kw_only=True):
    """A command that the ledger owns and that is not final: to be sent.

    ``uncertain``: an attempt began and was not settled; ``secret`` is that attempt's message secret, ``wa_id`` the id
    it was found to have in the session store.
    """

    channel: str
    command: SendCommand
    run: int
    priority: Priority
    attempts: int
    uncertain: bool
    queued_at: datetime
    headers: Mapping[str, str]
    contact: Contact = STRANGER
    secret: bytes | None = None
    wa_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduled:
    """A command that the ledger owns and that is not to be sent before its ``not_before``."""

    accepted: Accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """An id that is known with the same body: ``result`` is the final one of its last run, to be told again. None while
    that is under way, and if it was queued at the same time: then it is the queue that gave it twice."""

    id: str
    result: ResultEvent | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflicted:
    """An id that is known with another body."""

    id: str


Verdict = Accepted | Scheduled | Repeated | Conflicted


class Offer(Struct, frozen=True, kw_only=True):
    """A valid command for the ledger, with the body it came in (which tells a repeat from a conflict)."""

    command: SendCommand
    body: bytes
    priority: Priority
    queued_at: datetime
    headers: Mapping[str, str]


class Attempt(Struct, frozen=True, kw_only=True):
    """An attempt that is about to begin, with the secret that its message will carry."""

    id: str
    run: int
    secret: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Setback:
    """An attempt that did not end the run.

    ``spent`` False: it is not counted (there was no session). ``uncertain``: it may have been sent; under ``wa_id`` if
    that is known. ``error`` goes into the history; None for one that met no session.
    """

    id: str
    run: int
    spent: bool
    uncertain: bool
    at: datetime
    wa_id: str | None = None
    error: ErrorBody | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What a channel has to record, as one transaction, in this order: setbacks, results, what NATS has, beginnings.

    ``published``: (id, run) of results that NATS has stored, with their dead letters. Of two results for one run the
    first stands.
    """

    setbacks: Sequence[Setback] = ()
    results: Sequence[ResultEvent] = ()
    published: Sequence[tuple[str, int]] = ()
    begun: Sequence[Attempt] = ()

    def __bool__(self) -> bool:
        return bool(self.setbacks or self.results or self.published or self.begun)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpublished:
    """A final result that NATS may not have, recorded ``at``, and the dead letter that goes with it."""

    result: ResultEvent
    headers: Mapping[str, str]
    at: datetime
    letter: DeadLetter | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """The command that sent a WhatsApp message. ``unsettled``: the ledger has it as uncertain under that id.

    ``noted``: the kinds of receipts (``delivered read played``) that it had before these, all of them if it was sent
    anew since; ``sent_at``: when WhatsApp acknowledged it, None if that is not known.
    """

    id: str
    run: int
    to: str
    meta: dict[str, Any] | None
    headers: Mapping[str, str]
    unsettled: bool = False
    noted: frozenset[str] = frozenset()
    sent_at: datetime | None = None


RECEIPTS: Final = ("delivered", "read", "played")
"""Kinds of receipts; each says what those before it say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Somebody has received or read the message ``wa_id``."""

    wa_id: str
    kind: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Sendings:
    """What a channel has sent: in the last minute, since the day began, and to how many new contacts since then;
    ``first`` is when it sent its first message ever."""

    last_minute: int = 0
    today: int = 0
    new_today: int = 0
    first: datetime | None = None


# -- the number --


NO_NUMBER: Final = ""
"""Of a channel that has never been connected, as far as is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """The number (digits) that a channel was last connected with; ``jid``: as which device, if that is known;
    ``changed_at``: when the number took the place of another; ``restored_at``: when the clinic was put back from an
    archive. What was queued before either is not sent, unless it was not to be sent before the second anyway.
    ``condemned``: why it is not to be connected."""

    phone: str
    jid: str | None = None
    changed_at: datetime | None = None
    restored_at: datetime | None = None
    condemned: Condemnation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some commands, newest first; ``next`` is the cursor for those after them, None at the end."""

    items: Sequence[CommandView]
    next: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicCounts:
    """What the clinic's database holds: commands by channel and state, inbound waiting for NATS by channel, its bytes
    and the most it may have."""

    commands: Mapping[str, Mapping[CommandState, int]] = field(default_factory=dict)
    spooled: Mapping[str, int] = field(default_factory=dict)
    bytes: int = 0
    limit: int = 0


class Ledger(InboundLedger, Records, Protocol):
    """One clinic's SQLite file."""

    # -- commands --

    async def accept(self, channel: str, offers: Sequence[Offer], now: datetime) -> Sequence[Verdict]:
        """Take ownership of the new ones; one verdict for each offer, in order."""

    async def unfinished(self, channel: str) -> Sequence[Accepted]:
        """What was accepted, is not final and not scheduled, oldest first."""

    async def scheduled(self, channel: str) -> Sequence[Later]:
        """What waits for its time, oldest first."""

    async def asleep(self, channel: str, id: str) -> Accepted | None:
        """This command, if it waits for its time."""

    async def wake(self, channel: str, items: Sequence[tuple[str, int]]) -> Sequence[Accepted]:
        """Of these (id, run), those that were scheduled are so no longer: to be sent, or to be ended."""

    async def record(self, channel: str, changes: Changes) -> None:
        """Record what happened.

        Raises:
            ConflictError: a beginning of what is final, or anything of an unknown command or run; nothing was changed.
        """

    async def unpublished(self, channel: str) -> Sequence[Unpublished]:
        """Final results whose publication was not recorded, oldest first."""

    async def letter(self, channel: str, id: str, run: int) -> DeadLetter:
        """The dead letter of a failed run, with its whole history. Raises NotFoundError."""

    async def again(self, channel: str, id: str, state: CommandState, now: datetime) -> Accepted | Scheduled:
        """Begin a new run of a command whose last one ended as ``state`` (failed: a replay; held: a release); one that
        is not to be sent before a time still to come is scheduled.

        Raises:
            NotFoundError: there is no such command.
            ConflictError: it is in another state.
        """

    async def discard(self, channel: str, id: str) -> None:
        """Take a failed or held command off the list of those that wait for a person.

        Raises:
            NotFoundError, ConflictError: as for ``again``.
        """

    async def command(self, channel: str, id: str) -> CommandView:
        """One, with the history of its attempts. Raises NotFoundError."""

    async def commands(self, channel: str, *, state: CommandState | None, before: int | None, limit: int) -> Page:
        """Of a channel, all or in a state, newest first, beginning after the cursor ``before``."""

    async def receipted(self, channel: str, receipts: Sequence[Receipt]) -> Mapping[str, Sender]:
        """Note receipts; the commands behind their WhatsApp ids, where they are known to be ours. The others are kept
        for the command that turns out to have sent them."""

    async def proven(self, channel: str, wa_ids: Sequence[str]) -> frozenset[str]:
        """Of the WhatsApp ids under which commands may have been sent, those that a receipt has come for."""

    async def ours(self, channel: str, wa_ids: Sequence[str]) -> frozenset[str]:
        """Of these WhatsApp ids, those that a command was sent under."""

    async def overdue(self, channel: str, now: datetime) -> Sequence[Unpublished]:
        """Commands sent and not delivered by their ``deliver_by``: for each a ``late`` result, until ``lateness`` says
        that NATS has it."""

    async def lateness(self, channel: str, items: Sequence[tuple[str, int]]) -> None:
        """NATS has the ``late`` results of these (id, run)."""

    async def next_deadline(self, channel: str) -> datetime | None:
        """The earliest ``deliver_by`` of what is sent and not delivered."""

    async def sendings(self, channel: str, *, minute: datetime, day: datetime) -> Sendings:
        """What was sent since ``minute`` and since ``day``."""

    # -- the number --

    async def paired(self, channel: str) -> Paired | None:
        """The number that was connected last; None if none ever was."""

    async def pair(self, channel: str, paired: Paired) -> None:
        """This number is connected now."""

    # -- the whole --

    async def counts(self) -> ClinicCounts:
        """How much there is."""

    async def register(self, channels: Mapping[str, datetime]) -> frozenset[str]:
        """These are the clinic's channels, and when each was registered. Returns of which others there is something
        that was never forgotten: of another name, or registered at another time under one of these names."""

    async def forget_channel(self, channel: str) -> None:
        """Delete all that there is of a channel."""

    async def sweep(self, now: datetime) -> int:
        """Delete what is older than it has to be kept, at most some thousand rows; how many there were."""

    async def reseal(self) -> None:
        """Seal all anew under the clinic's first data key; all of it or nothing. Other calls wait meanwhile. Harmless
        if all is under it already."""


class Store(Protocol):
    """The databases of all clinics."""

    async def open_clinic(self, clinic: str) -> Ledger:
        """Open (create, migrate) the clinic's database; the same object if it is open already.

        Raises:
            StoreUnavailableError: it is locked, corrupt, or the disk is full; names the file.
        """

    async def reseal(self, clinic: str) -> None:
        """The same of a clinic whose database need not be open."""

    def clinic(self, clinic: str) -> Ledger:
        """The clinic's ledger if it is open. Raises StoreUnavailableError if it is not."""

    async def close_clinic(self, clinic: str) -> None:
        """Close it; harmless if it is not open."""
