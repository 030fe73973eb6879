"""The server's configuration as text."""

import json
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gateway.nats.accounts import MAX_PAYLOAD, Accounts, Kind
from gateway.nats.server_config import Server, server_config
from protocol.commands import utc_now
from protocol.errors import InvalidIdError, InvalidInputError
from protocol.ids import NAME_PATTERN

NAMES = st.from_regex(NAME_PATTERN.removesuffix("$") + r"\Z")
SERVER = Server(directory=Path("/data/nats"), port=-1, key="00ff")

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
    config = parsed(server_config(accounts, SERVER))
    found = config["accounts"]
    assert isinstance(found, dict)
    assert set(found) == {"plantao", "platform", "SYS"} | {f"clinic-{clinic}" for clinic in clinics}
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
    assert set(parsed(server_config(accounts, SERVER))) == set(parsed(server_config(Accounts.fresh(), SERVER)))


@given(st.text(min_size=1))
def test_a_directory_is_quoted_or_refused(name: str) -> None:
    directory = Path("/") / name.replace("/", "_")
    server = Server(directory=directory, port=4222, key="00")
    try:
        text = server_config(Accounts.fresh(), server)
    except InvalidInputError:
        assert not str(directory).isprintable()
        return
    jetstream = parsed(text)["jetstream"]
    assert isinstance(jetstream, dict)
    assert jetstream["store_dir"] == str(directory)


def test_what_is_stored_is_encrypted_and_nobody_has_a_login_to_the_system_account() -> None:
    config = parsed(server_config(Accounts.fresh(), SERVER))
    jetstream = config["jetstream"]
    assert isinstance(jetstream, dict)
    assert (jetstream["cipher"], jetstream["key"]) == ("aes", "00ff")
    accounts = config["accounts"]
    assert isinstance(accounts, dict)
    assert (config["system_account"], accounts["SYS"]) == ("SYS", {"users": []})
    assert config["max_payload"] == str(MAX_PAYLOAD)
    assert "00ff" not in repr(SERVER)


def test_a_clinics_account_has_bounds() -> None:
    config = parsed(server_config(with_clinics("acme"), SERVER))
    accounts = config["accounts"]
    assert isinstance(accounts, dict)
    assert accounts["clinic-acme"]["jetstream"] == {
        "max_file": str(2 << 30),
        "max_mem": str(16 << 20),
        "max_streams": "16",
        "max_consumers": "1000",
    }
    assert accounts["clinic-acme"]["limits"] == {
        "max_connections": "64",
        "max_subscriptions": "4096",
        "max_leafnodes": "0",
    }


def test_only_plantao_itself_may_do_anything() -> None:
    accounts = with_clinics("acme").issue("clinic-acme", "reminders", Kind.SENDER, utc_now())
    accounts = accounts.issue("platform", "panel", Kind.LISTENER, utc_now())
    config = parsed(server_config(accounts, SERVER))
    found = config["accounts"]
    assert isinstance(found, dict)
    free = {user["user"] for account in found.values() for user in account["users"] if "permissions" not in user}
    assert free == {"plantao.plantao", "platform.plantao", "clinic-acme.plantao"}
    bound = [user for account in found.values() for user in account["users"] if "permissions" in user]
    assert {user["user"] for user in bound} >= {"clinic-acme.reminders", "platform.panel", "clinic-acme.service"}
    for user in bound:
        assert not {">", "$JS.>", "$JS.API.>", "*"} & {*user["permissions"]["publish"]["allow"]}
