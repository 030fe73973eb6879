"""TLS for the admin endpoint."""

import ssl
from pathlib import Path

from protocol.errors import InvalidInputError


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 or newer, with the certificate (and its chain) and the private key in these files, PEM both. Blocks.

    Raises:
        InvalidInputError: they cannot be read, or are not that; names the setting.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    for setting, path in (("http.certificate", certificate), ("http.key", key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise InvalidInputError(setting, f"a readable file; {path}: {error.strerror or error}") from error
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        expected = (
            f"a certificate and, as http.key, its private key without a password, both PEM; OpenSSL says: {error}"
        )
        raise InvalidInputError("http.certificate", expected) from error
    return context


def _no_password() -> str:
    """Nobody is there to type one, and OpenSSL would wait for it at the terminal."""
    raise ValueError("the key has a password")
