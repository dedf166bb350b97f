"""server/moderation/figures.py"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from filters.swarm import Evidence
from filters.verdict import Action, Reason
from server.moderation import deciding, figures, swarms
from server.moderation.book import ReviewBook
from server.moderation.queue import Item
from tests.support.accounts import START_MS, Clock
from tests.support.review import ANN, BEN, book, hold, put, report

MINUTE_MS = 60_000


def decide(review: ReviewBook, item: Item, verdict: Any, code: str, by: dict[str, Any] = ANN) -> int:
    return review.write_now(lambda tx: deciding.decide_item(tx, item.id, item.version, verdict, code, "x", **by)).id


def test_queues_stand_as_they_are(tmp_path: Path) -> None:
    """How many wait, and for how long."""
    with book(tmp_path) as review:
        for number, age in enumerate((1, 11, 61, 7 * 60, 25 * 60), 1):
            hold(review, number, at_ms=START_MS - age * MINUTE_MS)
        found = review.read_now(lambda c: figures.standings(c, START_MS))
    assert found["held"].ages == [1, 1, 1, 1, 1]
    assert found["held"].now.open == 5
    assert found["news"].ages == [0] * 5


def test_hours_have_what_came_and_what_was_decided(tmp_path: Path) -> None:
    """Of the last day, empty ones too; the last hour is the one under way."""
    clock = Clock()
    with book(tmp_path, clock) as review:
        first = hold(review, 1)
        clock.now_ms += 2 * figures.HOUR_MS
        decide(review, first, "refuse", "S1")
        found = review.read_now(lambda c: figures.hours(c, clock.now_ms, 4))
        assert len(review.read_now(lambda c: figures.hours(c, clock.now_ms))) == 24
        codes = review.read_now(lambda c: figures.codes(c, clock.now_ms))
    assert [each.arrived for each in found] == [{}, {"held": 1}, {}, {}]
    assert [each.decided for each in found] == [{}, {}, {}, {"refuse": 1}]
    assert all(each.start_ms % figures.HOUR_MS == 0 for each in found)
    assert codes == {"S1": 1}


def test_members_are_counted_by_the_time_in_which_they_worked(tmp_path: Path) -> None:
    """Who decides six times in two slots of five minutes makes 36 an hour; what is taken back is counted apart."""
    clock = Clock(START_MS - START_MS % 300_000)
    with book(tmp_path, clock) as review:
        for number in range(1, 7):
            clock.now_ms += MINUTE_MS
            last = decide(review, hold(review, number), "refuse", "S1")
        review.write_now(lambda tx: deciding.undo(tx, last, **ANN))
        decide(review, hold(review, 9), "refuse", "S1", BEN)
        found = review.read_now(lambda c: figures.workers(c, clock.now_ms))
        nobody = review.read_now(lambda c: figures.workers(c, clock.now_ms + 2 * 24 * figures.HOUR_MS))
    assert [(each.actor, each.decisions, each.undone) for each in found] == [("staff:ann", 6, 1), ("staff:ben", 1, 0)]
    assert round(found[0].per_hour) == 36
    assert nobody == []
    assert figures.Worker("x", 1, 0, 0.0).per_hour == 0


def test_rules_are_told_with_what_became_of_what_they_held(tmp_path: Path) -> None:
    """Rules that only watch, and those of comments that still wait, are not counted."""
    reasons = [
        Reason(action=Action.HOLD, code="held_for_review", rule="ads.contact"),
        Reason(action=Action.HOLD, code="held_for_review", rule="watcher", observer=True),
        Reason(action=Action.ACCEPT, code="", rule="cancelled"),
    ]
    verdict = msgspec.json.encode({"rules": "h", "action": "hold", "reasons": reasons})
    with book(tmp_path) as review:
        decide(review, hold(review, 1, verdict=verdict), "publish", "K1")
        decide(review, hold(review, 2, verdict=verdict), "refuse", "S1")
        decide(review, hold(review, 3, verdict=verdict), "refuse", "S1")
        hold(review, 4, verdict=verdict)
        decide(review, put(review, source="s:9"), "refuse", "S1")  # without a verdict
        found = review.read_now(lambda c: figures.rules(c, START_MS + 1))
    assert found == [figures.RuleFigures("ads.contact", 1, 2)]


def test_reports_are_counted_by_their_outcome(tmp_path: Path) -> None:
    """Those received within the span, and those that wait for too long."""
    with book(tmp_path) as review:
        decide(review, report(review, 1, seq=1), "remove", "S1")
        decide(review, report(review, 2, seq=2), "keep", "K2")
        decide(review, report(review, 3, seq=3), "keep", "K3")
        report(review, 4, seq=4)
        found = review.read_now(lambda c: figures.reports(c, START_MS + 1))
        late = review.read_now(lambda c: figures.reports(c, START_MS + 10 * 24 * figures.HOUR_MS))
    assert found == figures.Reports(4, 1, 1, 1, 0)
    assert late == figures.Reports(0, 0, 0, 0, 1)


def test_groups_that_act_together_are_drawn_as_a_graph(tmp_path: Path) -> None:
    """With the largest first, each tie once, and nobody who is not among the closest."""

    def evidence(account: str, *peers: str) -> Evidence:
        return Evidence(account=account, peers=peers, texts=3, rooms=2, at_ms=START_MS)

    with book(tmp_path) as review:
        review.write_now(
            lambda tx: swarms.note(tx, "comments", [evidence("a", "b", "c"), evidence("b", "a", "z"), evidence("c", "a")])
        )
        review.write_now(lambda tx: swarms.note(tx, "reports", [evidence("m", "n")]))
        large, small = review.read_now(lambda c: figures.swarm_graph(c, START_MS))
        assert review.read_now(lambda c: figures.swarm_graph(c, START_MS + 3 * 24 * figures.HOUR_MS)) == []
        assert review.read_now(lambda c: figures.swarm_of(c, 99)).members == 0
    assert (large.members, large.accounts, large.ties) == (3, ["a", "b", "c"], [(0, 1), (0, 2)])
    assert (small.members, small.ties) == (1, [])
