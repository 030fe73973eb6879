"""The address of a hop: what ``media.url``, or a redirection, names. Pure."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from yarl import URL

from protocol.errors import InvalidInputError

FIELD: Final = "media.url"
MOST: Final = 2048
"""Characters, of a redirection's address too."""
_PORTS: Final = {"https": 443, "http": 80}
_NAME: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63}){0,126}\.?\Z", re.I)
_NUMERIC: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?\Z", re.I)
"""A last label that a name service takes for (part of) an IPv4 address, in one of its old ways of writing."""


@dataclass(frozen=True, slots=True)
class Target:
    """``host``: a name or an IP address, in ASCII. ``usual``: https, at its own port."""

    url: URL
    host: str
    port: int
    tls: bool
    literal: bool

    @property
    def usual(self) -> bool:
        """Whether a public server may be spoken to in this way."""
        return self.tls and self.port == _PORTS["https"]


def read(text: str) -> Target:
    """``text`` as the address of a hop. Raises InvalidInputError, which does not repeat it."""
    try:
        url = URL(text)
        host, port = url.raw_host, url.port
    except (ValueError, UnicodeError):
        raise InvalidInputError(FIELD, "an address such as https://example.org/exam.pdf") from None
    if len(text) > MOST or url.scheme not in _PORTS or not host or not port:
        raise InvalidInputError(FIELD, f"an https address of at most {MOST} characters")
    if url.raw_user is not None or url.raw_password is not None:
        raise InvalidInputError(FIELD, "an address without a user and a password in it")
    literal = _literal(host)
    if not literal and (not _NAME.match(host) or _NUMERIC.match(host)):
        raise InvalidInputError(FIELD, "an address with the name of a server")
    return Target(url.with_fragment(None), host, port, url.scheme == "https", literal)


def follow(target: Target, location: str) -> Target:
    """Where ``target`` redirects to. Raises InvalidInputError: nowhere, or from https to http."""
    try:
        if not location or len(location) > MOST:
            raise ValueError
        joined = str(target.url.join(URL(location)))
    except (ValueError, UnicodeError):
        raise InvalidInputError(FIELD, "an address that does not redirect to nowhere") from None
    there = read(joined)
    if target.tls and not there.tls:
        raise InvalidInputError(FIELD, "an address that does not redirect from https to http")
    return there


def _literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
