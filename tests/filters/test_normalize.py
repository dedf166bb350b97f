"""Tests of filters.normalize."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.normalize import CODE_OF, FOLD, NOISE, SECOND_SOUNDS, SOUNDS, Offsets, fold, is_han

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("ＡＢｃ１２", "abc12"),
        ("歧視與惡意", "歧视与恶意"),
        ("加\u200b微\ufe0f信", "加微信"),
        ("é̂ñ", "en"),
        ("①㈠ﬁ", "1(一)fi"),
        ("闆迴濛乾瞭妳", "板回蒙干了你"),
        ("한국어", "한국어"),
        ("a\u3000b", "a b"),
    ],
)
def test_fold(text: str, folded: str) -> None:
    """Width, case, traditional and compatibility forms, marks and invisible characters are evened out."""
    assert fold(text) == folded


@given(ANY_TEXT)
def test_fold_is_idempotent_and_never_raises(text: str) -> None:
    """Folding takes any code points, lone surrogates included, and folding twice is folding once."""
    assert fold(fold(text)) == fold(text)


def test_fold_of_every_code_point_settles() -> None:
    """Every single code point folds to something that folds to itself."""
    assert [code for code in range(0x110000) if (once := fold(chr(code))) != fold(once)] == []


@given(ANY_TEXT)
def test_sounds_never_raise(text: str) -> None:
    """The forms of sounds take anything, and hold none of the noise."""
    for table in (SOUNDS, SECOND_SOUNDS):
        assert NOISE.isdisjoint(fold(text).translate(table))


def test_same_sound() -> None:
    """Characters of one toneless syllable have one code, and a private character of the input cannot pass for one."""
    assert "歧视".translate(SOUNDS) == "其实".translate(SOUNDS) == CODE_OF["qi"] + CODE_OF["shi"]
    assert CODE_OF["qi"].translate(SOUNDS) not in CODE_OF.values()


@given(ANY_TEXT, st.data())
def test_offsets_lead_back(text: str, data: st.DataObject) -> None:
    """For any mix of astral, combining and right-to-left text, a span of the folded text leads back to what gave it."""
    folded = fold(text)
    if not folded:
        return
    start = data.draw(st.integers(0, len(folded) - 1))
    end = data.draw(st.integers(start + 1, len(folded)))
    first, last = Offsets(text, FOLD).span(start, end)
    assert 0 <= first < last <= len(text)
    assert folded[start:end] in fold(text[first:last])
    assert len(fold(text[first])) > 0
    assert len(fold(text[last - 1])) > 0


def test_ideographs() -> None:
    """Ideographs are told from other letters."""
    assert [is_han(char) for char in "中㐀𠀀aあ"] == [True, True, True, False, False]
