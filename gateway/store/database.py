"""One clinic's SQLite file: its connection, its one writer, its transactions.

Everything here runs on the loop; SQLite itself runs on the connection's own thread (aiosqlite), so a slow disk holds up
this clinic and nobody else. A connection is opened when there is something to do and, after a lasting fault, anew.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Self, TypeVar, cast

import aiosqlite

from gateway.store.faults import FULL, NO_WAL, STORE_ERRORS, FaultError, fault_of, limit_reached, unavailable
from gateway.store.files import make_private_directory, make_private_file
from gateway.store.migrating import bring_forward, empty_log
from gateway.store.sealing import Key, Seal, SealedFile
from protocol.errors import InvalidInputError, StoreUnavailableError

T = TypeVar("T")
Row = tuple[Any, ...]

_PRAGMAS: Final = (
    "PRAGMA secure_delete = ON",  # what is erased is overwritten; costs nothing that can be measured
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA cache_size = -512",  # KiB, of each clinic; SQLite's 2000 are filled within half an hour, and save nothing
    "PRAGMA wal_autocheckpoint = 4000",  # pages; SQLite's 1000 writes pages that are hot again and again
)

BEGIN: Final = "BEGIN IMMEDIATE"
LOOK: Final = "BEGIN"

_EXTENT: Final = """
SELECT page_count, max_page_count, page_size, file
  FROM pragma_page_count, pragma_max_page_count, pragma_page_size, pragma_database_list
 WHERE name = 'main'
"""
_SOME_SPACE: Final = 1 << 20
"""Bytes: a disk that has them was not why a file could not grow."""

_SLICE: Final = 64
"""Rows to decode, at some 15 µs each, before others on the loop get their turn."""


class Connection(aiosqlite.Connection):
    """A connection that does several things in one go, and whose thread can be waited for when opening fails, which
    aiosqlite stops but doesn't wait for."""

    stopped: asyncio.Future[Any] | None = None

    @classmethod
    async def to(cls, open_file: Callable[[], sqlite3.Connection]) -> Self:
        """One to what ``open_file``, on the connection's thread, opens; if that raises, the thread has ended."""
        connection = cls(open_file, iter_chunk_size=64)
        try:
            await connection
        except BaseException:
            if connection.stopped is not None:
                await connection.stopped
            raise
        return connection

    async def run(self, work: Callable[[SealedFile], T]) -> T:
        """Do ``work`` on the connection's thread."""
        return cast(T, await self._execute(work, self._conn))  # type: ignore[no-untyped-call]

    def stop(self) -> asyncio.Future[Any] | None:
        self.stopped = super().stop()
        return self.stopped


