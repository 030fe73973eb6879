"""What ports leave behind: which segments go when, against a model; and the traces of a session store."""

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.whatsapp import traces
from gateway.whatsapp.journal import Journal, folder_of, segments
from gateway.whatsapp.remains import StoreRemains
from gateway.whatsapp.traces import KEPT
from protocol.errors import StoreGoneError, StoreUnavailableError
from protocol.interfaces import Trace
from protocol.port import Sent
from protocol.port_events import Record, SendAnswered, Undecryptable

AT = datetime(2026, 11, 21, tzinfo=UTC)


def answered(key: str) -> SendAnswered:
    return SendAnswered(key=key, answer=Sent(wa_id="3A", at=AT))


def inbound(wa_id: str) -> Undecryptable:
    return Undecryptable(wa_id=wa_id, chat="7755@lid", sender="7755@lid", at=AT)


def numbers(records: Sequence[Record]) -> list[int]:
    return [record.number for record in records]


def remains(store: str) -> StoreRemains:
    return StoreRemains(store, orphan_grace=1.0)


def on_disk(store: str) -> list[int]:
    return [segment.number for segment in segments(folder_of(store))]


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "session.db")


async def test_without_a_port_nothing_is_left(store: str) -> None:
    assert await remains(store).journal() == []
    assert await remains(store).last_row() == 0
    assert await remains(store).traces(0, 100) == []


async def test_what_a_port_left_is_found_until_it_is_done(store: str) -> None:
    journal = Journal(store)
    written = [journal.append(answered(str(each))) for each in range(3)]
    left = remains(store)
    assert numbers(await left.journal()) == written
    left.done(written[:2])
    assert numbers(await left.journal()) == written[2:]
    assert numbers(await remains(store).journal()) == written, "done, but not all of its segment"
    left.done(written[2:])
    assert await remains(store).journal() == []


async def test_the_newest_segment_is_emptied_and_the_numbers_go_on(store: str) -> None:
    (written,) = [Journal(store).append(answered("a"))]
    left = remains(store)
    await left.journal()
    left.done([written])
    assert on_disk(store) == [1]
    assert Journal(store).append(answered("b")) > written
    await left.journal()
    assert on_disk(store) == [2]


async def test_the_segment_that_is_written_to_stays(store: str) -> None:
    left = remains(store)
    await left.journal()
    left.opening()
    journal = Journal(store, segment_size=1)
    first, second = journal.append(answered("a")), journal.append(answered("b"))
    left.done([first])
    assert on_disk(store) == [1, 2], "nobody knows yet that there is a second"
    left.done([second])
    assert on_disk(store) == [2]
    assert (folder_of(store) / "0000000002").stat().st_size > 0


async def test_the_order_in_which_they_are_done_does_not_matter(store: str) -> None:
    left = remains(store)
    left.opening()
    journal = Journal(store, segment_size=1)
    written = [journal.append(answered(str(each))) for each in range(5)]
    left.done(reversed(written))
    left.done(written)
    assert on_disk(store) == [5]


async def test_a_port_that_is_gone_has_said_some_and_left_some(store: str) -> None:
    left = remains(store)
    left.opening()
    journal = Journal(store)
    said = [Record(number=journal.append(inbound(str(each))), what=inbound(str(each))) for each in range(2)]
    outcome = journal.append(answered("a"))
    unsaid = journal.append(inbound("2"))
    for record in said:
        left.heard(record)
    unheard, last_row = await left.ended(read=True)
    assert numbers(unheard) == [outcome, unsaid]
    assert last_row == 0

    left.opening()
    unheard, _ = await left.ended(read=True)
    assert numbers(unheard) == [outcome], "what came in is said once; an outcome until it is done"


async def test_a_store_that_was_deleted_begins_anew(store: str) -> None:
    left = remains(store)
    left.opening()
    journal = Journal(store, segment_size=1)
    for each in range(4):
        left.heard(Record(number=journal.append(inbound(str(each))), what=inbound(str(each))))
    await left.ended(read=True)
    shutil.rmtree(folder_of(store))

    assert await left.journal() == []
    left.opening()
    written = Journal(store).append(inbound("1"))
    unheard, _ = await left.ended(read=True)
    assert numbers(unheard) == [written]
    left.done([written])
    assert await left.journal() == []


async def test_a_port_that_nobody_hears_loses_nothing(store: str) -> None:
    left = remains(store)
    left.opening()
    written = Journal(store).append(inbound("1"))
    assert await left.ended(read=False) == ((), None)
    left.opening()
    unheard, _ = await left.ended(read=True)
    assert numbers(unheard) == [written]


