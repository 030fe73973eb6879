"""The part of the desk that is about consent: the register, and who may be written to."""

import re
from contextlib import suppress
from typing import Final

from actors.channel.requests import HearConsent
from actors.switchboard import Switchboard
from protocol.commands import utc_now
from protocol.errors import InvalidInputError, UnavailableError
from protocol.ledger import Store
from protocol.people import FormsOf, parse_person, with_variants
from protocol.records import NOT_TO_BE_WRITTEN_TO, Consent, ConsentKind, ConsentList, ConsentSource, ConsentView

_CURSOR: Final = re.compile(r"[0-9]{1,18}\Z")


class ConsentDesk:
    """See ``protocol.operations.Operations``."""

    def __init__(self, switchboard: Switchboard, store: Store, forms_of: FormsOf) -> None:
        self._switchboard = switchboard
        self._store = store
        self._forms_of = forms_of

    async def consents(
        self, clinic: str, channel: str, *, contact: str | None, cursor: str | None, limit: int
    ) -> ConsentList:
        """The register, of all or one person."""
        if cursor is not None and not _CURSOR.match(cursor):
            raise InvalidInputError("cursor", "the next of an earlier list")
        people = None if contact is None else await self._people(clinic, contact)
        self._switchboard.channel(clinic, channel)
        before = None if cursor is None else int(cursor)
        page = await self._store.clinic(clinic).consents(channel, people, before=before, limit=limit)
        following = None if page.next is None else str(page.next)
        return ConsentList(items=[ConsentView.of(one) for one in page.items], next=following)

    async def record_consent(
        self, clinic: str, channel: str, contact: str, status: ConsentKind, source: ConsentSource, note: str
    ) -> ConsentView:
        """Enter it, and have the channel hear of it."""
        people = await self._people(clinic, contact)
        self._switchboard.channel(clinic, channel)
        entry = Consent(
            channel=channel, people=sorted(people), at=utc_now(), what=status, source=source, note=note.strip()
        )
        await self._store.clinic(clinic).record_consent(entry)
        opted_out = NOT_TO_BE_WRITTEN_TO.get(status)
        if opted_out is not None and self._switchboard.runs(clinic, channel):
            with suppress(UnavailableError):  # it ends, and its next life reads the ledger
                await self._switchboard.ask(clinic, channel, HearConsent(people, opted_out))
        return ConsentView.of(entry)

    async def _people(self, clinic: str, contact: str) -> frozenset[str]:
        self._switchboard.clinic(clinic)
        return with_variants(await self._forms_of(clinic, parse_person(contact)))
