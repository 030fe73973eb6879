import asyncio
import logging
import os
import sqlite3
import stat
import threading
from contextlib import closing, suppress
from pathlib import Path

import pytest

from gateway.store import SqliteStore
from gateway.store.ledger import SqliteLedger
from protocol.errors import InvalidIdError, StoreUnavailableError
from protocol.interfaces import Service
from protocol.ledger import Ledger, Store
from tests.integration.store.samples import CHANNEL, NOW, PHONE, keys_of, offer


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def make_readable(file: Path) -> None:
    file.parent.mkdir(mode=0o755)
    file.touch(mode=0o644)


async def test_it_is_the_store_and_the_service_that_the_node_knows(store: SqliteStore) -> None:
    as_store: Store = store
    as_service: Service = store
    ledger: Ledger = await as_store.open_clinic("acme")
    assert await ledger.unfinished(CHANNEL) == []
    await as_service.stop(timeout=5)


async def test_the_files_are_their_owners_alone_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = SqliteStore(tmp_path / "data", keys_of)
        await store.start()
        await (await store.open_clinic("acme")).accept(CHANNEL, [offer("a")], NOW)
        directory = tmp_path / "data" / "clinics" / "acme"
        assert mode(directory.parent) == mode(directory) == 0o700
        assert {each.name: mode(each) for each in directory.iterdir()} == {
            "clinic.db": 0o600,
            "clinic.db-wal": 0o600,
            "clinic.db-shm": 0o600,
        }
        await store.stop(timeout=5)
    finally:
        os.umask(before)


async def test_files_that_were_open_to_others_are_closed_to_them(store: SqliteStore, file: Path) -> None:
    make_readable(file)
    await store.open_clinic("acme")
    assert (mode(file.parent), mode(file)) == (0o700, 0o600)


async def test_the_file_is_in_wal_mode_at_the_newest_version(ledger: SqliteLedger, file: Path) -> None:
    with closing(sqlite3.connect(file)) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert other.execute("PRAGMA user_version").fetchone() == (3,)


async def test_a_closed_store_leaves_one_file(store: SqliteStore, ledger: SqliteLedger, file: Path) -> None:
    await ledger.accept(CHANNEL, [offer("a")], NOW)
    await store.stop(timeout=5)
    assert [each.name for each in file.parent.iterdir()] == ["clinic.db"]


async def test_a_clinic_is_opened_once_however_many_ask_at_the_same_time(store: SqliteStore) -> None:
    before = threading.active_count()
    ledgers = await asyncio.gather(*(store.open_clinic("acme") for _ in range(20)))
    assert len(set(map(id, ledgers))) == 1
    assert threading.active_count() == before + 1


async def test_opening_and_closing_at_the_same_time_leaves_a_clinic_that_can_be_opened(store: SqliteStore) -> None:
    for _ in range(10):
        await asyncio.gather(store.open_clinic("acme"), store.close_clinic("acme"), store.open_clinic("acme"))
    ledger = await store.open_clinic("acme")
    await ledger.accept(CHANNEL, [offer("a")], NOW)


async def test_closing_a_clinic_that_is_not_open_is_harmless(store: SqliteStore) -> None:
    await store.close_clinic("acme")
    await store.open_clinic("acme")
    await store.close_clinic("acme")
    await store.close_clinic("acme")


async def test_a_closed_ledger_refuses_until_its_clinic_is_opened_again(
    store: SqliteStore, ledger: SqliteLedger
) -> None:
    await store.close_clinic("acme")
    with pytest.raises(StoreUnavailableError, match=r"clinic acme: .*clinic\.db is closed"):
        await ledger.accept(CHANNEL, [offer("a")], NOW)
    assert await store.open_clinic("acme") is ledger
    await ledger.accept(CHANNEL, [offer("a")], NOW)


