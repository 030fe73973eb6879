"""Session stores as whatsmeow makes them, without whatsmeow: the tables that the vault touches, in WAL mode.

The session's blob is a counter: it stands for a ratchet, of which no state may be used twice.
"""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

PHONE = "5521987654321"
NOISE_KEY = bytes(range(100, 132))

_SCHEMA = """
CREATE TABLE whatsmeow_device (jid TEXT PRIMARY KEY, noise_key bytea NOT NULL);
CREATE TABLE whatsmeow_identity_keys (our_jid TEXT, their_id TEXT, identity bytea, PRIMARY KEY (our_jid, their_id));
CREATE TABLE whatsmeow_pre_keys (
    jid TEXT, key_id INTEGER CHECK (key_id >= 0 AND key_id < 16777216), key bytea NOT NULL CHECK (length(key) = 32),
    uploaded BOOLEAN NOT NULL, PRIMARY KEY (jid, key_id));
CREATE TABLE whatsmeow_sessions (our_jid TEXT, their_id TEXT, session bytea, PRIMARY KEY (our_jid, their_id));
CREATE TABLE whatsmeow_sender_keys (
    our_jid TEXT, chat_id TEXT, sender_id TEXT, sender_key bytea, PRIMARY KEY (our_jid, chat_id, sender_id));
CREATE TABLE whatsmeow_message_secrets (our_jid TEXT, message_id TEXT, key bytea, PRIMARY KEY (our_jid, message_id));
"""
_JID = f"{PHONE}:1@s.whatsapp.net"


def connect(store: Path) -> "closing[sqlite3.Connection]":
    """As a port does: WAL, synchronous=NORMAL, a wait of 15 s for locks."""
    database = sqlite3.connect(store, timeout=15, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    return closing(database)


def make(store: Path, *, counter: int = 0, paired: bool = True) -> None:
    """A store with a session at ``counter``, or one before it is paired."""
    store.parent.mkdir(parents=True, exist_ok=True)
    with connect(store) as database:
        database.executescript(_SCHEMA)
        if paired:
            database.execute("INSERT INTO whatsmeow_device VALUES (?, ?)", (_JID, NOISE_KEY))
            database.execute("INSERT INTO whatsmeow_identity_keys VALUES (?, 'them', ?)", (_JID, b"i" * 32))
            keys = [(_JID, number, bytes([number]) * 32, number <= 8) for number in range(1, 11)]
            database.executemany("INSERT INTO whatsmeow_pre_keys VALUES (?, ?, ?, ?)", keys)
            database.execute("INSERT INTO whatsmeow_sessions VALUES (?, 'them', ?)", (_JID, counter))
            database.execute("INSERT INTO whatsmeow_sender_keys VALUES (?, 'group', 'us', ?)", (_JID, b"s" * 32))
            database.execute("INSERT INTO whatsmeow_message_secrets VALUES (?, 'm1', ?)", (_JID, b"m" * 32))


def use(store: Path, counter: int) -> None:
    """Move the ratchet on, as a port does before it sends; a session that is not there is made anew."""
    with connect(store) as database:
        database.execute("INSERT OR REPLACE INTO whatsmeow_sessions VALUES (?, 'them', ?)", (_JID, counter))


def counter_of(store: Path) -> int | None:
    """Where the ratchet is; None if there is none."""
    with connect(store) as database:
        row = database.execute("SELECT session FROM whatsmeow_sessions").fetchone()
    return None if row is None else int(row[0])


def is_whole(store: Path) -> bool:
    """Whether SQLite finds nothing wrong with it, and its device is there."""
    with connect(store) as database:
        device = database.execute("SELECT noise_key FROM whatsmeow_device").fetchall()
        return device == [(NOISE_KEY,)] and database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def count(store: Path, table: str) -> int:
    """How many rows there are."""
    with connect(store) as database:
        return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def lose(store: Path) -> None:
    """What a reboot does to memory-backed storage."""
    for path in store.parent.iterdir():
        path.unlink()


def spoil(store: Path, rubbish: bytes) -> None:
    """Have ``rubbish`` in its place, and beside it what is left over of another."""
    store.write_bytes(rubbish)
    for beside in ("-wal", "-shm"):
        Path(f"{store}{beside}").write_bytes(b"left over")


def there(store: Path) -> bool:
    """Whether there is one."""
    return store.exists()


def lose_all(store: Path) -> None:
    """The same for a real one, with its lock and its journal."""
    shutil.rmtree(store.parent)
