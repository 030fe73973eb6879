"""What came in for a clinic: claimed once, spooled until NATS has it; and who wrote."""

from collections.abc import Sequence
from datetime import datetime

from gateway.store.consents import note_consents
from gateway.store.database import Row, execute, execute_many, fetch
from gateway.store.faults import FaultError, spool_full
from gateway.store.part import FOR_INBOUND, Part
from gateway.store.rows import array, micros, moment, pack, read_inbound, read_paired
from gateway.store.sealing import CLAIM, JID, PAIRED, PERSON, SPOOLED, Seal, SealedFile
from protocol.inbound import Claim, Spooled
from protocol.ledger import Paired
from protocol.records import Consent, ConsentKind, ConsentSource


class InboundPart(Part):
    """See ``protocol.inbound.InboundLedger``, and ``protocol.ledger.Ledger`` for the number."""

    async def claim(self, channel: str, claims: Sequence[Claim], now: datetime) -> Sequence[int | None]:
        """Take ownership of what came in: its place in the order of claims, or None for what is claimed already (also
        by a claim before it in the same call).

        Raises:
            StoreUnavailableError: also if the clinic's spool or file is as large as it may be.
        """

        def work(connection: SealedFile) -> Sequence[int | None]:
            taken = self._claimed(connection, channel, [claim.key for claim in claims])
            [(seq, size)] = fetch(connection, self._queries.select_last_claim, {})
            places: list[int | None] = []
            fresh: list[tuple[int, Claim]] = []
            for claim in claims:
                if claim.key in taken:
                    places.append(None)
                    continue
                taken.add(claim.key)
                seq += 1
                places.append(seq)
                fresh.append((seq, claim))
            self._spool(connection, channel, fresh, size, now)
            return places

        return await self._database.transact(work) if claims else []

    def _spool(
        self,
        connection: SealedFile,
        channel: str,
        fresh: Sequence[tuple[int, Claim]],
        size: int,
        now: datetime,
    ) -> None:
        queries, seal, at = self._queries, connection.seal, micros(now)
        spooled: list[Row] = []
        taken: list[Row] = []
        people: list[Row] = []
        for seq, claim in fresh:
            what = seal.seal(SPOOLED, seq, pack(claim.what))
            spooled.append((seq, channel, len(what), what))
            key = seal.seal(CLAIM, seq, claim.key.encode())
            taken.append((seq, channel, seal.token(CLAIM, claim.key), at, key))
            people += [_wrote(seal, channel, jid, claim) for jid in claim.people]
        more = sum(row[2] for row in spooled)
        if not more:
            return
        self._check_room(connection, FOR_INBOUND)
        # What is larger than the whole spool would never fit: it is taken by an empty one.
        if size and size + more > self._bounds.spool_bytes:
            raise FaultError(spool_full(self._bounds.spool_bytes))
        execute_many(connection, queries.insert_claim, taken)
        execute_many(connection, queries.insert_spooled, spooled)
        execute(connection, queries.add_size, {"bytes": more})
        self._note_words(connection, channel, fresh)
        execute_many(connection, queries.note_in, people)

    def _note_words(self, connection: SealedFile, channel: str, fresh: Sequence[tuple[int, Claim]]) -> None:
        """What people say of being written to, if they have not said that last time."""
        said = [claim for _, claim in fresh if claim.opted_out is not None and claim.people]
        if not said:
            return
        jids = connection.seal.tokens(JID, (jid for claim in said for jid in claim.people))
        rows = fetch(connection, self._queries.select_opted_out, {"channel": channel, "jids": array(jids)})
        opted_out = {jids[token] for (token,) in rows}
        new: list[Consent] = []
        for claim in said:
            if claim.opted_out != opted_out.issuperset(claim.people):
                new.append(_by_word(channel, claim))
                opted_out = opted_out.union(claim.people) if claim.opted_out else opted_out.difference(claim.people)
        note_consents(connection, self._queries, new)

    def _claimed(self, connection: SealedFile, channel: str, keys: Sequence[str]) -> set[str]:
        tokens = connection.seal.tokens(CLAIM, keys)
        rows = fetch(connection, self._queries.select_claimed, {"channel": channel, "keys": array(tokens)})
        return {tokens[token] for (token,) in rows}

    async def spooled(self, channel: str, after: int, limit: int) -> Sequence[Spooled]:
        """At most ``limit`` claims from beyond the place ``after`` that NATS may not have, in order."""
        return await self._database.fetch(
            read_spooled, self._queries.select_spooled, lambda _: {"channel": channel, "after": after, "limit": limit}
        )

    async def stored(self, channel: str, keys: Sequence[str]) -> None:
        """NATS has these: forget all but their keys. Harmless for one that is unknown."""

        def work(connection: SealedFile) -> None:
            tokens = connection.seal.tokens(CLAIM, keys)
            rows = fetch(connection, self._queries.delete_spooled, {"channel": channel, "keys": array(tokens)})
            execute(connection, self._queries.add_size, {"bytes": -sum(size for (size,) in rows)})

        if keys:
            await self._database.transact(work)

    async def claimed(self, channel: str, keys: Sequence[str]) -> frozenset[str]:
        """Which of these keys were ever claimed."""
        found = await self._database.look(lambda connection: self._claimed(connection, channel, keys))
        return frozenset(found)

    async def traced(self, channel: str) -> int | None:
        """Up to which row of the session store every trace is accounted for; None if it never was looked at."""
        named = {"channel": channel}
        for row in await self._database.fetch(lambda _, row: row[0], self._queries.select_traced, lambda _: named):
            return None if row is None else int(row)
        return None

    async def trace(self, channel: str, row: int) -> None:
        """Traces up to ``row`` are accounted for."""
        named = {"channel": channel, "row": row}
        await self._database.transact(lambda connection: execute(connection, self._queries.mark_traced, named))

    async def paired(self, channel: str) -> Paired | None:
        """The number that was connected last; None if none ever was."""
        found = await self._database.fetch(
            lambda seal, row: read_paired(seal, channel, row[0]),
            self._queries.select_paired,
            lambda _: {"channel": channel},
        )
        return next(iter(found), None)

    async def pair(self, channel: str, paired: Paired) -> None:
        """This number is connected now."""

        def work(connection: SealedFile) -> None:
            sealed = connection.seal.seal(PAIRED, channel, pack(paired))
            execute(connection, self._queries.mark_paired, {"channel": channel, "paired": sealed})

        await self._database.transact(work)


def _by_word(channel: str, claim: Claim) -> Consent:
    what = ConsentKind.OPTED_OUT if claim.opted_out else ConsentKind.OPTED_IN
    return Consent(channel=channel, people=claim.people, at=claim.what.at, what=what, source=ConsentSource.WORD)


def _wrote(seal: Seal, channel: str, jid: str, claim: Claim) -> Row:
    """The parameters of ``note_in``."""
    token = seal.token(JID, jid)
    return channel, token, micros(claim.what.at), claim.opted_out, seal.seal(PERSON, token, jid.encode())


def read_spooled(seal: Seal, row: Row) -> Spooled:
    """A row of ``select_spooled``."""
    seq, sealed, what, at = row
    key = seal.open(CLAIM, seq, sealed).decode()
    return Spooled(seq=seq, key=key, what=read_inbound(seal, seq, what), at=moment(at))
