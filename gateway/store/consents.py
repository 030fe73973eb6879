"""What people agreed to: a channel's register."""

from collections.abc import Collection
from typing import Final

from gateway.store.database import Row, execute_many, fetch
from gateway.store.part import Part
from gateway.store.queries import Queries
from gateway.store.rows import Agreed, agreeing, array, micros, moment, pack, read_agreed
from gateway.store.sealing import CONSENT, JID, PERSON, Seal, SealedFile
from protocol.errors import InvalidInputError
from protocol.records import MOST_NOTE, Consent, ConsentKind, ConsentPage, ConsentSource

BEYOND: Final = (1 << 63) - 1
"""After every place."""
NOT_TO_BE_WRITTEN_TO: Final = {ConsentKind.OPTED_OUT: True, ConsentKind.OPTED_IN: False}
"""What an entry of the register changes for whoever sends; the other kinds change nothing."""


class Consents(Part):
    """See ``protocol.records.Records``."""

    async def record_consent(self, consent: Consent) -> None:
        """As the protocol says."""
        if not consent.people:
            raise InvalidInputError("people", "at least one JID")
        if len(consent.note) > MOST_NOTE:
            raise InvalidInputError("note", f"at most {MOST_NOTE} characters")

        def work(connection: SealedFile) -> None:
            note_consents(connection, self._queries, [consent])
            if (opted_out := NOT_TO_BE_WRITTEN_TO.get(consent.what)) is not None:
                rows = [_person(connection.seal, consent.channel, jid, opted_out) for jid in consent.people]
                execute_many(connection, self._queries.note_consent, rows)

        await self._database.transact(work)

    async def consents(
        self, channel: str, people: Collection[str] | None = None, *, before: int | None = None, limit: int = 100
    ) -> ConsentPage:
        """As the protocol says."""

        def work(connection: SealedFile) -> ConsentPage:
            named = {
                "channel": channel,
                "before": BEYOND if before is None else before,
                "limit": limit + 1,
                **whose(connection.seal, people),
            }
            rows = fetch(connection, self._queries.select_consents, named)
            items = [read_consent(connection.seal, row) for row in rows[:limit]]
            return ConsentPage(items=items, next=rows[limit - 1][0] if len(rows) > limit else None)

        return await self._database.look(work)


def whose(seal: Seal, people: Collection[str] | None) -> dict[str, str | bool]:
    """The parameters of statements about one person, or everybody."""
    return {"everybody": people is None, "people": array(seal.tokens(JID, people or ()))}


def note_consents(connection: SealedFile, queries: Queries, consents: Collection[Consent]) -> None:
    """Enter them in the register; inside the transaction that is open."""
    seal = connection.seal
    [(last,)] = fetch(connection, queries.select_last_consent, {})
    rows: list[Row] = []
    whose_they_are: list[Row] = []
    for seq, consent in enumerate(consents, start=last + 1):
        agreed = Agreed(list(consent.people), consent.note)
        sealed = seal.seal(CONSENT, seq, pack(agreed))
        rows.append((seq, consent.channel, micros(consent.at), consent.what.value, consent.source.value, sealed))
        whose_they_are += agreeing(seal, seq, agreed)
    execute_many(connection, queries.insert_consent, rows)
    execute_many(connection, queries.insert_consenting, whose_they_are)


def _person(seal: Seal, channel: str, jid: str, opted_out: bool) -> Row:
    """The parameters of ``note_consent``."""
    token = seal.token(JID, jid)
    return channel, token, opted_out, seal.seal(PERSON, token, jid.encode())


def read_consent(seal: Seal, row: Row) -> Consent:
    """A row of ``select_consents``."""
    seq, channel, at, what, source, sealed = row
    agreed = read_agreed(seal, seq, sealed)
    return Consent(
        channel=channel,
        people=agreed.people,
        at=moment(at),
        what=ConsentKind(what),
        source=ConsentSource(source),
        note=agreed.note,
    )
