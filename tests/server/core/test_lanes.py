"""server/core/lanes.py"""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from server.core.lanes import Lanes


def test_everybody_comes_along_in_order_when_there_is_room() -> None:
    """What fits into one batch keeps its order, urgent or not."""
    lanes: Lanes[str] = Lanes()
    assert lanes.oldest_s == math.inf
    for number, (work, urgent) in enumerate([("a", False), ("b", True), ("c", False)]):
        lanes.put(work, float(number), urgent=urgent)
    assert (len(lanes), lanes.ordinary, lanes.urgent, lanes.oldest_s) == (3, 2, 1, 0.0)
    assert list(lanes.take(3)) == ["a", "b", "c"]
    assert (len(lanes), lanes.ordinary, lanes.urgent, lanes.oldest_s) == (0, 0, 0, math.inf)


@given(st.lists(st.one_of(st.booleans(), st.integers(1, 4))))
def test_the_urgent_overtake_and_each_lane_keeps_its_order(steps: list[bool | int]) -> None:
    """Whatever comes and goes: nobody is lost or doubled, lanes keep their order, no urgent one is left behind for another."""
    lanes: Lanes[tuple[bool, int]] = Lanes()
    put: list[tuple[bool, int]] = []
    taken: list[tuple[bool, int]] = []
    for number, step in enumerate(steps):
        if isinstance(step, bool):
            put.append((step, number))
            lanes.put(put[-1], float(number), urgent=step)
        else:
            batch = list(lanes.take(step))
            assert len(batch) <= step
            assert all(urgent for urgent, _ in batch) or not lanes.urgent
            taken += batch
        assert (len(lanes), lanes.urgent) == (len(put) - len(taken), sum(urgent for urgent, _ in set(put) - set(taken)))
    taken += lanes.take(len(lanes))
    for urgent in (False, True):
        assert [each for each in taken if each[0] == urgent] == [each for each in put if each[0] == urgent]
