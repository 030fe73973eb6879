"""TLS for the admin endpoint."""

import ssl
from pathlib import Path

from protocol.errors import InvalidInputError


class Certificate:
    """What the endpoint shows: read at the start, and exchanged while it is served, for connections that come then.

    ``context`` is what listens; ``pem`` what is shown, with its chain. In any thread.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        """Blocks. Raises InvalidInputError, as ``server_context``."""
        self.pem = _read("http.certificate", certificate)
        self.context = self._shown = server_context(certificate, key)
        self.context.sni_callback = self._show  # called also for clients that name no server

    def exchange(self, other: "Certificate") -> None:
        """Show what ``other`` shows from now on."""
        self._shown, self.pem = other.context, other.pem

    def _show(self, connection: ssl.SSLObject, _name: str, _context: ssl.SSLContext) -> None:
        connection.context = self._shown


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 or newer, with the certificate (and its chain) and the private key in these files, PEM both. Blocks.

    Raises:
        InvalidInputError: they cannot be read, or are not that; names the setting.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    for setting, path in (("http.certificate", certificate), ("http.key", key)):
        _read(setting, path)
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        expected = (
            f"a certificate and, as http.key, its private key without a password, both PEM; OpenSSL says: {error}"
        )
        raise InvalidInputError("http.certificate", expected) from error
    return context


def _read(setting: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInputError(setting, f"a readable file; {path}: {error.strerror or error}") from error


def _no_password() -> str:
    """Nobody is there to type one, and OpenSSL would wait for it at the terminal."""
    raise ValueError("the key has a password")
