"""Tests of filters.characters."""

from __future__ import annotations

import pytest

from filters.characters import MAX_MARKS, forbidden


@pytest.mark.parametrize("text", ["普通的，ordinary — עברית العربية 👨‍👩‍👧 e\u0301", "ไม่มีปัญหา", "a\u200fb", ""])
def test_allowed(text: str) -> None:
    """Ordinary text of any script, emoji sequences and directional marks are allowed."""
    assert forbidden(text) is None


@pytest.mark.parametrize("char", "\x00\n\x7f\x85\u2028\u202e\u2066\ufff9\ud800\ufdd0\uffff\U0001fffe")
def test_forbidden(char: str) -> None:
    """Controls, bidirectional overrides, lone surrogates and non-characters are found with their place."""
    assert forbidden(f"ab{char}c") == (2, 3)


def test_piles_of_marks() -> None:
    """A few marks on one base are writing, a pile of them is not."""
    assert forbidden("e" + "\u0301" * MAX_MARKS) is None
    assert forbidden("e" + "\u0301" * (MAX_MARKS + 1)) == (1, MAX_MARKS + 2)
