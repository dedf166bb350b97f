"""server/core/modes.py: which of several modes is in force."""

from __future__ import annotations

from itertools import permutations, product

import pytest

from server.core.modes import DEMANDS, ORDER, Term, at_least, paced, strictest
from server.store.base import RoomMode


def test_the_order_of_modes_is_the_documented_one() -> None:
    """From the loosest to the strictest."""
    assert ORDER == ("open", "slow", "shield", "review", "read_only", "closed")


def test_the_strictest_of_several_is_in_force_whatever_their_order() -> None:
    """All pairs and triples of modes."""
    for modes in (*product(ORDER, repeat=2), *product(ORDER, repeat=3)):
        expected = ORDER[max(map(ORDER.index, modes))]
        assert {strictest(*each) for each in permutations(modes)} == {expected}
        assert all(at_least(expected, mode) for mode in modes)
    assert strictest("shield") == "shield"
    assert not at_least("shield", "review")


def test_authors_are_paced_from_the_slow_mode_on() -> None:
    """Each mode asks for what the looser ones ask for."""
    assert [paced(mode) for mode in ORDER] == [False, True, True, True, True, True]


@pytest.mark.parametrize(
    ("mode", "standing", "after"),
    [("shield", "open", "shield"), ("open", "read_only", "read_only"), ("closed", "slow", "closed"), ("slow", "slow", "slow")],
)
def test_a_term_that_ends_lets_nothing_in_by_itself(mode: RoomMode, standing: RoomMode, after: RoomMode) -> None:
    """Up to its last millisecond the mode holds; after it the stricter of mode and standing mode, until the log says more."""
    term = Term(mode, 1_000, standing)
    assert [term.at(0), term.at(999), term.at(1_000), term.at(9_000)] == [mode, mode, after, after]
    assert [term.over(999), term.over(1_000)] == [False, True]


def test_a_mode_without_an_end_holds() -> None:
    """0 is no end; the standing mode plays no part then."""
    term = Term("slow", 0, "closed")
    assert term.at(10**15) == "slow"
    assert not term.over(10**15)
    assert Term() == ("open", 0, "open")


def test_each_mode_demands_what_those_before_it_do() -> None:
    """The table says of each mode what the module's text does."""
    assert tuple(DEMANDS) == ORDER
    assert list(DEMANDS.values()) == [
        (False, False, False), (True, False, False), (True, True, False), *3 * [(True, True, True)],
    ]  # fmt: skip
