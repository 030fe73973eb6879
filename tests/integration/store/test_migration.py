"""A file of the first version is brought forward with all that is in it, and there is a way back."""

import asyncio
import shutil
import signal
import sqlite3
import stat
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.store import SqliteStore
from gateway.store.copies import copy_file, keep_copy
from gateway.store.migrating import bring_forward
from gateway.store.schema import load_migrations, read_version
from gateway.store.sealing import SealedFile
from protocol.codec import encode
from protocol.errors import StoreUnavailableError
from protocol.ledger import STRANGER, Accepted, Conflicted, Contact, Receipt, Repeated
from protocol.views import CommandState
from tests.integration.store import version_1
from tests.integration.store.samples import CHANNEL, HEADERS, NOW, QUEUED_AT, begun, keys_of, offer, published, settled
from tests.integration.store.version_1 import OFFERS, PUBLISHED, RESULTS


def rows(file: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(sql).fetchall()


def connect(file: Path) -> SealedFile:
    return sqlite3.connect(file, isolation_level=None, factory=SealedFile)


def holds(file: Path, value: bytes) -> bool:
    return value in file.read_bytes()


def version(file: Path) -> int:
    with closing(sqlite3.connect(file)) as connection:
        return read_version(connection)


async def test_every_command_is_where_it_was(store: SqliteStore, file: Path) -> None:
    version_1.write(file)
    ledger = await store.open_clinic("acme")
    waiting = {each.command.id: each for each in await ledger.unfinished(CHANNEL)}
    assert list(waiting) == ["waiting", "in_flight"]
    assert waiting["waiting"].command == OFFERS["waiting"].command
    assert (waiting["waiting"].attempts, waiting["waiting"].uncertain) == (0, False)
    assert (waiting["in_flight"].attempts, waiting["in_flight"].uncertain, waiting["in_flight"].secret) == (
        1,
        True,
        None,
    )
    assert (waiting["waiting"].headers, waiting["waiting"].queued_at) == (HEADERS, QUEUED_AT)
    for key in OFFERS:
        view = await ledger.command(CHANNEL, key)
        assert view.state == (RESULTS[key].status if key in RESULTS else key)
        assert (view.to, view.meta) == (OFFERS[key].command.to, OFFERS[key].command.meta)
        if key in RESULTS:
            assert (view.error, view.sent_at) == (RESULTS[key].error, RESULTS[key].sent_at)
    assert (await ledger.command(CHANNEL, "waiting")).expires_at == NOW


async def test_what_was_known_is_known(store: SqliteStore, file: Path) -> None:
    version_1.write(file)
    ledger = await store.open_clinic("acme")
    again = [replace(offer, queued_at=NOW) for offer in OFFERS.values()]
    assert await ledger.accept(CHANNEL, again, NOW) == [Repeated(id=key, result=RESULTS.get(key)) for key in OFFERS]
    assert await ledger.accept(CHANNEL, [offer(key, "another") for key in OFFERS], NOW) == [
        Conflicted(id=key) for key in OFFERS
    ]
    fresh = [offer("1"), offer("2", to="5511-9@g.us"), offer("3", to="77@lid")]
    verdicts = await ledger.accept(CHANNEL, fresh, NOW)
    known = Contact(written=True)
    assert [getattr(verdict, "contact", None) for verdict in verdicts] == [known, known, STRANGER]
    sendings = await ledger.sendings(CHANNEL, minute=NOW, day=NOW)
    assert (sendings.today, sendings.new_today, sendings.first) == (2, 1, NOW)


async def test_what_nats_may_not_have_is_told_with_its_letter(store: SqliteStore, file: Path) -> None:
    version_1.write(file)
    ledger = await store.open_clinic("acme")
    left = {each.result.id: each for each in await ledger.unpublished(CHANNEL)}
    assert list(left) == [key for key in RESULTS if key not in PUBLISHED]
    assert all(each.result == RESULTS[key] for key, each in left.items())
    assert {key for key, each in left.items() if each.letter} == {"failed"}
    letter = await ledger.letter(CHANNEL, "failed", 1)
    assert letter == left["failed"].letter
    assert letter.body == encode(OFFERS["failed"].command)
    assert [(each.run, each.number, each.error) for each in letter.history] == [(1, 3, RESULTS["failed"].error)]
    found = await ledger.receipted(CHANNEL, [Receipt(wa_id=wa_id, kind="read", at=NOW) for wa_id in ("WA1", "WA3")])
    assert {wa_id: sender.id for wa_id, sender in found.items()} == {"WA1": "sent", "WA3": "held"}


async def test_what_was_brought_forward_goes_on(store: SqliteStore, file: Path) -> None:
    version_1.write(file)
    ledger = await store.open_clinic("acme")
    for key in ("failed", "held", "refused"):
        again = await ledger.again(CHANNEL, key, CommandState(RESULTS[key].status), NOW)
        assert isinstance(again, Accepted)
        assert (again.run, again.command) == (2, OFFERS[key].command)
    await ledger.record(CHANNEL, begun("failed", run=2))
    await ledger.record(CHANNEL, begun("waiting"))
    await ledger.record(CHANNEL, settled(RESULTS["sent"]))
    await ledger.record(CHANNEL, published(*RESULTS))
    assert await ledger.unpublished(CHANNEL) == []
    assert rows(file, "PRAGMA integrity_check") == [("ok",)]
    assert rows(file, "PRAGMA foreign_key_check") == []
    assert rows(file, "SELECT DISTINCT sql LIKE '%_2%' FROM sqlite_schema WHERE type = 'table'") == [(0,)]


async def test_no_copy_of_what_was_in_clear_is_kept(store: SqliteStore, file: Path) -> None:
    version_1.write(file)
    copy_file(file, 2).write_bytes(b"left over by an earlier version")
    await store.open_clinic("acme")
    await store.close_clinic("acme")
    assert {each.name for each in file.parent.iterdir()} == {"clinic.db"}


def test_a_copy_is_whole_private_and_the_way_back(file: Path) -> None:
    version_1.write(file)
    before = rows(file, "SELECT * FROM commands")
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        copy = keep_copy(connection, file, 1)
        connection.execute("DELETE FROM commands")
    assert copy.name == "clinic.db.v1"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    shutil.copy(copy, file)
    assert version(file) == 1
    assert rows(file, "SELECT * FROM commands") == before
    assert rows(file, "PRAGMA integrity_check") == [("ok",)]


async def test_a_new_file_and_one_that_is_up_to_date_are_not_copied(store: SqliteStore, file: Path) -> None:
    for _ in range(2):
        await store.open_clinic("acme")
        await store.close_clinic("acme")
    assert [each.name for each in file.parent.iterdir()] == ["clinic.db"]


def test_the_copy_holds_what_is_in_the_write_ahead_log_and_replaces_older_ones(tmp_path: Path) -> None:
    file = tmp_path / "clinic.db"
    version_1.write(file)
    for name in ("clinic.db.v0", "clinic.db.copy", "clinic.db.copy-journal"):
        (tmp_path / name).write_bytes(b"left over")
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("UPDATE commands SET attempts = 77")
        assert (tmp_path / "clinic.db-wal").stat().st_size > 0
        copy = keep_copy(connection, file, 1)
    assert rows(copy, "SELECT DISTINCT attempts FROM commands") == [(77,)]
    assert {each.name for each in tmp_path.iterdir()} <= {"clinic.db", "clinic.db-wal", "clinic.db-shm", "clinic.db.v1"}


async def test_without_a_copy_nothing_is_migrated(store: SqliteStore, file: Path) -> None:
    version_1.write(file)
    obstacle = file.with_name("clinic.db.copy") / "in the way"
    obstacle.mkdir(parents=True)
    with pytest.raises(StoreUnavailableError, match="clinic acme"):
        await store.open_clinic("acme")
    assert version(file) == 1
    obstacle.rmdir()
    obstacle.parent.rmdir()
    await store.open_clinic("acme")
    assert version(file) == len(load_migrations())


def test_a_migration_that_fails_leaves_the_old_file_and_its_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "clinic.db"
    version_1.write(file)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE results SET event = x'c1'")
        connection.commit()
    with closing(connect(file)) as connection, pytest.raises(sqlite3.OperationalError):
        bring_forward(connection, "acme", file, partial(keys_of, "acme"))
    assert version(file) == version(copy_file(file, 1)) == 1
    assert len(rows(file, "SELECT * FROM commands")) == len(OFFERS)


KILLED_AT = """
import os, signal, sqlite3, sys
from pathlib import Path
from gateway.store import copies, migrating
from gateway.store.sealing import SealedFile
from tests.integration.store.samples import keys_of
file, step = Path(sys.argv[1]), sys.argv[2]

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if step == "in the copy":
    copies._sync = die
if step == "before the migration":
    migrating.migrate = die
if step == "before wiping":
    migrating.wipe = die
if step == "after vacuum":
    migrating.empty_log = die
connection = sqlite3.connect(file, isolation_level=None, factory=SealedFile)
if step == "in the migration":
    connection.set_trace_callback(lambda sql: die() if sql.startswith("DROP TABLE") else None)
migrating.bring_forward(connection, "acme", file, lambda: keys_of("acme"))
"""


@pytest.mark.parametrize(
    ("step", "left_at"),
    {
        "in the copy": 1,
        "before the migration": 1,
        "in the migration": 1,
        "before wiping": 3,
        "after vacuum": 3,
    }.items(),
)
async def test_a_kill_at_any_step_leaves_a_file_that_opens_and_nothing_in_clear(
    store: SqliteStore, file: Path, step: str, left_at: int
) -> None:
    version_1.write(file)
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED_AT, str(file), step)
    assert await child.wait() == -signal.SIGKILL
    assert version(file) == left_at
    ledger = await store.open_clinic("acme")
    assert len(await ledger.unfinished(CHANNEL)) == 2
    await store.close_clinic("acme")
    assert {each.name for each in file.parent.iterdir()} == {"clinic.db"}
    assert rows(file, "SELECT clear FROM sealed_with") == [(0,)]
    assert not holds(file, b"5511987654321")
