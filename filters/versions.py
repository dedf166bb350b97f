"""What a text comes down to, so that versions of it can be told: its syllables, and pieces of them.

Homophones, punctuation, digits, a changed character and words put in front or behind do not hide a text; the swarm detector
(:mod:`filters.swarm`) compares accounts by such pieces.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import msgspec

from filters.normalize import SOUNDS, SYLLABLE_OF

MIN_LENGTH: Final = 4
EDGE: Final = 5
# Two texts are versions of one when they have this share of the shorter one's triples of syllables in common.
SAME: Final = 0.4
MAX_SPOKEN: Final = 64

# Keeps syllables and letters, and nothing else. A list, because a missing key would cost an exception for each character.
_SPOKEN: Final[list[str | None]] = [
    chr(code) if ord("a") <= code <= ord("z") else sound if (sound := SOUNDS.get(code)) in SYLLABLE_OF else None
    for code in range(0x20000)
]
_RUN: Final = re.compile(r"(.)\1+")


class Said(msgspec.Struct, frozen=True):
    """What a text comes down to: its first syllables, and the pieces that versions of it share at least one of (none: too short)."""

    spoken: str
    marks: tuple[str, ...]


@lru_cache(maxsize=4_096)
def said(folded: str) -> Said:
    """What a folded text comes down to.

    The pieces are the beginning, the end, and what follows the first syllable in the order of the alphabet (of a short text, the
    whole): a character changed, added or left out spares one of the first two, words put in front and behind mostly the last.
    """
    spoken = folded.translate(_SPOKEN)
    if _RUN.search(spoken):
        spoken = _RUN.sub(r"\1", spoken)
    if len(spoken) < MIN_LENGTH:
        return Said("", ())
    if len(spoken) < EDGE + 2:
        return Said(spoken, (spoken,))
    anchor = spoken.index(min(spoken[: 1 - EDGE]))
    return Said(spoken[:MAX_SPOKEN], (spoken[:EDGE], spoken[-EDGE:], spoken[anchor : anchor + EDGE]))


@lru_cache(maxsize=4_096)
def triples_of(spoken: str) -> frozenset[str]:
    """Each three syllables in a row."""
    return frozenset(map("".join, zip(spoken, spoken[1:], spoken[2:], strict=False)))


def same(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two texts, by their triples, are versions of one."""
    return len(one & other) > SAME * min(len(one), len(other))
