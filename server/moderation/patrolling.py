"""What a patrol sees of rooms that move faster than anybody reads: a fair sample, with how much it leaves out.

Pure. Each event that became public since the last look has the same chance, whoever wrote it and whatever it says, so that nobody can
steer what staff do not see; and the page says how many there were.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate
from typing import Final, NamedTuple

from server.core.sampling import Draw, draw_fairly

SHOWN_PER_S: Final = 12
"""Comments a second that a page shows at most: more cannot be read."""
REACH: Final = 200
"""How far behind a room's head a sample goes: what is older by then has left the ring of the newest."""


class Sample(NamedTuple):
    """``total`` events became public; ``places`` are those to be shown (room and number), in the order of rooms and numbers."""

    total: int
    places: list[tuple[str, int]]


def sample(before: Mapping[str, int], now: Mapping[str, int], most: int = SHOWN_PER_S, draw: Draw = draw_fairly) -> Sample:
    """At most ``most`` of what came between two looks at the heads of rooms; a room that was not there before began at 0."""
    spans = [(room, max(before.get(room, 0), head - REACH), head) for room, head in now.items() if head > before.get(room, 0)]
    total = sum(head - before.get(room, 0) for room, _, head in spans)
    ends = list(accumulate(head - low for _, low, head in spans))
    reachable = ends[-1] if ends else 0
    chosen = range(reachable) if reachable <= most else sorted(draw(reachable, most))
    places = []
    for number in chosen:
        at = bisect_right(ends, number)
        room, _, head = spans[at]
        places.append((room, head - (ends[at] - number) + 1))
    return Sample(total, places)
