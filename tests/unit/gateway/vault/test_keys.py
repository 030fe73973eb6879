from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.vault.keys import DataKey, count_of, key_file, make_key, new_key, read_keys, rewrap, unwrap, wrap
from gateway.vault.master import MasterKey
from protocol.errors import InvalidIdError, StoreUnavailableError, WrongKeyError

MASTER = MasterKey(bytes(range(32)), "a test")
OTHER = MasterKey(bytes(range(1, 33)), "another test")
KEY = DataKey(b"k" * 32)
WRAPPED = wrap([KEY], "north", MASTER)
PATH = Path("clinics/north/key")


def test_a_clinic_gets_its_key_once_and_keeps_it(tmp_path: Path) -> None:
    assert read_keys(tmp_path, "north", MASTER) == []
    (key,) = made = make_key(tmp_path, "north", MASTER)
    assert make_key(tmp_path, "north", MASTER) == made == read_keys(tmp_path, "north", MASTER)
    assert make_key(tmp_path, "south", MASTER) != made
    path = key_file(tmp_path, "north")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert key.key not in path.read_bytes()
    assert [it.name for it in path.parent.iterdir()] == ["key"]


def test_each_purpose_has_a_key_of_its_own() -> None:
    derived = {KEY.derive("snapshots"), KEY.derive("database"), new_key().derive("snapshots"), KEY.key}
    assert len(derived) == 4
    assert {len(key) for key in derived} == {32}
    assert KEY.derive("snapshots") == DataKey(KEY.key).derive("snapshots")


def test_a_file_may_hold_several_keys_of_which_the_first_seals() -> None:
    keys = [new_key(), KEY, new_key()]
    assert unwrap(wrap(keys, "north", MASTER), "north", MASTER, PATH) == keys


def test_another_master_key_is_told_from_damage() -> None:
    with pytest.raises(WrongKeyError, match=r"clinic north: .*key was wrapped by another master key .* another test"):
        unwrap(WRAPPED, "north", OTHER, PATH)


DATA_KEYS = st.lists(st.binary(min_size=32, max_size=32).map(DataKey), min_size=1, max_size=8)


@given(DATA_KEYS, st.sets(st.integers(0, 7)))
def test_keys_may_be_wrapped_by_the_master_key_or_the_one_before_it(keys: list[DataKey], old: set[int]) -> None:
    both = MasterKey(OTHER.key, OTHER.source, before=MASTER)
    entries = [wrap([key], "north", MASTER if at in old else OTHER)[10:] for at, key in enumerate(keys)]
    content = WRAPPED[:9] + bytes([len(keys)]) + b"".join(entries)
    assert unwrap(content, "north", both, PATH) == keys
    for alone, missing in ((MASTER, set(range(len(keys))) - old), (OTHER, old & set(range(len(keys))))):
        if missing:
            with pytest.raises(WrongKeyError, match="another master key"):
                unwrap(content, "north", alone, PATH)
        else:
            assert unwrap(content, "north", alone, PATH) == keys


@given(DATA_KEYS, st.booleans())
def test_wrapped_anew_they_are_the_same_under_the_new_master_key_alone(keys: list[DataKey], done: bool) -> None:
    both = MasterKey(OTHER.key, OTHER.source, before=MASTER)
    with TemporaryDirectory() as place:
        path = Path(place) / "key"
        path.write_bytes(wrap(keys, "north", OTHER if done else MASTER))
        assert rewrap(path, "north", both) is not done
        assert unwrap(path.read_bytes(), "north", OTHER, path) == keys
        assert count_of(path) == len(keys)
        assert rewrap(path, "north", both) is False


def test_a_file_that_is_not_there_is_not_wrapped_anew(tmp_path: Path) -> None:
    assert rewrap(tmp_path / "key", "north", MASTER) is False
    assert count_of(tmp_path / "key") == 0


def test_a_file_that_cannot_be_opened_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(WRAPPED)
    with pytest.raises(WrongKeyError):
        rewrap(tmp_path / "key", "north", OTHER)
    assert (tmp_path / "key").read_bytes() == WRAPPED


def test_a_key_of_another_clinic_is_refused() -> None:
    with pytest.raises(StoreUnavailableError, match=r"clinic south: .*another's: put back a good copy"):
        unwrap(WRAPPED, "south", MASTER, PATH)


@given(st.integers(0, len(WRAPPED) - 1), st.integers(0, 7))
def test_a_flipped_bit_is_noticed(at: int, bit: int) -> None:
    damaged = bytearray(WRAPPED)
    damaged[at] ^= 1 << bit
    with pytest.raises(StoreUnavailableError, match="clinic north: clinics/north/key"):
        unwrap(bytes(damaged), "north", MASTER, PATH)


@given(st.integers(0, len(WRAPPED) - 1))
def test_a_torn_file_is_refused(length: int) -> None:
    with pytest.raises(StoreUnavailableError, match="damaged"):
        unwrap(WRAPPED[:length], "north", MASTER, PATH)


@given(st.binary(max_size=300))
def test_a_foreign_file_is_refused(content: bytes) -> None:
    with pytest.raises(StoreUnavailableError):
        unwrap(content, "north", MASTER, PATH)


def test_what_cannot_be_read_says_which_file(tmp_path: Path) -> None:
    key_file(tmp_path, "north").mkdir(parents=True)
    with pytest.raises(StoreUnavailableError, match=r"clinic north: .*/clinics/north/key cannot be read"):
        read_keys(tmp_path, "north", MASTER)


def test_a_name_cannot_leave_its_directory(tmp_path: Path) -> None:
    with pytest.raises(InvalidIdError):
        key_file(tmp_path, "../north")


def test_no_key_shows_in_a_repr() -> None:
    assert "kkk" not in repr(KEY)
    assert repr(MASTER) == "MasterKey(source='a test')"
