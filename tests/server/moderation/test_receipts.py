"""server/moderation/receipts.py"""

from __future__ import annotations

from pathlib import Path

from server.moderation import deciding, receipts
from server.moderation.receipts import Status
from tests.support.accounts import START_MS
from tests.support.review import ANN, book, report


def test_a_report_that_waits_says_until_when(tmp_path: Path) -> None:
    """It tells what it is about, how many are decided with it, and no outcome."""
    with book(tmp_path) as desk:
        report(desk, 1, 7, reason="L8")
        report(desk, 2, 7, reason="S1")
        found = desk.read_now(lambda sql: receipts.find(sql, "R2"))
        assert found == Status(
            receipt="R2", at_ms=START_MS, due_ms=START_MS + 86_400_000, reason="S1", room="a", seq=7, together=2, outcome="",
            code="", decided_ms=0, reversed=False,
        )  # fmt: skip
        assert not found.late(START_MS + 86_400_000)
        assert found.late(START_MS + 86_400_001)
        assert desk.read_now(lambda sql: receipts.find(sql, "R3")) is None


def test_an_outcome_that_was_taken_back_is_told_as_such(tmp_path: Path) -> None:
    """The decision reaches all reports of the item; what takes it back is known from then on."""
    with book(tmp_path) as desk:
        item = report(desk, 1, 7)
        report(desk, 2, 7)
        done = desk.write_now(lambda tx: deciding.decide_item(tx, item.id, item.version, "keep", "K2", "fine", **ANN))
        for number in ("R1", "R2"):
            found = desk.read_now(lambda sql: receipts.find(sql, number))  # noqa: B023 - called at once
            assert found is not None
            assert (found.outcome, found.code, found.decided_ms, found.reversed) == ("unfounded", "K2", START_MS, False)
            assert not found.late(START_MS * 2)
        desk.write_now(lambda tx: deciding.reverse(tx, done.id, "S1", "an advertisement after all", **ANN))
        found = desk.read_now(lambda sql: receipts.find(sql, "R1"))
        assert found is not None
        assert found.reversed


def test_the_report_of_an_account_is_found_while_it_waits(tmp_path: Path) -> None:
    """By account, room and number; after the decision there is none, and of others there never is."""
    with book(tmp_path) as desk:
        report(desk, 1, 7, account="zoe")
        item = report(desk, 2, 7, account="yan")

        def look(account: str, seq: int) -> str:
            return desk.read_now(lambda sql: receipts.waiting_of(sql, account, "a", seq))

        assert (look("zoe", 7), look("yan", 7), look("zoe", 8), look("xia", 7)) == ("R1", "R2", "", "")
        desk.write_now(lambda tx: deciding.decide_item(tx, item.id, item.version, "keep", "K2", "fine", **ANN))
        assert look("zoe", 7) == ""
