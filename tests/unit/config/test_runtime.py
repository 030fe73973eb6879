import os
import stat
from pathlib import Path

import pytest

from config.runtime import default_runtime, ensure_private, in_memory
from protocol.errors import StoreUnavailableError


def mounts(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "mounts"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_the_deepest_mount_decides_whether_a_path_is_in_memory(tmp_path: Path) -> None:
    table = mounts(
        tmp_path, "/dev/sda / ext4 rw 0 0", "tmpfs /mem tmpfs rw 0 0", "/dev/sdb /mem/disk ext4 rw 0 0", "broken"
    )

    assert in_memory(Path("/mem/x"), table)
    assert not in_memory(Path("/mem/disk/x"), table)
    assert not in_memory(Path("/memory"), table)


def test_a_later_mount_on_the_same_point_hides_the_earlier_one(tmp_path: Path) -> None:
    table = mounts(tmp_path, "tmpfs /mem tmpfs rw 0 0", "/dev/sda /mem ext4 rw 0 0")

    assert not in_memory(Path("/mem/x"), table)


def test_a_mount_point_with_a_blank_is_understood(tmp_path: Path) -> None:
    assert in_memory(Path("/my mem/x"), mounts(tmp_path, "tmpfs /my\\040mem tmpfs rw 0 0"))


def test_what_cannot_be_found_out_is_not_called_memory(tmp_path: Path) -> None:
    assert not in_memory(Path("/dev/shm"), tmp_path / "nowhere")


def test_each_data_directory_and_user_has_a_runtime_directory_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.runtime.in_memory", lambda _path: True)
    places = {default_runtime(Path(data), uid) for data in ("/a", "/b") for uid in (1, 2)}

    assert len(places) == 4
    assert all(place.parent == Path("/dev/shm") for place in places)


def test_without_shared_memory_the_runtime_directory_lies_in_the_data_directory(tmp_path: Path) -> None:
    assert default_runtime(Path("/a"), 1, tmp_path / "no-such-mount" / "..") == Path("/a/runtime")


def test_a_private_directory_is_made_with_its_parents_and_tightened(tmp_path: Path) -> None:
    place = tmp_path / "a" / "b"

    ensure_private(place)
    place.chmod(0o755)
    ensure_private(place)

    assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_a_link_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")

    with pytest.raises(StoreUnavailableError, match="is a link"):
        ensure_private(tmp_path / "link")


def test_another_users_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)

    with pytest.raises(StoreUnavailableError, match="another user"):
        ensure_private(tmp_path)


def test_a_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StoreUnavailableError, match="cannot be made or used"):
        ensure_private(tmp_path / "file" / "below")
