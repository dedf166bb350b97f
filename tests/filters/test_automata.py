"""Tests of filters.automata."""

from __future__ import annotations

import pytest

from filters import automata
from filters.automata import finder, loaded, serialized

PATTERNS = ["上海", "上海人", "海人", "人"]


def test_every_place_is_told() -> None:
    """Patterns are found wherever they are, over one another too, with their numbers."""
    assert sorted(finder(PATTERNS)("在上海人家")) == [(1, 3, 0), (1, 4, 1), (2, 4, 2), (3, 4, 3)]


def test_no_patterns() -> None:
    """Without patterns nothing is found."""
    assert finder([])("上海") == []
    assert loaded(serialized([]))("上海") == []


@pytest.mark.parametrize("step", [automata.STEP, 64])
def test_loaded_is_the_same(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """What was serialised finds the same, whether it is loaded at once or after its memory was gained step by step."""
    monkeypatch.setattr(automata, "STEP", step)
    assert loaded(serialized(PATTERNS))("在上海人家") == finder(PATTERNS)("在上海人家")
