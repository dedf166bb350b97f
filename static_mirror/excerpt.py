"""A page with only some of its rows: bytes in, bytes out.

A row is one line, so a page is cut line by line. Where rows are left out a line says which; the seal, which vouched for the whole
page, goes with them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from static_mirror.labels import both

_ROW: Final = re.compile(rb'<article id="c([1-9][0-9]{0,18})"')
_RANGE: Final = b'<p class="range">'
_SEAL: Final = b"<!-- barrage-seal "


def excerpt(page: bytes, keep: Callable[[int], bool]) -> bytes:
    """The page with the rows whose numbers ``keep`` says yes to; byte for byte the same when those are all."""
    lines = page.split(b"\n")
    numbers = [int(match[1]) if (match := _ROW.match(line)) else 0 for line in lines]
    if all(keep(number) for number in numbers if number):
        return page
    kept: list[bytes] = []
    gap: list[int] = []
    for line, number in zip(lines, numbers, strict=True):
        if number and not keep(number):
            gap.append(number)
            continue
        if gap and (number or line):
            kept.append(_left_out(gap[0], gap[-1]))
            gap = []
        # The range of the whole page tells times and positions of rows that are not here.
        if not line.startswith((_RANGE, _SEAL)):
            kept.append(line)
    if gap:  # an open page ends with its last row
        kept.insert(-1, _left_out(gap[0], gap[-1]))
    return b"\n".join(kept)


def _left_out(first: int, last: int) -> bytes:
    rows = f"#{first}" if first == last else f"#{first}–#{last}"
    return f'<p class="hint">{both(f"{rows} 不在范围内，未收录", f"{rows} left out: not within the scope")}</p>'.encode()
