"""server/moderation/second.py"""

from __future__ import annotations

import hashlib
import zoneinfo
from pathlib import Path
from typing import Any

import pytest

from server.errors import Refusal
from server.moderation import deciding, queue, second
from server.moderation.book import Decision, ReviewBook
from server.moderation.queue import Item
from tests.support.accounts import START_MS, Clock
from tests.support.review import ANN, BEN, at, book, decisions, hold, report

ZONE = zoneinfo.ZoneInfo("Asia/Shanghai")
DAY = "2026-09-21"


def remove(desk: ReviewBook, seq: int, **about: Any) -> Decision:
    return desk.write_now(lambda tx: deciding.remove(tx, "a", seq, "zoe", "S1", "advertising", **{**ANN, **about}))


def drawn(desk: ReviewBook, clock: Clock, share: float = 1.0) -> second.Draw:
    """Begin the day, decide nothing more, and draw it after its end."""
    start_ms, end_ms = second.span_of(DAY, ZONE)
    clock.now_ms = end_ms + second.GRACE_MS
    return desk.write_now(lambda tx: second.draw(tx, DAY, start_ms, end_ms))


def items_made(desk: ReviewBook, texts: dict[int, str] | None = None) -> list[Item]:
    """Make an item of each chosen decision."""

    def work(tx: Any) -> list[int]:
        chosen = second.without_item(tx.sql, 100)
        return [second.make_item(tx, each.decision, (texts or {}).get(each.decision.id, each.text), 0) for each in chosen]

    return [at(desk, item) for item in desk.write_now(work) if item > 0]


def test_duty_p5_7_the_draw_is_committed_to_and_can_be_repeated_by_anybody(tmp_path: Path) -> None:
    """What is published is enough to check it: the hash stands before the day's first decision, the seed only after the draw; from
    seed and lines the same decisions are chosen, and one line that differs changes the draw."""
    clock = Clock()
    with book(tmp_path, clock) as desk:
        begun = desk.write_now(lambda tx: second.begin(tx, DAY, 0.3))
        assert (begun.seed, len(begun.commitment)) == ("", 64)
        for seq in range(1, 61):
            remove(desk, seq)
        done = drawn(desk, clock)
        assert done.commitment == begun.commitment
        assert hashlib.sha256(f"barrage second review 1\n{DAY}\n0.3\n{done.seed}".encode()).hexdigest() == done.commitment
        start_ms, end_ms = second.span_of(DAY, ZONE)
        lines = desk.read_now(lambda sql: second.lines(sql, start_ms, end_ms))
        assert lines[0] == f"1 {START_MS} remove S1 a 1"
        digest = hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
        assert digest == done.digest

        def choose(digest: str) -> list[int]:
            found = []
            for number in range(1, 61):
                head = hashlib.sha256(f"barrage second review 1\n{done.seed}\n{digest}\n{number}".encode()).digest()[:8]
                if int.from_bytes(head, "big") < 0.3 * 2**64:
                    found.append(number)
            return found

        chosen = [each.decision.id for each in desk.read_now(lambda sql: second.without_item(sql, 100))]
        assert chosen == choose(digest)
        assert 0 < len(chosen) == done.chosen < 60 == done.decisions
        assert choose(second.digest_of([*lines[:-1], lines[-1] + " "])) != chosen


def test_share_and_seed_of_a_day_are_fixed_when_it_begins(tmp_path: Path) -> None:
    """Beginning it again with another share changes nothing; seeds of two days differ; drawing twice is drawing once."""
    clock = Clock()
    with book(tmp_path, clock) as desk:
        first = desk.write_now(lambda tx: second.begin(tx, DAY, 0.5))
        assert desk.write_now(lambda tx: second.begin(tx, DAY, 0.0)) == first
        assert desk.write_now(lambda tx: second.begin(tx, "2026-09-22", 0.5)).commitment != first.commitment
        assert desk.read_now(lambda sql: second.undrawn(sql, "2026-09-22")) == [DAY]
        remove(desk, 1)
        assert drawn(desk, clock) == drawn(desk, clock)
        assert desk.read_now(lambda sql: second.undrawn(sql, "2026-09-22")) == []
        assert [each.day for each in desk.read_now(lambda sql: second.listed(sql, DAY, "2026-09-30"))] == [DAY, "2026-09-22"]
        with pytest.raises(Refusal, match="not_found"):
            desk.write_now(lambda tx: second.draw(tx, "2026-01-01", 0, 1))


