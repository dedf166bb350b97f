"""Small region databases (ip2region, ``.xdb``), made from a list of ranges.

The layout: a header of 256 bytes, an index of the first two bytes of an address (256 x 256 entries of 8 bytes: where its segments
begin and where the last of them begins), the texts of the rows, and the segments (first and last address, length and place of
the text).
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence

V4_ROWS: Sequence[tuple[str, str]] = (
    ("1.0.1.0/24", "中国|福建省|福州市|电信|CN"),
    ("1.2.4.0/24", "中国|北京|北京市|0|CN"),
    ("8.8.8.0/24", "United States|California|Mountain View|Google|US"),
    ("10.0.0.0/8", "0|0|0|内网IP|内网IP"),
    ("14.0.16.0/20", "中国|0|香港|0|0"),
    ("126.0.0.0/8", "日本|0|东京都|东京|软银"),
    ("202.96.128.0/18", "中国|0|广东省|广州市|电信"),
)
V6_ROWS: Sequence[tuple[str, str]] = (
    ("2001:da8::/32", "中国|北京市|北京市|教育网|CN"),
    ("240e:3b7::/32", "中国|广东省|深圳市|电信|CN"),
    ("2a00:1450::/32", "Ireland|Leinster|Dublin|Google|IE"),
)

_HEADER = 256
_VECTOR = 256 * 256 * 8


def database(rows: Sequence[tuple[str, str]], *, structure: int = 3) -> bytes:
    """The bytes of a database of these networks, in ascending order and all of one family, with their rows."""
    segments = [piece for network, row in rows for piece in _pieces(network, row)]
    width = len(segments[0][0])
    texts: dict[str, int] = {}
    body = bytearray(_HEADER + _VECTOR)
    for _, _, row in segments:
        if row not in texts:
            texts[row] = len(body)
            body += row.encode()
    places: dict[bytes, list[int]] = {}
    for first, last, row in segments:
        places.setdefault(first[:2], []).append(len(body))
        order = slice(None, None, -1) if width == 4 else slice(None)  # IPv4 is written with the low byte first
        body += first[order] + last[order] + struct.pack("<HI", len(row.encode()), texts[row])
    for prefix, starts in places.items():
        struct.pack_into("<II", body, _HEADER + (prefix[0] * 256 + prefix[1]) * 8, starts[0], starts[-1])
    begin, end = next(iter(places.values()))[0], list(places.values())[-1][-1]
    struct.pack_into("<HHIIIHH", body, 0, structure, 1, 0, begin, end, 4 if width == 4 else 6, 4)
    return bytes(body)


def _pieces(network: str, row: str) -> list[tuple[bytes, bytes, str]]:
    """A network cut where the first two bytes of its addresses change, as the index needs it."""
    net = ipaddress.ip_network(network)
    parts = net.subnets(new_prefix=16) if net.prefixlen < 16 else [net]
    return [(part.network_address.packed, part.broadcast_address.packed, row) for part in parts]
