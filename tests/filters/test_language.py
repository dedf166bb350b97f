"""Tests of filters.language."""

from __future__ import annotations

from filters.language import DIGIT, FACE, NOISE, PICTURE, UNKNOWN_HAN, UNKNOWN_LETTER, char_cost, is_face, surprise


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
