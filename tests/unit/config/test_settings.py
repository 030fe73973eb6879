import sys
from pathlib import Path

import pytest

from config.sections import SECRETS
from config.settings import SettingsError, load
from protocol.codec import Encoding


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "plantao.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(config: Path | None, **environ: str) -> SettingsError:
    with pytest.raises(SettingsError) as raised:
        load(config, environ)
    return raised.value


def test_without_file_or_environment_everything_has_a_default() -> None:
    settings = load(None, {})

    assert (settings.http.host, settings.http.port) == ("127.0.0.1", 8080)
    assert settings.nats.url == ""
    assert settings.whatsapp.port_command == [sys.executable, "-m", "gateway.whatsapp.nursery"]
    assert settings.data == Path("data").absolute()
    assert settings.runtime.is_absolute()
    assert (settings.reconnect.patience, settings.reconnect.cap) == (10.0, 30.0)


def test_loading_creates_nothing(tmp_path: Path) -> None:
    load(None, {"PLANTAO_DATA": str(tmp_path / "d"), "PLANTAO_RUNTIME": str(tmp_path / "r")})

    assert list(tmp_path.iterdir()) == []


def test_the_file_is_read_and_the_environment_overrides_it(tmp_path: Path) -> None:
    config = write(tmp_path, 'data = "here"\n[http]\nport = 9000\n[events]\nencoding = "json"\n[boot]\njitter_s = 1\n')

    settings = load(config, {"PLANTAO_HTTP__PORT": "0", "PLANTAO_EVENTS__FROM_ME": "true"})

    assert settings.data == Path("here").absolute()
    assert settings.http.port == 0
    assert settings.events.encoding is Encoding.JSON
    assert settings.events.from_me is True
    assert settings.boot.jitter_s == 1.0


def test_lists_and_tables_come_from_the_environment_as_json() -> None:
    environ = {
        "PLANTAO_WHATSAPP__PORT_COMMAND": '["python", "-m", "x"]',
        "PLANTAO_WHATSAPP__ENV": '{"HTTPS_PROXY": "http://127.0.0.1:1"}',
    }

    settings = load(None, environ)

    assert settings.whatsapp.port_command == ["python", "-m", "x"]
    assert settings.whatsapp.env == {"HTTPS_PROXY": "http://127.0.0.1:1"}


def test_so_do_lists_of_which_it_is_said_how_long_they_may_be() -> None:
    settings = load(None, {"PLANTAO_HTTP__HOSTS": '["painel.example"]', "PLANTAO_PACING__WARM_UP": "[5, 10]"})

    assert settings.http.hosts == ["painel.example"]
    assert settings.pacing.warm_up == [5, 10]


def test_a_setting_whose_name_ends_in_file_is_not_taken_for_a_secrets_file() -> None:
    settings = load(None, {"PLANTAO_NATS__ACCOUNTS_FILE": "/etc/plantao/accounts.json"})

    assert settings.nats.accounts_file == Path("/etc/plantao/accounts.json")


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("nats://user:hunter2@127.0.0.1:4222\n")

    settings = load(None, {"PLANTAO_NATS__URL_FILE": str(secret)})

    assert settings.nats.url == "nats://user:hunter2@127.0.0.1:4222"


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    error = refusal(None, PLANTAO_NATS__URL="nats://h:1", PLANTAO_NATS__URL_FILE=str(tmp_path / "u"))

    assert error.field == "nats.url"


def test_a_missing_secrets_file_is_named(tmp_path: Path) -> None:
    error = refusal(None, PLANTAO_NATS__URL_FILE=str(tmp_path / "nowhere"))

    assert str(error).startswith("PLANTAO_NATS__URL_FILE: nats.url: expected the path of a readable text file")


@pytest.mark.parametrize("key", sorted(SECRETS))
def test_no_error_repeats_a_secret(key: str) -> None:
    variable = "PLANTAO_" + key.upper().replace(".", "__")

    program = '["pass", "show"]'  # which does not go together with a key
    also = {"PLANTAO_KEYS__MASTER_COMMAND": program, "PLANTAO_KEYS__NEXT_MASTER_COMMAND": program}

    assert "hunter2" not in str(refusal(None, **{variable: "gopher://user:hunter2@host"}, **also))


