from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from config.doctor.certificates import look, named, until
from config.doctor.finding import Level
from config.settings import load
from tests.emulator.certificates import HOSTS, write_tls_certificate


@pytest.fixture
def certificate(tmp_path: Path) -> x509.Certificate:
    """Good for thirty days, for HOSTS."""
    return x509.load_pem_x509_certificate(write_tls_certificate(tmp_path)[0].read_bytes())


@pytest.mark.parametrize(
    ("later", "level"),
    [
        (timedelta(days=-2), Level.WRONG),
        (timedelta(), Level.FINE),
        (timedelta(days=20), Level.WARNING),
        (timedelta(days=31), Level.WRONG),
    ],
)
def test_a_certificate_is_good_for_a_time(certificate: x509.Certificate, later: timedelta, level: Level) -> None:
    assert until("http.certificate", certificate, datetime.now(UTC) + later).level is level


def test_a_certificate_is_for_names(certificate: x509.Certificate) -> None:
    assert list(named("http.certificate", certificate, [HOSTS[0]])) == []
    (found,) = named("http.certificate", certificate, ["painel.example"])
    assert "painel.example" in found.told


def test_what_is_named_in_the_settings_is_looked_at(tmp_path: Path) -> None:
    certificate, key = write_tls_certificate(tmp_path)
    given = {"PLANTAO_NATS__CERTIFICATE": str(certificate), "PLANTAO_NATS__KEY": str(key)}
    assert [finding.level for finding in look(load(None, given))] == [Level.FINE]

    given["PLANTAO_NATS__KEY"] = str(certificate)
    assert [finding.level for finding in look(load(None, given))] == [Level.WRONG]


def test_without_tls_there_is_nothing_to_look_at() -> None:
    assert [finding.level for finding in look(load(None, {}))] == [Level.FINE]
