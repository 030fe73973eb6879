"""Networks as settings write them: CIDR. Pure."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network

from protocol.errors import InvalidInputError

Network = IPv4Network | IPv6Network


def read(texts: Iterable[str], field: str) -> tuple[Network, ...]:
    """``texts`` as networks. Raises InvalidInputError, with ``field``, for one that is none."""
    try:
        return tuple(map(ip_network, texts))
    except ValueError as error:
        raise InvalidInputError(field, "networks such as 10.1.2.0/24 or fd00:1::/64") from error
