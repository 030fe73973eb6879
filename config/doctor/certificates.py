"""TLS: whether certificates and keys go together, until when they are good, and for which names."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509

from config.doctor.finding import Finding, fine, warning, wrong
from config.sections import Settings
from gateway.http.tls import server_context
from gateway.nats.server_config import Tls
from gateway.nats.tls import checked
from protocol.errors import InvalidInputError

CHECK: Final = "certificates"
SOON: Final = timedelta(days=14)
_RENEW: Final = "renew it"


def look(settings: Settings) -> Iterator[Finding]:
    """The certificates of the admin endpoint and of the embedded broker. Raises OSError."""
    http, nats, now = settings.http, settings.nats, datetime.now(UTC)
    if http.certificate is None and nats.certificate is None:
        yield fine(CHECK, "no TLS: all that listens is on loopback")
    try:
        if http.certificate is not None and http.key is not None:
            server_context(http.certificate, http.key)
            yield until("http.certificate", _read(http.certificate), now)
            yield from named("http.certificate", _read(http.certificate), http.hosts)
        if nats.certificate is not None and nats.key is not None:
            checked(Tls(nats.certificate, nats.key))
            yield until("nats.certificate", _read(nats.certificate), now)
    except InvalidInputError as error:
        yield wrong(CHECK, str(error), "name the files, which this user can read")
    except ValueError as error:  # what OpenSSL takes and the other reader does not
        yield wrong(CHECK, f"a certificate cannot be read: {error}", _RENEW)


def until(setting: str, certificate: x509.Certificate, now: datetime) -> Finding:
    """Whether it is good now, and will be for a while."""
    end = certificate.not_valid_after_utc
    if certificate.not_valid_before_utc > now:
        told = f"{setting} is good from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on, not yet"
        return wrong(CHECK, told, "see to the clock, or use another")
    if end <= now:
        return wrong(CHECK, f"{setting} was good until {end:%Y-%m-%d %H:%M} UTC", _RENEW)
    if end - now < SOON:
        return warning(CHECK, f"{setting} is good for {(end - now).days} days more", _RENEW)
    return fine(CHECK, f"{setting} is good until {end:%Y-%m-%d}")


def named(setting: str, certificate: x509.Certificate, hosts: list[str]) -> Iterator[Finding]:
    """Whether it is for the names under which the endpoint answers."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        yield warning(CHECK, f"{setting} is for no name", "make one with a subjectAltName")
        return
    covered = names.get_values_for_type(x509.DNSName)
    for host in hosts:
        if not any(_matches(pattern, host) for pattern in covered):
            yield warning(CHECK, f"{setting} is not for {host} (http.hosts)", "make one that is, or take the name out")


def _matches(pattern: str, host: str) -> bool:
    if pattern.startswith("*."):
        return host.partition(".")[2] == pattern[2:]
    return host == pattern


def _read(path: Path) -> x509.Certificate:
    """The first certificate in a PEM file: the endpoint's own, before its chain."""
    return x509.load_pem_x509_certificates(path.read_bytes())[0]
