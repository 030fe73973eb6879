"""TLS between a NATS server and who connects to it, we among them. Everything here blocks."""

import ssl
from pathlib import Path

from gateway.nats.server_config import Tls
from protocol.errors import InvalidInputError


def checked(tls: Tls) -> Tls:
    """The same, once it has been seen to be a certificate and its key.

    Raises:
        InvalidInputError: it is not, or cannot be read; names the setting.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.certificate, tls.key, password=_no_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        expected = f"a certificate and, as nats.key, its private key without a password, both PEM: {error}"
        raise InvalidInputError("nats.certificate", expected) from error
    return tls


def to_our_own(tls: Tls) -> ssl.SSLContext:
    """For the way to the server that we run: whoever shows its very certificate is it, whatever name that is for.

    Raises:
        OSError: the certificate cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(tls.certificate)
    return context


def to_another(ca: Path | None) -> ssl.SSLContext:
    """For the way to a server of somebody else's: its certificate must be for its name, and one of the authorities in
    ``ca`` (None: of this machine) must vouch for it.

    Raises:
        InvalidInputError: ``ca`` holds none, or cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise InvalidInputError("nats.ca", f"a file with certificates of authorities, PEM; {ca}: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _no_password() -> str:
    """Nobody is there to type one, and OpenSSL would wait for it at the terminal."""
    raise ValueError("the key has a password")