def test_only_judgements_of_comments_by_the_site_are_drawn(tmp_path: Path) -> None:
    """Removals, refusals, and what stays or is published, so that the outcome cannot be guessed; not what an uploader removed, not
    restorations, not what was decided on another day."""
    clock = Clock()
    with book(tmp_path, clock) as desk:
        desk.write_now(lambda tx: second.begin(tx, DAY, 1.0))
        remove(desk, 1)
        desk.write_now(lambda tx: deciding.remove(tx, "a", 2, "zoe", "U2", "mine", actor="yan", role="uploader"))
        desk.write_now(lambda tx: deciding.restore(tx, "a", 1, "zoe", "R1", "mistake", **BEN))
        for number, verdict, code in ((1, "publish", "K1"), (2, "refuse", "L8")):
            item = hold(desk, number)
            desk.write_now(lambda tx: deciding.decide_item(tx, item.id, item.version, verdict, code, "b", **ANN))  # type: ignore[arg-type] # noqa: B023
        reported = report(desk, 1, 9)
        desk.write_now(lambda tx: deciding.decide_item(tx, reported.id, reported.version, "keep", "K2", "fine", **ANN))
        clock.forward(days=2)
        remove(desk, 3)
        start_ms, end_ms = second.span_of(DAY, ZONE)
        desk.write_now(lambda tx: second.draw(tx, DAY, start_ms, end_ms))
        chosen = desk.read_now(lambda sql: second.without_item(sql, 100))
        assert [(each.decision.what, bool(each.text)) for each in chosen] == [
            ("remove", False), ("publish", True), ("refuse", True), ("keep", True),
        ]  # fmt: skip


def test_an_item_tells_neither_who_wrote_it_nor_what_was_decided(tmp_path: Path) -> None:
    """Room and text are all there is; who decided first can neither claim nor judge it; without a text there is no item."""
    clock = Clock()
    with book(tmp_path, clock) as desk:
        desk.write_now(lambda tx: second.begin(tx, DAY, 1.0))
        remove(desk, 1)
        remove(desk, 2)
        drawn(desk, clock)
        (item,) = items_made(desk, {1: "what was written"})
        assert (item.room, item.text) == ("a", "what was written")
        assert (item.seq, item.account, item.author_id, item.author_name, item.code, item.rule, item.verdict, item.reports) == (
            0, "", "", "", "", "", b"", 0,
        )  # fmt: skip
        assert desk.write_now(lambda tx: queue.claim_next(tx, "second", "staff:ann")) == []
        with pytest.raises(Refusal, match="second_person_required"):
            desk.write_now(lambda tx: second.judge(tx, item.id, item.version, "S1", "b", **ANN))
        assert [each.id for each in desk.write_now(lambda tx: queue.claim_next(tx, "second", "staff:ben"))] == [item.id]
        assert desk.read_now(lambda sql: second.without_item(sql, 9)) == []


@pytest.mark.parametrize(("code", "what"), [("L8", "confirm"), ("S1", "confirm"), ("K1", "differ")])
def test_a_judgement_confirms_a_removal_or_differs_from_it(tmp_path: Path, code: str, what: str) -> None:
    """By a code of removing, whichever, or one of keeping; it counts in the rate, once."""
    clock = Clock()
    with book(tmp_path, clock) as desk:
        desk.write_now(lambda tx: second.begin(tx, DAY, 1.0))
        remove(desk, 1)
        drawn(desk, clock)
        (item,) = items_made(desk, {1: "text"})
        done = desk.write_now(lambda tx: deciding.decide_item(tx, item.id, item.version, "confirm", code, "looked", **BEN))
        assert (done.what, done.code, done.room, done.seq, done.detail["decision"]) == (what, code, "a", 1, 1)
        assert at(desk, item.id).state == "decided"
        rate = desk.read_now(lambda sql: second.rate(sql, 0, clock.now_ms + 1))
        assert rate == second.Rate(1, int(what == "differ"), 0)
        assert desk.read_now(lambda sql: second.rate(sql, 0, clock.now_ms)) == second.Rate(0, 0, 0)
        with pytest.raises(Refusal, match="item_changed"):
            desk.write_now(lambda tx: second.judge(tx, item.id, item.version + 1, "S1", "b", **BEN))


def test_what_stayed_is_judged_the_other_way_round(tmp_path: Path) -> None:
    """A code of removing differs from a publication."""
    clock = Clock()
    with book(tmp_path, clock) as desk:
        desk.write_now(lambda tx: second.begin(tx, DAY, 1.0))
        held = hold(desk, 1)
        desk.write_now(lambda tx: deciding.decide_item(tx, held.id, held.version, "publish", "K1", "fine", **ANN))
        drawn(desk, clock)
        (item,) = items_made(desk)
        assert desk.write_now(lambda tx: second.judge(tx, item.id, item.version, "L8", "an insult", **BEN)).what == "differ"


@pytest.mark.parametrize("code", ["U1", "R1", "E1", "X"])
def test_a_judgement_needs_a_code_of_removing_or_keeping(tmp_path: Path, code: str) -> None:
    """Others are refused, and nothing is decided; items of other queues are none of the second review."""
    clock = Clock()
    with book(tmp_path, clock) as desk:
        desk.write_now(lambda tx: second.begin(tx, DAY, 1.0))
        remove(desk, 1)
        drawn(desk, clock)
        (item,) = items_made(desk, {1: "text"})
        with pytest.raises(Refusal, match="bad_code"):
            desk.write_now(lambda tx: second.judge(tx, item.id, item.version, code, "b", **BEN))
        other = hold(desk, 1)
        with pytest.raises(Refusal, match="bad_step"):
            desk.write_now(lambda tx: second.judge(tx, other.id, other.version, "K1", "b", **BEN))
        assert len(decisions(desk)) == 1
