"""What a clinic's database holds of people, as it is handed over and erased, and what they agreed to.

A person is a set of JIDs: by phone number and by LID, as far as they are known. On the loop's thread; all raise
StoreUnavailableError, having changed nothing.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from msgspec import Struct

from protocol.events import ResultEvent
from protocol.inbound import Inbound
from protocol.views import CommandView

MOST_NOTE: Final = 2000
"""Characters of a note on a consent."""


class ConsentKind(StrEnum):
    """What a person agreed to, or did not: ``opted_out`` and ``opted_in`` are about being written to at all."""

    OPTED_OUT = "opted_out"
    OPTED_IN = "opted_in"
    GRANTED = "granted"
    WITHDRAWN = "withdrawn"


NOT_TO_BE_WRITTEN_TO: Final = {
    ConsentKind.OPTED_OUT: True,
    ConsentKind.WITHDRAWN: True,
    ConsentKind.OPTED_IN: False,
}
"""What an entry of the register changes for whoever sends. To have granted something is not to ask for messages."""


class ConsentSource(StrEnum):
    """How that came to be known: they wrote the word, somebody of the clinic noted it, or a service did."""

    WORD = "word"
    OPERATOR = "operator"
    SERVICE = "service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """An entry of a channel's register. ``people``: the JIDs of the one person."""

    channel: str
    people: Sequence[str]
    at: datetime
    what: ConsentKind
    source: ConsentSource
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentPage:
    """Some entries, newest first; ``next`` is the cursor for those after them, None at the end."""

    items: Sequence[Consent]
    next: int | None


class ConsentView(Struct, frozen=True, kw_only=True):
    """An entry of a channel's consent register. ``people``: the JIDs of the one person; ``source``: they wrote the
    word, somebody of the clinic noted it, or a service did."""

    channel: str
    people: list[str]
    status: ConsentKind
    source: ConsentSource
    at: datetime
    note: str = ""

    @classmethod
    def of(cls, consent: Consent) -> "ConsentView":
        """How it is shown."""
        return cls(
            channel=consent.channel,
            people=sorted(consent.people),
            status=consent.what,
            source=consent.source,
            at=consent.at,
            note=consent.note,
        )


class ConsentList(Struct, frozen=True, kw_only=True):
    """Entries, newest first; ``next`` is the cursor for more."""

    items: list[ConsentView]
    next: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRecord:
    """A command with all that came of it. ``body`` is None once it was sent."""

    channel: str
    view: CommandView
    played_at: datetime | None
    headers: Mapping[str, str]
    body: bytes | None
    results: Sequence[ResultEvent]


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRecord:
    """What a channel remembers of a person, under one of their JIDs."""

    channel: str
    jid: str
    last_in: datetime | None
    first_out: datetime | None
    last_out: datetime | None
    opted_out: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundRecord:
    """What came in at ``at`` and waits for NATS."""

    channel: str
    what: Inbound
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberRecord:
    """The clinic's own number, with which a channel was connected last."""

    channel: str
    phone: str
    jid: str | None


Record = NumberRecord | CommandRecord | InboundRecord | PersonRecord | Consent


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """How many of each there were. ``under_way``: commands that are being sent, or about to be, and are still there: to
    be erased when they have ended."""

    commands: int
    inbound: int
    people: int
    consents: int
    under_way: int


class Records(Protocol):
    """A clinic's database, all channels of it."""

    def export(self, people: Collection[str] | None = None) -> AsyncIterator[Record]:
        """All there is, or what there is of one person; each record as it is when its turn comes, one after another. Of
        a person: commands to them, what came from them or in their chat, consents, and what is remembered of them."""

    async def erase_person(self, people: Collection[str]) -> Erased:
        """Delete that, save that they do not want to be written to, if so: for that their JIDs are kept, and the last
        entry of the register that says it, without its note."""

    async def record_consent(self, consent: Consent) -> None:
        """Enter it in the register; whoever opts out is not written to from then on, as if they had written the word.

        Raises:
            InvalidInputError: the note is too long, or it is nobody's.
        """

    async def consents(
        self, channel: str, people: Collection[str] | None = None, *, before: int | None = None, limit: int = 100
    ) -> ConsentPage:
        """A channel's register, of all or one person, newest first, beginning after the cursor ``before``."""
