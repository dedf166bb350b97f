"""server/core/address.py"""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core.address import client_address, limit_key, parse_networks

TRUSTED = parse_networks(["10.0.0.0/8", "192.0.2.1", "2001:db8:ffff::/48"])
GARBAGE = [
    "", "unknown", "1.2.3", "1.2.3.4.5", "1.2.3.4:80", "[2001:db8::1]", "[2001:db8::1]:443", "_hidden", "256.1.1.1",
    "01.2.3.4", "1.2.3.4\0", "１.2.3.4", "999", "-1", "<script>", "a" * 5000,
]  # fmt: skip


# -- networks ---------------------------------------------------------------------------------------------------------------


def test_a_single_address_is_a_network_of_one() -> None:
    """Networks and addresses of both families are read."""
    assert parse_networks(["10.0.0.0/8", "192.0.2.1", "::1"]) == (
        ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("192.0.2.1/32"), ipaddress.ip_network("::1/128"),
    )  # fmt: skip


@pytest.mark.parametrize("network", ["", "10.0.0.1/8", "10.0.0.0/33", "localhost", "10.0.0.0/8,"])
def test_a_bad_network_is_an_error(network: str) -> None:
    """A network that cannot be read, or that has host bits, is not guessed at."""
    with pytest.raises(ValueError):  # noqa: PT011 # the text is the standard library's
        parse_networks([network])


# -- who a request comes from -----------------------------------------------------------------------------------------------


def test_without_trusted_proxies_the_peer_is_the_client() -> None:
    """What a peer claims is ignored."""
    assert client_address("10.1.2.3", 4711, ["198.51.100.7"], ()) == ("10.1.2.3", 4711)


def test_a_peer_that_is_no_proxy_of_ours_is_the_client() -> None:
    """Anybody can send the header; only ours are believed."""
    assert client_address("203.0.113.5", 4711, ["198.51.100.7"], TRUSTED) == ("203.0.113.5", 4711)


def test_our_proxy_tells_the_client() -> None:
    """Behind one proxy the last address of the header is the client's; its port is not known."""
    assert client_address("10.1.2.3", 4711, ["198.51.100.7"], TRUSTED) == ("198.51.100.7", 0)


def test_the_list_is_read_from_the_right_past_our_own_proxies() -> None:
    """What the client itself wrote stands on the left and is not believed."""
    forwarded = ["1.1.1.1, 198.51.100.7,10.9.9.9", "192.0.2.1"]
    assert client_address("10.1.2.3", 4711, forwarded, TRUSTED) == ("198.51.100.7", 0)


def test_addresses_of_ipv6_are_proxies_and_clients_alike() -> None:
    """Both families may stand in one list; an address has one spelling afterwards."""
    forwarded = ["2001:DB8:0:0::0007, 2001:db8:ffff::9"]
    assert client_address("2001:db8:ffff::1", 1, forwarded, TRUSTED) == ("2001:db8::7", 0)


def test_a_proxy_that_says_nothing_is_the_client_itself() -> None:
    """Without the header, or with an empty one, the peer is all that is known."""
    assert client_address("10.1.2.3", 4711, [], TRUSTED) == ("10.1.2.3", 4711)
    assert client_address("10.1.2.3", 4711, [""], TRUSTED) == ("10.1.2.3", 4711)


def test_a_list_of_our_proxies_only_ends_at_the_first_of_them() -> None:
    """A request that began at one of our own machines comes from there."""
    assert client_address("10.1.2.3", 4711, ["10.0.0.1, 10.0.0.2"], TRUSTED) == ("10.0.0.1", 0)


@pytest.mark.parametrize("garbage", GARBAGE)
def test_nothing_left_of_an_unreadable_entry_is_believed(garbage: str) -> None:
    """Garbage ends the reading: the client is the last address that one of ours vouched for."""
    assert client_address("10.1.2.3", 4711, [f"198.51.100.7, {garbage}"], TRUSTED) == ("10.1.2.3", 4711)
    assert client_address("10.1.2.3", 4711, [f"198.51.100.7, {garbage}, 10.0.0.2"], TRUSTED) == ("10.0.0.2", 0)


@pytest.mark.parametrize("peer", ["", "unix", "10.1.2.3.4", "/run/barrage.sock"])
def test_a_peer_without_an_address_is_no_proxy(peer: str) -> None:
    """A socket that has no network address is taken as it is."""
    assert client_address(peer, 0, ["198.51.100.7"], TRUSTED) == (peer, 0)


def test_an_ipv4_peer_of_an_ipv6_socket_is_recognised() -> None:
    """A socket that listens on both families shows IPv4 peers as mapped addresses; they are the same machines."""
    assert client_address("::ffff:10.1.2.3", 4711, ["198.51.100.7"], TRUSTED) == ("198.51.100.7", 0)
    assert client_address("::ffff:203.0.113.5", 4711, ["198.51.100.7"], TRUSTED) == ("::ffff:203.0.113.5", 4711)
    assert client_address("10.1.2.3", 1, ["198.51.100.7, ::ffff:10.0.0.9"], TRUSTED) == ("198.51.100.7", 0)


@given(st.text(max_size=40), st.lists(st.text(max_size=60), max_size=4))
def test_no_header_raises_and_no_stranger_is_believed(peer: str, forwarded: list[str]) -> None:
    """Whatever stands in the header, an address comes back, and without our proxy it is the peer's."""
    assert client_address(peer, 7, forwarded, ()) == (peer, 7)
    address, port = client_address("10.0.0.1", 7, forwarded, TRUSTED)
    ipaddress.ip_address(address)
    assert port in (0, 7)


# -- how it is counted ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::", "2001:db8:1:2::"),
        ("2001:db8:1:3::1", "2001:db8:1:3::"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("fe80::1%eth0", "fe80::"),
        ("::1", "::"),
        ("", ""),
        ("a:b", "a:b"),
    ],
)
def test_a_subscriber_counts_once(address: str, key: str) -> None:
    """An IPv4 address counts by itself, also when mapped; IPv6 counts by its /64; what is neither counts as it stands."""
    assert limit_key(address) == key


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_all_addresses_of_one_network_count_as_one(address: ipaddress.IPv6Address, host: int) -> None:
    """No subscriber gets more than one share by choosing among its own addresses."""
    other = ipaddress.IPv6Address((int(address) >> 64 << 64) | host)
    if address.ipv4_mapped is None and other.ipv4_mapped is None:
        assert limit_key(str(address)) == limit_key(str(other))


@given(st.text(max_size=60))
def test_any_text_has_a_key(address: str) -> None:
    """Counting never raises."""
    assert isinstance(limit_key(address), str)