def test_the_master_key_may_be_in_a_file_or_a_variable_or_come_from_a_command_but_one_of_them() -> None:
    assert load(None, {"PLANTAO_KEYS__MASTER_FILE": "/run/secrets/key"}).keys.master_file == Path("/run/secrets/key")
    assert load(None, {"PLANTAO_KEYS__MASTER": "a2V5"}).keys.master == "a2V5"
    assert load(None, {"PLANTAO_KEYS__MASTER_COMMAND": '["kms", "get"]'}).keys.master_command == ["kms", "get"]
    error = refusal(None, PLANTAO_KEYS__MASTER_FILE="/run/secrets/key", PLANTAO_KEYS__MASTER="a2V5")
    assert (error.field, error.expected) == (
        "keys.master",
        "only one of keys.master, keys.master_file and keys.master_command",
    )


def test_the_next_master_key_comes_from_the_same_kinds_of_places() -> None:
    given = load(None, {"PLANTAO_KEYS__MASTER": "a2V5", "PLANTAO_KEYS__NEXT_MASTER_FILE": "/run/secrets/next"}).keys
    assert given.next_master_file == Path("/run/secrets/next")
    error = refusal(None, PLANTAO_KEYS__NEXT_MASTER_FILE="/run/secrets/next", PLANTAO_KEYS__NEXT_MASTER="a2V5")
    assert (error.field, "only one of keys.next_master, " in error.expected) == ("keys.next_master", True)
    assert "none of them empty" in str(refusal(None, PLANTAO_KEYS__NEXT_MASTER_COMMAND='["kms", ""]'))


def test_a_node_may_refuse_to_have_sessions_on_a_disk(tmp_path: Path) -> None:
    runtime = {"PLANTAO_RUNTIME": "/proc"}
    assert not load(None, runtime).runtime_in_memory
    error = refusal(None, PLANTAO_VAULT__REQUIRE_MEMORY="true", **runtime)
    assert (error.field, "a runtime directory on a tmpfs: mount one there" in error.expected) == (
        "vault.require_memory",
        True,
    )


def test_only_secrets_may_come_from_files() -> None:
    assert "http.port" in str(refusal(None, PLANTAO_HTTP__PORT_FILE="/x"))


