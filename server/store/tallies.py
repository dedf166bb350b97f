"""What happened in the room logs within a time, counted, as every store gives it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

_DECISIONS: Final = frozenset({"removal", "restoration"})


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """Events of one kind in all rooms. Removals and restorations by code and role of who decided; others by neither."""

    kind: str
    code: str
    role: str
    count: int


def tallies(counted: Iterable[tuple[str, str, str, int]]) -> list[Tally]:
    """Sums of counts by kind, code and role, in that order."""
    sums: dict[tuple[str, str, str], int] = {}
    for kind, code, role, count in counted:
        key = (kind, code, role) if kind in _DECISIONS else (kind, "", "")
        sums[key] = sums.get(key, 0) + count
    return [Tally(kind=kind, code=code, role=role, count=count) for (kind, code, role), count in sorted(sums.items())]
