"""Which IP addresses media may be fetched from. Pure."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from gateway.media_fetch.networks import Network

_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
"""RFC 4291: outside of it are loopback, IPv4 in disguise (mapped, compatible, NAT64), link-local, local, multicast."""
_REFUSED: Final[tuple[Network, ...]] = tuple(
    map(
        ip_network,
        (
            "168.63.129.16/32",  # Azure's own service, which every machine there reaches
            "192.88.99.0/24",  # 6to4 relays (RFC 7526)
            "2001::/23",  # Teredo (2001::/32), ORCHID and others of the IETF's protocols (RFC 2928)
            "2002::/16",  # 6to4: an IPv4 address in disguise
        ),
    )
)


def public(text: str) -> bool:
    """Whether ``text`` is the address of one machine on the internet, and of nothing nearer. False for what is none."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    if isinstance(address, IPv6Address) and (address not in _GLOBAL_UNICAST or address.scope_id or _isatap(address)):
        return False
    return not _within(address, _REFUSED)


def opened(text: str, networks: Sequence[Network]) -> bool:
    """Whether the operator opened a network with this address."""
    try:
        return _within(ip_address(text), networks)
    except ValueError:
        return False


def _isatap(address: IPv6Address) -> bool:
    """Whether its lower half holds an IPv4 address (RFC 5214)."""
    return address.packed[8:12] in (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe")


def _within(address: IPv4Address | IPv6Address, networks: Iterable[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
