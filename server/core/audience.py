"""Who watches a room, and how far each of them was sent: viewers stand in cohorts, which take turns.

A write costs 8 us, so one frame for 8,000 viewers keeps the process from everything else for 65 ms, and the last of them gets it
that much later than the first. The viewers of a large room therefore stand in cohorts of a bounded size, flushed one after the other,
evenly over a tick. Each gets all that came since its own last turn; a viewer has as many frames as before, and waits for its
own cohort's writes alone::

    cohorts[0] .................. cohorts[-1]
    sent least far: it is next    was sent last; newcomers, who got all that is visible, stand there

A viewer stands in one cohort (it gets every frame), or in ``cold`` (its transport is full), which maps it to the first number that
it misses; never in both.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final, Generic, NamedTuple, TypeVar

V = TypeVar("V")


class Sizes(NamedTuple):
    """Up to how many viewers stand in one cohort; and how many in each where there are more. (A larger one stays as it was.)"""

    alone: int
    among: int


COHORTS: Final = Sizes(1024, 512)
"""9 ms of writing, and 4.5: a turn costs little by itself, but a room that needs no turns is better off with none: what is
done once for a flush, and once for the commit before it, then serves them all."""


class Party(Generic[V]):
    """Viewers who get the same at once: one object for as long as none of them leaves and nobody joins them.

    So what a sender derives from them can stay with it (``derived``, the sender's alone): to ask a thousand viewers at every
    turn where each is written to costs a tenth of the writing.
    """

    __slots__ = ("derived", "viewers")

    def __init__(self, viewers: Iterable[V]) -> None:
        self.viewers: Final = tuple(viewers)
        self.derived: object = None


class Turn(NamedTuple, Generic[V]):
    """These viewers have everything up to ``sent`` and get what is visible after it, now."""

    sent: int
    party: Party[V]


class _Cohort(Generic[V]):
    __slots__ = ("_party", "sent", "viewers")

    def __init__(self, sent: int) -> None:
        self.sent = sent
        self.viewers: set[V] = set()
        self._party: Party[V] | None = None

    @property
    def party(self) -> Party[V]:
        if self._party is None:
            self._party = Party(self.viewers)
        return self._party

    def changed(self) -> None:
        """Somebody came or left."""
        self._party = None


class Audience(Generic[V]):
    """See the module's text. ``visible`` is always the newest number that anybody may have; who moves it says so (:meth:`moved`)."""

    __slots__ = ("_cohorts", "_sizes", "cold")

    def __init__(self, visible: int, sizes: Sizes = COHORTS) -> None:
        self._cohorts: deque[_Cohort[V]] = deque([_Cohort(visible)])
        self._sizes = sizes
        self.cold: dict[V, int] = {}

    @property
    def hot(self) -> set[V]:
        """All who get frames; not to be changed."""
        first, *others = self._cohorts
        return first.viewers.union(*(cohort.viewers for cohort in others)) if others else first.viewers

    @property
    def viewers(self) -> int:
        """How many watch."""
        return sum(len(cohort.viewers) for cohort in self._cohorts) + len(self.cold)

    @property
    def parts(self) -> int:
        """In how many turns all of them are sent something."""
        return len(self._cohorts)

    @property
    def sent(self) -> int:
        """What every hot viewer was sent."""
        return self._cohorts[0].sent

    def moved(self, visible: int) -> None:
        """More is visible now: where nobody stands, nobody has to be sent it."""
        if not all(cohort.viewers for cohort in self._cohorts):
            self._cohorts = deque(cohort for cohort in self._cohorts if cohort.viewers) or deque([_Cohort(visible)])

    def turns(self, visible: int) -> list[Turn[V]]:
        """Whose turn it is; by the next call they were sent what is visible. Several, when cohorts are small enough to become one."""
        most = self._most
        cohort = self._cohorts.popleft()
        turns = [Turn(cohort.sent, cohort.party)]
        while self._cohorts and len(cohort.viewers) + len(self._cohorts[0].viewers) <= most:
            other = self._cohorts.popleft()
            turns.append(Turn(other.sent, other.party))
            cohort.viewers |= other.viewers
            cohort.changed()
        cohort.sent = visible
        self._cohorts.append(cohort)
        return [turn for turn in turns if turn.party.viewers]

    def enter(self, viewer: V, visible: int) -> None:
        """From now on the viewer gets every frame; it has everything that is visible."""
        self.leave(viewer)
        newest = self._cohorts[-1]
        if newest.sent != visible or len(newest.viewers) >= self._most:
            newest = _Cohort(visible)
            self._cohorts.append(newest)
        newest.viewers.add(viewer)
        newest.changed()

    @property
    def _most(self) -> int:
        """Viewers that a cohort may have: all who are there, if they are few enough."""
        there = sum(len(cohort.viewers) for cohort in self._cohorts)
        return self._sizes.alone if there <= self._sizes.alone else self._sizes.among

    def leave(self, viewer: V) -> None:
        """The viewer is gone; nothing happens if it was not there."""
        self._take(viewer)
        self.cold.pop(viewer, None)

    def cool(self, viewer: V) -> None:
        """The viewer's transport is full: it gets no frames, and what it misses begins after what it was sent last."""
        cohort = self._take(viewer)
        if cohort is not None:
            self.cold[viewer] = cohort.sent + 1

    def thaw(self, viewer: V, visible: int) -> tuple[int, int] | None:
        """The transport drained: back among the hot ones; returns the exact gap, None when nothing was missed."""
        first = self.cold.get(viewer)
        if first is None:
            return None
        self.enter(viewer, visible)
        return (first, visible) if first <= visible else None

    def _take(self, viewer: V) -> _Cohort[V] | None:
        for cohort in self._cohorts:
            if viewer in cohort.viewers:
                cohort.viewers.discard(viewer)
                cohort.changed()
                return cohort
        return None
