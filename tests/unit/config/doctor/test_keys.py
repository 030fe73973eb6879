import os
from pathlib import Path

import pytest

from config.doctor.finding import Finding, Level
from config.doctor.keys import fits, guarded, look, source
from config.sections import Keys
from config.settings import load
from gateway.vault import master

DATA = Path("/srv/data")
KEY = "5f" * 32


@pytest.mark.parametrize(
    ("keys", "level"),
    [
        (Keys(), Level.WARNING),
        (Keys(master_file=DATA / "key"), Level.WARNING),
        (Keys(master_file=Path("/run/secrets/plantao")), Level.FINE),
        (Keys(master="secret"), Level.FINE),
        (Keys(master_command=["kms", "get"]), Level.FINE),
    ],
)
def test_a_key_beside_what_it_protects_is_warned_of(keys: Keys, level: Level) -> None:
    found = source(keys, DATA, fresh=True)

    assert found.level is level
    assert "secret" not in found.told.replace("/run/secrets", "")


def test_a_key_of_a_node_that_has_run_is_exchanged_by_a_rotation() -> None:
    assert "plantao rotate master" in source(Keys(), DATA, fresh=False).mend
    assert "plantao rotate master" not in source(Keys(), DATA, fresh=True).mend


@pytest.mark.parametrize(
    ("mode", "level"), [(0o600, Level.FINE), (0o400, Level.FINE), (0o640, Level.WARNING), (0o644, Level.WRONG)]
)
def test_who_may_read_a_key(tmp_path: Path, mode: int, level: Level) -> None:
    path = tmp_path / "key"
    path.touch()
    path.chmod(mode)

    assert guarded(path, path.stat(), os.geteuid()).level is level


def test_keys_of_certificates_and_passwords_of_accounts_are_looked_at_as_well(tmp_path: Path) -> None:
    named = {"HTTP__KEY": "http.key", "NATS__KEY": "nats.key", "NATS__ACCOUNTS_FILE": "accounts.json"}
    env = {f"PLANTAO_{setting}": str(tmp_path / name) for setting, name in named.items()}
    certificates = {f"PLANTAO_{section}__CERTIFICATE": str(tmp_path / "tls.crt") for section in ("HTTP", "NATS")}
    for name in named.values():
        (tmp_path / name).touch(mode=0o644)
        (tmp_path / name).chmod(0o644)
    settings = load(None, {"PLANTAO_DATA": str(tmp_path), "PLANTAO_KEYS__MASTER": KEY, **env, **certificates})

    wrong = [finding.told for finding in look(settings) if finding.level is Level.WRONG]

    assert [name for name in named.values() if not any(name in told for told in wrong)] == []


def levels(found: list[Finding]) -> list[Level]:
    return [finding.level for finding in found]


def test_the_key_must_be_the_one_that_sealed() -> None:
    assert list(fits([b"a"], None, DATA)) == []
    assert levels(list(fits([b"a", b"b"], b"b", DATA))) == [Level.FINE]
    assert levels(list(fits([b"a"], b"b", DATA))) == [Level.WRONG]
    assert levels(list(fits([], b"b", DATA))) == [Level.WRONG]


def test_a_data_directory_that_was_sealed_with_another_key_is_told(tmp_path: Path) -> None:
    settings = load(None, {"PLANTAO_DATA": str(tmp_path), "PLANTAO_KEYS__MASTER": KEY})
    master.ensure_right(tmp_path, master.from_text(b"00" * 32, "test"))

    (bad,) = [finding for finding in look(settings) if finding.level is Level.WRONG]

    assert "was sealed with master key" in bad.told
    assert KEY not in bad.told


def test_what_is_no_key_is_told(tmp_path: Path) -> None:
    settings = load(None, {"PLANTAO_DATA": str(tmp_path), "PLANTAO_KEYS__MASTER": "too short"})

    (bad,) = [finding for finding in look(settings) if finding.level is Level.WRONG]

    assert "32 bytes" in bad.told
    assert "too short" not in bad.told
