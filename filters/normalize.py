"""Forms of a text in which terms are looked for, and the way back from a form's offsets to the original's.

===========  ==========================================================================================================
surface      the text as it came
folded       width, case, compatibility forms, traditional characters, marks and invisible characters evened out
sounds       of the folded text: every ideograph by its toneless syllable (one private character each), noise dropped; a second
             form holds the second reading of characters that have one
===========  ==========================================================================================================

Each is made by replacing single characters, so it is one ``str.translate`` on the hot path, and the offsets are worked out only
when something was found (:class:`Offsets`).
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from bisect import bisect_right
from itertools import accumulate
from typing import Final

from filters import tables

Table = dict[int, str]

# Lone surrogates are no characters; nothing after this point has to deal with them.
FOLD: Final[Table] = {
    **{ord(key): value for key, value in tables.pairs("fold").items()},
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),
}
READINGS: Final[dict[str, tuple[str, ...]]] = {char: tuple(found.split()) for char, found in tables.pairs("readings").items()}
SYLLABLES: Final = sorted({syllable for found in READINGS.values() for syllable in found})
# One private character stands for one syllable; the same code points in a comment are moved out of the way.
CODE_OF: Final = {syllable: chr(0xE000 + number) for number, syllable in enumerate(SYLLABLES)}
SYLLABLE_OF: Final = {code: syllable for syllable, code in CODE_OF.items()}
_TAKEN: Final = dict.fromkeys(range(0xE000, 0xF900), "\ufffc")


def _noise() -> frozenset[str]:
    """Spaces, punctuation and the plainer symbols, which split a word without changing it."""
    found = set()
    for code in (*range(0x20, 0x2300), *range(0x3000, 0x3040), *range(0xFE30, 0xFE70), 0x30FB, 0x25CF, 0x2605, 0x2606):
        if unicodedata.category(chr(code))[0] in "PZS":
            found.add(chr(code))
    return frozenset(found - {"#", "+", "@"})


NOISE: Final = _noise()
_DROPPED: Final[Table] = dict.fromkeys(map(ord, NOISE), "")
SOUNDS: Final[Table] = {**_TAKEN, **{ord(char): CODE_OF[found[0]] for char, found in READINGS.items()}, **_DROPPED}
SECOND_SOUNDS: Final[Table] = {**SOUNDS, **{ord(char): CODE_OF[found[1]] for char, found in READINGS.items() if len(found) > 1}}


_CHANGED: Final = re.compile(
    "[" + "".join(re.escape(chr(code)) for code in sorted(FOLD) if code < 0x10000) + "\U00010000-\U0010ffff]"
)


def fold(text: str) -> str:
    """The folded form. Idempotent."""
    # Few characters change in most texts. A set of characters is a few kilobytes, and stays in the processor's cache; a table is not.
    return _CHANGED.sub(_folded, text) if _CHANGED.search(text) else text


def _folded(match: re.Match[str]) -> str:
    char = match.group()
    return FOLD.get(ord(char), char)


# What stands for a character that vanishes where each keeps its place.
GAP: Final = "\0"


def _compact(table: Table) -> array[int]:
    """A table of single characters of the basic plane in two bytes each; what vanishes becomes ``GAP``."""
    return array("H", (ord(table.get(code, chr(code)) or GAP) for code in range(0x10000)))


_SOUNDS: Final = _compact(SOUNDS)
_SECOND_SOUNDS: Final = _compact(SECOND_SOUNDS)


# Tells whether second readings differ at all: of most texts they do not.
has_second: Final = re.compile(
    "[" + "".join(re.escape(char) for char, found in READINGS.items() if len(found) > 1 and ord(char) < 0x10000) + "]"
).search


def syllables(folded: str, *, second: bool = False) -> str:
    """A folded text by its syllables, character by character, with ``GAP`` for noise. ``second``: by the second readings, where
    there are such. Without the gaps this is what translating with ``SOUNDS`` (``SECOND_SOUNDS``) gives."""
    return folded.translate(_SECOND_SOUNDS if second else _SOUNDS)


def is_han(char: str) -> bool:
    """Whether ``char`` is an ideograph."""
    return "\u3400" <= char <= "\u9fff" or "\U00020000" <= char <= "\U0003ffff"


class Offsets:
    """Where each character of a translated text came from."""

    __slots__ = ("_starts",)

    def __init__(self, original: str, table: Table) -> None:
        """``table`` is the one that ``original`` was translated with."""
        lengths = (len(table.get(ord(char), char)) for char in original)
        self._starts = list(accumulate(lengths, initial=0))

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The original's span that gave characters ``start`` to ``end`` (excluded, more than ``start``) of the translated text.

        Characters that vanished inside the span belong to it, those at its edges do not.
        """
        first = bisect_right(self._starts, start) - 1
        last = bisect_right(self._starts, end - 1)
        return first, last
