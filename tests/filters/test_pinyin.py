"""Tests of filters.pinyin."""

from __future__ import annotations

import pytest

from filters.normalize import CODE_OF
from filters.pinyin import MAX_WAYS, cuts_of, is_pinyin, syllables_in


@pytest.mark.parametrize(
    ("run", "answer"), [("heiren", True), ("xian", True), ("hello", False), ("", True), ("zhuangbi", True)]
)
def test_pinyin(run: str, answer: bool) -> None:
    """A run of letters is pinyin when syllables make it up from end to end."""
    assert is_pinyin(run) is answer


def test_cuts_are_bounded() -> None:
    """A run of letters is cut in every way, as long as they are few."""
    assert set(cuts_of("xian")) == {((0, 2), (2, 4)), ((0, 4),)}
    assert len(cuts_of("xian" * 10)) == MAX_WAYS + 1


def test_a_cry_is_no_pinyin() -> None:
    """A single letter drawn out is a cry."""
    assert not is_pinyin("aaaaaa")
    assert is_pinyin("aiai")


def test_syllables_lie_on_a_way_through() -> None:
    """Only syllables are told with which the whole run can be cut."""
    assert {(start, end) for start, end, _ in syllables_in("xian")} == {(0, 2), (0, 4), (2, 4)}
    assert (0, 3, CODE_OF["hei"]) in syllables_in("heiren")
    assert syllables_in("heir") == ()
