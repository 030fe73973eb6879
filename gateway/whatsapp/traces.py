"""What whatsmeow writes into the session store for each message with a secret, before it does anything else with it.

Read from main while a port may be writing: the store is in WAL mode, so readers hold up nobody. Everything here blocks,
and belongs on a thread. Raises StoreUnavailableError whatever SQLite says.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from gateway.whatsapp.jids import bare_jid
from protocol.errors import StoreGoneError, StoreUnavailableError
from protocol.interfaces import Trace

_BUSY_S: Final = 5.0
_AT_ONCE: Final = 10_000
"""Secrets in one query: each goes through the whole table, which has no index over them."""

KEPT: Final = 10_000
"""Traces that stay, whatever is accounted for: the newest have the numbers go on, and answers refer to some."""
_MOST_PRUNED: Final = 100_000
"""Deleted at once, in less than a second."""

_LAST: Final = "SELECT coalesce(max(rowid), 0) FROM whatsmeow_message_secrets"
_BETWEEN: Final = """
SELECT rowid, chat_jid, sender_jid, message_id, key FROM whatsmeow_message_secrets
WHERE rowid > ? AND rowid <= ? ORDER BY rowid
"""
_PRUNE: Final = """
DELETE FROM whatsmeow_message_secrets WHERE rowid IN
    (SELECT rowid FROM whatsmeow_message_secrets WHERE rowid <= ? ORDER BY rowid LIMIT ?)
"""


def last_row(store: str) -> int:
    """The newest row; 0 if there is none, or no store yet."""
    if not Path(store).exists():
        return 0
    with _reading(store) as database:
        return int(database.execute(_LAST).fetchone()[0]) if _has_table(database) else 0


def between(store: str, after: int, until: int) -> list[Trace]:
    """The rows above ``after`` up to ``until``, in order; none if there is no store yet."""
    if not Path(store).exists():
        return []
    with _reading(store) as database:
        if not _has_table(database):
            return []
        return [
            Trace(row=row, chat=bare_jid(chat), sender=bare_jid(sender), wa_id=wa_id, secret=secret)
            for row, chat, sender, wa_id, secret in database.execute(_BETWEEN, (after, until))
        ]


def prune(store: str, traced: int) -> None:
    """Delete the rows up to ``KEPT`` before ``traced``, the oldest first, if there are any; nobody else may use it."""
    if traced <= KEPT or not Path(store).exists():
        return
    with _open(store, "rw") as database:
        if _has_table(database):
            database.execute(_PRUNE, (traced - KEPT, _MOST_PRUNED))
            database.commit()


def unlink(store: str) -> None:
    """Delete the session, and all that is of it, as whatsmeow does when WhatsApp has ended it; a store that is no
    database goes whole. Nobody else may use it."""
    if not Path(store).exists():
        return
    try:
        with closing(sqlite3.connect(f"file:{quote(store)}?mode=rw", uri=True, timeout=_BUSY_S)) as database:
            database.execute("PRAGMA foreign_keys = ON")
            if _has_table(database, "whatsmeow_device"):
                database.execute("DELETE FROM whatsmeow_device")
                database.commit()
    except sqlite3.OperationalError as error:
        raise StoreUnavailableError(f"the session store {store} cannot be emptied: {error}") from error
    except sqlite3.DatabaseError:
        _remove(store)


def _remove(store: str) -> None:
    try:
        for ending in ("-wal", "-shm", ""):
            Path(f"{store}{ending}").unlink(missing_ok=True)
    except OSError as error:
        raise StoreUnavailableError(f"the session store {store} cannot be removed: {error.strerror}") from error


def ids_of(store: str, secrets: Sequence[bytes], device: str | None) -> Mapping[bytes, str]:
    """The WhatsApp ids of the messages with these secrets, which were to be sent as ``device``.

    Raises:
        StoreGoneError: the session of that device is not here (the device was removed, its rows with it; the machine
            was started anew), so that what is missing says nothing.
    """
    if not secrets:
        return {}
    if not Path(store).exists():
        raise StoreGoneError(f"there is no session store {store} any more")
    found: dict[bytes, str] = {}
    with _reading(store) as database:
        database.execute("BEGIN")  # the session is looked for at the same moment as the messages
        if not _has_table(database, "whatsmeow_device") or device not in _devices(database):
            raise StoreGoneError(f"the session store {store} is not that of {device or 'any known device'}")
        if _has_table(database):
            for start in range(0, len(secrets), _AT_ONCE):
                batch = secrets[start : start + _AT_ONCE]
                marks = ",".join("?" * len(batch))
                query = f"SELECT key, message_id FROM whatsmeow_message_secrets WHERE key IN ({marks})"  # noqa: S608
                found.update(database.execute(query, batch).fetchall())
    return found


def _devices(database: sqlite3.Connection) -> set[str]:
    return {jid for (jid,) in database.execute("SELECT jid FROM whatsmeow_device")}


def _reading(store: str) -> AbstractContextManager[sqlite3.Connection]:
    return _open(store, "ro")


@contextmanager
def _open(store: str, mode: str) -> Iterator[sqlite3.Connection]:
    try:
        address = f"file:{quote(store)}?mode={mode}"
        with closing(sqlite3.connect(address, uri=True, timeout=_BUSY_S)) as database:
            yield database
    except sqlite3.Error as error:
        raise StoreUnavailableError(f"the session store {store} cannot be read: {error}") from error


def _has_table(database: sqlite3.Connection, name: str = "whatsmeow_message_secrets") -> bool:
    """Not before whatsmeow has opened the store for the first time."""
    query = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?"
    return database.execute(query, (name,)).fetchone() is not None
