from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.media_fetch.addresses import opened, public

NOT_PUBLIC = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/29",
    "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",
    "240.0.0.0/4", "255.255.255.255/32", "168.63.129.16/32", "192.88.99.0/24",
    "::/128", "::1/128", "::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/32",
    "2001:20::/28", "2001:db8::/32", "2002::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
]  # fmt: skip
"""Every kind that is not one machine on the internet."""
NETWORKS = [ip_network(text) for text in NOT_PUBLIC]


def inside(network: IPv4Network | IPv6Network) -> st.SearchStrategy[IPv4Address | IPv6Address]:
    """An address of this network."""
    return st.integers(0, network.num_addresses - 1).map(lambda number: network[number])


@given(st.sampled_from(NETWORKS).flatmap(inside))
def test_no_address_that_leads_inwards_is_public(address: IPv4Address | IPv6Address) -> None:
    assert not public(str(address))


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_in_the_disguise_of_ipv6_is_never_public(address: IPv4Address) -> None:
    number = int(address)
    for disguise in (
        number,
        0xFFFF << 32 | number,
        0x64FF9B << 96 | number,
        0x2002 << 112 | number << 80 | 1,
        0x2001 << 112 | number ^ 0xFFFFFFFF,
        0x2A00145040010800 << 64 | 0x5EFE << 32 | number,
    ):
        assert not public(str(IPv6Address(disguise)))


@given(st.ip_addresses())
def test_what_is_public_is_global_unicast(address: IPv4Address | IPv6Address) -> None:
    if public(str(address)):
        assert address.is_global
        assert not any((address.is_multicast, address.is_loopback, address.is_link_local, address.is_private))


@pytest.mark.parametrize("address", ["8.8.8.8", "200.147.3.157", "2a00:1450:4001:800::200e", "2800:3f0:4001::1"])
def test_machines_on_the_internet_are_public(address: str) -> None:
    assert public(address)


@pytest.mark.parametrize("text", ["", "example.org", "0177.0.0.1", "127.1", "fe80::1%eth0", "2a00::1%1", "1.1.1.1 "])
def test_what_is_not_written_as_an_address_is_none(text: str) -> None:
    assert not public(text)
    assert not opened(text, [ip_network("0.0.0.0/0")])


def test_an_operator_opens_networks() -> None:
    networks = [ip_network("10.1.2.0/24"), ip_network("fd00:1::/64")]
    assert opened("10.1.2.3", networks)
    assert opened("fd00:1::9", networks)
    assert not opened("10.1.3.3", networks)
    assert not opened("::ffff:10.1.2.3", networks)
