"""server/core/raids.py: a raid is told from a crowd."""

from __future__ import annotations

import random

from server.core import raids
from server.core.raids import BAD, LEAST, MAX_AUTHORS, MAX_ROOMS, WINDOW_MS, Raids


def talk(watch: Raids, at_ms: int, authors: range, *, level: int, bad: float = 0.0, room: str = "r") -> None:
    """Each author says one thing within the window that begins at ``at_ms``."""
    chance = random.Random(at_ms)
    for number in authors:
        when = at_ms + (number - authors.start) * (WINDOW_MS - 1) // max(1, len(authors))
        watch.note(room, f"a{number}", level, chance.random() < bad, when)


def test_newcomers_who_flood_a_room_are_noticed() -> None:
    """After a quiet while, 80 newcomers say what is refused: the raid is told once, with its figures."""
    watch = Raids()
    for window in range(6):
        talk(watch, window * WINDOW_MS, range(40), level=2)
    talk(watch, 6 * WINDOW_MS, range(1000, 1080), level=1, bad=0.6)
    (raid,) = watch.noticed()
    assert (raid.room, raid.authors >= raid.newcomers >= LEAST) == ("r", True)
    assert raid.bad >= BAD
    assert watch.noticed() == []
    talk(watch, 7 * WINDOW_MS, range(2000, 2080), level=1, bad=0.6)
    assert watch.noticed() == []  # told a moment ago
    talk(watch, 30 * WINDOW_MS, range(3000, 3080), level=1, bad=0.6)
    assert len(watch.noticed()) == 1


def test_a_crowd_that_behaves_is_no_raid() -> None:
    """As many newcomers, who say what may be said; and regulars who do not."""
    watch = Raids()
    talk(watch, 0, range(500), level=1, bad=BAD / 3)
    talk(watch, WINDOW_MS, range(500), level=3, bad=1.0)
    assert watch.noticed() == []


def test_what_is_usual_in_a_room_is_no_raid() -> None:
    """A room that is always full of newcomers with poor manners is no more raided than it always is; nor are few of them a raid."""
    watch = Raids()
    for window in range(40):
        talk(watch, window * WINDOW_MS, range(window * 100, window * 100 + 25 + min(window, 20)), level=1, bad=0.5)
    assert watch.noticed() == []
    talk(watch, 0, range(LEAST - 1), level=0, bad=1.0, room="small")
    assert watch.noticed() == []


def test_newcomers_among_many_regulars_are_no_raid() -> None:
    """They are a small part of those who speak."""
    watch = Raids()
    talk(watch, 0, range(1000), level=2)
    talk(watch, 1, range(1000, 1000 + LEAST * 2), level=1, bad=1.0)
    assert watch.noticed() == []


def test_what_is_usual_is_forgotten_while_a_room_is_quiet() -> None:
    """Hours later the same crowd is unusual again."""
    watch = Raids()
    for window in range(40):
        talk(watch, window * WINDOW_MS, range(window * 100, window * 100 + 25), level=1, bad=0.5)
    talk(watch, 1000 * WINDOW_MS, range(9000, 9040), level=1, bad=0.9)
    assert len(watch.noticed()) == 1


def test_memory_is_bounded() -> None:
    """Rooms that were quiet for longest are forgotten; authors beyond the bound are not told apart."""
    watch = Raids()
    for number in range(MAX_ROOMS + 10):
        watch.note(f"r{number}", "a", 1, False, 0)
    assert len(watch) == MAX_ROOMS
    for number in range(MAX_AUTHORS + 10):
        watch.note("r", f"a{number}", 1, False, 5)
    assert len(watch._rooms["r"].authors) == len(watch._rooms["r"].newcomers) == raids.MAX_AUTHORS
