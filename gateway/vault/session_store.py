"""whatsmeow's session store, an SQLite database in WAL mode: looked into, copied, put back without its ratchets.

The port that uses it is another process. A copy is taken with SQLite's online backup, in one step, from a connection
that only reads: it is of one moment, and holds up nobody. Copies are in memory. Everything here blocks.

What of it is a ratchet (whatsmeow ``store/sqlstore/upgrades/00-latest-schema.sql``, version 15):

* ``whatsmeow_sessions``: the Double Ratchet with each device that was written to or read.
* ``whatsmeow_sender_keys``: the ratchet of each sender in each group, our own among them.

All else is kept. ``whatsmeow_identity_keys`` says who the others are, and does not age. Pre-keys stay too
(``whatsmeow_pre_keys``): the server goes on handing out their public halves, and what is sent under one could not be
read without it. One that was used since is in the copy again; that only means that the same first message could be
read twice. But those that were made since are not in the copy, and whatsmeow would give their numbers, the next after
the largest, to others: so the largest is moved far away. And those of which the copy does not know that they were
uploaded may have been, and handed out: they are not offered a second time.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from gateway import disk

PRE_KEY_GAP: Final = 4096
"""More pre-keys than are made between two snapshots: whatsmeow makes 50 whenever fewer than 5 are left."""

_BUSY_S: Final = 5.0
_BESIDE: Final = ("-wal", "-shm", "-journal")
_UNFINISHED: Final = frozenset({sqlite3.SQLITE_READONLY_ROLLBACK, sqlite3.SQLITE_READONLY_RECOVERY})
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

_RATCHETS: Final = ("whatsmeow_sessions", "whatsmeow_sender_keys")
_OFFERED: Final = "UPDATE whatsmeow_pre_keys SET uploaded = true WHERE NOT uploaded"
_FAR_AWAY: Final = """
INSERT INTO whatsmeow_pre_keys (jid, key_id, key, uploaded)
SELECT jid, max(key_id) + :gap, randomblob(32), true FROM whatsmeow_pre_keys
GROUP BY jid HAVING max(key_id) + :gap < 1 << 24
"""
"""A number is at most 24 bits wide: there is room for 4000 restorations. The key belongs to nobody."""


class StoreDamagedError(Exception):
    """It is no database that SQLite can read, or not a whole one."""


def is_paired(store: str) -> bool:
    """Whether the store at ``store``, which nobody uses, is there and holds a device. What a port that was killed has
    left half written is undone.

    Raises:
        StoreDamagedError
        sqlite3.Error: it cannot be told.
    """
    if not Path(store).exists():
        return False
    try:
        with _reading(store) as database:
            _check(database)
            return _has_device(database)
    except sqlite3.OperationalError as error:
        # Until it is in WAL mode, which is the first that a port does with it, there is a rollback journal.
        if error.sqlite_errorcode not in _UNFINISHED:
            raise
    with _reading(store, "rw") as database:
        _check(database)
        return _has_device(database)


def copy_of(store: str) -> bytes | None:
    """The whole store as it is now; None if there is none, or it holds no device: nothing is lost with it.

    Raises:
        StoreDamagedError
        sqlite3.Error: it cannot be read.
    """
    if not Path(store).exists():
        return None
    with _damage(), _reading(store) as database, closing(sqlite3.connect(":memory:")) as copy:
        database.backup(copy)
        _check(copy)
        return _not_in_wal_mode(copy.serialize()) if _has_device(copy) else None


def usable(copy: bytes, *, drop_ratchets: bool) -> bytes:
    """The copy as a port may use it, with or without its ratchets.

    Raises:
        StoreDamagedError: it is no store that holds a device.
        sqlite3.Error: its tables are not those that are known here.
    """
    with _damage(), closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        database.deserialize(copy)
        _check(database)
        if not _has_device(database):
            raise StoreDamagedError("it holds no device")
        if not drop_ratchets:
            return copy
        database.execute("PRAGMA secure_delete = ON")
        database.execute("PRAGMA temp_store = MEMORY")
        database.execute("BEGIN")
        for table in _RATCHETS:
            database.execute(f"DELETE FROM {table}")  # noqa: S608 - one of ours
        database.execute(_OFFERED)
        database.execute(_FAR_AWAY, {"gap": PRE_KEY_GAP})
        database.execute("COMMIT")
        return database.serialize()


def put_back(content: bytes, store: str) -> None:
    """Have ``content`` at ``store``, with nothing of what was there before; nobody may use it. Raises OSError."""
    path = Path(store)
    disk.make_directory(path.parent)
    remove(store)
    disk.remove_drafts(path.parent, path.name)
    disk.write(path, content)


def remove(store: str) -> None:
    """Delete the store; nobody may use it. Raises OSError."""
    # The database first: without its -wal it would be one that is whole, and old.
    for name in (store, *(store + beside for beside in _BESIDE)):
        Path(name).unlink(missing_ok=True)


@contextmanager
def _reading(store: str, mode: str = "ro") -> Iterator[sqlite3.Connection]:
    address = f"file:{quote(store)}?mode={mode}"
    with _damage(), closing(sqlite3.connect(address, uri=True, timeout=_BUSY_S)) as database:
        yield database


@contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            raise StoreDamagedError(str(error)) from error
        raise


def _not_in_wal_mode(image: bytes) -> bytes:
    """A database in memory cannot be opened in WAL mode, to which the port that opens the file changes it anyway. The
    mode is two bytes of the header (sqlite.org/fileformat2.html, 1.3.3)."""
    return image[:18] + b"\x01\x01" + image[20:]


def _check(database: sqlite3.Connection) -> None:
    (said,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise StoreDamagedError(said)


def _has_device(database: sqlite3.Connection) -> bool:
    """There is no such table before whatsmeow has opened the store for the first time."""
    query = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'whatsmeow_device'"
    if database.execute(query).fetchone() is None:
        return False
    return database.execute("SELECT 1 FROM whatsmeow_device").fetchone() is not None