class Database:
    """The file at ``path``, of the clinic ``clinic``. All methods are called on one loop.

    ``keys``: the clinic's data keys, the one that seals first; called on the connection's thread, as it may block.
    ``busy_timeout``: seconds to wait for a lock that another connection holds. ``max_bytes``: to which the file may
    grow, its write-ahead log apart.
    """

    def __init__(
        self, clinic: str, path: Path, keys: Callable[[], Sequence[Key]], *, busy_timeout: float, max_bytes: int
    ) -> None:
        self._clinic = clinic
        self._keys = keys
        self._path = path
        self._busy_timeout = busy_timeout
        self._max_bytes = max_bytes
        self._wanted = False
        self._connection: Connection | None = None
        self._lock = asyncio.Lock()
        self._running: set[asyncio.Task[Any]] = set()

    @property
    def wanted(self) -> bool:
        """Whether it was opened and not closed; a fault may have closed the file for the time being."""
        return self._wanted

    async def open(self) -> None:
        """Open the file, creating and migrating it; harmless if it is open.

        Raises:
            StoreUnavailableError: it cannot be opened; nothing is left open.
        """
        await self._to_its_end(self._open())

    async def close(self) -> None:
        """Close the file after what was asked before; later calls are refused until ``open``. Never fails."""
        await self._to_its_end(self._close())

    async def transact(self, work: Callable[[SealedFile], T]) -> T:
        """Do ``work`` in one transaction of its own, and commit it; whatever ``work`` raises rolls it back.

        ``work`` runs on the connection's thread, all in one go: the loop is woken once for a transaction, not once for
        each statement. It runs to its end even if the caller is cancelled.

        Raises:
            StoreUnavailableError: nothing was changed.
        """
        return await self._use(partial(_transact, BEGIN, work))

    async def look(self, work: Callable[[SealedFile], T]) -> T:
        """Do ``work``, which only reads, on one state of the file; no lock of another connection holds it up.

        Raises:
            StoreUnavailableError
        """
        return await self._use(partial(_transact, LOOK, work))

    async def erase(self, work: Callable[[SealedFile], T]) -> T:
        """As ``transact``, and nothing of what ``work`` deletes stays in the write-ahead log, if nobody reads it.

        Raises:
            StoreUnavailableError: nothing was changed.
        """

        def do(connection: SealedFile) -> T:
            result = _transact(BEGIN, work, connection)
            with suppress(sqlite3.Error):  # it is done, and the log is emptied sooner or later
                empty_log(connection)
            return result

        return await self._use(do)

    async def reseal(self, work: Callable[[SealedFile, Seal], None]) -> None:
        """Put the file under the clinic's first key, in one transaction in which ``work`` seals all rows anew; nothing
        is done if it is under that already.

        Raises:
            StoreUnavailableError: nothing was changed.
        """

        def do(connection: SealedFile) -> None:
            new = Seal(self._clinic, self._keys()[0])
            if new.key_id != connection.seal.key_id:
                _transact(BEGIN, lambda _: work(connection, new), connection)
                connection.seal = new
                with suppress(sqlite3.Error):  # it is done, and the log is emptied sooner or later
                    empty_log(connection)

        await self._use(do)

    async def fetch(
        self, read: Callable[[Seal, Row], T], sql: str, parameters: Callable[[Seal], Mapping[str, Any]]
    ) -> list[T]:
        """All rows of a query, each as ``read`` makes it, under the seal that the file had then. While they are decoded
        the file is free for others.

        Raises:
            StoreUnavailableError: also if ``read`` finds a row damaged (InvalidBodyError).
        """

        def work(connection: SealedFile) -> tuple[Seal, list[Row]]:
            return connection.seal, fetch(connection, sql, parameters(connection.seal))

        seal, rows = await self._use(work)
        try:
            return await _decoded(partial(read, seal), rows)
        except InvalidInputError as error:
            await self._to_its_end(self._let_go(self._connection))
            raise self._unavailable(error) from error

    async def _to_its_end(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def _open(self) -> None:
        async with self._lock:
            self._wanted = True
            try:
                await self._connected()
            except STORE_ERRORS as error:
                self._wanted = False
                raise self._unavailable(error) from error
            except StoreUnavailableError:  # of the keys
                self._wanted = False
                raise

    async def _close(self) -> None:
        async with self._lock:
            self._wanted = False
            await self._disconnect()

    async def _let_go(self, connection: Connection | None) -> None:
        """Of this one; not of one that somebody has opened anew meanwhile."""
        async with self._lock:
            if self._connection is connection:
                await self._disconnect()

    async def _use(self, work: Callable[[SealedFile], T]) -> T:
        if self._connection is None or self._lock.locked():
            return await self._to_its_end(self._use_in_turn(work))
        connection = self._connection
        try:
            # The connection's thread does one thing after another, and to its end, whoever waits for it.
            return await connection.run(work)
        except STORE_ERRORS as error:
            if fault_of(error).lasting:
                await self._to_its_end(self._let_go(connection))
            raise self._unavailable(error) from error

    async def _use_in_turn(self, work: Callable[[SealedFile], T]) -> T:
        """After whoever opens or closes the file."""
        async with self._lock:
            if not self._wanted:
                raise StoreUnavailableError(f"clinic {self._clinic}: {self._path} is closed: open the clinic again")
            try:
                connection = await self._connected()
                return await connection.run(work)
            except STORE_ERRORS as error:
                if fault_of(error).lasting:
                    await self._disconnect()
                raise self._unavailable(error) from error

    def _unavailable(self, error: BaseException) -> StoreUnavailableError:
        return unavailable(fault_of(error), self._clinic, self._path, error)

    async def _connected(self) -> Connection:
        if self._connection is None:
            work = partial(_open_file, self._clinic, self._path, self._keys, self._busy_timeout, self._max_bytes)
            self._connection = await Connection.to(work)
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):  # a damaged file may fail to close, and is let go all the same
                await connection.close()


