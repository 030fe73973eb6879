"""``audit.db``: appended to in one transaction, and read.

It is opened when there is something to do, and anew after a lasting fault. SQLite runs on the connection's own thread.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from functools import partial
from heapq import heapify, heappop, heappush
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

from gateway.audit.chain import FIELDS, START, Fields, Head, seal
from gateway.store.database import BEGIN, LOOK, Connection, transact
from gateway.store.faults import NO_WAL, STORE_ERRORS, FaultError, fault_of
from gateway.store.files import make_private_directory, make_private_file
from gateway.store.schema import NewerSchemaError, read_version, split_statements
from protocol.errors import StoreUnavailableError

T = TypeVar("T")

VERSION: Final = 1
BUSY_S: Final = 5.0
"""How long a lock of another connection, such as a shell's, is waited for."""

_COLUMNS: Final = ", ".join(FIELDS)
_LAST: Final = "SELECT seq, seal FROM entries ORDER BY seq DESC LIMIT 1"
_SEAL: Final = "SELECT seal FROM entries WHERE seq = ?"
_APPEND: Final = f"INSERT INTO entries ({_COLUMNS}, seal) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - as below
_PAGE: Final = f"SELECT {_COLUMNS} FROM entries WHERE seq < ? ORDER BY seq DESC LIMIT ?"  # noqa: S608 - columns of ours
_PAGE_OF_CLINIC: Final = f"SELECT {_COLUMNS} FROM entries WHERE clinic = ? AND seq < ? ORDER BY seq DESC LIMIT ?"  # noqa: S608
_ENTRY: Final = f"SELECT {_COLUMNS} FROM entries WHERE seq = ?"  # noqa: S608 - as above
_NEWEST: Final = "SELECT max(seq) FROM entries WHERE clinic = ? AND seq < ?"


def audit_file(data: Path) -> Path:
    """Where it is."""
    return data / "audit.db"


class AuditFile:
    """The file at ``path``, sealed with ``key``. On the loop's thread; one call at a time but for reads."""

    def __init__(self, path: Path, key: bytes) -> None:
        self._path = path
        self._key = key
        self._connection: Connection | None = None
        self._lock = asyncio.Lock()
        self._opening: set[asyncio.Task[Connection]] = set()

    async def last(self) -> Head:
        """Where it ends. Raises StoreUnavailableError."""
        return await self._use(_last)

    async def seal_of(self, seq: int) -> object:
        """What is stored as the seal of an entry; None if there is no such entry. Raises StoreUnavailableError."""
        return await self._use(partial(_seal_of, seq))

    async def append(self, drafts: Sequence[Fields], after: Head) -> Head:
        """Add entries, each without its number, after ``after`` or what else is last; where it then ends. All or none
        of them are on the disk when this returns.

        Raises:
            StoreUnavailableError: whether they are is not known; ``last`` will say.
        """
        return await self._use(partial(_append, self._key, drafts, after), BEGIN)

    async def page(self, clinics: Collection[str] | None, before: int, limit: int) -> list[Fields]:
        """Entries below ``before``, of these clinics or of all, newest first. Raises StoreUnavailableError."""
        return await self._use(partial(_page, clinics, before, limit))

    async def close(self) -> None:
        """Close the file; never fails."""
        async with self._lock:
            await self._disconnect()

    async def _use(self, work: Callable[[sqlite3.Connection], T], begin: str = LOOK) -> T:
        try:
            connection = await self._connected()
            return await connection.run(partial(transact, begin, work))
        except STORE_ERRORS as error:
            fault = fault_of(error)
            if fault.lasting:
                await self.close()
            name = getattr(error, "sqlite_errorname", type(error).__name__)
            raise StoreUnavailableError(f"the audit: {self._path} {fault.what} ({name}): {fault.mend}") from error

    async def _connected(self) -> Connection:
        """Whoever waits for it may be cancelled: it is opened all the same, and not left half open."""
        task = asyncio.ensure_future(self._connect())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        return await asyncio.shield(task)

    async def _connect(self) -> Connection:
        async with self._lock:
            if self._connection is None:
                self._connection = await Connection.to(partial(_open_file, self._path))
            return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):  # a damaged file may fail to close, and is let go all the same
                await connection.close()


# What follows runs on the connection's thread.


def _open_file(path: Path) -> sqlite3.Connection:
    make_private_directory(path.parent)
    make_private_file(path)
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    try:
        [(mode,)] = connection.execute("PRAGMA journal_mode = WAL").fetchall()
        if mode != "wal":
            raise FaultError(NO_WAL)
        # FULL: what is committed is on the disk, whatever becomes of the machine.
        connection.execute("PRAGMA synchronous = FULL")
        _create(connection)
    except BaseException:
        with suppress(sqlite3.Error):
            connection.close()
        raise
    return connection


def _create(connection: sqlite3.Connection) -> None:
    version = read_version(connection)
    if version > VERSION:
        raise NewerSchemaError(version, VERSION)
    if version == 0:
        script = (files("gateway.audit") / "schema.sql").read_text(encoding="utf-8")
        connection.execute(BEGIN)
        for statement in split_statements(script):
            connection.execute(statement)
        connection.execute("COMMIT")


def _last(connection: sqlite3.Connection) -> Head:
    for seq, sealed in connection.execute(_LAST):
        return Head(seq, sealed)
    return START


def _seal_of(seq: int, connection: sqlite3.Connection) -> object:
    row = connection.execute(_SEAL, (seq,)).fetchone()
    return None if row is None else row[0]


def _append(key: bytes, drafts: Sequence[Fields], after: Head, connection: sqlite3.Connection) -> Head:
    """What is in the file beyond ``after`` is from a commit of which was not known whether it was done."""
    last = _last(connection)
    at = last if last.seq > after.seq else after
    for draft in drafts:
        fields = (at.seq + 1, *draft)
        at = Head(at.seq + 1, seal(key, at.seal, fields))
        connection.execute(_APPEND, (*fields, at.seal))
    return at


def _page(clinics: Collection[str] | None, before: int, limit: int, connection: sqlite3.Connection) -> list[Fields]:
    if clinics is None:
        return connection.execute(_PAGE, (before, limit)).fetchall()
    if len(clinics) == 1:
        return connection.execute(_PAGE_OF_CLINIC, (*clinics, before, limit)).fetchall()
    return [
        connection.execute(_ENTRY, (seq,)).fetchone() for seq in islice(_merged(clinics, before, connection), limit)
    ]


def _merged(clinics: Collection[str], before: int, connection: sqlite3.Connection) -> Iterator[int]:
    """The numbers of their entries, newest first: of each clinic only the next one is looked for, in the index."""

    def newest(clinic: str, below: int) -> Iterator[tuple[int, str]]:
        (seq,) = connection.execute(_NEWEST, (clinic, below)).fetchone()
        if seq is not None:
            yield -seq, clinic

    heap = [found for clinic in set(clinics) for found in newest(clinic, before)]
    heapify(heap)
    while heap:
        negative, clinic = heappop(heap)
        yield -negative
        for found in newest(clinic, -negative):
            heappush(heap, found)
