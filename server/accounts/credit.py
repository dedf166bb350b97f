"""Credit: a level from 0 to 4, computed from recorded events by the weights published here, and from nothing else (duty P9).

How much somebody writes never counts. What was decided does: removals that stood, held comments that were refused, measures,
lessons taken after a measure, and how often somebody's reports were right. Points of a day fade over :data:`FADE_DAYS` days; time
without decisions earns some.
"""

from __future__ import annotations

from typing import Final

DAY_MS: Final = 86_400_000
START: Final = 50
FADE_DAYS: Final = 180
DAYS_PER_POINT: Final = 3
MOST_FOR_TIME: Final = 60
LEAST: Final = -200
MOST: Final = 200

LEVELS: Final = (0, 20, 60, 90, 120)
"""The points from which on an account has the level of the place: below 20 level 0, from 20 on level 1, ... from 120 on level 4."""

WEIGHTS: Final[dict[str, int]] = {
    "removal.L": -40, "removal.M": -40, "removal.P": -30, "removal.S": -15, "removal.N": -15, "removal.A": -10,
    "refused_on_review": -5,
    "measure.warn": -5, "measure.restrict": -20, "measure.suspend": -40, "measure.close": -100, "measure.blacklist": -100,
    "report.upheld": 3, "report.unfounded": 0, "report.malicious": -10,
    "lesson": 5,
}  # fmt: skip
"""Points by what was counted. ``removal.X``: staff or a program removed a comment by a code of family X (an author's own recall
and an uploader's removal count nothing)."""


def weight(what: str) -> int:
    """The points of one thing counted; 0 for what has no published weight."""
    return WEIGHTS.get(what, 0)


def add(marks: tuple[tuple[int, int], ...], at_ms: int, points: int) -> tuple[tuple[int, int], ...]:
    """The marks with points added on the (UTC) day of a moment. Days that have faded wholly by the newest one are left out, so
    that an account never has more than :data:`FADE_DAYS` of them."""
    if not points:
        return marks
    day = at_ms // DAY_MS
    if not marks or marks[-1][0] < day:  # nearly always: entries come in the order of time
        return (*(mark for mark in marks if mark[0] > day - FADE_DAYS), (day, points))
    days = dict(marks)
    days[day] = days.get(day, 0) + points
    newest = max(days)
    return tuple(sorted((each, sum_) for each, sum_ in days.items() if sum_ and each > newest - FADE_DAYS))


def points(marks: tuple[tuple[int, int], ...], opened_ms: int, now_ms: int) -> int:
    """The points at a moment: the start, what time has earned, and each day's mark as far as it has not faded."""
    today = now_ms // DAY_MS
    earned = min(MOST_FOR_TIME, max(0, today - opened_ms // DAY_MS) // DAYS_PER_POINT) if opened_ms else 0
    left = 0
    for day, sum_ in marks:
        rest = FADE_DAYS - max(0, today - day)
        if rest > 0:
            left += sum_ * rest  # in parts of FADE_DAYS, so that rounding happens once
    return max(LEAST, min(MOST, START + earned + int(left / FADE_DAYS)))


def level(marks: tuple[tuple[int, int], ...], opened_ms: int, now_ms: int) -> int:
    """The level at a moment, 0 to 4."""
    found = points(marks, opened_ms, now_ms)
    return sum(found >= least for least in LEVELS[1:])
