"""One clinic's SQLite file: its connection, its one writer, its transactions.

Everything here runs on the loop; SQLite itself runs on the connection's own thread (aiosqlite), so a slow disk holds up
this clinic and nobody else. A connection is opened when there is something to do and, after a lasting fault, anew.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import aiosqlite

from gateway.store.faults import NO_WAL, STORE_ERRORS, FaultError, fault_of, unavailable
from gateway.store.files import make_private_directory, make_private_file
from gateway.store.schema import load_migrations, migrate
from protocol.errors import StoreUnavailableError

T = TypeVar("T")
Row = tuple[Any, ...]

_PRAGMAS: Final = (
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA journal_size_limit = 67108864",
)

_SLICE: Final = 64
"""Rows to decode, at some 15 µs each, before others on the loop get their turn."""


class Connection(aiosqlite.Connection):
    """A connection that does several things in one go, and whose thread can be waited for when opening fails, which
    aiosqlite stops but doesn't wait for."""

    stopped: asyncio.Future[Any] | None = None

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do ``work`` on the connection's thread."""
        return cast(T, await self._execute(work, self._conn))  # type: ignore[no-untyped-call]

    def stop(self) -> asyncio.Future[Any] | None:
        self.stopped = super().stop()
        return self.stopped


class Database:
    """The file at ``path``, of the clinic ``clinic``. All methods are called on one loop.

    ``busy_timeout``: seconds to wait for a lock that another connection holds.
    """

    def __init__(self, clinic: str, path: Path, *, busy_timeout: float) -> None:
        self._clinic = clinic
        self._path = path
        self._busy_timeout = busy_timeout
        self._wanted = False
        self._connection: Connection | None = None
        self._lock = asyncio.Lock()
        self._running: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Open the file, creating and migrating it; harmless if it is open.

        Raises:
            StoreUnavailableError: it cannot be opened; nothing is left open.
        """
        await self._to_its_end(self._open())

    async def close(self) -> None:
        """Close the file after what was asked before; later calls are refused until ``open``. Never fails."""
        await self._to_its_end(self._close())

    async def transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do ``work`` in one transaction of its own, and commit it; whatever ``work`` raises rolls it back.

        ``work`` runs on the connection's thread, all in one go: the loop is woken once for a transaction, not once for
        each statement. It runs to its end even if the caller is cancelled.

        Raises:
            StoreUnavailableError: nothing was changed.
        """
        return await self._to_its_end(self._use(lambda connection: connection.run(partial(_transact, work))))

    async def fetch(self, read: Callable[[Row], T], sql: str, parameters: Mapping[str, Any]) -> list[T]:
        """All rows of a query, each as ``read`` makes it.

        Raises:
            StoreUnavailableError: also if ``read`` finds a row damaged (InvalidBodyError).
        """

        async def work(connection: Connection) -> list[T]:
            found = []
            for index, row in enumerate(await connection.run(lambda it: fetch(it, sql, parameters))):
                if index % _SLICE == 0:
                    await asyncio.sleep(0)
                found.append(read(row))
            return found

        return await self._to_its_end(self._use(work))

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

    async def _close(self) -> None:
        async with self._lock:
            self._wanted = False
            await self._disconnect()

    async def _use(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        async with self._lock:
            if not self._wanted:
                raise StoreUnavailableError(f"clinic {self._clinic}: {self._path} is closed: open the clinic again")
            try:
                return await work(await self._connected())
            except STORE_ERRORS as error:
                if fault_of(error).lasting:
                    await self._disconnect()
                raise self._unavailable(error) from error

    def _unavailable(self, error: BaseException) -> StoreUnavailableError:
        return unavailable(fault_of(error), self._clinic, self._path, error)

    async def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = await _connect(self._path, self._busy_timeout)
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):  # a damaged file may fail to close, and is let go all the same
                await connection.close()


# What follows runs on the connection's thread, inside the transaction that is open.


def fetch(connection: sqlite3.Connection, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
    """All rows of a query."""
    return connection.execute(sql, parameters).fetchall()


def execute(connection: sqlite3.Connection, sql: str, parameters: Mapping[str, Any]) -> int:
    """Run one statement; how many rows it changed."""
    return connection.execute(sql, parameters).rowcount


def execute_many(connection: sqlite3.Connection, sql: str, rows: Iterable[Mapping[str, Any]]) -> int:
    """Run one statement for each of ``rows``; how many rows changed."""
    return connection.executemany(sql, rows).rowcount


def _transact(work: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> T:
    try:
        connection.execute("BEGIN IMMEDIATE")
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # the first error says more; a full disk has rolled back by itself
            connection.rollback()
        raise
    return result


async def _connect(path: Path, busy_timeout: float) -> Connection:
    connection = Connection(partial(_open_file, path, busy_timeout), iter_chunk_size=64)
    try:
        await connection
    except BaseException:
        if connection.stopped is not None:
            await connection.stopped
        raise
    try:
        await migrate(connection, load_migrations())
        [(mode,)] = await connection.execute_fetchall("PRAGMA journal_mode = WAL")
        if mode != "wal":
            raise FaultError(NO_WAL)
        for pragma in _PRAGMAS:
            await connection.execute(pragma)
    except BaseException:
        with suppress(sqlite3.Error):
            await connection.close()
        raise
    return connection


def _open_file(path: Path, busy_timeout: float) -> sqlite3.Connection:
    """On the connection's thread, as it touches the disk. Transactions are begun by us, not guessed by ``sqlite3``."""
    make_private_directory(path.parent)
    make_private_file(path)
    return sqlite3.connect(path, timeout=busy_timeout, isolation_level=None)
