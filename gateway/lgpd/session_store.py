"""What whatsmeow's session store holds of a person, deleted while no port uses it. Blocks.

A person appears by number and by LID: as a JID (``5511…@s.whatsapp.net``, ``77…@lid``, a device's with ``:1``), or as a
Signal address, ``5511…:0`` by number and ``77…_1:0`` by LID (whatsmeow ``types/jid.go``, ``SignalAddress``). What is
keyed by something else is not found: ``whatsmeow_event_buffer`` (texts by the hash of what they were encrypted as, only
until they were handed on) and ``whatsmeow_app_state_*`` (hashes alone).
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from gateway.whatsapp import lock
from gateway.whatsapp.frames import Holder
from gateway.whatsapp.jids import bare_jid
from protocol.errors import StoreUnavailableError

_BUSY_S: Final = 5.0
_BY_LID: Final = "1"
"""The agent in the Signal address of a LID."""

PERSONAL: Final = {
    "whatsmeow_identity_keys": ("their_id",),
    "whatsmeow_sessions": ("their_id",),
    "whatsmeow_sender_keys": ("chat_id", "sender_id"),
    "whatsmeow_contacts": ("their_jid",),
    "whatsmeow_chat_settings": ("chat_jid",),
    "whatsmeow_message_secrets": ("chat_jid", "sender_jid"),
    "whatsmeow_privacy_tokens": ("their_jid",),
    "whatsmeow_retry_buffer": ("chat_jid",),
}
"""Tables with rows of a person, and the columns that say whose (whatsmeow's schema 15)."""
_NAMES: Final = ("jid", "first_name", "full_name", "push_name", "business_name")
_CONTACTS: Final = "SELECT their_jid, first_name, full_name, push_name, business_name FROM whatsmeow_contacts"
_FORGET_MAPPING: Final = """
DELETE FROM whatsmeow_lid_map WHERE is_theirs(lid || '@lid') OR is_theirs(pn || '@s.whatsapp.net')
"""


def forms_of(store: str, jids: frozenset[str]) -> frozenset[str]:
    """``jids``, and those that the store knows to be of the same people; a port may be using it.

    Raises:
        StoreUnavailableError
    """
    if not Path(store).exists():
        return jids
    found = set(jids)
    with _open(store, "ro") as database:
        if _has(database, "whatsmeow_lid_map"):
            for lid, number in database.execute("SELECT lid, pn FROM whatsmeow_lid_map"):
                both = {f"{lid}@lid", f"{number}@s.whatsapp.net"}
                if both & jids:
                    found |= both
    return frozenset(found)


def contacts(store: str, jids: frozenset[str] | None) -> list[dict[str, str]]:
    """The names of people as WhatsApp gave them: of all, or of these; a port may be using it.

    Raises:
        StoreUnavailableError
    """
    if not Path(store).exists():
        return []
    with _open(store, "ro") as database:
        if not _has(database, "whatsmeow_contacts"):
            return []
        found = database.execute(_CONTACTS).fetchall()
    named = [dict(zip(_NAMES, row, strict=True)) for row in found if jids is None or is_of(row[0], jids)]
    return [{name: value for name, value in contact.items() if value} for contact in named]


def erase(store: str, jids: frozenset[str]) -> int:
    """Delete what it holds of ``jids``, and overwrite it; how many rows there were. No port can open it meanwhile.

    Raises:
        StoreUnavailableError: a port uses it, or SQLite cannot.
    """
    if not Path(store).exists():
        return 0
    with _locked(store), _open(store, "rw") as database:
        database.create_function("is_theirs", 1, lambda value: is_of(value, jids), deterministic=True)
        database.execute("PRAGMA secure_delete = ON")
        database.execute("BEGIN IMMEDIATE")
        count = sum(_delete(database, table, columns) for table, columns in PERSONAL.items())
        if _has(database, "whatsmeow_lid_map"):
            count += database.execute(_FORGET_MAPPING).rowcount
        database.execute("COMMIT")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # what was written over is still in there
    return count


def is_of(value: object, jids: frozenset[str]) -> bool:
    """Whether a column names one of ``jids``, as a JID or a Signal address."""
    if not isinstance(value, str):
        return False
    if "@" in value:
        return bare_jid(value) in jids
    user, _, agent = value.partition(":")[0].partition("_")
    return f"{user}@{'lid' if agent == _BY_LID else 's.whatsapp.net'}" in jids


def _delete(database: sqlite3.Connection, table: str, columns: tuple[str, ...]) -> int:
    if not _has(database, table):
        return 0
    theirs = " OR ".join(f"is_theirs({column})" for column in columns)
    return database.execute(f"DELETE FROM {table} WHERE {theirs}").rowcount  # noqa: S608 - ours, all of it


def _has(database: sqlite3.Connection, table: str) -> bool:
    query = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?"
    return database.execute(query, (table,)).fetchone() is not None


@contextmanager
def _open(store: str, mode: str) -> Iterator[sqlite3.Connection]:
    try:
        address = f"file:{quote(store)}?mode={mode}"
        with closing(sqlite3.connect(address, uri=True, timeout=_BUSY_S, isolation_level=None)) as database:
            yield database
    except sqlite3.Error as error:
        raise StoreUnavailableError(f"the session store {store} cannot be used: {error}") from error


@contextmanager
def _locked(store: str) -> Iterator[None]:
    """Hold the lock that ports take, so that none can begin."""
    me = os.getpid()
    holder = Holder(pid=me, main_pid=me, main_started=lock.started(me) or 0)
    try:
        descriptor = lock.take(store, holder)
    except lock.StoreHeldError as error:
        raise StoreUnavailableError(f"{error}: disconnect the channel, and try again") from error
    except OSError as error:
        raise StoreUnavailableError(f"{lock.lock_path(store)} cannot be locked: {error.strerror}") from error
    try:
        yield
    finally:
        os.close(descriptor)
