"""Tests of filters.lattice."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.automata import finder
from filters.compiled import codes_of
from filters.lattice import MAX_GAP, SHAPES, Candidate, Kind, Patterns, alike, hint, marks_of
from filters.lattice import search as search_marked
from filters.normalize import CODE_OF, syllables
from filters.trie import around, branches
from tests.filters.timing import best_of, bound

BOUND_S = 0.005


def patterns(*terms: str) -> Patterns:
    keys = sorted({code for term in terms for code in codes_of(term)})
    return Patterns(branches(keys), around(keys), finder(keys), lambda *_: True)


def is_unusual(text: str) -> bool:
    return hint(text) is not None and marks_of(text) is not None


def search(text: str, within: Patterns) -> list[Candidate]:
    return search_marked(text, syllables(text), marks_of(text) or [], within)


@pytest.mark.parametrize(
    ("text", "unusual"),
    [
        ("今天真好看", False),
        ("哈哈哈😂😂", False),
        ("我😍你", True),
        ("一匹🐴", True),
        ("舌忝狗", True),
        ("you tai ren", True),
        ("we can fan the men", False),
        ("这个you tai人", True),
        ("全是heiren", True),
        ("nice video", False),
    ],
)
def test_unusual(text: str, unusual: bool) -> None:
    """Pictures, rare ideographs and pinyin are worth a second look; ordinary comments and English are not."""
    assert is_unusual(text) is unusual


@pytest.mark.parametrize(
    ("text", "term", "kinds"),
    [
        ("舌忝犭句", "舔狗", [Kind.SPLIT, Kind.SPLIT]),
        ("🐴子", "马子", [Kind.EMOJI, Kind.PLAIN]),
        ("hei ren", "黑人", [Kind.LATIN, Kind.LATIN]),
        ("fen keng", "fen坑", [Kind.PLAIN] * 3 + [Kind.LATIN]),
        ("弑人犯", "杀人犯", [Kind.SHAPE, Kind.PLAIN, Kind.PLAIN]),
        ("🐴🐴人", "马人", [Kind.EMOJI, Kind.PLAIN]),
        ("🀃🐔人", "北鸡人", [Kind.EMOJI, Kind.EMOJI, Kind.PLAIN]),
    ],
)
def test_paths(text: str, term: str, kinds: list[Kind]) -> None:
    """A disguised term is spelled by a path that tells how each of its characters was disguised."""
    found = search(text, patterns(term))
    assert kinds in [[step.kind for step in candidate.steps] for candidate in found]
    for candidate in found:
        assert 0 <= candidate.steps[0].start < candidate.steps[-1].end <= len(text)


def test_gaps_are_bounded() -> None:
    """Fillers inside a term are skipped, a few at a time."""
    assert search("hei~ren", patterns("黑人"))
    assert not search("hei" + "~" * (MAX_GAP + 1) + "ren", patterns("黑人"))


def test_plain_paths_are_no_candidates() -> None:
    """A term that stands there plainly is left to the plain forms."""
    assert search("黑人🐴", patterns("黑人")) == []


def test_look_alikes() -> None:
    """Characters that share a rare part look alike, and bring up each other's syllables."""
    assert alike("弑", "杀")
    assert not alike("弑", "一")
    assert CODE_OF["sha"] in SHAPES["弑"]
    assert "一" not in SHAPES


MIXED = patterns("舔狗", "黑人", "马子", "杀人犯", "好子")


# By the clock a busy machine may take any time: it is processor time that is bounded.
@settings(deadline=None)
@given(st.text(st.sampled_from("舌忝犭句🐴🀃弑人hei ren~女子了一"), max_size=100))
def test_any_mix_ends(text: str) -> None:
    """Any mix of disguises ends within the budget, and every step lies in the text."""
    found: list[Candidate] = []
    assert best_of(20, lambda: found.extend(search(text, MIXED)), bound(BOUND_S)) < bound(BOUND_S)
    for candidate in found:
        assert all(0 <= step.start < step.end <= len(text) for step in candidate.steps)


def test_words_are_not_unusual() -> None:
    """Rare characters that make up a word with each other are no reason for a second look."""
    assert marks_of("他面目狰狞地说") is None
    assert marks_of("他面目狰地说") == [3]
    assert marks_of("馊") == [0]


@given(st.text(st.sampled_from("舌忝犭句🐴弑人hei ren~女子了一"), max_size=40), st.data())
@settings(deadline=None)
def test_one_unusual_character_with_and_without_fillers(text: str, data: st.DataObject) -> None:
    """A disguised term among other things is found wherever it stands, with fillers in it or without."""
    filler = data.draw(st.sampled_from(["", "~", "★", " "]))
    whole = f"了了了了了了了了{text.replace('弑', '')}弑{filler}人{filler}犯"
    places = marks_of(whole) or []
    found = search_marked(whole, syllables(whole), places[-1:], patterns("杀人犯"))
    assert any(candidate.steps[0].start == places[-1] for candidate in found)