@pytest.mark.parametrize("name", ["PLANTAO_PORT", "PLANTAO_SERVICE_HOST", "PLANTAO_PORT_8080_TCP", "PLANTAO_URL"])
def test_variables_that_kubernetes_or_the_command_line_use_are_left_alone(name: str) -> None:
    assert load(None, {name: "tcp://10.0.0.1:8080"}) == load(None, {})


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ("[http]\nport = '8080'", "http.port", "a whole number, got a text"),
        ("[http]\nport = 70000", "http.port", "a whole number <= 65535"),
        ("[http]\nprot = 1", "http.prot", "perhaps http.port"),
        ("[htpp]\nport = 1", "htpp", "perhaps http"),
        ("[zzz]\nport = 1", "zzz", "one of data, runtime, http"),
        ("runtime_in_memory = true", "runtime_in_memory", "a known setting"),
        ("http = 3", "http", "a table, [http]"),
        ("data = 3", "data", "a path"),
        ("[nats]\nhost = '0.0.0.0'", "nats.host", "nats.certificate"),
        ("[nats]\ncertificate = '/c.pem'", "nats.key", "private key"),
        ("[http]\nhost = '0.0.0.0'", "http.host", "a loopback address"),
        ("[http]\nhost = 'example.com'", "http.host", "a loopback address"),
        ("[http]\nkey = '~nobody-of-this-name/k.pem'", "http.key", "a path in the home of a user that there is"),
        ('[http]\nkey = "k\\u0000.pem"', "http.key", "a path"),
        ("[http]\nkey = 'k.pem'", "http.key", "http.certificate and http.key go together"),
        ("[http]\nhost = '0.0.0.0'\ncertificate = 'c.pem'", "http.key", "go together"),
        ("[http]\nallowed_origins = ['*']", "http.allowed_origins", "matching regex"),
        ("[http]\nallowed_origins = ['https://h/']", "http.allowed_origins", "matching regex"),
        ("[http]\nhosts = ['h:80']", "http.hosts", "matching regex"),
        ("[http]\nrequests_per_key = -1", "http.requests_per_key", "a whole number >= 0"),
        ("[log]\nlevel = 'loud'", "log.level", "one of debug, info, warning, error"),
        ("[events]\nencoding = 'xml'", "events.encoding", "one of msgpack, json"),
        ("[nats]\nport = 0", "nats.port", "-1 for a free one"),
        ("[nats]\nurl = 'http://h'", "nats.url", "nats://host:4222"),
        ("[nats]\nurl = 'nats://h:notaport'", "nats.url", "nats://host:4222"),
        ("[nats]\naccounts_file = ''", "nats.accounts_file", "a path"),
        ("[whatsapp]\nport_command = []", "whatsapp.port_command", "the program"),
        ("[whatsapp]\nproxy = 'host:1'", "whatsapp.proxy", "socks5://"),
        ("[whatsapp.env]\nA = 1", "whatsapp.env", "a text, got a whole number"),
        ("[reconnect]\nbase = 60", "reconnect.cap", "at least reconnect.base"),
        ("[reconnect]\npatience = -1", "reconnect.patience", ">= 0"),
        ("[boot]\njitter_s = nan", "boot.jitter_s", "a number"),
        ("[boot]\njitter_s = inf", "boot.jitter_s", "a number"),
        ("[boot]\njitter_s = 61", "boot.jitter_s", "<= 60"),
        ("[outbox]\nbackoff_cap = 0.5", "outbox.backoff_cap", "at least outbox.backoff_base"),
        ("[outbox]\nin_flight = 100", "outbox.in_flight", "at most outbox.window"),
        ("[http", "config", "valid TOML"),
    ],
)
def test_a_wrong_setting_is_refused_with_file_key_and_what_was_expected(
    tmp_path: Path, text: str, key: str, expected: str
) -> None:
    config = write(tmp_path, text)

    error = refusal(config)

    assert error.field == key
    assert expected in error.expected
    assert str(error).startswith((f"{config}: {key}: expected ", f"default: {key}: expected "))


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")

    assert "a readable file" in str(refusal(tmp_path / "nowhere.toml"))
    assert "UTF-8" in str(refusal(binary))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("x = " + "[" * 5000, "config"),
        ("[pacing]\nper_minute = " + "9" * 6000, "config"),
        ('[http]\ncertificate = "~nobody-of-that-name/x"', "http.certificate"),
        ('[http]\ncertificate = "x\\u0000"', "http.certificate"),
    ],
)
def test_what_would_break_whoever_reads_it_is_refused(tmp_path: Path, text: str, key: str) -> None:
    config = tmp_path / "plantao.toml"
    config.write_text(text)
    assert refusal(config).field == key


@pytest.mark.parametrize(
    ("variable", "value", "key"),
    [
        ("PLANTAO_HTTP__PORT", "eighty", "http.port"),
        ("PLANTAO_EVENTS__FROM_ME", "perhaps", "events.from_me"),
        ("PLANTAO_WHATSAPP__ENV", "{", "whatsapp.env"),
        ("PLANTAO_WHATSAPP__PORT_COMMAND", '"python"', "whatsapp.port_command"),
        ("PLANTAO_HTPP__PORT", "1", "htpp.port"),
        ("PLANTAO_DATA", "", "data"),
    ],
)
def test_a_wrong_variable_is_named(variable: str, value: str, key: str) -> None:
    error = refusal(None, **{variable: value})

    assert error.source == variable
    assert error.field == key
