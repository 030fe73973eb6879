"""A clinic's ledger, put together from its parts, and what concerns the whole file."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from gateway.store.commands import Commands
from gateway.store.database import execute, execute_many, fetch
from gateway.store.inbound import InboundPart
from gateway.store.outcomes import Outcomes
from gateway.store.records import ClinicRecords
from gateway.store.resealing import reseal
from gateway.store.rows import micros
from gateway.store.sealing import SealedFile
from protocol.ledger import ClinicCounts
from protocol.views import CommandState

SWEEP: Final = 2000
"""Rows of a kind to delete at once, in some 20 ms, before the clinic's channels get their turn."""
STRAYS_KEPT: Final = timedelta(days=1)
"""Who may have sent a message is looked up within minutes of the receipt, if at all."""


class SqliteLedger(Commands, Outcomes, InboundPart, ClinicRecords):
    """``protocol.ledger.Ledger`` on a ``Database``: each method is one transaction.

    All raise StoreUnavailableError, having changed nothing.
    """

    async def open(self) -> None:
        """Open the file; harmless if it is open."""
        await self._database.open()

    async def close(self) -> None:
        """Close the file after what was asked before. Never fails."""
        await self._database.close()

    @property
    def is_open(self) -> bool:
        """Whether it was opened and not closed."""
        return self._database.wanted

    async def reseal(self) -> None:
        """Seal all anew under the clinic's first key, with every lookup, in one transaction; other calls wait
        meanwhile. Harmless if all is under it already."""
        await self._database.reseal(lambda connection, new: reseal(connection, new, self._queries))

    async def counts(self) -> ClinicCounts:
        """How much there is."""
        queries = self._queries

        def work(connection: SealedFile) -> ClinicCounts:
            commands: dict[str, dict[CommandState, int]] = {}
            for channel, state, number in fetch(connection, queries.count_commands, {}):
                commands.setdefault(channel, {})[CommandState(state)] = number
            spooled: dict[str, int] = dict(fetch(connection, queries.count_spooled, {}))
            [(pages, page_size)] = fetch(connection, queries.select_size, {})
            return ClinicCounts(
                commands=commands, spooled=spooled, bytes=pages * page_size, limit=self._bounds.max_bytes
            )

        return await self._database.look(work)

    async def register(self, channels: Mapping[str, datetime]) -> frozenset[str]:
        """These are the clinic's channels, and when each was registered. Returns of which others there is something
        that was never forgotten: of another name, or registered at another time under one of these names."""
        queries = self._queries
        wanted = {channel: micros(at) for channel, at in channels.items()}

        def work(connection: SealedFile) -> frozenset[str]:
            execute_many(connection, queries.register_channel, list(wanted.items()))
            there = fetch(connection, queries.select_registered, {})
            return frozenset(channel for channel, created in there if (channel, created) not in wanted.items())

        return await self._database.transact(work)

    async def forget_channel(self, channel: str) -> None:
        """Delete all that there is of a channel."""
        queries, named = self._queries, {"channel": channel}

        def work(connection: SealedFile) -> None:
            sizes = fetch(connection, queries.forget_spool, named)
            execute(connection, queries.add_size, {"bytes": -sum(size for (size,) in sizes)})
            for sql in (
                queries.forget_claims,
                queries.forget_commands,
                queries.forget_people,
                queries.forget_consents,
                queries.forget_strays,
                queries.forget_channel,
            ):
                execute(connection, sql, named)

        await self._database.transact(work)

    async def sweep(self, now: datetime) -> int:
        """Delete what is older than it has to be kept, at most some thousand rows; how many there were."""
        queries, bounds = self._queries, self._bounds
        ended, came = micros(now - bounds.keep), micros(now - bounds.remember)

        def work(connection: SealedFile) -> int:
            swept = execute(connection, queries.sweep_claims, {"before": came, "limit": SWEEP})
            swept += execute(connection, queries.sweep_strays, {"before": micros(now - STRAYS_KEPT), "limit": SWEEP})
            forgotten = {"before": micros(now - bounds.people), "limit": SWEEP}
            swept += execute(connection, queries.sweep_people, forgotten)
            swept += execute(connection, queries.sweep_consents, forgotten)
            left = SWEEP
            for (channel,) in fetch(connection, queries.select_channels, {}):
                named = {"channel": channel, "before": ended, "limit": left}
                left -= execute(connection, queries.sweep_commands, named)
            return swept + SWEEP - left

        return await self._database.transact(work)
