"""server/moderation/differences.py"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from server.errors import Refusal
from server.moderation import deciding, differences, second, tables
from server.moderation.book import ReviewBook
from tests.server.moderation.test_second import DAY, drawn, items_made, remove
from tests.support.accounts import Clock
from tests.support.review import ANN, BEN, BOSS, book, decisions, effects, hold


def differing(desk: ReviewBook, clock: Clock, *, refused: bool = False) -> None:
    """Decision 1 of ann, judged otherwise by ben as decision 2."""
    desk.write_now(lambda tx: second.begin(tx, DAY, 1.0))
    if refused:
        item = hold(desk, 1)
        desk.write_now(lambda tx: deciding.decide_item(tx, item.id, item.version, "refuse", "L8", "an insult", **ANN))
    else:
        remove(desk, 1)
        done = {"done_ms": 1, "seq": 2}
        desk.write_now(lambda tx: tx.sql.execute(update(tables.effects).values(**done)))
    drawn(desk, clock)
    (again,) = items_made(desk, {1: "a text"})
    desk.write_now(lambda tx: second.judge(tx, again.id, again.version, "K1", "nothing wrong", **BEN))


def settle(desk: ReviewBook, settlement: Any, code: str, **by: Any) -> Any:
    return desk.write_now(lambda tx: differences.settle(tx, 1, settlement, code, "looked again", **by))


def test_duty_p5_7_a_removal_that_is_judged_otherwise_is_restored_by_a_senior(tmp_path: Path) -> None:
    """Both judgements stand before a third person, who takes the first one back: the comment is restored, which counts as changed."""
    clock = Clock()
    with book(tmp_path, clock) as desk:
        differing(desk, clock)
        (found,) = desk.read_now(differences.waiting)
        assert (found.first.id, found.first.actor, found.second.what, found.text, found.reversed) == (
            1, "staff:ann", "differ", "a text", False,
        )  # fmt: skip
        done = settle(desk, "changed", "R1", **BOSS)
        assert (done.what, done.reverses, done.seq) == ("restore", 1, 1)
        assert effects(desk)[-1]["kind"] == "restore"
        assert desk.read_now(differences.waiting) == []
        assert desk.read_now(lambda sql: second.rate(sql, 0, clock.now_ms + 1)) == second.Rate(1, 1, 1)
        with pytest.raises(Refusal, match="bad_step"):
            settle(desk, "upheld", "S1", **BOSS)


def test_a_refusal_that_is_judged_otherwise_is_published(tmp_path: Path) -> None:
    """By a code of keeping."""
    clock = Clock()
    with book(tmp_path, clock) as desk:
        differing(desk, clock, refused=True)
        assert settle(desk, "changed", "K1", **BOSS).what == "publish"
        assert effects(desk)[-1]["kind"] == "publish"


def test_the_first_judgement_may_stand(tmp_path: Path) -> None:
    """It is confirmed with a code, and nothing happens to the comment."""
    clock = Clock()
    with book(tmp_path, clock) as desk:
        differing(desk, clock)
        done = settle(desk, "upheld", "S1", **BOSS)
        assert (done.what, done.detail["second"]) == ("confirm", 2)
        assert len(effects(desk)) == 1
        assert desk.read_now(lambda sql: second.rate(sql, 0, clock.now_ms + 1)) == second.Rate(1, 1, 0)


@pytest.mark.parametrize("by", [ANN, BEN])
def test_who_has_judged_it_does_not_settle_it(tmp_path: Path, by: dict[str, Any]) -> None:
    """Neither the first nor the second."""
    clock = Clock()
    with book(tmp_path, clock) as desk:
        differing(desk, clock)
        with pytest.raises(Refusal, match="second_person_required"):
            settle(desk, "changed", "R1", **by)
        assert len(decisions(desk)) == 2


def test_what_was_taken_back_meanwhile_is_told_and_cannot_be_taken_back_again(tmp_path: Path) -> None:
    """An appeal was faster: the difference says so, and is ended by letting things stand."""
    clock = Clock()
    with book(tmp_path, clock) as desk:
        differing(desk, clock)
        desk.write_now(lambda tx: deciding.restore(tx, "a", 1, "zoe", "R2", "appeal", **BOSS))
        assert desk.read_now(differences.waiting)[0].reversed
        with pytest.raises(Refusal, match="bad_step"):
            settle(desk, "changed", "R1", **BOSS)
        settle(desk, "upheld", "K1", **BOSS)
        assert desk.read_now(differences.waiting) == []


def test_only_differences_are_settled(tmp_path: Path) -> None:
    """A decision that was not judged otherwise is none."""
    with book(tmp_path) as desk, pytest.raises(Refusal, match="not_found"):
        settle(desk, "upheld", "S1", **BOSS)
