"""Where credentials are kept: in clear for somebody else's server, sealed for our own."""

import json
import stat
from pathlib import Path

import pytest

from gateway.nats.accounts import Accounts, Kind
from gateway.nats.credentials import SealedAccounts, load, save
from gateway.vault.keys import new_key
from protocol.commands import utc_now
from protocol.errors import InvalidInputError, StoreUnavailableError


def with_clinics(*clinics: str) -> Accounts:
    """Fresh accounts with those of ``clinics``."""
    accounts = Accounts.fresh()
    for clinic in clinics:
        accounts = accounts.with_clinic(clinic)
    return accounts


def test_an_account_file_from_elsewhere_cannot_inject_either(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    good = {"user": "a", "password": "b"}
    for wrong in (
        {"clinic-x }": {"plantao": good}},
        {"clinic-x": {"plantao": {"user": 'a", "x', "password": "b"}}},
        {"clinic-x": {"plantao": {"user": "a", "password": "b\n"}}},
        {"clinic-x": {"owner": good}},
    ):
        path.write_text(json.dumps({"v": 1, "accounts": wrong}))
        with pytest.raises(InvalidInputError):
            load(path)
    path.write_text(json.dumps({"v": 2, "accounts": {}}))
    with pytest.raises(InvalidInputError, match=r"accounts\.json"):
        load(path)


def test_a_saved_file_is_its_owners_alone_and_comes_back_whole(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    assert load(path) is None
    accounts = with_clinics("acme")
    save(path, accounts)
    save(path, accounts)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load(path) == accounts
    assert [entry.name for entry in tmp_path.iterdir()] == ["accounts.json"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "accounts.json"
    accounts = with_clinics("acme")
    save(path, accounts)

    def full(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="disk full"):
        save(path, Accounts.fresh())
    assert load(path) == accounts
    assert [entry.name for entry in tmp_path.iterdir()] == ["accounts.json"]


def test_the_nodes_own_are_sealed_and_open_with_its_key_alone(tmp_path: Path) -> None:
    key = new_key()
    fresh = SealedAccounts(tmp_path, key).load()
    accounts = fresh.with_clinic("acme").issue("clinic-acme", "reminders", Kind.SENDER, utc_now())
    SealedAccounts(tmp_path, key).save(accounts)
    assert SealedAccounts(tmp_path, key).load() == accounts
    content = (tmp_path / "accounts").read_bytes()
    assert stat.S_IMODE((tmp_path / "accounts").stat().st_mode) == 0o600
    assert b"acme" not in content
    with pytest.raises(StoreUnavailableError, match=r"accounts cannot be opened.*node\.key"):
        SealedAccounts(tmp_path, new_key()).load()
    (tmp_path / "accounts").write_bytes(content[:-1])
    with pytest.raises(StoreUnavailableError, match="damaged"):
        SealedAccounts(tmp_path, key).load()


def test_those_in_clear_of_an_earlier_version_are_sealed_and_go(tmp_path: Path) -> None:
    key, before = new_key(), with_clinics("acme")
    save(tmp_path / "accounts.json", before)
    assert SealedAccounts(tmp_path, key).load() == before
    assert [path.name for path in tmp_path.iterdir()] == ["accounts"]
    save(tmp_path / "accounts.json", Accounts.fresh())  # as if killed between sealing and removing
    assert SealedAccounts(tmp_path, key).load() == before
    assert [path.name for path in tmp_path.iterdir()] == ["accounts"]
