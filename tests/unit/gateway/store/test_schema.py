import sqlite3
from collections.abc import AsyncIterator

import aiosqlite
import pytest

from gateway.store.schema import Migration, NewerSchemaError, load_migrations, migrate, read_version, split_statements

ONE = Migration(1, ("CREATE TABLE one (a)",))
TWO = Migration(2, ("CREATE TABLE two (a)", "INSERT INTO two VALUES (2)"))
BROKEN = Migration(2, ("CREATE TABLE two (a)", "CREATE TABLE one (a)"))


@pytest.fixture
async def connection() -> AsyncIterator[aiosqlite.Connection]:
    async with aiosqlite.connect(":memory:", isolation_level=None) as connection:
        yield connection


async def tables(connection: aiosqlite.Connection) -> set[str]:
    rows = await connection.execute_fetchall("SELECT name FROM sqlite_schema WHERE type = 'table'")
    return {name for (name,) in rows}


def test_the_migrations_in_the_package_are_numbered_without_a_gap() -> None:
    migrations = load_migrations()
    assert [migration.version for migration in migrations] == list(range(1, len(migrations) + 1))
    assert all(migration.statements for migration in migrations)


async def test_an_empty_file_gets_all_migrations_in_order(connection: aiosqlite.Connection) -> None:
    await migrate(connection, (ONE, TWO))
    assert await read_version(connection) == 2
    assert await tables(connection) == {"one", "two"}


async def test_an_older_file_gets_what_it_lacks(connection: aiosqlite.Connection) -> None:
    await migrate(connection, (ONE,))
    await migrate(connection, (ONE, TWO))
    assert await read_version(connection) == 2


async def test_a_file_at_the_newest_version_is_left_alone(connection: aiosqlite.Connection) -> None:
    await migrate(connection, (ONE, TWO))
    await migrate(connection, (ONE, TWO))
    assert list(await connection.execute_fetchall("SELECT a FROM two")) == [(2,)]


async def test_a_newer_file_is_refused_untouched(connection: aiosqlite.Connection) -> None:
    await migrate(connection, (ONE, TWO))
    with pytest.raises(NewerSchemaError, match="version 2, and this Plantão knows up to 1") as caught:
        await migrate(connection, (ONE,))
    assert (caught.value.found, caught.value.known) == (2, 1)
    assert not connection.in_transaction


async def test_a_migration_that_fails_leaves_nothing_of_any(connection: aiosqlite.Connection) -> None:
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        await migrate(connection, (ONE, BROKEN))
    await connection.rollback()
    assert await read_version(connection) == 0
    assert await tables(connection) == set()


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
