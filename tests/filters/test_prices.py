"""Tests of filters.prices."""

from __future__ import annotations

import pytest

from filters.lattice import LATIN, PICTURE, PLAIN, SECOND, SHAPE, SPLIT, Step
from filters.prices import GAP_PRICE, NAME_PRICE, PRICE, described, fits, price_of_name, price_of_steps


@pytest.mark.parametrize(
    ("folded", "steps", "spelled", "answer"),
    [
        ("弑人犯", [Step(0, 1, SHAPE), Step(1, 2, PLAIN), Step(2, 3, PLAIN)], "杀人犯", True),
        ("弑人犯", [Step(0, 1, SHAPE), Step(1, 2, PLAIN), Step(2, 3, PLAIN)], "沙人犯", False),
        ("舌忝狗", [Step(0, 2, SPLIT), Step(2, 3, PLAIN)], "舔狗", True),
        ("舌忝狗", [Step(0, 2, SPLIT), Step(2, 3, PLAIN)], "天狗", False),
        ("🐴子", [Step(0, 1, PICTURE), Step(1, 2, PLAIN)], "马·子", True),
        ("🐴子", [Step(0, 1, PICTURE), Step(1, 2, PLAIN)], "马子们", False),
    ],
)
def test_fits(folded: str, steps: list[Step], spelled: str, answer: bool) -> None:
    """A look-alike stands for characters that look like it, pieces for the character they make up; noise in a term counts nothing."""
    assert fits(folded, steps, spelled) is answer


def test_prices_add_up() -> None:
    """Each disguised piece has its price, a gap has one, and English words give back what they are dearer than letters."""
    assert price_of_steps("🐴子", [Step(0, 1, PICTURE), Step(1, 2, PLAIN)]) == PRICE[PICTURE]
    assert price_of_steps("🐴~弑", [Step(0, 1, PICTURE), Step(2, 3, SHAPE)]) == PRICE[PICTURE] + PRICE[SHAPE] + GAP_PRICE
    halves = [Step(0, 2, LATIN), Step(2, 5, LATIN)]
    assert price_of_steps("woman", halves) > price_of_steps("womai", halves)


def test_surnames() -> None:
    """A surname where the term has none makes the piece a name, perhaps; one in front of it less so."""
    assert price_of_name("王小", 0, "往小") == NAME_PRICE
    assert price_of_name("王小", 0, "王晓") == 0
    assert price_of_name("王小二", 1, "晓二") == NAME_PRICE // 2
    assert price_of_name("看小二", 1, "晓二") == 0


def test_words() -> None:
    """What is seen through by looks is of the skeleton, what is heard is of the sounds, and gaps are told."""
    assert described([Step(0, 1, SHAPE), Step(1, 3, SPLIT)]) == ("skeleton", "look-alike, split character")
    assert described([Step(0, 1, SECOND), Step(2, 5, LATIN)]) == ("phonetic", "same sound, pinyin, separated")
