from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.backup.shelf import BackupShelf
from protocol.errors import InvalidIdError, StoreUnavailableError

AT = datetime(2026, 11, 28, 6, 0, tzinfo=UTC)
LATER = AT + timedelta(days=100)


def put(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"an archive")


@pytest.fixture
def shelf(tmp_path: Path) -> BackupShelf:
    return BackupShelf(tmp_path, 2)


async def test_the_newest_is_known_by_its_name(shelf: BackupShelf) -> None:
    assert await shelf.last("north", LATER) is None
    for days in (1, 0, 2):
        put(shelf.place("north", AT + timedelta(days=days)))
    put(shelf.place("south", AT + timedelta(days=9)))
    assert await shelf.last("north", LATER) == AT + timedelta(days=2)


async def test_only_the_oldest_go_and_nothing_that_is_none_of_ours(shelf: BackupShelf, tmp_path: Path) -> None:
    for days in range(4):
        put(shelf.place("north", AT + timedelta(days=days)))
    for name in (
        "notes.txt",
        "mine.backup",
        "20261399T000000Z.backup",
        ".20261128T060000Z.backup.draft",
        ".20261128T060000Z.backup.db-wal",
    ):
        put(tmp_path / "north" / name)
    put(shelf.place("south", AT))
    assert await shelf.prune("north", LATER) == ["20261129T060000Z.backup", "20261128T060000Z.backup"]
    left = sorted(path.name for path in (tmp_path / "north").iterdir())
    ours, others = left[:2], left[2:]
    assert ours == ["20261130T060000Z.backup", "20261201T060000Z.backup"]
    assert others == ["20261399T000000Z.backup", "mine.backup", "notes.txt"]
    assert await shelf.last("south", LATER) == AT


async def test_what_is_dated_later_than_now_is_not_the_newest_and_goes_first(shelf: BackupShelf) -> None:
    for days in (-1, 0, 30, 31):
        put(shelf.place("north", AT + timedelta(days=days)))
    assert await shelf.last("north", AT) == AT
    assert await shelf.last("north", AT - timedelta(days=9)) is None
    assert set(await shelf.prune("north", AT)) == {"20261228T060000Z.backup", "20261229T060000Z.backup"}
    assert await shelf.last("north", LATER) == AT


async def test_a_new_one_stays_though_all_others_are_dated_later(shelf: BackupShelf) -> None:
    for days in (0, 30, 31):
        put(shelf.place("north", AT + timedelta(days=days)))
    assert await shelf.prune("north", AT) == ["20261228T060000Z.backup"]
    assert await shelf.last("north", AT) == AT


async def test_a_time_is_written_in_utc(shelf: BackupShelf) -> None:
    there = AT.astimezone()
    assert shelf.place("north", there).name == "20261128T060000Z.backup"


async def test_what_is_no_clinic_has_no_place(shelf: BackupShelf) -> None:
    with pytest.raises(InvalidIdError):
        shelf.place("../north", AT)


async def test_a_directory_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "north").write_bytes(b"no directory")
    with pytest.raises(StoreUnavailableError, match="north"):
        await BackupShelf(tmp_path, 1).last("north", LATER)
