"""server/moderation/team.py"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from server.errors import Refusal
from server.moderation import deciding, queue, team
from server.moderation.book import ReviewBook, Transaction
from server.moderation.team import HOUR_MS, LONGEST_MS
from server.settings import Settings
from tests.support.accounts import DAY_MS, START_MS, Clock
from tests.support.review import ANN, BEN, BOSS, book, decisions, hold, put

SETTINGS = Settings()
MIN_MS = 60_000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desk(tmp_path: Path, clock: Clock) -> Iterator[ReviewBook]:
    with book(tmp_path, clock) as found:
        yield found


def refused(desk: ReviewBook, work: Callable[[Transaction], Any]) -> str:
    with pytest.raises(Refusal) as caught:
        desk.write_now(work)
    return caught.value.code.name


def plan(desk: ReviewBook, member: str = "staff:ann", begin: int = 0, end: int = HOUR_MS, queue_: str = "") -> int:
    """A shift, by its distance from the beginning of the test."""
    return desk.write_now(lambda tx: team.plan(tx, member, START_MS + begin, START_MS + end, queue_, **BOSS))


def arrive(desk: ReviewBook, number: int, name: Any = "held", first: int = 1) -> None:
    for at in range(first, first + number):
        put(desk, queue=name, source=f"s:{name}:{at}")


def figures(desk: ReviewBook, clock: Clock, settings: Settings = SETTINGS) -> team.Figures:
    return desk.read_now(lambda c: team.figures(c, settings, clock.now_ms))


def work_off(desk: ReviewBook, clock: Clock, number: int, seconds: float, by: dict[str, Any] = ANN) -> None:
    """Decide items one after the other, each so long after the one before."""
    for _ in range(number):
        [item] = desk.write_now(lambda tx: queue.claim_next(tx, "held", by["actor"]))
        clock.now_ms += round(seconds * 1000)
        desk.write_now(lambda tx, item=item: deciding.decide_item(tx, item.id, item.version, "refuse", "S1", "x", **by))  # type: ignore[misc]


def test_duty_p5_7_more_work_than_seats_alarms(desk: ReviewBook, clock: Clock) -> None:
    """Arrivals times handling time over the reviewers on shift: at 18 seconds an item, 400 items an hour keep two reviewers busy, so
    one is too few, two are, and three are enough."""
    arrive(desk, 400)
    assert figures(desk, clock).desk.utilisation is None, "nobody has planned anything: load cannot be told"
    assert not figures(desk, clock).alarm
    desk.write_now(lambda tx: team.commit_seats(tx, "", 2, **BOSS))
    found = figures(desk, clock)
    assert (found.desk.needed, found.desk.capacity, found.desk.utilisation) == (2.0, 2, 1.0)
    assert found.alarm
    assert found.overloaded == [found.desk]
    for member in ("ann", "ben", "carl"):
        plan(desk, f"staff:{member}")
    found = figures(desk, clock)
    assert (found.desk.capacity, found.desk.over, found.alarm) == (3, False, False)
    assert found.desk.utilisation == pytest.approx(2 / 3)
    assert found.desk.clear_h == pytest.approx(2 / 3)
    clock.now_ms += HOUR_MS - 1
    assert figures(desk, clock).desk.arrived_hour == 400
    clock.now_ms += 1
    later = figures(desk, clock)
    assert (later.desk.arrived_hour, later.desk.arrived_day, later.desk.waiting) == (0, 400, 400)
    assert (later.desk.capacity, later.desk.utilisation, later.desk.clear_h) == (0, 0.0, None)
    put(desk, source="s:new", at_ms=clock.now_ms)
    assert figures(desk, clock).desk.utilisation == float("inf"), "work comes and nobody is there"
    assert figures(desk, clock).alarm


def test_duty_p5_7_a_shift_in_which_nobody_is_seen_alarms(desk: ReviewBook, clock: Clock) -> None:
    """After a quarter of an hour without a decision or a claim; a sign of the member ends it; a claim that is held is one."""
    hold(desk, 1)
    plan(desk)
    plan(desk, "staff:ben")
    clock.now_ms += 15 * MIN_MS - 1
    assert figures(desk, clock).absent == []
    clock.now_ms += 1
    found = figures(desk, clock)
    assert [each.member for each in found.absent] == ["staff:ann", "staff:ben"]
    assert found.alarm
    assert found.desk.present == 0
    desk.write_now(lambda tx: queue.claim_next(tx, "held", "staff:ann"))
    desk.write_now(lambda tx: deciding.remove(tx, "a", 1, "x", "S1", "y", **BEN))
    found = figures(desk, clock)
    assert (found.absent, found.desk.present) == ([], 2)
    clock.now_ms += 15 * MIN_MS
    assert [each.member for each in figures(desk, clock).absent] == ["staff:ann", "staff:ben"], (
        "lease and quarter hour are over"
    )


def test_attendance_is_what_was_done_in_the_shift(desk: ReviewBook, clock: Clock) -> None:
    """Decisions before, after and by others do not count; the last minute of the shift does."""
    plan(desk, begin=HOUR_MS, end=2 * HOUR_MS)
    plan(desk, "staff:ben", begin=HOUR_MS, end=2 * HOUR_MS)

    def act(at_ms: int, by: dict[str, Any]) -> None:
        clock.now_ms = START_MS + at_ms
        desk.write_now(lambda tx: deciding.remove(tx, "a", at_ms, "x", "S1", "y", **by))

    act(HOUR_MS - 1, ANN)
    act(HOUR_MS, ANN)
    act(2 * HOUR_MS - 1, ANN)
    act(2 * HOUR_MS, BEN)
    shifts = desk.read_now(lambda c: team.shifts(c, START_MS, START_MS + DAY_MS))
    found = desk.read_now(lambda c: team.attended(c, shifts, clock.now_ms, 1))
    assert [(each.shift.member, each.decisions, each.last_ms - START_MS, each.attended) for each in found] == [
        ("staff:ann", 2, 2 * HOUR_MS - 1, True), ("staff:ben", 0, -START_MS, False),
    ]  # fmt: skip
    assert not any(each.absent for each in found), "over is over"


def test_shifts_are_planned_within_bounds(desk: ReviewBook, clock: Clock) -> None:
    """Not twice at a time, not backwards, not too long, not in the past; a cancelled one frees its time."""
    first = plan(desk)
    for begin, end in ((0, 1), (HOUR_MS - 1, HOUR_MS + 1), (-1, 2 * HOUR_MS)):
        with pytest.raises(Refusal, match="at this time already"):
            plan(desk, "staff:ann", begin, end)
    plan(desk, begin=HOUR_MS, end=2 * HOUR_MS)
    for begin, end in ((5, 5), (9, 8), (3 * HOUR_MS, 3 * HOUR_MS + LONGEST_MS + 1), (-9, -1), (400 * DAY_MS, 400 * DAY_MS + 1)):
        with pytest.raises(Refusal, match="a shift"):
            plan(desk, "staff:ben", begin, end)
    assert refused(desk, lambda tx: team.plan(tx, "staff:ben", START_MS, START_MS + 1, "lunch", **BOSS)) == "bad_message"
    desk.write_now(lambda tx: team.cancel(tx, first, **BOSS))
    assert refused(desk, lambda tx: team.cancel(tx, first, **BOSS)) == "bad_step"
    assert refused(desk, lambda tx: team.cancel(tx, 99, **BOSS)) == "not_found"
    again = plan(desk)
    seen = desk.read_now(lambda c: team.shifts(c, START_MS, START_MS + 1))
    assert [each.id for each in seen] == [again]


def test_seats_are_said_by_queue_and_in_all(desk: ReviewBook, clock: Clock) -> None:
    """The newest word stands, each is in the decision log, and a queue with seats of its own has a load of its own."""
    for name, number in (("", 3), ("news", 1), ("news", 2), ("report", 1), ("report", 0)):
        desk.write_now(lambda tx, n=name, m=number: team.commit_seats(tx, n, m, **BOSS))  # type: ignore[misc]
    assert desk.read_now(team.committed) == {"": 3, "news": 2}
    assert [each.basis for each in decisions(desk)][:2] == ["seats: 3", "seats: 1 news"]
    assert refused(desk, lambda tx: team.commit_seats(tx, "lunch", 1, **BOSS)) == "bad_message"
    assert refused(desk, lambda tx: team.commit_seats(tx, "", -1, **BOSS)) == "bad_message"
    arrive(desk, 500, "news")
    found = figures(desk, clock)
    assert [(each.queue, each.seats, each.needed, each.over) for each in found.queues] == [("news", 2, 2.5, True)]
    assert (found.desk.seats, found.desk.over) == (3, False)
    plan(desk, queue_="news")
    plan(desk, "staff:ben")
    found = figures(desk, clock)
    assert [(each.on_shift, each.capacity) for each in (found.desk, *found.queues)] == [(2, 2), (1, 1)]


def test_handling_times_are_measured_from_the_decision_log(desk: ReviewBook, clock: Clock) -> None:
    """From the claim, or the decision before it when that is later: claiming ahead takes no time. With fewer than twenty the time of
    the settings stands."""
    arrive(desk, 40)
    [*ahead] = desk.write_now(lambda tx: queue.claim_next(tx, "held", "staff:ann", number=10))
    for seconds, item in enumerate(ahead, 1):
        clock.now_ms += seconds * 1000
        desk.write_now(lambda tx, item=item: deciding.decide_item(tx, item.id, item.version, "refuse", "S1", "x", **ANN))  # type: ignore[misc]
    found = figures(desk, clock).desk.handling
    assert (found.number, found.measured, found.mean_s, found.p90_s) == (10, False, 18.0, 18.0)
    work_off(desk, clock, 9, 20, BEN)
    work_off(desk, clock, 1, 29 * 60)
    work_off(desk, clock, 1, 31 * 60)
    found = figures(desk, clock).desk.handling
    assert (found.number, found.measured) == (20, True), "what took longer than half an hour was interrupted"
    assert found.mean_s == pytest.approx((55 + 180 + 29 * 60) / 20)
    assert (found.p50_s, found.p90_s) == (20.0, 20.0)


def test_equal_texts_decided_together_take_the_time_of_one(desk: ReviewBook, clock: Clock) -> None:
    """The others of the batch take none."""
    arrive(desk, 5)
    [first] = desk.write_now(lambda tx: queue.claim_next(tx, "held", "staff:ann"))
    clock.now_ms += 10_000
    rest = [
        (each.id, each.version) for each in desk.read_now(lambda c: queue.listed(c, "held", queue.EVERYTHING, clock.now_ms, 9))
    ]
    desk.write_now(
        lambda tx: deciding.decide_many(tx, sorted(rest, key=lambda each: each[0] != first.id), "refuse", "S1", "x", **ANN)
    )
    times = desk.read_now(lambda c: team.handling_times(c, clock.now_ms))
    assert sorted(times["held"]) == [0, 0, 0, 0, 10]
    clock.now_ms += DAY_MS + 1
    assert desk.read_now(lambda c: team.handling_times(c, clock.now_ms)) == {}
