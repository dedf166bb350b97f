"""Where a request came from, when proxies stand between."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_networks(networks: Sequence[str]) -> tuple[Network, ...]:
    """Networks from their text; a single address is a network of one. Raises ValueError."""
    return tuple(ipaddress.ip_network(network) for network in networks)


def client_address(peer: str, port: int, forwarded: Sequence[str], trusted: Sequence[Network]) -> tuple[str, int]:
    """The source address and port of a request.

    ``forwarded`` are the values of ``X-Forwarded-For``, ``trusted`` the networks of our own proxies. The list is read from the
    right, past trusted proxies; the first address that is not ours is the client's (its port is 0: a proxy does not tell it). A peer
    that is no trusted proxy is the client, whatever it claims.
    """
    if not trusted or not is_trusted(peer, trusted):
        return peer, port
    found = peer, port
    for part in reversed([item.strip() for value in forwarded for item in value.split(",")]):
        try:
            address = ipaddress.ip_address(part)
        except ValueError:
            break  # nothing left of an unreadable entry can be believed
        found = str(address), 0
        if not is_trusted(part, trusted):
            break
    return found


def is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    """Whether an address lies in one of the networks; text that is no address does not."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if parsed.version == 6 and parsed.ipv4_mapped is not None:  # an IPv4 peer of a socket that listens on both families
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in trusted)


def limit_key(address: str) -> str:
    """The key by which an address is counted: an IPv6 subscriber has a /64, so all of it counts as one."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, 64), strict=False).network_address)
