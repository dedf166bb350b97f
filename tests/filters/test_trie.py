"""Tests of filters.trie."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.trie import Lists, Neighbours, Numbers, Packed, Texts, Trie, around, branches, numbered

KEYS = st.sets(st.text(st.sampled_from("abc\ue000\U0010ffff"), min_size=1, max_size=5), max_size=30).map(sorted)


@given(KEYS, st.text(st.sampled_from("abc\ue000\U0010ffff"), max_size=6))
def test_a_trie_knows_its_keys_and_no_others(keys: list[str], other: str) -> None:
    """Every key is found under its place, and nothing else is found."""
    trie = Trie(branches(keys))
    assert [trie.number(key) for key in keys] == list(range(len(keys)))
    assert (trie.number(other) >= 0) is (other in keys)
    assert trie.longest == max(map(len, keys), default=0)


@given(KEYS, st.data())
def test_neighbours(keys: list[str], data: st.DataObject) -> None:
    """What can stand between two pieces is what makes three letters in a row of some key with them, or a key of two."""
    letters = "abc\ue000\U0010ffff"
    before, behind = (data.draw(st.text(st.sampled_from(letters), max_size=2)) for _ in range(2))
    threes = {key[start : start + 3] for key in keys for start in range(len(key) - 2)}
    twos = {key for key in keys if len(key) == 2}
    neighbours = Neighbours(around(keys))
    for letter in letters:
        line = before[-2:] + letter + behind[:2]
        place = len(before)
        near = {line[start : start + 3] for start in range(place - 2, place + 1) if start >= 0 and len(line) >= start + 3}
        pairs = {line[start : start + 2] for start in (place - 1, place) if start >= 0 and len(line) >= start + 2}
        if near & threes or pairs & twos:
            assert letter in neighbours.beside(before, behind)
        if "ab" + letter in threes or "ab" in twos:
            assert neighbours.follows("a", "b", letter)
        assert neighbours.in_a_row("ab" + letter) or "ab" + letter not in threes


def test_texts() -> None:
    """Texts come back as they were, lone surrogates included."""
    texts = ["", "歧视", "\ud800", "a"]
    kept = Texts(Packed.of(texts))
    assert (list(kept), len(kept), kept[1]) == (texts, 4, "歧视")


def test_lists() -> None:
    """Lists keep their order, and a name that is not there has an empty one."""
    lists = numbered(["a", "b", "c"], {"a": [1, 2], "c": [3]})
    assert list(lists.starts.view()) == [0, 2, 2, 3]
    assert list(lists.values.view()) == [1, 2, 3]
    assert lists == Lists.of([[1, 2], [], [3]])


def test_numbers_have_a_size() -> None:
    """Numbers know how many they are; data cut short is refused, and so is what does not fit."""
    assert len(Numbers.of("H", [1, 65535])) == 2
    with pytest.raises(TypeError):
        Numbers("I", b"abc").view()
    with pytest.raises(OverflowError):
        Numbers.of("H", [65536])


def test_nothing_stands_beside_nothing() -> None:
    """Without keys there are no neighbours, and no pair has any."""
    empty = Neighbours(around([]))
    assert empty.beside("ab", "cd") == ""
    assert not empty.in_a_row("abc")


def test_syllables_have_places_of_their_own() -> None:
    """Among syllables, of which there are few hundred, and as many keys as there may be, hardly any letter is named in vain."""
    syllables = [chr(0xE000 + number) for number in range(415)]
    rng = random.Random(1)
    keys = sorted({"".join(rng.choices(syllables, k=3)) for _ in range(70_000)})
    neighbours = Neighbours(around(keys))
    threes = set(keys)
    wrong = sum(
        neighbours.in_a_row(row) for row in ("".join(rng.choices(syllables, k=3)) for _ in range(2_000)) if row not in threes
    )
    assert wrong < 10
    for key in keys[::500]:
        one, two, three = list(key)
        assert one in neighbours.beside("", two + three)
        assert two in neighbours.beside(one, three)
        assert three in neighbours.beside(one + two, "")
