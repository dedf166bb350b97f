"""server/moderation/context.py"""

from __future__ import annotations

from pathlib import Path

from server.moderation import context, deciding
from tests.support.accounts import DAY_MS, START_MS, Clock
from tests.support.review import ANN, book, hold, report


def test_equal_texts_are_counted_with_their_authors_and_rooms(tmp_path: Path) -> None:
    """Open ones of the same queue, whatever their case and width; not the item itself."""
    with book(tmp_path) as review:
        first = hold(review, 1, text="Ｂｕｙ now")
        hold(review, 2, text="buy  NOW", author_id="p-2", room="b")
        hold(review, 3, text="buy now", author_id="p-2")
        hold(review, 4, text="else")
        report(review, 1, text="buy now")
        assert review.read_now(lambda c: context.equal(c, first)) == (2, 1, 2)
        decided = review.write_now(lambda tx: deciding.decide_item(tx, first.id, first.version, "refuse", "S1", "x", **ANN))
        assert review.read_now(lambda c: context.earlier(c, first)) == [decided]


def test_reports_are_grouped_by_their_reason(tmp_path: Path) -> None:
    """The most frequent first."""
    with book(tmp_path) as review:
        for number, reason in enumerate(("L8", "S1", "S1"), 1):
            item = report(review, number, reason=reason, account=f"r{number}")
        found = review.read_now(lambda c: context.reports(c, item))
    assert [(each.reason, each.number) for each in found] == [("S1", 2), ("L8", 1)]
    assert all(each.first_ms < each.due_ms for each in found)


def test_a_record_tells_what_was_decided_about_an_author_lately(tmp_path: Path) -> None:
    """How often each, and the newest; what is older than the span is not counted, and nobody has no record."""
    clock = Clock()
    with book(tmp_path, clock) as review:
        for number in range(1, 8):
            item = hold(review, number)
            verdict: deciding.Verdict = "publish" if number == 1 else "refuse"
            code = "K1" if number == 1 else "S1"
            review.write_now(lambda tx: deciding.decide_item(tx, item.id, item.version, verdict, code, "x", **ANN))  # noqa: B023
        found = review.read_now(lambda c: context.record(c, "ann", START_MS))
        assert found.counts == {"publish": 1, "refuse": 6}
        assert len(found.latest) == 5
        assert found.latest[0].id > found.latest[-1].id
        later = START_MS + (context.DAYS + 1) * DAY_MS
        assert review.read_now(lambda c: context.record(c, "ann", later)) == ({}, [])
        assert review.read_now(lambda c: context.record(c, "", START_MS)) == ({}, [])
