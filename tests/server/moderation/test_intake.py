"""server/moderation/intake.py"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from server.errors import Refusal, StoreUnavailable
from server.moderation import deciding, intake, queue
from server.moderation.book import ReviewBook
from server.moderation.intake import HELD, NEWS_RULE, REPORTS, Intake
from server.moderation.queue import Item
from server.store.base import Draft, RemovalDraft
from server.store.memory import MemoryStore
from server.wire import Event
from tests.support import review
from tests.support.accounts import START_MS, Clock
from tests.support.drafts import comment, held, removal, report
from tests.support.review import ANN, at, book, hold
from tests.support.waiting import eventually


class Bench:
    """The intake over a store and a book."""

    def __init__(self, desk: ReviewBook, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(intake, "_PAUSE_S", 0.005)
        self.desk, self.store = desk, store
        self.weights: dict[str, float] = {}
        self.intake = self.again()

    def again(self) -> Intake:
        """As after a restart."""

        async def read(call: Callable[[], Any]) -> Any:
            return call()

        async def weight(account: str) -> float:
            return self.weights.get(account, 0.5)

        self.intake = Intake(
            self.desk, self.store, read=read, reach=lambda room: 100, weight=weight, held_due_ms=1000, report_due_ms=2000
        )
        return self.intake

    def items(self, name: queue.Queue = "held") -> list[Item]:
        return self.desk.read_now(lambda c: queue.listed(c, name, queue.EVERYTHING, START_MS, 100))

    async def take(self, *drafts: Draft) -> None:
        """These are recorded, and the intake is told."""
        self.store.append(drafts)
        await self.intake.caught_up()


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    store = MemoryStore()
    for room in ("a", "b"):
        store.create_room(room, room, "live", 1)
    with book(tmp_path, Clock()) as desk:
        found = Bench(desk, store, monkeypatch)
        yield found
        await found.intake.drain()


VERDICT = msgspec.json.encode({
    "rules": "hash-1", "action": "hold",
    "reasons": [{"code": "banned_content", "rule": "ads.1", "category": "S1", "start": 1, "end": 3}],
})  # fmt: skip


async def test_a_held_comment_waits_with_all_it_needs(bench: Bench) -> None:
    """Text, author, room, the rule that stopped it, its gravity, reach, and when it should be decided. A refused one does not."""
    await bench.take(held("h", code="banned_content", verdict=VERDICT), held("r", action="refused", code="banned_content"))
    [item] = bench.items()
    assert (item.source, item.room, item.account, item.author_id, item.author_name) == ("s:1", "a", "ann", "p-ann", "安")
    assert (item.text, item.code, item.rule, item.verdict) == ("加V", "banned_content", "hash-1", VERDICT)
    assert (item.severity, item.reach, item.weight, item.at_ms, item.due_ms) == (queue.severity_of("S1"), 100, 1.0, 1500, 2500)
    draft = msgspec.json.decode(item.draft)
    assert (draft["text"], draft["pos_ms"], draft["key"], draft["author"]) == ("加V", 700, "h", "ann")


async def test_news_waits_in_a_queue_of_its_own(bench: Bench) -> None:
    """A comment that is held because its room is one for news; whatever else was found in it."""
    reasons = [{"code": "held_for_review", "rule": NEWS_RULE}, {"code": "banned_content", "rule": "x"}]
    await bench.take(held("n", verdict=msgspec.json.encode({"reasons": reasons})), held("h"))
    assert ([item.source for item in bench.items("news")], [item.source for item in bench.items()]) == (["s:1"], ["s:2"])


@pytest.mark.parametrize("verdict", [b"", b"\xff", b"[]", b'"x"', b"{}", b'{"reasons":[{}]}'])
async def test_a_strange_verdict_does_not_stop_it(bench: Bench, verdict: bytes) -> None:
    """The comment waits all the same, for somebody to look at, and can be published."""
    await bench.take(held("h", verdict=verdict))
    [item] = bench.items()
    if verdict in (b"", b"{}", b'{"reasons":[{}]}'):
        made = await bench.desk.write(lambda tx: deciding.decide_item(tx, item.id, 0, "publish", "K1", "x", **ANN))
        assert made.what == "publish"


async def test_nothing_is_read_twice_and_nothing_left_out(bench: Bench) -> None:
    """Across restarts, in the order of the records; the place moves with the items."""
    await bench.take(*(held(f"h{number}") for number in range(3)))
    await bench.again().caught_up()
    assert len(bench.items()) == 3
    bench.store.append([held("late")])
    await bench.again().caught_up()
    assert [item.source for item in bench.items()] == ["s:1", "s:2", "s:3", "s:4"]
    record = review.screened(4)
    assert bench.desk.write_now(lambda tx: intake.take_held(tx, [record], {}, 0)) == 0, "by its id"
    assert bench.desk.read_now(lambda c: intake.place(c, HELD)) == 4


async def test_many_records_are_read_in_pieces(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backlog goes in transactions of a bounded size, to its end."""
    monkeypatch.setattr(intake, "ROWS", 3)
    await bench.take(*(held(f"h{number}") for number in range(10)), *(report(f"R{number}") for number in range(4)))
    assert (len(bench.items()), len(review.receipts(bench.desk))) == (10, 4)


async def test_what_was_purged_waits_no_more(bench: Bench) -> None:
    """A record whose text is deleted makes no item."""
    await bench.take(held("h", text=""), held("i"))
    assert [item.source for item in bench.items()] == ["s:2"]