async def test_a_port_s_end_does_not_wait_for_a_store_that_hangs_and_nor_does_another_store(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = StoreRemains(store, orphan_grace=1.0, end_s=0.05)
    release = threading.Event()
    with monkeypatch.context() as patched:
        patched.setattr("gateway.whatsapp.remains.segments", lambda _: release.wait())
        left.opening()
        assert await left.ended(read=True) == ([], None)
    written = Journal(store).append(inbound("1"))
    with pytest.raises(StoreUnavailableError, match="an earlier read of it hangs"):
        await left.journal()
    assert await remains(str(tmp_path / "another.db")).journal() == []
    release.set()
    async with asyncio.timeout(10):
        while True:
            with suppress(StoreUnavailableError):
                assert numbers(await left.journal()) == [written]
                break
            await asyncio.sleep(0)


async def test_while_a_port_of_before_still_ends_the_journal_is_not_read(store: str) -> None:
    left = StoreRemains(store, orphan_grace=0.05)
    left.opening()
    journal = Journal(store)
    first = journal.append(inbound("1"))
    with pytest.raises(StoreUnavailableError, match="a port still uses"):
        await left.journal()
    reading = asyncio.create_task(StoreRemains.journal(left))
    await asyncio.sleep(0)
    last = journal.append(inbound("2"))
    await left.ended(read=False)
    assert numbers(await reading) == [first, last]


async def test_what_could_not_be_written_keeps_nothing_from_going(store: str) -> None:
    left = remains(store)
    left.opening()
    journal = Journal(store)
    written, unwritten = journal.append(inbound("1")), journal.unwritten()
    left.done([unwritten, written])
    await left.ended(read=True)
    assert (folder_of(store) / "0000000001").stat().st_size == 0


async def test_a_journal_that_cannot_be_read_says_so(store: str) -> None:
    folder_of(store).write_text("a file where the folder should be")
    with pytest.raises(StoreUnavailableError, match="journal"):
        await remains(store).journal()
    left = remains(store)
    left.opening()
    assert await left.ended(read=True) == ([], 0)


@settings(deadline=None)  # of what is read from disks and threads
@given(data=st.data())
async def test_exactly_what_is_done_goes(data: st.DataObject) -> None:
    """Ports come and go; each writes, and some of all that was written is done."""
    with TemporaryDirectory() as folder:
        store = str(Path(folder, "session.db"))
        left = remains(store)
        written: set[int] = set()
        done: set[int] = set()
        for _ in range(data.draw(st.integers(1, 4))):
            assert set(numbers(await left.journal())) == written - done
            left.opening()
            journal = Journal(store, segment_size=data.draw(st.sampled_from((1, 120, 10_000))))
            for _ in range(data.draw(st.integers(0, 5))):
                written |= {journal.append(inbound("x")) for _ in range(data.draw(st.integers(0, 4)))}
                if written:
                    some = data.draw(st.lists(st.sampled_from(sorted(written))))
                    left.done(some)
                    done |= set(some)
                    assert written - done <= set(numbers(await remains(store).journal())), "lost"
            await left.ended(read=True)
            on_disk = set(numbers(await remains(store).journal()))
            assert {number >> 32 for number in on_disk} == {number >> 32 for number in written - done}
        left.done(written)
        assert await remains(store).journal() == []


# -- traces --

TABLE = """
CREATE TABLE whatsmeow_message_secrets (our_jid TEXT, chat_jid TEXT, sender_jid TEXT, message_id TEXT, key bytea,
PRIMARY KEY (our_jid, chat_jid, sender_jid, message_id))
"""


DEVICE = "5500:7@s.whatsapp.net"


def write_traces(store: str, *rows: tuple[str, str, str, bytes]) -> None:
    with closing(sqlite3.connect(store)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(TABLE)
        database.execute("CREATE TABLE whatsmeow_device (jid TEXT PRIMARY KEY)")
        database.execute("INSERT INTO whatsmeow_device VALUES (?)", (DEVICE,))
        database.executemany("INSERT INTO whatsmeow_message_secrets VALUES ('me', ?, ?, ?, ?)", rows)
        database.commit()


async def test_traces_are_read_in_order(store: str) -> None:
    write_traces(
        store, ("1@lid", "1:5@lid", "3A", b"a"), ("2@lid", "2@lid", "3B", b"b"), ("3@lid", "3@lid", "3C", b"c")
    )
    left = remains(store)
    assert await left.last_row() == 3
    assert await left.traces(0, 2) == [
        Trace(row=1, chat="1@lid", sender="1@lid", wa_id="3A", secret=b"a"),
        Trace(row=2, chat="2@lid", sender="2@lid", wa_id="3B", secret=b"b"),
    ]
    assert await left.ids_of([b"c", b"nobody's", b"a"], DEVICE) == {b"a": "3A", b"c": "3C"}
    assert await left.ids_of([], None) == {}


async def test_many_secrets_are_looked_up_in_parts(store: str) -> None:
    write_traces(store, *((f"{each}@lid", "1@lid", str(each), str(each).encode()) for each in range(25_000)))
    found = await remains(store).ids_of([str(each).encode() for each in range(30_000)], DEVICE)
    assert len(found) == 25_000


async def test_a_store_without_messages_has_no_traces(store: str) -> None:
    with closing(sqlite3.connect(store)) as database:
        database.execute("CREATE TABLE other (x)")
    left = remains(store)
    assert (await left.last_row(), await left.traces(0, 9)) == (0, [])


async def test_old_traces_go_and_the_numbers_go_on(store: str) -> None:
    write_traces(store, *((f"{each}@lid", "1@lid", str(each), b"s") for each in range(KEPT + 20)))
    left = remains(store)
    await left.prune(KEPT)
    assert [trace.row for trace in await left.traces(0, 1)] == [1], "not that old"
    await left.prune(KEPT + 5)
    assert [trace.row for trace in await left.traces(0, 7)] == [6, 7]
    left.opening()
    await left.prune(KEPT + 20)
    assert [trace.row for trace in await left.traces(0, 7)] == [6, 7], "a port uses the store"
    await left.ended(read=False)
    await left.prune(KEPT + 20)
    assert [trace.row for trace in await left.traces(0, 22)] == [21, 22]
    assert await left.last_row() == KEPT + 20


async def test_where_there_are_no_traces_none_go(store: str, damaged: str) -> None:
    await remains(store).prune(KEPT + 1)
    with pytest.raises(StoreUnavailableError):
        await remains(damaged).prune(KEPT + 1)
    with closing(sqlite3.connect(store)) as database:
        database.execute("CREATE TABLE other (x)")
    await remains(store).prune(KEPT + 1)


@pytest.mark.parametrize("change", ["deleted", "emptied", "begun anew", "device removed", "paired anew"])
async def test_another_session_than_the_one_that_sent_says_nothing_of_what_was_sent(store: str, change: str) -> None:
    write_traces(store, ("1@lid", "1@lid", "3A", b"a"))
    if change == "deleted":
        shutil.move(store, f"{store}.away")
    else:
        statements = {
            "emptied": ("DROP TABLE whatsmeow_device", "DROP TABLE whatsmeow_message_secrets"),
            "begun anew": ("DELETE FROM whatsmeow_message_secrets", "DELETE FROM whatsmeow_device"),
            "device removed": ("DELETE FROM whatsmeow_device",),
            "paired anew": ("UPDATE whatsmeow_device SET jid = '5500:8@s.whatsapp.net'",),
        }
        with closing(sqlite3.connect(store)) as database:
            for statement in statements[change]:
                database.execute(statement)
            database.commit()
    with pytest.raises(StoreGoneError, match=r"session\.db"):
        await remains(store).ids_of([b"a", b"b"], DEVICE)


async def test_nor_does_one_say_anything_of_what_no_known_device_sent(store: str) -> None:
    write_traces(store)
    assert await remains(store).ids_of([b"a"], DEVICE) == {}, "this one was never sent"
    with pytest.raises(StoreGoneError):
        await remains(store).ids_of([b"a"], None)


@pytest.fixture
def damaged(tmp_path: Path) -> str:
    store = tmp_path / "damaged.db"
    store.write_bytes(b"this is not a database" * 100)
    return str(store)


async def test_a_store_that_is_none_says_so(damaged: str) -> None:
    left = remains(damaged)
    with pytest.raises(StoreUnavailableError, match="file is not a database"):
        await left.last_row()
    with pytest.raises(StoreUnavailableError):
        await left.traces(0, 1)
    left.opening()
    assert (await left.ended(read=True))[1] is None


async def test_a_store_in_a_strange_place_is_read_as_it_is(tmp_path: Path) -> None:
    store = tmp_path / "50%41 #1?x=y&z" / "sess ção.db"
    store.parent.mkdir()
    write_traces(str(store), ("1@lid", "1@lid", "3A", b"a"))
    assert await remains(str(store)).last_row() == 1


# -- a session that is over --


def a_session(store: str) -> None:
    with closing(sqlite3.connect(store)) as database:
        database.executescript(
            "CREATE TABLE whatsmeow_device (jid TEXT PRIMARY KEY);"
            "CREATE TABLE whatsmeow_message_secrets (our_jid TEXT, chat_jid TEXT, sender_jid TEXT, message_id TEXT,"
            " key BLOB, FOREIGN KEY (our_jid) REFERENCES whatsmeow_device(jid) ON DELETE CASCADE);"
            "INSERT INTO whatsmeow_device VALUES ('me');"
            "INSERT INTO whatsmeow_message_secrets VALUES ('me', 'c', 's', 'A', x'00')"
        )


async def test_a_store_whose_session_is_unlinked_holds_no_device_and_nothing_of_it(store: str) -> None:
    a_session(store)
    left = remains(store)
    assert await left.last_row() == 1
    await left.unlink()
    assert await left.last_row() == 0
    with pytest.raises(StoreGoneError):
        await left.ids_of([b"s"], "me")


def test_a_store_that_is_no_database_is_removed(store: str) -> None:
    for name in (store, f"{store}-wal"):
        Path(name).write_bytes(b"not a database" * 100)
    traces.unlink(store)
    assert not Path(store).exists()
    assert not Path(f"{store}-wal").exists()
    traces.unlink(store)


async def test_no_session_is_unlinked_while_a_port_may_use_it(store: str) -> None:
    a_session(store)
    left = remains(store)
    left.opening()
    with pytest.raises(StoreUnavailableError, match="still uses"):
        await left.unlink()
    assert await left.last_row() == 1
