from pathlib import Path

import pytest

from gateway import disk


def names(directory: Path) -> list[str]:
    return sorted(it.name for it in directory.iterdir())


def test_a_file_is_replaced_and_ours_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    disk.write(path, b"one")
    disk.write(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["file"]


def test_what_does_not_pass_the_check_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    disk.write(path, b"one")

    def refuse(read: bytes) -> None:
        assert read == b"two"
        raise ValueError

    with pytest.raises(ValueError):
        disk.write(path, b"two", refuse)
    assert path.read_bytes() == b"one"
    assert names(tmp_path) == ["file"]


def test_of_two_who_create_the_second_does_not(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert disk.create(path, b"one")
    assert not disk.create(path, b"two")
    assert path.read_bytes() == b"one"
    assert names(tmp_path) == ["file"]


def test_directories_are_made_for_us_alone(tmp_path: Path) -> None:
    path = tmp_path / "one" / "two"
    disk.make_directory(path)
    disk.make_directory(path)
    assert [it.stat().st_mode & 0o777 for it in (path, path.parent)] == [0o700, 0o700]


def test_only_drafts_of_that_file_are_removed(tmp_path: Path) -> None:
    for name in (".one.x.draft", ".two.x.draft", "one", ".one"):
        (tmp_path / name).touch()
    disk.remove_drafts(tmp_path, "one")
    assert names(tmp_path) == [".one", ".two.x.draft", "one"]
    disk.remove_drafts(tmp_path)
    assert names(tmp_path) == [".one", "one"]
