"""server/accounts/credit.py"""

from __future__ import annotations

import random
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.accounts import credit
from server.accounts.book import Transaction, read_entries
from server.accounts.credit import DAY_MS, FADE_DAYS, LEVELS, MOST, START, WEIGHTS, add, level, points, weight
from server.accounts.events import (
    AccountEvent,
    Appealed,
    Consented,
    Counted,
    Discounted,
    Entry,
    LessonTaken,
    NicknameChanged,
    Signed,
    Verified,
)
from server.accounts.standing import Standing, fold
from server.reasons import REMOVAL_CODES
from tests.support.accounts import START_MS, Clock, book

DAYS = st.integers(START_MS // DAY_MS, START_MS // DAY_MS + 400)
MOMENTS = DAYS.map(lambda day: day * DAY_MS + 3_600_000)


def test_thresholds_are_as_published() -> None:
    """Levels begin at 0, 20, 60, 90 and 120 points; a new account has 50 points, and so level 1."""
    assert LEVELS == (0, 20, 60, 90, 120)
    assert START == 50
    assert level((), START_MS, START_MS) == 1
    today = START_MS // DAY_MS
    for wanted in (0, 19, 20, 59, 60, 89, 90, 119, 120, 200):
        marks = add((), START_MS, wanted - START)
        assert points(marks, START_MS, START_MS) == wanted
        assert level(marks, START_MS, START_MS) == sum(wanted >= each for each in (20, 60, 90, 120)), (wanted, today)


def test_every_family_of_removals_has_its_weight() -> None:
    """A removal by staff costs by its family; what an author recalled or an uploader removed costs nothing."""
    for code in REMOVAL_CODES:
        assert (weight(f"removal.{code[0]}") < 0) == (code[0] != "U")
    assert weight("no such thing") == 0


def test_there_is_no_weight_on_how_much_somebody_writes() -> None:
    """Everything that counts is a decision, a report's outcome or a lesson: none of it is a number of comments."""
    assert {name.split(".")[0] for name in WEIGHTS} == {"removal", "refused_on_review", "measure", "report", "lesson"}


def test_time_without_decisions_earns_a_level() -> None:
    """A point for every three days, sixty at most: level 2 after a month, level 3 after four."""
    days = {day: points((), START_MS, START_MS + day * DAY_MS) for day in (0, 3, 30, 120, 180, 5_000)}
    assert days == {0: 50, 3: 51, 30: 60, 120: 90, 180: 110, 5_000: 110}
    assert points((), 0, START_MS) == START  # never opened: nothing is earned


def test_a_mark_fades_evenly() -> None:
    """What a decision cost is half as much after half the time, and nothing at its end."""
    marks = add((), START_MS, -40)
    opened = START_MS - 5_000 * DAY_MS
    found = [points(marks, opened, START_MS + day * DAY_MS) for day in (0, 45, 90, 135, 179, 180, 400)]
    assert found == [70, 80, 90, 100, 110, 110, 110]


def test_points_are_bounded() -> None:
    """Neither a hundred removals nor a thousand good reports go beyond the ends."""
    assert points(add((), START_MS, -4_000), START_MS, START_MS) == credit.LEAST
    assert points(add((), START_MS, 3_000), START_MS, START_MS) == MOST


@given(st.lists(st.tuples(MOMENTS, st.sampled_from(sorted(WEIGHTS))), max_size=60), st.data())
def test_a_reversal_restores_exactly(counted: list[tuple[int, str]], data: st.DataObject) -> None:
    """Taking back what was counted, in any order and whenever, leaves the points as if it had never been."""
    counted.sort()
    now = max([START_MS, *(at for at, _ in counted)])
    kept = [data.draw(st.booleans()) for _ in counted]
    without: tuple[tuple[int, int], ...] = ()
    marks: tuple[tuple[int, int], ...] = ()
    for (at, what), keep in zip(counted, kept, strict=True):
        marks = add(marks, at, weight(what))
        without = add(without, at, weight(what)) if keep else without
    taken_back = [each for each, keep in zip(counted, kept, strict=True) if not keep]
    for at, what in data.draw(st.permutations(taken_back)):
        marks = add(marks, at, -weight(what))
    for later in range(0, 400, 37):
        assert points(marks, START_MS, now + later * DAY_MS) == points(without, START_MS, now + later * DAY_MS)


@pytest.mark.parametrize("times", [1, 3])
def test_marks_stay_few(times: int) -> None:
    """However much is counted, an account has one mark for a day of the last half year at most, in order of days."""
    today = START_MS // DAY_MS
    marks: tuple[tuple[int, int], ...] = ()
    for day in range(400):
        for _ in range(times):
            marks = add(marks, (today + day) * DAY_MS + day, -2)
    assert marks == tuple((today + day, -2 * times) for day in range(400 - FADE_DAYS, 400))
    again = add(marks, (today + 250) * DAY_MS, 2 * times)
    assert again == tuple(mark for mark in marks if mark[0] != today + 250)


def test_taking_back_what_has_faded_leaves_no_mark() -> None:
    """A decision reversed after years changes nothing any more, and takes no room."""
    marks = add((), START_MS + 200 * DAY_MS, -5)
    assert add(marks, START_MS, 40) == marks


def by_the_book(events: list[tuple[int, str, str]], opened_ms: int, now_ms: int) -> int:
    """The points again, from the definition: each event by itself, with fractions of its own. (at, what, ref); "-" takes back."""
    taken_back = {ref for _, what, ref in events if what == "-"}
    parts = 0
    for at, what, ref in events:
        rest = FADE_DAYS - (now_ms // DAY_MS - at // DAY_MS)
        if what != "-" and ref not in taken_back and rest > 0:
            parts += WEIGHTS[what] * rest
    earned = min(60, (now_ms // DAY_MS - opened_ms // DAY_MS) // 3)
    return max(-200, min(200, 50 + earned + int(parts / FADE_DAYS)))


def test_the_credit_of_a_thousand_accounts_is_reproduced_from_their_events(tmp_path: Path) -> None:
    """A year of decisions and reversals on 1,000 accounts: the ledger read anew gives the credit of each, by a second computation."""
    rng = random.Random(7)
    clock = Clock()
    names = [f"a-{number}" for number in range(1_000)]
    expected: dict[str, list[tuple[int, str, str]]] = {name: [] for name in names}
    live: dict[str, Standing] = {}

    def day(tx: Transaction) -> None:
        for name in (*names[:10], *rng.sample(names[10:], 90)):
            reversed_ = {ref for _, what, ref in expected[name] if what == "-"}
            back = [each for each in expected[name] if each[1] != "-" and each[2] not in reversed_]
            if back and rng.random() < 0.2:
                at, what, ref = rng.choice(back)
                tx.append(name, Discounted(what=what, ref=ref, counted_ms=at), actor="staff:b", role="senior")
                expected[name].append((tx.now_ms, "-", ref))
            else:
                what = "report.upheld" if name in names[:10] else rng.choice(sorted(WEIGHTS))
                ref = f"r{len(expected[name])}"
                tx.append(name, Counted(what=what, ref=ref), actor="staff:a", role="reviewer")
                expected[name].append((tx.now_ms, what, ref))

    with book(tmp_path, clock) as accounts:
        accounts.write_now(lambda tx: [tx.open(name) for name in names])
        for _ in range(40):
            clock.forward(days=9, hours=5)
            accounts.write_now(day)
        live = {name: found for name in names if (found := accounts.standings.get(name))}
    assert len(live) == 1_000
    with book(tmp_path, clock) as again:
        entries = again.read_now(lambda connection: {name: read_entries(connection, name) for name in names})
    levels = set()
    for name in names:
        replayed = fold(name, entries[name])
        assert replayed == live[name]
        for later in (0, 30, 200):
            now = clock.now_ms + later * DAY_MS
            assert points(replayed.marks, START_MS, now) == by_the_book(expected[name], START_MS, now), name
        levels.add(replayed.level(clock.now_ms))
    assert levels == {0, 1, 2, 3, 4}


def test_volume_alone_never_costs() -> None:
    """Nothing but what was decided changes points: there is no event of posting, and a thousand others leave no mark."""
    plain: list[AccountEvent] = [
        Verified(method="phone"), Signed(document="agreement", version="1", sha256="", language="en"), NicknameChanged(),
        Consented(purpose="p", version="1"), LessonTaken(version="1"), Appealed(appeal="p-1", measure="m-1"),
    ]  # fmt: skip
    entries = [
        Entry(id=number, account="a", at_ms=START_MS + number, actor="a", role="person", event=plain[number % len(plain)])
        for number in range(1, 1_001)
    ]
    assert fold("a", entries).marks == ()
    assert not {tag for each in get_args(AccountEvent) if "comment" in (tag := each.__struct_config__.tag) or "post" in tag}


@pytest.mark.parametrize("weights", [dict(WEIGHTS)])
def test_the_published_weights(weights: dict[str, int]) -> None:
    """The weights are what people were told; whoever changes one changes this list and docs/accounts.md with it."""
    assert weights == {
        "removal.L": -40, "removal.M": -40, "removal.P": -30, "removal.S": -15, "removal.N": -15, "removal.A": -10,
        "refused_on_review": -5, "measure.warn": -5, "measure.restrict": -20, "measure.suspend": -40, "measure.close": -100,
        "measure.blacklist": -100, "report.upheld": 3, "report.unfounded": 0, "report.malicious": -10, "lesson": 5,
    }  # fmt: skip
