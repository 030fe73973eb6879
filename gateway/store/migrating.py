"""A clinic's file brought to the newest version, and what was in clear before it was sealed wiped.

Killed at any point, it is gone on with when the file is opened again: a migration is one transaction, and the file says
of itself (``sealed_with.clear``) until it is done that pages, the log and copies may hold what was in clear.

A copy of a file that was in clear is deleted, not kept: there is no way back from version 3 to version 2 but a backup.
Deleting and ``VACUUM`` write nothing over what lay on the disk itself: flash keeps old blocks until it needs them.
"""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.store.copies import copy_file, keep_copy
from gateway.store.rows import Private, maybe_moment, pack
from gateway.store.schema import Functions, load_migrations, micros_of, migrate, missing, packed, read_version
from gateway.store.sealing import COMMAND, PAIRED, Key, Seal, SealedFile, seal_of
from protocol.ledger import Paired

SEALED_SINCE: Final = 3
"""The version from which on files are sealed."""

_VERSION_AT: Final = slice(60, 64)
"""Where a database's header has its ``user_version`` (sqlite.org/fileformat2.html, 1.3)."""

_unpack_map: Final = msgspec.msgpack.Decoder(dict[str, Any]).decode


def bring_forward(connection: SealedFile, clinic: str, path: Path, keys: Callable[[], Sequence[Key]]) -> None:
    """The newest schema (with a copy of what was before), under the clinic's key that the file says; a file that is not
    sealed yet is under the first from now on. Sets ``connection.seal``.

    Raises:
        WrongKeyError: the file is sealed with a key that is none of ``keys()``; what that raises.
        sqlite3.Error, OSError, NewerSchemaError
    """
    migrations = load_migrations()
    lacking, version = missing(connection, migrations), read_version(connection)
    connection.seal = _seal(connection, clinic, path, keys(), version)
    # What SQLite puts aside while tables are replaced is in clear, and would lie on the disk.
    connection.execute("PRAGMA temp_store = MEMORY")
    if version and lacking:
        keep_copy(connection, path, version)
    migrate(connection, migrations, functions_of(connection.seal))
    connection.execute("PRAGMA temp_store = DEFAULT")
    wipe(connection, path)


def is_sealed(path: Path) -> bool:
    """Whether ``path`` is a clinic's file of which something is sealed, without opening it. Blocks. Raises OSError."""
    try:
        with path.open("rb") as file:
            header = file.read(_VERSION_AT.stop)
    except FileNotFoundError:
        return False
    return int.from_bytes(header[_VERSION_AT], "big") >= SEALED_SINCE


def _seal(connection: sqlite3.Connection, clinic: str, path: Path, keys: Sequence[Key], version: int) -> Seal:
    if version < SEALED_SINCE:
        return Seal(clinic, keys[0])
    [(key_id,)] = connection.execute("SELECT key FROM sealed_with").fetchall()
    return seal_of(clinic, path, keys, key_id)


def wipe(connection: sqlite3.Connection, path: Path) -> None:
    """Leave nothing of what was in clear, if that has not been done."""
    [(clear,)] = connection.execute("SELECT clear FROM sealed_with").fetchall()
    if not clear:
        return
    connection.execute("VACUUM")
    empty_log(connection)
    for version in range(1, SEALED_SINCE):
        copy_file(path, version).unlink(missing_ok=True)
    connection.execute("UPDATE sealed_with SET clear = 0")


def empty_log(connection: sqlite3.Connection) -> None:
    """Bring what is in the write-ahead log into the file, and leave the log without a byte.

    Raises:
        sqlite3.OperationalError: another program reads the file.
    """
    [(busy, _, _)] = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    if busy:
        raise sqlite3.OperationalError("database is locked")


def functions_of(seal: Seal) -> Functions:
    """What the statements of migrations call."""

    def sealed(kind: str, row: str | int, value: str | bytes) -> bytes:
        return seal.seal(kind, row, value.encode() if isinstance(value, str) else value)

    def private(seq: int, id: str, to: str, chat: str, content: bytes, headers: bytes, meta: bytes | None) -> bytes:
        said = None if meta is None else _unpack_map(meta)
        return seal.seal(COMMAND, seq, pack(Private(id, to, chat, content, _unpack_map(headers), said)))

    def paired(channel: str, phone: str, jid: str | None, at: int | None) -> bytes:
        return seal.seal(PAIRED, channel, pack(Paired(phone=phone, jid=jid, changed_at=maybe_moment(at))))

    return {
        "packed": packed,
        "micros": micros_of,
        "key_id": lambda: seal.key_id,
        "token": seal.token,
        "sealed": sealed,
        "private": private,
        "paired": paired,
    }
