"""Forms of a text in which terms are looked for, and the way back from a form's offsets to the original's.

Every form is made by replacing single characters, so it is a plain ``str.translate`` on the hot path, and the offsets are
worked out only when something was found (:class:`Offsets`).
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import Final

from filters import tables

Table = dict[int, str]

FOLD: Final[Table] = {ord(key): value for key, value in tables.pairs("fold").items()}


def fold(text: str) -> str:
    """Width, case, compatibility forms, traditional characters, marks and invisible characters evened out. Idempotent."""
    return text.translate(FOLD)


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
