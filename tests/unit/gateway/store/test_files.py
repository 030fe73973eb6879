import stat
from pathlib import Path

import pytest

from gateway.store.files import check_writable, database_file, make_private_directory, make_private_file
from protocol.errors import InvalidIdError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_clinics_file_lies_in_its_own_directory() -> None:
    assert database_file(Path("/data"), "acme") == Path("/data/clinics/acme/clinic.db")


@pytest.mark.parametrize("clinic", ["..", ".", "", "a/b", "../acme", "/etc", "Acme", "acme\n", "a" * 64])
def test_what_is_no_identifier_is_no_part_of_a_path(clinic: str) -> None:
    with pytest.raises(InvalidIdError):
        database_file(Path("/data"), clinic)


def test_directories_and_files_are_made_once_and_for_their_owner(tmp_path: Path) -> None:
    for _ in range(2):
        make_private_directory(tmp_path / "a" / "b")
        make_private_file(tmp_path / "a" / "b" / "c")
    assert (mode(tmp_path / "a" / "b"), mode(tmp_path / "a" / "b" / "c")) == (0o700, 0o600)


def test_what_exists_keeps_its_content(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"content")
    file.chmod(0o666)
    make_private_file(file)
    assert (file.read_bytes(), mode(file)) == (b"content", 0o600)


def test_trying_whether_a_directory_is_writable_leaves_nothing_in_it(tmp_path: Path) -> None:
    check_writable(tmp_path / "clinics")
    assert list((tmp_path / "clinics").iterdir()) == []


def test_a_file_is_no_writable_directory(tmp_path: Path) -> None:
    (tmp_path / "clinics").touch()
    with pytest.raises(FileExistsError):
        check_writable(tmp_path / "clinics")