async def test_reports_on_one_comment_are_one_item(bench: Bench) -> None:
    """Each with its receipt; who was right before weighs more; the comment's text and author are with it."""
    bench.weights["a-7"] = 0.9
    await bench.take(comment("c1", text="an ad"), report("R1", seq=1, reason="S1"))
    await bench.take(report("R2", seq=1, reason="L8", account="a-7"), report("R3", seq=0, reason="L8"))
    comments, room = sorted(bench.items("report"), key=lambda item: item.id)
    assert (comments.source, comments.seq, comments.text, comments.account) == ("c:a:1", 1, "an ad", "ann")
    assert (comments.reports, comments.weight, comments.code, comments.due_ms) == (2, 1.4, "L8", 7000)
    assert (room.source, room.seq, room.text, room.account, room.reports) == ("r:a", 0, "", "", 1)
    found = review.receipts(bench.desk)
    assert {name: (row["item"], row["reason"], row["account"]) for name, row in found.items()} == {
        "R1": (comments.id, "S1", ""), "R2": (comments.id, "L8", "a-7"), "R3": (room.id, "L8", ""),
    }  # fmt: skip


async def test_a_report_of_what_is_removed_already_is_upheld(bench: Bench) -> None:
    """Nothing waits; who reported it has got what they asked for, by the decision that removed it."""
    await bench.take(comment("c1"))
    made = await bench.desk.write(lambda tx: deciding.remove(tx, "a", 1, "ann", "L8", "x", **ANN))
    await bench.take(removal(1, "rm", code="L8"), report("R1", seq=1))
    assert bench.items("report") == []
    row = review.receipts(bench.desk)["R1"]
    assert (row["outcome"], row["code"], row["decision"], row["decided_ms"] > 0) == ("upheld", "L8", made.id, True)


async def test_a_recall_settles_what_waits_about_the_comment(bench: Bench) -> None:
    """Its author has taken it back: the item is withdrawn, its reports upheld; removals by staff are none of this."""
    await bench.take(comment("c1"), comment("c2"), report("R1", seq=1), report("R2", seq=2))
    recall = RemovalDraft(room="a", author="ann", key="x", at_ms=2, target=1, code="U1", basis="x", role="author")
    bench.store.append([recall])
    bench.intake.decided("a", Event(seq=3, kind="removal", at_ms=2, target=1, code="U1", role="author"))
    bench.intake.decided("a", Event(seq=4, kind="removal", at_ms=2, target=2, code="S1", role="reviewer"))
    await bench.intake.caught_up()
    assert [item.seq for item in bench.items("report")] == [2]
    found = review.receipts(bench.desk)
    assert (found["R1"]["outcome"], found["R1"]["code"], found["R2"]["outcome"]) == ("upheld", "U1", "")


async def test_an_erased_accounts_held_comments_are_withdrawn(bench: Bench) -> None:
    """They wait no more, and their texts are gone; reports of its comments stay."""
    await bench.take(held("h"), comment("c1"), report("R1", seq=1), held("other", author="bob"))
    bench.desk.write_now(lambda tx: intake.forget(tx, "ann"))
    assert [item.account for item in bench.items()] == ["bob"]
    assert len(bench.items("report")) == 1
    assert at(bench.desk, 1).text == ""


async def test_faults_are_waited_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the log and of the book; the trouble is told and ends with it."""
    faults: list[Exception] = [StoreUnavailable("gone"), Refusal("storage_unavailable")]
    told: list[str] = []
    screened = bench.store.screened

    def failing(after: int, limit: int, action: str = "") -> Any:
        told.append(bench.intake.trouble)
        if faults:
            raise faults.pop()
        return screened(after, limit, action)

    monkeypatch.setattr(bench.store, "screened", failing)
    await bench.take(held("h"))
    await eventually(lambda: not bench.intake.trouble)
    assert len(bench.items()) == 1
    assert told[:3] == ["", "storage_unavailable", "gone"]


async def test_a_fault_of_ours_does_not_end_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next record, or the next look, begins anew."""
    with monkeypatch.context() as patch:
        patch.setattr(intake, "take_held", None)
        await bench.take(held("h"))
    assert bench.items() == []
    await bench.take(held("i"))
    assert len(bench.items()) == 2


async def test_a_log_that_is_older_is_read_from_its_end(bench: Bench) -> None:
    """After restoring a backup of the log, ids are given anew: what is recorded from now on comes in, beside what waits from
    records that are lost."""
    await bench.take(*(held(f"h{number}") for number in range(5)), report("R1"), report("R2"))
    bench.store = MemoryStore()
    bench.store.create_room("a", "a", "live", 1)
    bench.store.append([held("h0"), report("R1")])
    bench.again()
    await bench.intake.caught_up()
    assert len(bench.items()) == 5
    await bench.take(held("new"), report("R9", reason="L1"))
    assert [item.source for item in bench.items()] == ["s:1", *(f"lost:{number}" for number in range(2, 6)), "s:2"]
    assert {"R1", "R2", "R9"} == set(review.receipts(bench.desk))
    assert bench.desk.read_now(lambda c: (intake.place(c, HELD), intake.place(c, REPORTS))) == (2, 2)


async def test_it_looks_by_itself_from_time_to_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that nobody told of, as after a commit whose outcome was not known, is found all the same."""
    monkeypatch.setattr(intake, "POLL_S", 0.005)
    running = asyncio.ensure_future(bench.intake.run())
    await asyncio.sleep(0.02)
    bench.store.append([held("h")])
    await eventually(bench.items)
    assert len(bench.items()) == 1
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await bench.intake.drain()
    bench.intake.arrived()
    assert hold(bench.desk, 9).state == "open"
