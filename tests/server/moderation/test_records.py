"""server/moderation/records.py"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from server.accounts.measures import Record
from server.moderation import deciding, records
from server.moderation.book import ReviewBook
from server.moderation.records import Query
from tests.support.accounts import START_MS, Clock
from tests.support.review import ANN, BEN, BOSS, book, hold, report


def asked(desk: ReviewBook, **query: Any) -> list[int]:
    return [each.id for each in desk.read_now(lambda sql: records.listed(sql, Query(**query)))]


def some(desk: ReviewBook, clock: Clock) -> None:
    """Five decisions, an hour apart: a removal (1), a refusal (2), one that stays (3), a restoration of 1 (4), a removal (5)."""
    desk.write_now(lambda tx: deciding.remove(tx, "a", 1, "zoe", "S1", "advertising", **ANN))
    item = hold(desk, 1)
    clock.forward(hours=1)
    desk.write_now(lambda tx: deciding.decide_item(tx, item.id, item.version, "refuse", "L8", "an insult", **BEN))
    reported = report(desk, 1, 7, room="b")
    clock.forward(hours=1)
    desk.write_now(lambda tx: deciding.decide_item(tx, reported.id, reported.version, "keep", "K2", "fine", **ANN))
    clock.forward(hours=1)
    desk.write_now(lambda tx: deciding.restore(tx, "a", 1, "zoe", "R1", "a mistake", **BOSS))
    clock.forward(hours=1)
    desk.write_now(lambda tx: deciding.remove(tx, "a", 2, "yan", "L1", "law", **ANN))


def test_the_log_is_asked_by_each_of_its_fields(tmp_path: Path) -> None:
    """Newest first; what is asked for together must fit together; a letter is a family; it is paged by number."""
    clock = Clock()
    with book(tmp_path, clock) as desk:
        some(desk, clock)
        assert asked(desk) == [5, 4, 3, 2, 1]
        assert asked(desk, code="L") == [5, 2]
        assert asked(desk, code="L8") == [2]
        assert asked(desk, what="remove") == [5, 1]
        assert asked(desk, actor="staff:ann") == [5, 3, 1]
        assert asked(desk, actor="staff:ann", what="keep") == [3]
        assert asked(desk, room="a", seq=1) == [4, 1]
        assert asked(desk, account="zoe") == [4, 1]
        assert asked(desk, since_ms=START_MS + 3_600_000, until_ms=START_MS + 3 * 3_600_000) == [3, 2]
        assert asked(desk, limit=2) == [5, 4]
        assert asked(desk, before=4, limit=2) == [3, 2]
        assert asked(desk, code="%") == []


def test_a_decision_comes_with_what_belongs_to_it(tmp_path: Path) -> None:
    """The item that it decided, what it does in the log, and the decision that took it back."""
    clock = Clock()
    with book(tmp_path, clock) as desk:
        some(desk, clock)
        first = desk.read_now(lambda sql: records.context(sql, 1))
        assert first is not None
        assert first.source is None
        assert first.effect is not None
        assert (first.effect.kind, first.effect.done_ms) == ("remove", 0)
        assert first.reversed_by is not None
        assert first.reversed_by.id == 4
        kept = desk.read_now(lambda sql: records.context(sql, 3))
        assert kept is not None
        assert kept.source is not None
        assert (kept.source.queue, kept.source.reports, kept.effect, kept.reversed_by) == ("report", 1, None, None)
        assert desk.read_now(lambda sql: records.context(sql, 99)) is None


def test_a_measure_leads_to_the_decision_behind_it(tmp_path: Path) -> None:
    """Of a refusal by its id, of a removal by room and number: the newest before the measure; others have none."""
    clock = Clock()
    with book(tmp_path, clock) as desk:
        some(desk, clock)

        def behind(**fields: Any) -> int:
            given: dict[str, Any] = {
                "id": "m1", "account": "zoe", "rung": "delete", "code": "S1", "basis": "b", "clause": "", "functions": (),
                "room": "", "seq": 0, "at_ms": START_MS * 2, "until_ms": 0, "ended_ms": 0, "ended_how": "", "actor": "staff:ann",
                "role": "reviewer", "automated": False,
            }  # fmt: skip
            found = desk.read_now(lambda sql: records.of_measure(sql, Record(**{**given, **fields})))
            return found.id if found is not None else 0

        assert behind(room="a", seq=1) == 1
        assert behind(room="a", seq=2, at_ms=START_MS) == 0
        assert behind(id="m-review-2", rung="refuse") == 2
        assert behind(id="m-review-x", rung="refuse") == 0
        assert behind(rung="warn") == 0
