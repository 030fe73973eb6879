import stat
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.access.admin_key import MADE_BY, adopt, read_or_make
from gateway.access.secret import digest
from protocol.access import Caller, Role
from protocol.errors import StoreUnavailableError
from tests.unit.gateway.access.made import BEGAN, api_key


def test_a_key_is_made_once_for_us_alone_and_then_reused(tmp_path: Path) -> None:
    path = tmp_path / "admin.key"

    first = read_or_make(path)

    assert read_or_make(path) == first
    assert len(first) >= 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["admin.key"]


def test_two_nodes_have_different_keys(tmp_path: Path) -> None:
    assert read_or_make(tmp_path / "a") != read_or_make(tmp_path / "b")


def test_a_key_that_others_may_read_is_tightened(tmp_path: Path) -> None:
    path = tmp_path / "admin.key"
    read_or_make(path)
    path.chmod(0o644)

    read_or_make(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"short\n", b"a" * 40 + b" " + b"b" * 40, b"\xff" * 50])
def test_a_file_that_holds_no_key_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "admin.key"
    path.write_bytes(content)

    with pytest.raises(StoreUnavailableError, match=r"admin\.key"):
        read_or_make(path)
    assert path.read_bytes() == content


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match="nowhere"):
        read_or_make(tmp_path / "nowhere" / "admin.key")


def test_what_is_found_in_the_file_first_is_an_admin_key_for_everything() -> None:
    (key,) = adopt([], "secret", BEGAN)

    assert key.caller == Caller(id=key.id, role=Role.ADMIN, clinics=None)
    assert (key.digest, key.per_hour, key.revoked_at) == (digest("secret"), 0, None)


def test_another_one_in_the_file_takes_the_place_of_the_first_and_of_no_other() -> None:
    made = api_key("1", "made")
    first = adopt([made], "first", BEGAN)

    second = adopt(first, "second", BEGAN)

    assert [(key.made_by, key.revoked_at is None) for key in second] == [
        ("test", True), (MADE_BY, False), (MADE_BY, True)
    ]  # fmt: skip
    assert second[-1].digest == digest("second")


def test_an_old_copy_of_the_file_brings_no_revoked_key_back() -> None:
    keys = adopt(adopt([], "first", BEGAN), "second", BEGAN)

    assert adopt(keys, "first", BEGAN) is keys
    revoked = [replace(key, revoked_at=BEGAN) for key in keys]
    assert adopt(revoked, "second", BEGAN) is revoked


def test_a_key_that_was_made_in_another_way_stays_what_it_is_in_the_file() -> None:
    viewer = api_key("1", "made", role=Role.VIEWER)

    assert adopt([viewer], "made", BEGAN) == [viewer]


def test_but_so_many_are_remembered() -> None:
    keys = adopt([], "0", BEGAN)
    for number in range(1, 150):
        keys = adopt(keys, str(number), BEGAN)

    assert len(keys) == 101
