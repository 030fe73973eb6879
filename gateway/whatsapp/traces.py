"""What whatsmeow writes into the session store for each message with a secret, before it does anything else with it.

Read from main while a port may be writing: the store is in WAL mode, so readers hold up nobody. Everything here blocks,
and belongs on a thread. Raises StoreUnavailableError whatever SQLite says.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from gateway.whatsapp.jids import bare_jid
from protocol.errors import StoreUnavailableError
from protocol.interfaces import Trace

_BUSY_S: Final = 5.0
_AT_ONCE: Final = 10_000
"""Secrets in one query: each goes through the whole table, which has no index over them."""

_LAST: Final = "SELECT coalesce(max(rowid), 0) FROM whatsmeow_message_secrets"
_BETWEEN: Final = """
SELECT rowid, chat_jid, sender_jid, message_id, key FROM whatsmeow_message_secrets
WHERE rowid > ? AND rowid <= ? ORDER BY rowid
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


def ids_of(store: str, secrets: Sequence[bytes]) -> Mapping[bytes, str]:
    """The WhatsApp ids of the messages with these secrets. A store that is not there any more says nothing of them, so
    it is no answer."""
    if not secrets:
        return {}
    found: dict[bytes, str] = {}
    with _reading(store) as database:
        if _has_table(database):
            for start in range(0, len(secrets), _AT_ONCE):
                batch = secrets[start : start + _AT_ONCE]
                marks = ",".join("?" * len(batch))
                query = f"SELECT key, message_id FROM whatsmeow_message_secrets WHERE key IN ({marks})"  # noqa: S608
                found.update(database.execute(query, batch).fetchall())
    return found


@contextmanager
def _reading(store: str) -> Iterator[sqlite3.Connection]:
    try:
        address = f"file:{quote(store)}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=_BUSY_S)) as database:
            yield database
    except sqlite3.Error as error:
        raise StoreUnavailableError(f"the session store {store} cannot be read: {error}") from error


def _has_table(database: sqlite3.Connection) -> bool:
    """Not before whatsmeow has opened the store for the first time."""
    query = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'whatsmeow_message_secrets'"
    return database.execute(query).fetchone() is not None