async def test_what_was_asked_before_closing_is_done_before_closing(store: SqliteStore, ledger: SqliteLedger) -> None:
    accepting = [asyncio.ensure_future(ledger.accept(CHANNEL, [offer(f"a{n}")], NOW)) for n in range(20)]
    await asyncio.sleep(0)
    await store.close_clinic("acme")
    await asyncio.gather(*accepting)
    await store.open_clinic("acme")
    assert len(await ledger.unfinished(CHANNEL)) == 20


async def test_a_name_that_is_no_clinic_never_becomes_a_path(store: SqliteStore, tmp_path: Path) -> None:
    for name in ("..", "../x", "a/b", "", "ACME", "acme\n"):
        with pytest.raises(InvalidIdError):
            await store.open_clinic(name)
    assert list((tmp_path / "clinics").iterdir()) == []


async def test_a_store_that_is_not_running_opens_nothing_and_can_be_started_again(store: SqliteStore) -> None:
    await store.stop(timeout=5)
    await store.stop(timeout=5)
    with pytest.raises(StoreUnavailableError, match="not running"):
        await store.open_clinic("acme")
    await store.start()
    await store.open_clinic("acme")


async def test_no_message_is_logged_at_any_level(ledger: SqliteLedger, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await ledger.accept(CHANNEL, [offer("a", "Sua biópsia")], NOW)
        await ledger.unfinished(CHANNEL)
    assert "biópsia" not in caplog.text
    assert PHONE not in caplog.text


async def test_a_store_without_a_directory_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"")
    with pytest.raises(StoreUnavailableError, match=r"data directory .*data/clinics cannot be opened"):
        await SqliteStore(tmp_path / "data", keys_of).start()


async def test_waiting_for_the_store_ends_only_by_being_given_up(store: SqliteStore) -> None:
    waiting = asyncio.ensure_future(store.wait())
    await store.stop(timeout=5)
    assert not waiting.done()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_file_that_does_not_close_in_time_is_named_and_closed_later(
    store: SqliteStore, ledger: SqliteLedger, file: Path
) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        accepting = asyncio.ensure_future(ledger.accept(CHANNEL, [offer("a")], NOW))
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailableError, match="databases of acme did not close within 0 s"):
            await store.stop(timeout=0)
        with pytest.raises(StoreUnavailableError, match="is locked"):
            await accepting
    await ledger.close()


async def test_a_cancelled_call_is_done_whole_or_not_at_all_and_the_next_one_is_served(ledger: SqliteLedger) -> None:
    for steps in range(12):
        batch = [offer(f"{steps}-{n}") for n in range(3)]
        call = asyncio.ensure_future(ledger.accept(CHANNEL, batch, NOW))
        for _ in range(steps):
            await asyncio.sleep(0)
        call.cancel()
        with suppress(asyncio.CancelledError):  # unless it was quicker
            await call
    there = [each.command.id for each in await ledger.unfinished(CHANNEL)]
    assert all(there.count(key) == 1 for key in there)
    assert len(there) % 3 == 0
    await ledger.accept(CHANNEL, [offer("after")], NOW)


def test_a_loop_that_ends_in_the_middle_of_calls_leaves_a_whole_file(tmp_path: Path) -> None:
    async def be_cut_off() -> None:
        store = SqliteStore(tmp_path, keys_of)
        await store.start()
        ledger = await store.open_clinic("acme")
        calls = [
            asyncio.ensure_future(ledger.accept(CHANNEL, [offer(f"{n}-{m}") for m in "ab"], NOW)) for n in range(5)
        ]
        await calls[0]
        try:
            for call in calls[1:]:
                call.cancel()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        finally:
            await store.stop(timeout=5)

    async def look() -> int:
        store = SqliteStore(tmp_path, keys_of)
        await store.start()
        waiting = await (await store.open_clinic("acme")).unfinished(CHANNEL)
        await store.stop(timeout=5)
        return len(waiting)

    asyncio.run(be_cut_off())
    found = asyncio.run(look())
    assert found >= 2
    assert found % 2 == 0