async def _decoded(read: Callable[[Row], T], rows: Sequence[Row]) -> list[T]:
    found = []
    for index, row in enumerate(rows):
        if index % _SLICE == 0:
            await asyncio.sleep(0)
        found.append(read(row))
    return found


# What follows runs on the connection's thread, inside the transaction that is open.


def fetch(connection: sqlite3.Connection, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
    """All rows of a query."""
    return connection.execute(sql, parameters).fetchall()


def execute(connection: sqlite3.Connection, sql: str, parameters: Mapping[str, Any]) -> int:
    """Run one statement; how many rows it changed."""
    return connection.execute(sql, parameters).rowcount


def execute_many(connection: sqlite3.Connection, sql: str, rows: Sequence[Row]) -> int:
    """Run one statement for each of ``rows``; how many rows changed."""
    return connection.executemany(sql, rows).rowcount if rows else 0


def transact(begin: str, work: Callable[[SealedFile], T], connection: SealedFile) -> T:
    """Do ``work`` in a transaction that ``begin`` opens; whatever it raises rolls that back."""
    try:
        connection.execute(begin)
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # the first error says more; a full disk has rolled back by itself
            connection.rollback()
        raise
    return result


def _transact(begin: str, work: Callable[[SealedFile], T], connection: SealedFile) -> T:
    """The same in a clinic's file, which may grow so far and no further."""
    try:
        return transact(begin, work, connection)
    except sqlite3.Error as error:
        if fault_of(error) is FULL:
            _tell_limit(connection, error)
        raise


def _tell_limit(connection: sqlite3.Connection, error: sqlite3.Error) -> None:
    """SQLite says the same of a full disk and of a file that may not grow. Raises FaultError if it is the second."""
    [(pages, most, size, file)] = connection.execute(_EXTENT).fetchall()
    disk = os.statvfs(Path(file).parent)
    if pages * 2 >= most and disk.f_bavail * disk.f_frsize >= _SOME_SPACE:
        raise FaultError(limit_reached(most * size)) from error


def _open_file(
    clinic: str, path: Path, keys: Callable[[], Sequence[Key]], busy_timeout: float, max_bytes: int
) -> SealedFile:
    """On the connection's thread, as it touches the disk. Transactions are begun by us, not guessed by ``sqlite3``."""
    make_private_directory(path.parent)
    make_private_file(path)
    connection = sqlite3.connect(path, timeout=busy_timeout, isolation_level=None, factory=SealedFile)
    try:
        bring_forward(connection, clinic, path, keys)
        _prepare(connection, max_bytes)
    except BaseException:
        with suppress(sqlite3.Error):
            connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, max_bytes: int) -> None:
    """Write-ahead logging, and the limit."""
    [(mode,)] = connection.execute("PRAGMA journal_mode = WAL").fetchall()
    if mode != "wal":
        raise FaultError(NO_WAL)
    for pragma in _PRAGMAS:
        connection.execute(pragma)
    [(page_size,)] = connection.execute("PRAGMA page_size").fetchall()
    connection.execute(f"PRAGMA max_page_count = {max_bytes // page_size:d}")
