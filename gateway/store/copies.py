"""A copy of a clinic's database before it is migrated: the way back.

To go back to an earlier version: stop the node, put ``clinic.db.v<version>`` in the place of ``clinic.db``, remove
``clinic.db-wal`` and ``clinic.db-shm`` if they are there, and start that version. What was recorded since is lost.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from gateway.store.files import make_private_file


def copy_file(path: Path, version: int) -> Path:
    """Where the copy of ``path`` at schema ``version`` is."""
    return path.with_name(f"{path.name}.v{version}")


def keep_copy(connection: sqlite3.Connection, path: Path, version: int) -> Path:
    """Copy the open database at ``path``, which is of ``version``, and remove older copies. Returns where it is.

    The copy is whole and on the disk when it has its name. On the connection's thread.

    Raises:
        sqlite3.Error, OSError: there is no such copy; the database is as it was.
    """
    copy, part = copy_file(path, version), path.with_name(f"{path.name}.copy")
    for left in path.parent.glob(f"{part.name}*"):
        left.unlink()
    make_private_file(part)
    try:
        with closing(sqlite3.connect(part, isolation_level=None)) as other:
            connection.backup(other)
        _sync(part)
        part.replace(copy)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync(path.parent)
    for older in path.parent.glob(f"{path.name}.v*"):
        if older != copy:
            older.unlink()
    return copy


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
