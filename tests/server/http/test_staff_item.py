"""server/http/staff_item.py: what surrounds an item (the pages are in test_staff_queue.py)."""

from __future__ import annotations

import pytest

from server.http.staff_item import ago, place_of, swarm_plot
from server.moderation.figures import Swarm
from server.moderation.queue import Filters


@pytest.mark.parametrize(
    ("fields", "queue", "filters"),
    [
        ({}, "held", Filters()),
        ({"queue": "report", "room": " demo ", "code": "L8", "author": "p"}, "report", Filters("demo", "L8", author_id="p")),
        ({"severity": "80", "older": "10"}, "held", Filters(severity=80, older_ms=600_000)),
        ({"severity": "-1", "older": "x", "queue": "<b>"}, "held", Filters()),
        ({"severity": "900", "older": "９"}, "held", Filters(severity=100)),
        ({"older": "9" * 30}, "held", Filters()),
    ],
)
def test_a_place_is_read_from_whatever_is_given(fields: dict[str, str], queue: str, filters: Filters) -> None:
    """What makes no sense filters nothing; the fields of the place give the same place again."""
    place = place_of(fields)
    assert (place.queue, place.filters) == (queue, filters)
    assert place_of(place.fields) == place


@pytest.mark.parametrize(
    ("ms", "told"), [(-5, (0, "s")), (59_999, (59, "s")), (60_000, (1, "min")), (7_200_000, (2, "h")), (200_000_000, (2, "d"))]
)
def test_lengths_of_time_have_one_unit(ms: int, told: tuple[int, str]) -> None:
    """The largest that fits."""
    assert ago(ms) == told


def test_groups_are_drawn_with_the_ties_of_each() -> None:
    """The places of the second group begin behind the first."""
    plot = swarm_plot("t", "n", [Swarm(1, 2, ["a", "b"], [(0, 1)]), Swarm(2, 2, ["c", "d"], [(0, 1)])])
    assert plot.count("<circle") == 4
    assert plot.count('class="tie') == 2
