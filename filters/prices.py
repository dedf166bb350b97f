"""What a disguise costs: the price that a soft hit pays before its evidence counts, in eighths of a bit, and its name.

The dearer a way of disguising a character, the more the rest of the piece has to say for the term.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from filters import lattice
from filters.language import ENGLISH, ENGLISH_WORD, SURNAMES, UNKNOWN_LETTER
from filters.lattice import LATIN, PICTURE, PLAIN, SECOND, SHAPE, SPLIT, Kind, Step
from filters.normalize import NOISE
from filters.pinyin import LETTERS

PRICE: Final = {PLAIN: 0, SECOND: 8, SHAPE: 16, SPLIT: 0, PICTURE: 16, LATIN: 0}
GAP_PRICE: Final = 16
NAME_PRICE: Final = 32
WORDS_FOR: Final[dict[Kind, str]] = {
    SECOND: "same sound",
    SHAPE: "look-alike",
    SPLIT: "split character",
    PICTURE: "emoji read aloud",
    LATIN: "pinyin",
}


def fits(folded: str, steps: Sequence[Step], spelled: str) -> bool:
    """Whether each piece stands for the very character of the term ``spelled`` (folded), where its kind tells that."""
    if len(steps) != len(spelled):
        spelled = "".join([char for char in spelled if char not in NOISE])
        if len(steps) != len(spelled):
            return False
    for (start, end, kind), char in zip(steps, spelled, strict=True):
        if kind is SHAPE:
            if not lattice.alike(folded[start], char):
                return False
        elif kind is SPLIT and char not in lattice.SPLITS[folded[start:end]]:
            return False
    return True


def price_of_steps(folded: str, steps: Sequence[Step]) -> int:
    """What the pieces and the gaps between them cost, English words in them included."""
    price = GAP_PRICE if _apart(steps) else 0
    latin = False
    for _, _, kind in steps:
        if kind:
            price += PRICE[kind]
            latin |= kind is LATIN
    return price + _price_of_english(folded[steps[0].start : steps[-1].end])


def described(steps: Sequence[Step]) -> tuple[str, str]:
    """The view in which a disguise is seen through, and the disguise in words."""
    kinds = sorted({step.kind for step in steps if step.kind})
    view = "skeleton" if all(kind in (SHAPE, SPLIT) for kind in kinds) else "phonetic"
    return view, ", ".join([*(WORDS_FOR[kind] for kind in kinds), *(["separated"] if _apart(steps) else [])])


def _apart(steps: Sequence[Step]) -> bool:
    return any(one.end != two.start for one, two in pairwise(steps))


def price_of_name(folded: str, start: int, term: str) -> int:
    """What it costs that the piece at ``start`` begins with a surname, or follows one, that the term has not."""
    if folded[start] in SURNAMES and folded[start] != term[0]:
        return NAME_PRICE
    return NAME_PRICE // 2 if start and folded[start - 1] in SURNAMES else 0


def _price_of_english(piece: str) -> int:
    """What English words within the piece cost less than the unknown letters that the weighing counts."""
    words = [run for run in LETTERS.findall(piece) if run in ENGLISH]
    return sum(max(0, UNKNOWN_LETTER * len(word) - ENGLISH_WORD) for word in words)
