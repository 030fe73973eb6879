"""What came in for a clinic: claimed once, spooled until NATS has it; and who wrote."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from gateway.store.database import Row, execute, execute_many, fetch
from gateway.store.faults import FaultError, spool_full
from gateway.store.part import FOR_INBOUND, Part
from gateway.store.rows import array, maybe_micros, maybe_moment, micros, moment, pack, read_inbound
from protocol.ledger import Claim, Paired, Spooled


class InboundPart(Part):
    """See ``protocol.ledger.Ledger``."""

    async def claim(self, channel: str, claims: Sequence[Claim], now: datetime) -> Sequence[int | None]:
        """Take ownership of what came in: its place in the order of claims, or None for what is claimed already (also
        by a claim before it in the same call).

        Raises:
            StoreUnavailableError: also if the clinic's spool or file is as large as it may be.
        """

        def work(connection: sqlite3.Connection) -> Sequence[int | None]:
            taken = set(self._claimed(connection, channel, [claim.key for claim in claims]))
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
        connection: sqlite3.Connection,
        channel: str,
        fresh: Sequence[tuple[int, Claim]],
        size: int,
        now: datetime,
    ) -> None:
        queries, at = self._queries, micros(now)
        spooled = []
        for seq, claim in fresh:
            what = pack(claim.what)
            spooled.append((seq, channel, len(what), what))
        more = sum(row[2] for row in spooled)
        if not more:
            return
        self._check_room(connection, FOR_INBOUND)
        # What is larger than the whole spool would never fit: it is taken by an empty one.
        if size and size + more > self._bounds.spool_bytes:
            raise FaultError(spool_full(self._bounds.spool_bytes))
        execute_many(connection, queries.insert_claim, [(seq, channel, claim.key, at) for seq, claim in fresh])
        execute_many(connection, queries.insert_spooled, spooled)
        execute(connection, queries.add_size, {"bytes": more})
        people = [(channel, jid, micros(claim.what.at), claim.opted_out) for _, claim in fresh for jid in claim.people]
        if people:
            execute_many(connection, queries.note_in, people)

    def _claimed(self, connection: sqlite3.Connection, channel: str, keys: Sequence[str]) -> list[str]:
        rows = fetch(connection, self._queries.select_claimed, {"channel": channel, "keys": array(keys)})
        return [key for (key,) in rows]

    async def spooled(self, channel: str, after: int, limit: int) -> Sequence[Spooled]:
        """At most ``limit`` claims from beyond the place ``after`` that NATS may not have, in order."""
        return await self._database.fetch(
            read_spooled, self._queries.select_spooled, {"channel": channel, "after": after, "limit": limit}
        )

    async def stored(self, channel: str, keys: Sequence[str]) -> None:
        """NATS has these: forget all but their keys. Harmless for one that is unknown."""

        def work(connection: sqlite3.Connection) -> None:
            rows = fetch(connection, self._queries.delete_spooled, {"channel": channel, "keys": array(keys)})
            execute(connection, self._queries.add_size, {"bytes": -sum(size for (size,) in rows)})

        if keys:
            await self._database.transact(work)

    async def claimed(self, channel: str, keys: Sequence[str]) -> frozenset[str]:
        """Which of these keys were ever claimed."""
        named = {"channel": channel, "keys": array(keys)}
        return frozenset(await self._database.fetch(lambda row: row[0], self._queries.select_claimed, named))

    async def traced(self, channel: str) -> int | None:
        """Up to which row of the session store every trace is accounted for; None if it never was looked at."""
        for row in await self._database.fetch(lambda row: row[0], self._queries.select_traced, {"channel": channel}):
            return None if row is None else int(row)
        return None

    async def trace(self, channel: str, row: int) -> None:
        """Traces up to ``row`` are accounted for."""
        named = {"channel": channel, "row": row}
        await self._database.transact(lambda connection: execute(connection, self._queries.mark_traced, named))

    async def paired(self, channel: str) -> Paired | None:
        """The number that was connected last; None if none ever was."""
        found = await self._database.fetch(_paired, self._queries.select_paired, {"channel": channel})
        return next(iter(found), None)

    async def pair(self, channel: str, paired: Paired) -> None:
        """This number is connected now."""
        at = maybe_micros(paired.changed_at)
        named = {"channel": channel, "phone": paired.phone, "jid": paired.jid, "at": at}
        await self._database.transact(lambda connection: execute(connection, self._queries.mark_paired, named))


def _paired(row: Row) -> Paired:
    return Paired(phone=row[0], jid=row[1], changed_at=maybe_moment(row[2]))


def read_spooled(row: Row) -> Spooled:
    """A row of ``select_spooled``."""
    seq, key, what, at = row
    return Spooled(seq=seq, key=key, what=read_inbound(what), at=moment(at))
