"""server/moderation/patrolling.py"""

from __future__ import annotations

from collections import Counter

from server.moderation.patrolling import REACH, sample


def test_what_can_be_read_is_shown_whole() -> None:
    """Everything that came since, in the order of rooms and numbers; a room that was not there before begins at 0."""
    found = sample({"a": 3, "b": 7}, {"a": 5, "b": 7, "c": 1})
    assert found.total == 3
    assert found.places == [("a", 4), ("a", 5), ("c", 1)]
    assert sample({"a": 3}, {"a": 3}).places == []


def test_of_more_a_part_is_drawn_in_which_everything_has_its_chance() -> None:
    """Across rooms of any size, first and last numbers included; the total says how many there were."""
    seen: Counter[tuple[str, int]] = Counter()
    for _ in range(2_000):
        found = sample({"a": 0, "b": 10}, {"a": 30, "b": 20}, most=4)
        assert found.total == 40
        assert len(set(found.places)) == 4
        seen.update(found.places)
    assert set(seen) == {("a", n) for n in range(1, 31)} | {("b", n) for n in range(11, 21)}
    assert all(120 < count < 290 for count in seen.values())  # 200 each, give or take


def test_what_has_left_the_ring_is_counted_and_not_drawn() -> None:
    """A sample reaches so far behind the head of a room, and no farther."""
    found = sample({"a": 0}, {"a": 10_000}, most=REACH)
    assert found.total == 10_000
    assert found.places == [("a", n) for n in range(10_000 - REACH + 1, 10_001)]
    drawn = sample({"a": 0}, {"a": 10_000}, most=2, draw=lambda number, drawn: [0, number - 1][:drawn])
    assert drawn.places == [("a", 10_000 - REACH + 1), ("a", 10_000)]
