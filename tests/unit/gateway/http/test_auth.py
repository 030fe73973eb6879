import stat
from pathlib import Path

import pytest

from gateway.http.auth import AdminKey, ensure_admin_key, presented
from protocol.errors import StoreUnavailableError


def test_a_key_is_generated_once_for_us_alone_and_then_reused(tmp_path: Path) -> None:
    path = tmp_path / "admin.key"

    first = ensure_admin_key(path)
    text = path.read_text().strip()
    second = ensure_admin_key(path)

    assert first.matches(text)
    assert second.matches(text)
    assert len(text) >= 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["admin.key"]


def test_two_nodes_have_different_keys(tmp_path: Path) -> None:
    ensure_admin_key(tmp_path / "a")
    ensure_admin_key(tmp_path / "b")

    assert (tmp_path / "a").read_text() != (tmp_path / "b").read_text()


def test_a_key_that_others_may_read_is_tightened(tmp_path: Path) -> None:
    path = tmp_path / "admin.key"
    ensure_admin_key(path)
    path.chmod(0o644)

    ensure_admin_key(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"short\n", b"a" * 40 + b" " + b"b" * 40, b"\xff" * 50])
def test_a_file_that_holds_no_key_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "admin.key"
    path.write_bytes(content)

    with pytest.raises(StoreUnavailableError, match=r"admin\.key"):
        ensure_admin_key(path)
    assert path.read_bytes() == content


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match="nowhere"):
        ensure_admin_key(tmp_path / "nowhere" / "admin.key")


@pytest.mark.parametrize("candidate", ["", "k", "key ", "KEY", "é", "\udcff"])
def test_only_the_whole_key_matches(candidate: str) -> None:
    assert not AdminKey("key").matches(candidate)


def test_a_key_cannot_be_read_back() -> None:
    key = AdminKey("the-key")

    assert "the-key" not in repr(vars(key))


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({}, None),
        ({"Authorization": "Bearer abc"}, "abc"),
        ({"Authorization": "bearer  abc"}, "abc"),
        ({"Authorization": "Basic abc"}, ""),
        ({"Authorization": "abc"}, ""),
        ({"X-API-Key": "abc"}, "abc"),
        ({"Authorization": "Bearer abc", "X-API-Key": "xyz"}, "abc"),
    ],
)
def test_a_key_is_presented_in_either_header(headers: dict[str, str], key: str | None) -> None:
    assert presented(headers) == key
