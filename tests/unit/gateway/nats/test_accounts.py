"""Credentials, and the server's configuration as text."""

import json
import re
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.nats import accounts as module
from gateway.nats.accounts import Accounts, Credential, Place, Role, load, save, server_config
from protocol.errors import InvalidIdError, InvalidInputError, NotFoundError
from protocol.ids import NAME_PATTERN

NAMES = st.from_regex(NAME_PATTERN.removesuffix("$") + r"\Z")
PLACE = Place(directory=Path("/data/nats"), port=-1, clinic_bytes=2 << 30)

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def parsed(text: str) -> dict[str, object]:
    """The configuration as nats-server reads it: enough of its grammar for what is generated."""
    tokens = _TOKEN.findall(text)
    tokens.reverse()
    return block(tokens, end=None)


def block(tokens: list[str], *, end: str | None) -> dict[str, object]:
    """Keys and values up to ``end``."""
    found: dict[str, object] = {}
    while tokens:
        key = tokens.pop()
        if key == end:
            return found
        if key == ",":
            continue
        if tokens[-1] == ":":
            tokens.pop()
        assert key not in found, f"{key} twice"
        found[key] = value(tokens)
    assert end is None
    return found


def value(tokens: list[str]) -> object:
    """One value."""
    first = tokens.pop()
    if first == "{":
        return block(tokens, end="}")
    if first != "[":
        return json.loads(first) if first.startswith('"') else first
    items: list[object] = []
    while tokens[-1] != "]":
        if tokens[-1] == ",":
            tokens.pop()
        else:
            items.append(value(tokens))
    tokens.pop()
    return items


def with_clinics(*clinics: str) -> Accounts:
    """Fresh accounts with those of ``clinics``."""
    accounts = Accounts.fresh()
    for clinic in clinics:
        accounts = accounts.with_clinic(clinic)
    return accounts


@given(st.sets(NAMES, max_size=5))
def test_any_clinics_make_a_configuration_with_exactly_their_accounts(clinics: set[str]) -> None:
    accounts = with_clinics(*clinics)
    config = parsed(server_config(accounts, PLACE))
    found = config["accounts"]
    assert isinstance(found, dict)
    assert set(found) == {"plantao", "platform"} | {f"clinic-{clinic}" for clinic in clinics}
    assert len(found["platform"].get("imports", [])) == 6 * len(clinics)
    users = [user for account in found.values() for user in account["users"]]
    assert len({user["user"] for user in users}) == len({user["password"] for user in users}) == 3 + 2 * len(clinics)
    assert config["host"] == "127.0.0.1"
    assert "http" not in config


@given(st.text())
def test_no_text_gets_in_as_a_clinic_unless_it_is_an_identifier(text: str) -> None:
    try:
        accounts = Accounts.fresh().with_clinic(text)
    except InvalidIdError:
        return
    assert re.fullmatch(NAME_PATTERN.strip("^$"), text)
    assert set(parsed(server_config(accounts, PLACE))) == set(parsed(server_config(Accounts.fresh(), PLACE)))


@given(st.text(min_size=1))
def test_a_directory_is_quoted_or_refused(name: str) -> None:
    directory = Path("/") / name.replace("/", "_")
    place = Place(directory=directory, port=4222, clinic_bytes=1)
    try:
        text = server_config(Accounts.fresh(), place)
    except InvalidInputError:
        assert not str(directory).isprintable()
        return
    jetstream = parsed(text)["jetstream"]
    assert isinstance(jetstream, dict)
    assert jetstream["store_dir"] == str(directory)


@pytest.mark.parametrize("clinic", ["acme\n", "Acme", "", "a.b", "a*", "acme }", '"', "-a", "a" * 64])
def test_what_is_no_identifier_is_refused(clinic: str) -> None:
    with pytest.raises(InvalidIdError):
        Accounts.fresh().with_clinic(clinic)


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


def test_a_clinic_keeps_its_credentials_until_it_is_removed() -> None:
    one = with_clinics("acme")
    assert one.with_clinic("acme") is one
    assert one.without_clinic("other") is one
    assert one.clinics == ["acme"]
    again = one.without_clinic("acme").with_clinic("acme")
    assert again.find("clinic-acme", Role.SERVICE) != one.find("clinic-acme", Role.SERVICE)
    with pytest.raises(NotFoundError, match=r"service.*plantao"):
        one.find("plantao", Role.SERVICE)


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


def test_passwords_are_not_shown() -> None:
    assert "secret" not in repr(Credential("user", "secret"))


def test_a_clinics_service_may_send_but_not_speak_for_plantao() -> None:
    config = parsed(server_config(with_clinics("acme"), PLACE))
    accounts = config["accounts"]
    assert isinstance(accounts, dict)
    plantao, service = accounts["clinic-acme"]["users"]
    assert "permissions" not in plantao
    denied = service["permissions"]["publish"]["deny"]
    assert {
        "clinic.acme.channel.*.event.>",
        "clinic.acme.channel.*.dead",
        "clinic.acme.channel.*.later.>",
        "clinic.acme.channel.*.due",
        "$JS.API.STREAM.DELETE.events",
        "$JS.API.STREAM.PURGE.later",
        "$JS.API.CONSUMER.CREATE.later.>",
        "$JS.API.CONSUMER.CREATE.later",
        "$JS.API.CONSUMER.PAUSE.send.>",
        "$JS.ACK.later.>",
    } <= set(denied)
    assert not any(subject.startswith("clinic.") and ".send" in subject for subject in denied)
    assert accounts["clinic-acme"]["jetstream"] == {"max_file": str(2 << 30), "max_streams": "64"}
    assert config["max_payload"] == str(module.MAX_PAYLOAD)
