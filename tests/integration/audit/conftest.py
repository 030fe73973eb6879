"""The key of these tests, and a hand that is not the node's."""

import sqlite3
from contextlib import closing
from pathlib import Path

from gateway.audit.file import audit_file

KEY = bytes(range(32))


def tamper(data: Path, *statements: str) -> None:
    """As somebody who may write the file does, and has an SQLite shell."""
    with closing(sqlite3.connect(audit_file(data), isolation_level=None)) as connection:
        for trigger in ("never_changed", "never_deleted", "only_appended"):
            connection.execute(f"DROP TRIGGER IF EXISTS {trigger}")
        for statement in statements:
            connection.execute(statement)
