import sqlite3
from collections.abc import Iterator
from contextlib import closing

import msgpack
import pytest

from gateway.store.schema import (
    Migration,
    NewerSchemaError,
    load_migrations,
    micros_of,
    migrate,
    missing,
    packed,
    read_version,
    split_statements,
)

ONE = Migration(1, ("CREATE TABLE one (a)",))
TWO = Migration(2, ("CREATE TABLE two (a)", "INSERT INTO two VALUES (2)"))
BROKEN = Migration(2, ("CREATE TABLE two (a)", "CREATE TABLE one (a)"))


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        yield connection


def tables(connection: sqlite3.Connection) -> set[str]:
    rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    return {name for (name,) in rows}


def test_the_migrations_in_the_package_are_numbered_without_a_gap() -> None:
    migrations = load_migrations()
    assert [migration.version for migration in migrations] == list(range(1, len(migrations) + 1))
    assert all(migration.statements for migration in migrations)


def test_an_empty_file_gets_all_migrations_in_order(connection: sqlite3.Connection) -> None:
    migrate(connection, (ONE, TWO), {})
    assert read_version(connection) == 2
    assert tables(connection) == {"one", "two"}


def test_an_older_file_gets_what_it_lacks(connection: sqlite3.Connection) -> None:
    migrate(connection, (ONE,), {})
    migrate(connection, (ONE, TWO), {})
    assert read_version(connection) == 2


def test_a_file_at_the_newest_version_is_left_alone(connection: sqlite3.Connection) -> None:
    migrate(connection, (ONE, TWO), {})
    migrate(connection, (ONE, TWO), {})
    assert connection.execute("SELECT a FROM two").fetchall() == [(2,)]


def test_a_newer_file_is_refused_untouched(connection: sqlite3.Connection) -> None:
    migrate(connection, (ONE, TWO), {})
    with pytest.raises(NewerSchemaError, match="version 2, and this Plantão knows up to 1") as caught:
        migrate(connection, (ONE,), {})
    assert (caught.value.found, caught.value.known) == (2, 1)
    assert not connection.in_transaction


def test_a_migration_that_fails_leaves_nothing_of_any(connection: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        migrate(connection, (ONE, BROKEN), {})
    connection.rollback()
    assert read_version(connection) == 0
    assert tables(connection) == set()


def test_a_script_is_split_where_statements_end() -> None:
    script = (
        "-- first; not an end\nCREATE TABLE a (b, -- one; two\n c);\n\n"
        "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n  DELETE FROM a;\nEND;\n-- the end\n"
    )
    first, second = split_statements(script)
    assert first.startswith("-- first")
    assert second.endswith("END;")


def test_a_script_that_ends_inside_a_statement_is_refused() -> None:
    with pytest.raises(ValueError, match="inside a statement"):
        list(split_statements("CREATE TABLE a (b);\nCREATE TABLE c (d)\n"))


def test_what_a_file_lacks_is_what_comes_after_its_version(connection: sqlite3.Connection) -> None:
    assert missing(connection, (ONE, TWO)) == (ONE, TWO)
    migrate(connection, (ONE,), {})
    assert missing(connection, (ONE, TWO)) == (TWO,)


@pytest.mark.parametrize(
    ("path", "value"),
    [("a", 1), ("b.c", "x"), ("b", b"\x81\xa1c\xa1x"), ("d", b"\x91\x01"), ("none", None), ("a.b", None), ("e", None)],
)
def test_a_migration_reads_values_out_of_msgpack(path: str, value: object) -> None:
    assert packed(msgpack.packb({"a": 1, "b": {"c": "x"}, "d": [1], "e": None}), path) == value


def test_a_migration_reads_times() -> None:
    assert micros_of(None) is None
    assert micros_of("1970-01-01T00:00:01.000002Z") == micros_of("1970-01-01T01:00:01.000002+01:00") == 1_000_002
