"""server/doorway.py"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from server.doorway import TURN_MAX, TURN_S, Doorway


class Turns:
    """A loop and a clock that move by hand. ``costs_s`` is what serving one takes."""

    def __init__(self, costs_s: float) -> None:
        self.costs_s = costs_s
        self.now = 0.0
        self.served: list[int] = []
        self.soon: list[Callable[[], None]] = []
        self.door = Doorway(self.soon.append, lambda: self.now)

    def come(self, *numbers: int) -> None:
        for number in numbers:
            self.door.enter(lambda number=number: self.serve(number))  # type: ignore[misc] # a default, not an argument

    def serve(self, number: int) -> None:
        self.now += self.costs_s
        self.served.append(number)

    def turn(self) -> None:
        due, self.soon[:] = list(self.soon), []
        for call in due:
            call()


def test_who_comes_alone_is_served_at_once() -> None:
    """A newcomer waits for nothing; the loop is asked for one more turn, and then left alone."""
    turns = Turns(TURN_S / 4)
    turns.come(1)
    assert turns.served == [1]
    turns.turn()
    assert turns.soon == []


def test_a_turn_serves_for_its_time_and_the_rest_in_order() -> None:
    """Of many, each turn serves as many as its time allows, at least one, the first first."""
    turns = Turns(TURN_S / 4)
    turns.come(*range(10))
    assert turns.served == [0, 1, 2, 3]
    assert turns.door.waiting == 6
    turns.turn()
    assert turns.served == list(range(8))
    turns.come(10)
    turns.turn()
    assert (turns.served, turns.door.waiting) == (list(range(11)), 0)
    turns.turn()
    turns.turn()
    assert turns.soon == []


def test_one_that_takes_long_is_the_only_one_of_its_turn() -> None:
    """The time is looked at before each: a turn is longer than meant by one newcomer at the most."""
    turns = Turns(TURN_S * 3)
    turns.come(1, 2, 3)
    seen = [list(turns.served)]
    for _ in range(2):
        turns.turn()
        seen.append(list(turns.served))
    assert seen == [[1], [1, 2], [1, 2, 3]]


def test_newcomers_of_one_turn_share_its_time() -> None:
    """Whoever comes later in a turn is served in it while there is time left."""
    turns = Turns(TURN_S / 2)
    turns.come(1)
    turns.come(2)
    turns.come(3)
    assert (turns.served, turns.door.waiting) == ([1, 2], 1)


def test_a_turn_serves_so_many_at_most() -> None:
    """What costs nothing now and much later is bounded by its number."""
    turns = Turns(0)
    turns.come(*range(TURN_MAX + 20))
    assert (len(turns.served), turns.door.free) == (TURN_MAX, False)
    turns.turn()
    assert turns.served == list(range(TURN_MAX + 20))
    assert turns.door.free


def test_who_is_entered_by_another_comes_after_it() -> None:
    """Whoever is entered while somebody is served waits for its end, and is served in the same turn when there is time left."""
    turns = Turns(TURN_S / 2)

    def first() -> None:
        assert not turns.door.free
        turns.come(2, 3)
        assert turns.served == []
        turns.serve(1)

    turns.door.enter(first)
    assert (turns.served, turns.door.waiting) == ([1, 2], 1)
    turns.turn()
    assert turns.served == [1, 2, 3]


def test_the_door_is_free_while_its_turn_has_time_and_nobody_waits() -> None:
    """Who would have to wait can know it before."""
    turns = Turns(TURN_S / 2)
    seen = [turns.door.free]
    for number in range(3):
        turns.come(number)
        seen.append(turns.door.free)
    turns.turn()
    assert [*seen, turns.door.free] == [True, True, False, False, True]


def test_a_fault_of_one_is_not_that_of_the_next() -> None:
    """Whatever is raised reaches the caller, and the line goes on."""
    turns = Turns(TURN_S / 4)

    def fail() -> None:
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        turns.door.enter(fail)
    turns.come(1)
    assert turns.served == [1]
