"""What a text comes down to, so that versions of it can be told: its syllables, and pieces of them.

Homophones, punctuation, digits, a changed character and words put in front or behind do not hide a text; the swarm detector
(:mod:`filters.swarm`) compares accounts by such pieces.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import msgspec

from filters.normalize import SYLLABLE_OF, syllables

MIN_LENGTH: Final = 4
EDGE: Final = 5
# Two texts are versions of one when they have this share of the shorter one's triples of syllables in common.
SAME: Final = 0.4
MAX_SPOKEN: Final = 64

# What counts: syllables, letters, and ideographs that have no syllable.
_VOICED: Final = re.compile(f"[{min(SYLLABLE_OF)}-{max(SYLLABLE_OF)}a-z\U00020000-\U0010ffff]+")
_RUN: Final = re.compile(r"(.)\1+")


class Said(msgspec.Struct, frozen=True):
    """What a text comes down to: its first syllables, and the pieces that versions of it share at least one of (none: too short)."""

    spoken: str
    marks: tuple[str, ...]


def said(folded: str) -> Said:
    """What a folded text comes down to."""
    return said_of(syllables(folded))


def said_of(spoken: str) -> Said:
    """What a text of these syllables (:func:`filters.normalize.syllables`) comes down to.

    The pieces are the beginning, the end, and what follows the first syllable in the order of the alphabet (of a short text, the
    whole): a character changed, added or left out spares one of the first two, words put in front and behind mostly the last.
    """
    spoken = "".join(_VOICED.findall(spoken))
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
