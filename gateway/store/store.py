"""The databases of all clinics, as one service of the node."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from gateway.store.database import Database
from gateway.store.faults import fault_of, unavailable_directory
from gateway.store.files import check_writable, clinics_directory, database_file
from gateway.store.ledger import SqliteLedger
from gateway.store.part import Bounds
from gateway.store.sealing import Key
from protocol.commands import utc_now
from protocol.errors import StoreUnavailableError


class SqliteStore:
    """``protocol.interfaces.Store`` and ``Service`` over the directory ``data``. All methods are called on one loop.

    Each open clinic has a thread of its own (aiosqlite). ``keys_of``: a clinic's data keys, the one that seals first;
    called on that thread. ``busy_timeout``: seconds to wait for a lock that another
    program holds on a file; the longest that one call can keep its clinic waiting, save for the disk itself.
    ``bounds``: how long and how much each clinic's database keeps. ``clock``: the time at which results are recorded.
    """

    def __init__(
        self,
        data: Path,
        keys_of: Callable[[str], Sequence[Key]],
        *,
        busy_timeout: float = 2.0,
        bounds: Bounds | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._data = data
        self._keys_of = keys_of
        self._busy_timeout = busy_timeout
        self._bounds = bounds or Bounds()
        self._clock = clock
        self._running = False
        self._ledgers: dict[str, SqliteLedger] = {}
        self._borrowed: set[str] = set()

    async def start(self) -> None:
        """Create the directory of the clinics, or see that it can be written to; no clinic is opened yet.

        Raises:
            StoreUnavailableError: it cannot be written to; names it.
        """
        directory = clinics_directory(self._data)
        try:
            check_writable(directory)
        except OSError as error:
            raise unavailable_directory(fault_of(error), directory, error) from error
        # At level DEBUG aiosqlite logs every statement with its parameters, which are people's messages.
        logging.getLogger("aiosqlite").setLevel(logging.INFO)
        self._running = True

    async def wait(self) -> str:
        """Never returns: the store does not end by itself. What befalls one clinic's file is that clinic's matter."""
        never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        return await never

    async def stop(self, *, timeout: float) -> None:
        """Close all databases, after what was asked of them before; harmless if it is not running.

        Raises:
            StoreUnavailableError: a disk did not answer for ``timeout`` seconds. A thread that waits for it cannot be
                ended; it closes its file when the disk comes back.
        """
        self._running = False
        closing = {asyncio.ensure_future(ledger.close()): clinic for clinic, ledger in self._ledgers.items()}
        self._ledgers.clear()
        if not closing:
            return
        _, late = await asyncio.wait(closing, timeout=timeout)
        if late:
            names = ", ".join(sorted(closing[task] for task in late))
            raise StoreUnavailableError(f"the databases of {names} did not close within {timeout} s: look at the disk")

    async def open_clinic(self, clinic: str) -> SqliteLedger:
        """Open (create, migrate) the clinic's database; the same object if it is open already. Safe to call twice at
        the same time. Damage inside a file shows when it is read, and as StoreUnavailableError then.

        Raises:
            InvalidIdError: ``clinic`` is not an identifier.
            StoreUnavailableError: it is locked, corrupt, of a newer version, or the disk is full; names the file.
            WrongKeyError: it is sealed with a key that the clinic does not have; what ``keys_of`` raises.
        """
        self._borrowed.discard(clinic)
        return await self._open(clinic)

    async def _open(self, clinic: str) -> SqliteLedger:
        path = database_file(self._data, clinic)
        if not self._running:
            raise StoreUnavailableError(f"clinic {clinic}: {path} cannot be opened: the store is not running")
        if clinic not in self._ledgers:
            keys = partial(self._keys_of, clinic)
            database = Database(clinic, path, keys, busy_timeout=self._busy_timeout, max_bytes=self._bounds.max_bytes)
            self._ledgers[clinic] = SqliteLedger(database, bounds=self._bounds, clock=self._clock)
        ledger = self._ledgers[clinic]
        await ledger.open()
        return ledger

    async def reseal(self, clinic: str) -> None:
        """Seal all of the clinic's database anew under its first key, in one transaction; opens it for that, if it is
        not open, and leaves it so. Harmless if all is under it already.

        Raises:
            InvalidIdError, StoreUnavailableError, WrongKeyError: as ``open_clinic``; nothing was changed.
        """
        known = self._ledgers.get(clinic)
        if known is None or not known.is_open:
            self._borrowed.add(clinic)
        ledger = await self._open(clinic)
        try:
            await ledger.reseal()
        finally:
            if clinic in self._borrowed:  # else somebody wants it open by now
                self._borrowed.remove(clinic)
                await ledger.close()

    def clinic(self, clinic: str) -> SqliteLedger:
        """The clinic's ledger if it is open. Raises StoreUnavailableError if it is not."""
        ledger = self._ledgers.get(clinic)
        if ledger is None or not ledger.is_open:
            raise StoreUnavailableError(f"clinic {clinic}: its database is not open")
        return ledger

    async def close_clinic(self, clinic: str) -> None:
        """Close it, after what was asked of it before; harmless if it is not open.

        The ledger stays known, so that an ``open_clinic`` at the same time waits for its end and there are never two
        connections on one file.
        """
        if ledger := self._ledgers.get(clinic):
            await ledger.close()
