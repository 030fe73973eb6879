"""What goes wrong with a clinic's file is that clinic's matter, is said in words, and ends when it is mended."""

import asyncio
import json
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from gateway.store import SqliteStore
from gateway.store.database import Database, execute, fetch
from gateway.store.ledger import SqliteLedger
from protocol.errors import StoreUnavailableError
from tests.integration.store.samples import CHANNEL, NOW, keys_of, offer


@contextmanager
def raw(file: Path) -> Iterator[sqlite3.Connection]:
    """The file as another program opens it."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        yield connection


def put(file: Path, content: bytes) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)


def content_of(file: Path) -> bytes:
    return file.read_bytes()


def make_directory(path: Path) -> None:
    path.mkdir(parents=True)


async def test_a_locked_file_is_said_to_be_locked_and_serves_again_when_it_is_free(
    ledger: SqliteLedger, file: Path
) -> None:
    with raw(file) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match=r"clinic acme: .*clinic\.db is locked .*SQLITE_BUSY.*: end"):
            await ledger.accept(CHANNEL, [offer("a")], NOW)
        other.execute("ROLLBACK")
    await ledger.accept(CHANNEL, [offer("a")], NOW)


async def test_a_reader_is_not_held_up_by_the_lock_of_a_writer(ledger: SqliteLedger, file: Path) -> None:
    await ledger.accept(CHANNEL, [offer("a")], NOW)
    with raw(file) as other:
        other.execute("BEGIN IMMEDIATE")
        assert len(await ledger.unfinished(CHANNEL)) == 1


async def test_a_new_file_that_is_locked_is_opened_when_it_is_free(store: SqliteStore, file: Path) -> None:
    make_directory(file.parent)
    with raw(file) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreUnavailableError, match="is locked"):
            await store.open_clinic("acme")
        other.execute("ROLLBACK")
    await (await store.open_clinic("acme")).accept(CHANNEL, [offer("a")], NOW)


async def test_a_file_that_may_not_grow_fails_whole_batches_and_serves_again_when_it_may(tmp_path: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.store.writer_without_space",
        str(tmp_path),
        stdout=asyncio.subprocess.PIPE,
    )
    said = json.loads((await child.communicate())[0])
    assert child.returncode == 0
    assert "cannot be read or written (SQLITE_IOERR_WRITE)" in said["error"]
    assert said["accepted"] > 0
    assert said["there"] == said["accepted"]
    assert said["after"] == said["accepted"] + 1


async def test_a_full_database_fails_whole_batches_and_serves_again_when_there_is_room(tmp_path: Path) -> None:
    database = Database(
        "acme", tmp_path / "acme" / "clinic.db", partial(keys_of, "acme"), busy_timeout=1, max_bytes=1 << 26
    )
    await database.open()
    ledger = SqliteLedger(database)
    await ledger.accept(CHANNEL, [offer("a")], NOW)
    await database.transact(lambda connection: fetch(connection, "PRAGMA max_page_count = 1", {}))
    with pytest.raises(StoreUnavailableError, match=r"acme: .* has reached the clinic's limit of \d+ bytes: raise"):
        await ledger.accept(CHANNEL, [offer("b"), offer("c", "x" * 60_000)], NOW)
    assert [each.command.id for each in await ledger.unfinished(CHANNEL)] == ["a"]
    await database.transact(lambda connection: fetch(connection, "PRAGMA max_page_count = 1000000", {}))
    await ledger.accept(CHANNEL, [offer("c", "x" * 60_000)], NOW)
    await database.close()


@pytest.mark.parametrize(
    "content", [b"not a database, and long enough to be read as one" * 100, b"SQLite format 3\0" * 64]
)
async def test_a_file_with_a_wrong_header_is_refused_and_its_neighbour_serves(
    store: SqliteStore, file: Path, content: bytes
) -> None:
    put(file, content)
    with pytest.raises(
        StoreUnavailableError, match=r"clinic acme: .*clinic\.db is .*: stop the node and put a good copy"
    ):
        await store.open_clinic("acme")
    assert content_of(file) == content
    neighbour = await store.open_clinic("vila")
    await neighbour.accept(CHANNEL, [offer("a")], NOW)
    put(file, b"")
    await (await store.open_clinic("acme")).accept(CHANNEL, [offer("a")], NOW)


async def test_damage_inside_a_file_is_said_when_it_is_read_and_ends_when_it_is_mended(
    store: SqliteStore, ledger: SqliteLedger, file: Path
) -> None:
    await ledger.accept(CHANNEL, [offer(f"a{n}", "x" * 3000) for n in range(50)], NOW)
    await store.close_clinic("acme")
    good = content_of(file)
    put(file, good[:131072] + b"\xff" * (len(good) - 131072))
    await store.open_clinic("acme")
    with pytest.raises(StoreUnavailableError, match=r"is damaged \(SQLITE_CORRUPT"):
        await ledger.unfinished(CHANNEL)
    put(file, good)
    assert len(await ledger.unfinished(CHANNEL)) == 50


async def test_a_row_that_cannot_be_decoded_is_damage(ledger: SqliteLedger, file: Path) -> None:
    await ledger.accept(CHANNEL, [offer("a")], NOW)
    with raw(file) as other:
        [(body,)] = other.execute("SELECT body FROM bodies").fetchall()
        other.execute("UPDATE bodies SET body = x'c1'")
    with pytest.raises(StoreUnavailableError, match="is damaged"):
        await ledger.unfinished(CHANNEL)
    with raw(file) as other:
        other.execute("UPDATE bodies SET body = ?", (body,))
    assert len(await ledger.unfinished(CHANNEL)) == 1


async def test_what_is_scheduled_is_found_without_reading_what_it_says(ledger: SqliteLedger, file: Path) -> None:
    at = NOW + timedelta(hours=1)
    await ledger.accept(CHANNEL, [offer("a", not_before=at), offer("b", not_before=at)], NOW)
    with raw(file) as other:
        other.execute("UPDATE bodies SET body = x'c1' WHERE command = (SELECT max(seq) FROM commands)")
    assert [later.id for later in await ledger.scheduled(CHANNEL)] == ["a", "b"]
    found = await ledger.asleep(CHANNEL, "a")
    assert found is not None
    assert found.command.id == "a"
    with pytest.raises(StoreUnavailableError, match="is damaged"):
        await ledger.asleep(CHANNEL, "b")


async def test_while_rows_are_decoded_the_file_is_free_for_others(tmp_path: Path) -> None:
    database = Database(
        "acme", tmp_path / "acme" / "clinic.db", partial(keys_of, "acme"), busy_timeout=1, max_bytes=1 << 20
    )
    await database.open()
    ended: list[str] = []

    async def read_many() -> None:
        many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1280) SELECT i FROM n"
        await database.fetch(lambda _, row: time.sleep(0.0002), many, lambda _: {})
        ended.append("many")

    async def read_one() -> None:
        await database.look(lambda connection: fetch(connection, "SELECT 1", {}))
        ended.append("one")

    await asyncio.gather(read_many(), read_one())
    await database.close()
    assert ended == ["one", "many"]


async def test_a_file_of_a_newer_version_is_refused_untouched(
    store: SqliteStore, ledger: SqliteLedger, file: Path
) -> None:
    await store.close_clinic("acme")
    with raw(file) as other:
        other.execute("PRAGMA user_version = 99")
    before = content_of(file)
    with pytest.raises(
        StoreUnavailableError, match=r"newer Plantão: schema version 99, .* up to 3 .*install that version"
    ):
        await store.open_clinic("acme")
    assert content_of(file) == before
    with pytest.raises(StoreUnavailableError, match="is closed: open the clinic again"):
        await ledger.unfinished(CHANNEL)


async def test_a_directory_in_the_place_of_the_file_is_said_not_to_open(store: SqliteStore, file: Path) -> None:
    make_directory(file)
    with pytest.raises(StoreUnavailableError, match=r"cannot be opened \(SQLITE_CANTOPEN.*\): make the file"):
        await store.open_clinic("acme")


async def test_a_file_in_the_place_of_the_directory_is_said_not_to_open(store: SqliteStore, file: Path) -> None:
    put(file.parent, b"")
    with pytest.raises(StoreUnavailableError, match=r"cannot be opened \(FileExistsError\)"):
        await store.open_clinic("acme")


async def test_an_error_inside_a_transaction_takes_all_of_it_back(tmp_path: Path) -> None:
    database = Database(
        "acme", tmp_path / "acme" / "clinic.db", partial(keys_of, "acme"), busy_timeout=1, max_bytes=1 << 26
    )
    await database.open()
    ledger = SqliteLedger(database)
    await ledger.accept(CHANNEL, [offer("a")], NOW)

    def break_off(connection: sqlite3.Connection) -> None:
        execute(connection, "DELETE FROM commands", {})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.transact(break_off)
    assert len(await ledger.unfinished(CHANNEL)) == 1
    await database.close()
