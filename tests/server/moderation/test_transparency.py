"""server/moderation/transparency.py"""

from __future__ import annotations

import zoneinfo
from pathlib import Path

from sqlalchemy import update

from server.moderation import deciding, differences, second, tables, transparency
from server.store.tallies import Tally
from tests.server.moderation.test_second import DAY, drawn, items_made, remove
from tests.support.accounts import START_MS, Clock
from tests.support.review import ANN, BEN, BOSS, book, hold, report

ZONE = zoneinfo.ZoneInfo("Asia/Shanghai")
TALLIES = [
    Tally(kind="comment", code="", role="", count=100),
    Tally(kind="removal", code="L8", role="reviewer", count=2),
    Tally(kind="removal", code="S1", role="operator", count=3),
    Tally(kind="removal", code="U1", role="author", count=4),
    Tally(kind="restoration", code="R2", role="reviewer", count=1),
    Tally(kind="notice", code="", role="", count=9),
]


def test_months_are_those_of_the_site(tmp_path: Path) -> None:
    """A month begins at midnight of the site's zone; from the first to the one that goes on, newest first."""
    assert transparency.is_month("2026-11")
    assert not any(map(transparency.is_month, ("2026-13", "2026-1", "2026-11 ", "x", "2026-11-01")))
    since_ms, until_ms = transparency.span_of("2026-12", ZONE)
    assert (until_ms - since_ms) == 31 * 86_400_000
    assert transparency.month_of(since_ms, ZONE) == "2026-12"
    assert transparency.month_of(since_ms - 1, ZONE) == "2026-11"
    assert transparency.months(since_ms - 1, until_ms, ZONE) == ["2027-01", "2026-12", "2026-11"]
    assert transparency.months(until_ms + 1, since_ms, ZONE) == ["2026-12"]


def test_figures_of_the_logs_are_counted_by_reason_and_by_whom(tmp_path: Path) -> None:
    """What authors took back is apart from what was removed."""
    with book(tmp_path) as desk:
        found = desk.read_now(lambda sql: transparency.compile_month(sql, TALLIES, "2026-09", ZONE, START_MS))
    assert found["comments"] == {
        "published": 100, "removed": 5, "restored": 1, "recalled": 4, "removed_by_family": {"L": 2, "S": 3},
        "removed_by_role": {"operator": 3, "reviewer": 2},
    }  # fmt: skip
    assert found["complete"] is False
    assert found["records"] == {"decisions": 0, "first": 0, "last": 0, "sha256": ""}
    assert len(found["days"]) == 30


def test_a_month_of_decisions_in_figures(tmp_path: Path) -> None:
    """Decisions by kind and code, waits by queue, reports by outcome, the second review and its rate, and each day by family."""
    clock = Clock()
    with book(tmp_path, clock) as desk:
        desk.write_now(lambda tx: second.begin(tx, DAY, 1.0))
        remove(desk, 1)
        item = hold(desk, 1)
        reported = report(desk, 1, 7)
        report(desk, 2, 8)
        clock.forward(seconds=90)
        desk.write_now(lambda tx: deciding.decide_item(tx, item.id, item.version, "refuse", "L8", "an insult", **ANN))
        desk.write_now(lambda tx: deciding.decide_item(tx, reported.id, reported.version, "keep", "K3", "spite", **BEN))
        desk.write_now(lambda tx: tx.sql.execute(update(tables.effects).values(done_ms=1, seq=2)))
        drawn(desk, clock)
        again = items_made(desk, {1: "a text"})
        desk.write_now(lambda tx: second.judge(tx, again[0].id, again[0].version, "K1", "fine", **BEN))
        desk.write_now(lambda tx: second.judge(tx, again[1].id, again[1].version, "L1", "worse", **BEN))
        desk.write_now(lambda tx: differences.settle(tx, 1, "changed", "R1", "a mistake", **BOSS))
        clock.now_ms = transparency.span_of("2026-09", ZONE)[1]
        found = desk.read_now(lambda sql: transparency.compile_month(sql, [], "2026-09", ZONE, clock.now_ms))
        again_found = desk.read_now(lambda sql: transparency.compile_month(sql, [], "2026-09", ZONE, clock.now_ms + 1))
        assert found == again_found
        assert desk.read_now(transparency.first_decision_ms) == START_MS
    decided = found["decisions"]
    assert decided["by_what"] == {"confirm": 1, "differ": 1, "keep": 1, "refuse": 1, "remove": 1, "restore": 1}
    assert (decided["total"], decided["automated"], decided["reversing"]) == (6, 0, 1)
    assert decided["removing_by_code"] == {"L8": 1, "S1": 1}
    assert found["waiting_minutes"]["held"] == {"count": 1, "median": 1.5, "nine_tenths": 1.5}
    assert found["reports"] == {
        "received": 2, "decided": 1, "upheld": 0, "unfounded": 0, "malicious": 1, "answered_late": 0, "waiting_at_end": 1,
    }  # fmt: skip
    assert found["second_review"] == {"judged": 2, "differed": 1, "changed": 1, "decisions": 3, "chosen": 3, "days": 1}
    day = next(each for each in found["days"] if each["day"] == DAY)
    assert day == {"day": DAY, "removed": {"L": 1, "S": 1}, "kept": 1}
    assert found["complete"] is True
    assert (found["records"]["decisions"], len(found["records"]["sha256"])) == (6, 64)


def test_the_hash_of_a_month_changes_with_any_decision(tmp_path: Path) -> None:
    """It names what the figures were counted from."""
    with book(tmp_path) as desk:
        remove(desk, 1)
        before = desk.read_now(lambda sql: transparency.digest_of(sql, 0, START_MS + 1))
        assert before == desk.read_now(lambda sql: transparency.digest_of(sql, 0, START_MS + 1))
        remove(desk, 2)
        assert before != desk.read_now(lambda sql: transparency.digest_of(sql, 0, START_MS + 1))
