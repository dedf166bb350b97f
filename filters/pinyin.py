"""Runs of Latin letters as pinyin: which of them syllables make up from end to end, and how."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from filters.normalize import CODE_OF

# So many ways to cut the pinyin of a text are tried one by one.
MAX_WAYS: Final = 8

_SYLLABLES: Final = frozenset(syllable for syllable in CODE_OF if syllable not in {"m", "n", "ng", "hm", "hng", "r"})
LETTERS: Final = re.compile(r"[a-z]{2,48}")
HAS_LETTERS: Final = re.compile("[a-z]").search


def _reached(run: str) -> list[bool]:
    """At which places of a run (0 to its length) syllables from its beginning may end."""
    reached = [True] + [False] * len(run)
    for end in range(1, len(run) + 1):
        reached[end] = any(reached[start] and run[start:end] in _SYLLABLES for start in range(max(0, end - 6), end))
    return reached


@lru_cache(maxsize=20_000)
def is_pinyin(run: str) -> bool:
    """Whether a run of letters can be cut into syllables from end to end. A single letter drawn out (aaaa) is a cry, no pinyin."""
    if len(set(run)) == 1:
        return False
    return _reached(run)[-1]


@lru_cache(maxsize=4_096)
def syllables_in(run: str) -> tuple[tuple[int, int, str], ...]:
    """Where which syllable codes may stand in a run of letters that syllables make up from end to end."""
    size, reached = len(run), _reached(run)
    leads = [False] * size + [True]
    found: list[tuple[int, int, str]] = []
    for start in range(size - 1, -1, -1):
        for end in range(start + 1, min(start + 6, size) + 1):
            if leads[end] and run[start:end] in _SYLLABLES:
                leads[start] = True
                if reached[start]:
                    found.append((start, end, CODE_OF[run[start:end]]))
    return tuple(found)


@lru_cache(maxsize=4_096)
def cuts_of(run: str) -> tuple[tuple[tuple[int, int], ...], ...]:
    """The ways to cut a run of letters into syllables from end to end, as spans; at most one more than MAX_WAYS."""
    follow: dict[int, list[int]] = {}
    for start, end, _ in syllables_in(run):
        follow.setdefault(start, []).append(end)
    ways: list[tuple[tuple[int, int], ...]] = []
    open_ways: list[tuple[tuple[int, int], ...]] = [()]
    while open_ways and len(ways) <= MAX_WAYS:
        way = open_ways.pop()
        place = way[-1][1] if way else 0
        if place == len(run):
            ways.append(way)
        else:
            open_ways.extend((*way, (place, end)) for end in follow[place])
    return tuple(ways)
