from pathlib import Path

import pytest

from config import master_keys
from config.sections import Keys, Settings
from gateway.vault import KeyRotation, Vaults
from protocol.errors import ConflictError, InvalidInputError, WrongKeyError

OLD, NEW = "00" * 32, "11" * 32


def settings(data: Path, **keys: object) -> Settings:
    return Settings(data=data, runtime=Path("/run"), runtime_in_memory=True, keys=Keys(**keys))  # type: ignore[arg-type]


async def rotate(given: Settings) -> None:
    vaults = Vaults(given.data, master_keys.present(given))
    vaults.data_keys("north")
    await KeyRotation(given.data, vaults, lambda: master_keys.next_one(given)).rotate_master(lambda *_: None)


def test_a_key_that_is_given_needs_a_next_one_that_is_given(tmp_path: Path) -> None:
    with pytest.raises(ConflictError, match=r"no next master key is given: set keys\.next_master_file"):
        master_keys.next_one(settings(tmp_path, master=OLD))


def test_the_next_one_is_read_when_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "next"
    given = settings(tmp_path, master=OLD, next_master_file=path)
    with pytest.raises(InvalidInputError, match="next"):
        master_keys.next_one(given)
    path.write_text(NEW)
    assert master_keys.next_one(given).key.hex() == NEW
    printed = settings(tmp_path, master=OLD, next_master_command=["echo", OLD])
    assert master_keys.next_one(printed).key.hex() == OLD


async def test_a_start_with_both_after_it_goes_by_the_next_and_with_the_old_one_alone_not_at_all(
    tmp_path: Path,
) -> None:
    both = settings(tmp_path, master=OLD, next_master=NEW)
    await rotate(both)
    assert master_keys.present(both).key.hex() == NEW
    assert master_keys.present(settings(tmp_path, master=NEW)).key.hex() == NEW
    with pytest.raises(WrongKeyError, match="sealed with another master key"):
        master_keys.present(settings(tmp_path, master=OLD))


async def test_a_next_one_that_cannot_be_had_stops_no_start(tmp_path: Path) -> None:
    assert master_keys.present(settings(tmp_path, master=OLD, next_master_command=["false"])).key.hex() == OLD


def test_a_next_one_that_is_not_there_yet_is_none_of_those_that_are_known(tmp_path: Path) -> None:
    path = tmp_path / "next"
    given = settings(tmp_path, master=OLD, next_master_file=path)
    assert [key.key.hex() for key in master_keys.known(given)] == [OLD]
    path.write_text(NEW)
    assert [key.key.hex() for key in master_keys.known(given)] == [OLD, NEW]


async def test_a_development_node_makes_its_next_one_itself_or_takes_one_that_is_given(tmp_path: Path) -> None:
    before = master_keys.present(settings(tmp_path))
    await rotate(settings(tmp_path))
    made = master_keys.present(settings(tmp_path))
    assert made.id != before.id
    given = settings(tmp_path, next_master=NEW)
    await rotate(given)
    assert master_keys.present(given).key.hex() == NEW
    assert master_keys.present(settings(tmp_path, master=NEW)).key.hex() == NEW
