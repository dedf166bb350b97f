"""Tests of filters.language."""

from __future__ import annotations

from filters.language import (
    DIGIT,
    FACE,
    NOISE,
    PICTURE,
    UNKNOWN_HAN,
    UNKNOWN_LETTER,
    char_cost,
    is_face,
    rarity,
    surprise,
    surprise_within,
)


def test_words_surprise_less_than_their_characters() -> None:
    """A known word costs less than its characters one by one, and a non-word does not."""
    assert surprise("其实") < surprise("其") + surprise("实")
    assert surprise("七市") == surprise("七") + surprise("市")


def test_best_cut() -> None:
    """The cheapest way to cut is taken, whatever comes first."""
    assert surprise("中国人民银行") <= surprise("中国") + surprise("人民银行")
    assert surprise("") == 0


def test_unknown_characters() -> None:
    """Characters in no word have a cost by their kind."""
    kinds = {
        "q": UNKNOWN_LETTER,
        "7": DIGIT,
        "~": NOISE,
        "😂": FACE,
        "👍": FACE,
        "🐴": PICTURE,
        "⌚": PICTURE,
        "龘": UNKNOWN_HAN,
    }
    assert {char: char_cost(char) for char in kinds} == kinds
    assert char_cost("ア") == NOISE
    assert char_cost("\U00020000") == PICTURE


def test_faces() -> None:
    """Faces decorate, animals and things do not."""
    assert [is_face(char) for char in "😂🤔🐴字"] == [True, True, False, False]


def test_long_words() -> None:
    """Words of three characters count, also where the pair they end with is no word."""
    assert surprise("图书馆") < surprise("图书") + surprise("馆")


def test_within() -> None:
    """A piece adds the less, the more it makes up words with what is beside it."""
    assert surprise_within("", "七市", "") == surprise("七市")
    assert surprise_within("中", "国人", "民") == surprise("中国人民") - surprise("中") - surprise("民")


def test_rarity() -> None:
    """Only ideographs that are rarer than those of an ordinary name count as rare."""
    assert rarity("的人a😂") == 0
    assert rarity("龘") > 0
    assert rarity("龘龘") == 2 * rarity("龘")
    assert rarity("\U00020000") > 0
