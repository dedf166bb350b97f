"""server/core/audience.py; tests/server/core/test_room.py has it under random use"""

from __future__ import annotations

from collections.abc import Callable

from server.core.audience import Audience, Sizes


def seated(number: int, size: int = 2, among: int = 0) -> Audience[int]:
    """Viewers 0, 1, ... of a room with ten visible events."""
    audience: Audience[int] = Audience(10, Sizes(size, among or size))
    for viewer in range(number):
        audience.enter(viewer, 10)
    return audience


def turns(audience: Audience[int], visible: int) -> list[tuple[int, set[int]]]:
    return [(turn.sent, set(turn.party.viewers)) for turn in audience.turns(visible)]


def test_cohorts_fill_one_after_the_other() -> None:
    """A crowd that comes at once stands in as few cohorts as it fits into."""
    audience = seated(5)
    assert (audience.parts, audience.viewers, audience.hot) == (3, 5, {0, 1, 2, 3, 4})


def test_each_cohort_has_its_turn() -> None:
    """In the order in which they stand, over and over; each from where it was sent to."""
    audience = seated(5)
    audience.moved(11)
    assert audience.sent == 10
    assert turns(audience, 11) == [(10, {0, 1})]
    assert turns(audience, 11) == [(10, {2, 3})]
    audience.moved(13)
    assert turns(audience, 13) == [(10, {4})]
    assert audience.sent == 11
    assert turns(audience, 13) == [(11, {0, 1})]
    assert turns(audience, 13) == [(11, {2, 3})]
    assert audience.sent == 13


def test_newcomers_stand_with_those_who_were_sent_last() -> None:
    """They were handed out what is visible, and what the others wait for is behind them."""
    audience = seated(4)
    audience.moved(12)
    assert turns(audience, 12) == [(10, {0, 1})]
    audience.leave(1)
    audience.enter(7, 12)
    assert turns(audience, 12) == [(10, {2, 3})]
    assert turns(audience, 12) == [(12, {0, 7})]


def test_a_newcomer_before_the_first_turn_stands_alone() -> None:
    """Nobody was sent yet what it has."""
    audience = seated(1)
    audience.moved(12)
    audience.enter(7, 12)
    assert turns(audience, 12) == [(10, {0}), (12, {7})]
    assert audience.parts == 1


def test_cohorts_that_fit_together_become_one() -> None:
    """At their turn, and all of them are sent then."""
    audience = seated(6, 3)
    for viewer in (0, 1, 4):
        audience.leave(viewer)
    audience.moved(11)
    assert turns(audience, 11) == [(10, {2}), (10, {3, 5})]
    assert (audience.parts, audience.sent) == (1, 11)


def test_nobody_is_behind_where_nobody_stands() -> None:
    """A room without viewers, and a cohort that all have left, wait for no turn."""
    audience = seated(0)
    audience.moved(12)
    assert (audience.sent, audience.parts, turns(audience, 12)) == (12, 1, [])
    audience = seated(4)
    for viewer in (0, 1):
        audience.leave(viewer)
    audience.moved(12)
    assert (audience.sent, audience.parts) == (10, 1)
    assert turns(audience, 12) == [(10, {2, 3})]


def test_what_a_stalled_viewer_misses_begins_after_its_own_last_turn() -> None:
    """Not after what others were sent."""
    audience = seated(4)
    audience.moved(12)
    turns(audience, 12)
    audience.cool(0)
    audience.cool(2)
    assert audience.cold == {0: 13, 2: 11}
    audience.moved(14)
    assert audience.thaw(2, 14) == (11, 14)
    assert audience.thaw(0, 14) == (13, 14)
    assert audience.thaw(1, 14) is None
    assert (audience.hot, audience.cold) == ({0, 1, 2, 3}, {})


def test_whoever_joins_again_is_sent_nothing_twice() -> None:
    """A viewer that stands in a cohort already moves to those who have everything."""
    audience = seated(3)
    audience.moved(12)
    turns(audience, 12)
    audience.enter(2, 12)
    audience.enter(2, 12)
    assert audience.viewers == 3
    assert turns(audience, 12) == [(12, {0, 1})]
    audience.moved(14)
    assert turns(audience, 14) == [(12, {2})]


def test_a_party_is_one_object_while_nobody_comes_or_leaves() -> None:
    """What was derived from it holds for just those viewers."""
    audience = seated(3, 3)
    first = audience.turns(11)[0].party
    assert audience.turns(12)[0].party is first
    changes: list[Callable[[], object]] = [
        lambda: audience.leave(1),
        lambda: audience.enter(4, 12),
        lambda: audience.cool(2),
        lambda: audience.thaw(2, 12),
    ]
    for change in changes:
        change()
        party = audience.turns(12)[0].party
        assert party is not first
        assert set(party.viewers) == audience.hot
        first = party


def test_cohorts_that_became_one_are_a_new_party() -> None:
    """Neither of the two has them all."""
    audience = seated(4)
    for viewer in (0, 2):
        audience.leave(viewer)
    assert turns(audience, 11) == [(10, {1}), (10, {3})]
    assert turns(audience, 12) == [(11, {1, 3})]


def test_more_than_one_cohort_can_hold_stand_in_smaller_ones() -> None:
    """What stood in one before stays there; who comes then finds smaller cohorts."""
    audience = seated(9, 4, 2)
    assert turns(audience, 11) == [(10, {0, 1, 2, 3})]
    assert turns(audience, 11) == [(10, {4, 5})]
    assert turns(audience, 11) == [(10, {6, 7})]
    assert turns(audience, 11) == [(10, {8})]
    for viewer in (0, 1, 2):
        audience.leave(viewer)
    assert turns(audience, 12) == [(11, {3})]
    assert turns(audience, 12) == [(11, {4, 5})]


def test_who_can_stand_in_one_cohort_does() -> None:
    """However many cohorts they stood in before."""
    audience = seated(9, 4, 2)
    for viewer in (0, 1, 2, 4, 6):
        audience.leave(viewer)
    assert turns(audience, 11) == [(10, {3}), (10, {5}), (10, {7}), (10, {8})]
    assert audience.parts == 1
