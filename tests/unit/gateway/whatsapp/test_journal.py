"""The journal: what is written is found, whatever becomes of its end; and no number comes twice."""

import errno
import os
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.whatsapp.journal import Journal, JournalError, Segment, What, folder_of, number, segment_of, segments
from protocol.port import Failed, Sent
from protocol.port_events import AlreadyDecrypted, ReceiptReceived, SendAnswered, Undecryptable

AT = datetime(2026, 11, 21, 3, 4, 5, 678901, tzinfo=UTC)

WORDS = st.text(max_size=40)
WHAT: st.SearchStrategy[What] = st.one_of(
    st.builds(SendAnswered, key=WORDS, answer=st.builds(Sent, wa_id=WORDS, at=st.just(AT))),
    st.builds(SendAnswered, key=WORDS, answer=st.builds(Failed, code=WORDS, message=WORDS)),
    st.builds(AlreadyDecrypted, wa_id=WORDS, chat=WORDS, sender=WORDS),
    st.builds(Undecryptable, wa_id=WORDS, chat=WORDS, sender=WORDS, at=st.just(AT)),
    st.builds(
        ReceiptReceived,
        wa_ids=st.lists(WORDS, max_size=3),
        chat=WORDS,
        sender=WORDS,
        kind=st.sampled_from(("delivered", "read")),
        at=st.just(AT),
    ),
)


def answered(key: str) -> SendAnswered:
    return SendAnswered(key=key, answer=Sent(wa_id="3A", at=AT))


def read(store: str) -> list[What]:
    return [record.what for segment in segments(folder_of(store)) for record in segment.records()]


@given(what=st.lists(WHAT, max_size=20), size=st.integers(1, 400), ports=st.integers(1, 3))
def test_what_is_written_is_found_in_order_under_its_number(what: list[What], size: int, ports: int) -> None:
    with TemporaryDirectory() as folder:
        store = str(Path(folder, "session.db"))
        written = []
        for _ in range(ports):
            journal = Journal(store, segment_size=size)
            written += [(journal.append(each), each) for each in what]
        found = [record for segment in segments(folder_of(store)) for record in segment.records()]
        assert [(record.number, record.what) for record in found] == written
        numbers = [record.number for record in found]
        assert numbers == sorted(set(numbers))


@given(what=st.lists(WHAT, min_size=1, max_size=8), data=st.data())
def test_a_torn_end_costs_the_end_alone(what: list[What], data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        store = str(Path(folder, "session.db"))
        journal, ends = Journal(store), [0]
        (segment,) = segments(folder_of(store))
        for each in what:
            journal.append(each)
            ends.append(segment.path.stat().st_size)
        cut = data.draw(st.integers(0, ends[-1]))
        os.truncate(segment.path, cut)
        whole = sum(end <= cut for end in ends) - 1
        assert [record.what for record in segment.records()] == what[:whole]


@given(what=st.lists(WHAT, min_size=1, max_size=8), data=st.data())
def test_a_damaged_byte_costs_what_comes_from_there_on(what: list[What], data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        store = str(Path(folder, "session.db"))
        journal, ends = Journal(store), [0]
        (segment,) = segments(folder_of(store))
        for each in what:
            journal.append(each)
            ends.append(segment.path.stat().st_size)
        at = data.draw(st.integers(0, ends[-1] - 1))
        content = bytearray(segment.path.read_bytes())
        content[at] ^= data.draw(st.integers(1, 255))
        segment.path.write_bytes(content)
        whole = sum(end <= at for end in ends) - 1
        assert [record.what for record in segment.records()] == what[:whole]


def test_a_port_begins_with_a_segment_of_its_own(tmp_path: Path) -> None:
    store = str(tmp_path / "session.db")
    first = Journal(store).append(answered("1:a"))
    second = Journal(store).append(answered("1:b"))
    assert (segment_of(first), segment_of(second)) == (1, 2)
    assert read(store) == [answered("1:a"), answered("1:b")]


def test_a_segment_that_is_full_has_its_count_in_its_name(tmp_path: Path) -> None:
    store = str(tmp_path / "session.db")
    journal = Journal(store, segment_size=150)
    for key in range(6):
        journal.append(answered(str(key)))
    *closed, last = segments(folder_of(store))
    assert closed
    assert all(segment.count == len(segment.records()) for segment in closed)
    assert last.count is None


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    store = str(tmp_path / "session.db")
    Journal(store)
    folder = folder_of(store)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o600]


def test_what_is_no_segment_is_passed_over(tmp_path: Path) -> None:
    for name in ("notes", "7.x", "0000000003", "12.4"):
        (tmp_path / name).touch()
    assert segments(tmp_path) == [Segment(tmp_path / "0000000003", 3, None), Segment(tmp_path / "12.4", 12, 4)]
    assert segments(tmp_path / "nowhere") == []


def test_a_write_that_fails_is_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = str(tmp_path / "session.db")
    journal = Journal(store)
    assert journal.append(answered("1:a")) == number(1, 0)

    def full(_: int, __: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(JournalError, match="No space left on device"):
            journal.append(answered("1:b"))
    with pytest.raises(JournalError, match="No space left on device"):
        journal.append(answered("1:c"))
    assert (journal.unwritten(), journal.unwritten()) == (number(1, 1), number(1, 2))
    assert read(store) == [answered("1:a")]


def test_half_a_record_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = str(tmp_path / "session.db")
    journal = Journal(store)
    journal.append(answered("1:a"))
    (segment,) = segments(folder_of(store))
    size, write = segment.path.stat().st_size, os.write

    def fill(file: int, data: bytes) -> int:
        if segment.path.stat().st_size > size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, data[:5])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fill)
        with pytest.raises(JournalError, match="No space left"):
            journal.append(answered("1:b"))
    assert segment.path.stat().st_size == size


def test_many_threads_write_whole_records(tmp_path: Path) -> None:
    store = str(tmp_path / "session.db")
    journal = Journal(store, segment_size=2000)
    numbers: list[int] = []

    def write(name: int) -> None:
        numbers.extend(journal.append(answered(f"{name}:{each}")) for each in range(100))

    threads = [Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = read(store)
    assert len(found) == len(set(numbers)) == 400
    assert {what.key for what in found if isinstance(what, SendAnswered)} == {
        f"{name}:{each}" for name in range(4) for each in range(100)
    }
