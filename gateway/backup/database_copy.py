"""A clinic's database copied while it is used, and looked at before it is put back. Everything here blocks."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from gateway.backup.records import ArchiveError
from gateway.store.files import make_private_file
from gateway.store.schema import load_migrations, read_version

_BUSY_S: Final = 5.0


def copy(path: Path, to: Path) -> None:
    """Have at ``to`` what the database ``path`` holds at this moment; empty if there is none. Whoever uses it is not
    held up: readers and writers of a database in WAL mode don't wait for each other.

    Raises:
        sqlite3.Error, OSError
    """
    remove(to)
    make_private_file(to)
    if not path.exists():
        return
    address = f"file:{quote(str(path))}?mode=rw"  # in WAL mode readers write, too: which page they need
    with (
        closing(sqlite3.connect(address, uri=True, timeout=_BUSY_S)) as source,
        closing(sqlite3.connect(to, isolation_level=None)) as target,
    ):
        target.execute("PRAGMA synchronous = OFF")
        source.backup(target)
        _check(target)


def check(path: Path) -> None:
    """Whether ``path`` is a database that this Plantão can open, or nothing.

    Raises:
        ArchiveError: it is not.
        OSError
    """
    if path.stat().st_size == 0:
        return
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)) as database:
            database.execute("PRAGMA trusted_schema = OFF")
            database.execute("PRAGMA cell_size_check = ON")
            _check(database)
            version, known = read_version(database), len(load_migrations())
    except sqlite3.Error as error:
        raise ArchiveError(f"the database in it is damaged ({error})") from error
    if version > known:
        raise ArchiveError(f"the database in it is of version {version}, and this Plantão knows up to {known}")


def remove(path: Path) -> None:
    """Delete it, with what SQLite puts beside it. Raises OSError."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Have it on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check(database: sqlite3.Connection) -> None:
    (said,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise sqlite3.DatabaseError(said)
