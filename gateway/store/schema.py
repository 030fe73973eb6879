"""The numbered migrations in ``migrations/``: ``0001_what.sql`` makes version 1 of a file out of version 0 (empty).

The version of a file is its ``PRAGMA user_version``. A migration that has been released is never changed.
"""

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Final

import msgpack

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
Functions = Mapping[str, Callable[..., Any]]
"""By the name that statements call them by."""

_FILE: Final = re.compile(r"([0-9]{4})_\w+\.sql\Z")


class NewerSchemaError(Exception):
    """The file is of version ``found``, written by a newer Plantão; this one knows versions up to ``known``."""

    def __init__(self, found: int, known: int) -> None:
        super().__init__(f"schema version {found}, and this Plantão knows up to {known}")
        self.found = found
        self.known = known


@dataclass(frozen=True, slots=True)
class Migration:
    """What turns version ``version - 1`` into ``version``."""

    version: int
    statements: tuple[str, ...]


@cache
def load_migrations() -> tuple[Migration, ...]:
    """All, in order.

    Raises:
        ValueError: their numbers are not 1, 2, 3 and so on.
    """
    found = []
    for file in (files("gateway.store") / "migrations").iterdir():
        if name := _FILE.match(file.name):
            found.append(Migration(int(name[1]), tuple(split_statements(file.read_text(encoding="utf-8")))))
    found.sort(key=lambda migration: migration.version)
    numbers = [migration.version for migration in found]
    if numbers != list(range(1, len(numbers) + 1)):
        raise ValueError(f"migrations are not numbered 1 and up without a gap: {numbers}")
    return tuple(found)


def split_statements(script: str) -> Iterator[str]:
    """The statements of an SQL script in which each ends at the end of a line.

    They are run one by one, because ``executescript`` commits what is open before it begins.

    Raises:
        ValueError: the last one has no end.
    """
    pending = ""
    for line in script.splitlines():
        pending += line + "\n"
        if sqlite3.complete_statement(pending):
            yield pending.strip()
            pending = ""
    if any(line and not line.startswith("--") for line in map(str.strip, pending.splitlines())):
        raise ValueError(f"an SQL script ends inside a statement: {pending.strip()[:80]!r}")


def missing(connection: sqlite3.Connection, migrations: tuple[Migration, ...]) -> tuple[Migration, ...]:
    """What the file lacks.

    Raises:
        NewerSchemaError: the file is ahead of ``migrations``.
    """
    version = read_version(connection)
    if version > len(migrations):
        raise NewerSchemaError(version, len(migrations))
    return migrations[version:]


def migrate(connection: sqlite3.Connection, migrations: tuple[Migration, ...], functions: Functions) -> None:
    """Bring the file to the newest version, in one transaction; no transaction may be open, and ``foreign_keys`` is
    off, as SQLite has it at first: tables are replaced. ``functions``: what the statements may call.

    On failure the transaction is left to the caller, who closes the connection and so rolls it back.

    Raises:
        NewerSchemaError: the file is ahead of ``migrations``; it was not touched.
        sqlite3.Error
    """
    if not missing(connection, migrations):
        return
    for name, function in functions.items():
        connection.create_function(name, -1, function)
    connection.execute("BEGIN IMMEDIATE")
    for migration in missing(connection, migrations):
        for statement in migration.statements:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {migration.version:d}")
    connection.execute("COMMIT")


def read_version(connection: sqlite3.Connection) -> int:
    """The file's schema version; 0 for an empty file."""
    [(version,)] = connection.execute("PRAGMA user_version").fetchall()
    return int(version)


def packed(blob: bytes, path: str) -> Any:
    """For migrations: the value at ``path`` (names with dots between) in a msgpack map. None if it is not there; a map
    or list as msgpack."""
    value: Any = msgpack.unpackb(blob)
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return msgpack.packb(value) if isinstance(value, dict | list) else value


def micros_of(text: str | None) -> int | None:
    """For migrations: whole microseconds from 1970-01-01 UTC to an RFC 3339 time."""
    return None if text is None else (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)
