"""server/moderation/effects.py"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from server.errors import Refusal, StoreUnavailable
from server.moderation import deciding, effects
from server.moderation.book import Decision, ReviewBook, Transaction
from server.moderation.effects import Effects
from server.store.base import CommentDraft, Committed, Draft, NoticeDraft, Outcome, Rejected, RemovalDraft
from server.wire import Event
from tests.support import review
from tests.support.accounts import Clock
from tests.support.review import ANN, at, book, hold
from tests.support.waiting import eventually


class Log:
    """The one path into the log. ``faults`` are what the next submissions end in; ``gate`` keeps them waiting while it is not
    set."""

    def __init__(self) -> None:
        self.taken: list[Draft] = []
        self.faults: list[Refusal | Rejected] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.under_way = self.most = 0
        self.numbers: dict[str, int] = {}

    async def submit(self, draft: Draft) -> Outcome:
        assert isinstance(draft, CommentDraft | RemovalDraft | NoticeDraft) or draft.__class__.__name__ == "RestorationDraft"
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await self.gate.wait()
        finally:
            self.under_way -= 1
        if self.faults:
            fault = self.faults.pop(0)
            if isinstance(fault, Refusal):
                raise fault
            return fault
        self.taken.append(draft)
        key: str = draft.key  # type: ignore[union-attr] # see above
        fresh = key not in self.numbers
        number = self.numbers.setdefault(key, len(self.numbers) + 1)
        return Committed("a", Event(seq=number, kind="comment", at_ms=1), fresh)


class Bench:
    """Effects over a book and a log, and what a test does with them."""

    def __init__(self, desk: ReviewBook, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(effects, "PAUSE_S", 0.005)
        monkeypatch.setattr(effects, "DRAIN_S", 0.05)
        self.desk = desk
        self.log = Log()
        self.closed = False
        self.effects = self.again()

    def again(self) -> Effects:
        """As after a restart."""
        self.effects = Effects(self.desk, self.log.submit, lambda draft: self.closed and isinstance(draft, CommentDraft))
        return self.effects

    async def publish(self, number: int = 1) -> Decision:
        item = hold(self.desk, number)
        return await self.desk.write(lambda tx: deciding.decide_item(tx, item.id, 0, "publish", "K1", "x", **ANN))

    async def remove(self, seq: int, restored: bool = False) -> Decision:
        act: Any = deciding.restore if restored else deciding.remove
        return await self.desk.write(lambda tx: act(tx, "a", seq, "ann", "R1" if restored else "S1", "x", **ANN))

    async def ended(self) -> list[tuple[int, bool, int, str]]:
        """What is noted: decision, done, number, failure."""
        await eventually(lambda: not self.effects.open and self.effects._task is None)
        return [(row["decision"], row["done_ms"] > 0, row["seq"], row["failure"]) for row in review.effects(self.desk)]


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    with book(tmp_path, Clock()) as desk:
        found = Bench(desk, monkeypatch)
        yield found
        found.log.gate.set()
        await found.effects.drain()


async def refused(work: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await work
    return caught.value


async def test_an_effect_follows_its_decision(bench: Bench) -> None:
    """It is in the log and noted before who waits goes on; asked for again, the log gives its first answer."""
    made = await bench.publish()
    done = await bench.effects.settled(made.id)
    assert (done.event.seq, done.fresh) == (1, True)
    assert bench.desk.read_now(lambda c: effects.ended_of(c, made.id)) == effects.Ended(made.id, 1, "")
    again = await bench.effects.settled(made.id)
    assert (again.event.seq, again.fresh) == (1, False)
    assert await bench.ended() == [(made.id, True, 1, "")]


async def test_what_a_crash_left_is_carried_out_at_the_next_start(bench: Bench) -> None:
    """Also what the log has already, whose answer was lost: it gives the same number."""
    await bench.effects.drain()
    made = await bench.publish()
    bench.log.numbers["another"] = 1
    await bench.log.submit(bench.desk.read_now(lambda c: effects.waiting(c, 0, 10))[0].draft)
    assert [row["done_ms"] for row in review.effects(bench.desk)] == [0]
    bench.again().start()
    assert await bench.ended() == [(made.id, True, 2, "")]
    assert len(bench.log.numbers) == 2, "once in the log"


async def test_a_fault_of_the_log_is_waited_out(bench: Bench) -> None:
    """Who waits is told that it will be later; it is carried out when the log takes it."""
    bench.log.faults = [Refusal("storage_unavailable"), Refusal("overloaded")]
    made = await bench.publish()
    assert (await refused(bench.effects.settled(made.id))).code.name == "storage_unavailable"
    assert bench.effects.trouble
    assert await bench.ended() == [(made.id, True, 1, "")]
    assert not bench.effects.trouble


async def test_what_the_log_refuses_is_noted_with_the_code(bench: Bench) -> None:
    """By a rejection or a refusal that is final; it is not tried again, and asking again gives the same refusal."""
    bench.log.faults = [Rejected("already_removed"), Refusal("room_not_found")]
    first, second = await bench.remove(1), await bench.remove(2)
    assert (await refused(bench.effects.settled(first.id))).code.name == "already_removed"
    assert await bench.ended() == [(first.id, True, 0, "already_removed"), (second.id, True, 0, "room_not_found")]
    assert (await refused(bench.effects.settled(first.id))).code.name == "already_removed"
    assert bench.log.taken == []


async def test_effects_on_one_comment_keep_their_order(bench: Bench) -> None:
    """Removed, restored, removed: one after the other, even when the first is refused for a while; others go on meanwhile."""
    bench.log.faults = [Refusal("storage_unavailable")]
    bench.log.gate.clear()
    made = [await bench.remove(1), await bench.remove(1, restored=True), await bench.remove(1), await bench.remove(2)]
    await eventually(lambda: bench.log.under_way == 2)  # the first on each comment
    bench.log.gate.set()
    await bench.ended()
    keys = [draft.key for draft in bench.log.taken]  # type: ignore[union-attr]
    of_one = [f" decision {each.id}" for each in made[:3]]
    assert [key for key in keys if key in of_one] == of_one


async def test_not_all_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most so many are under way, and so many in memory; all are carried out in the end, in order."""
    monkeypatch.setattr(effects, "TOGETHER", 3)
    monkeypatch.setattr(effects, "READ", 5)
    bench.log.gate.clear()
    for number in range(1, 13):
        await bench.publish(number)
    await eventually(lambda: bench.log.under_way == 3)
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert bench.effects.open <= 5
    assert bench.log.most == 3
    bench.log.gate.set()
    assert [done for _, done, _, _ in await bench.ended()] == [True] * 12
    assert [each.key for each in bench.log.taken] == [f" decision {number}" for number in range(1, 13)]  # type: ignore[union-attr]


async def test_a_comment_waits_for_a_closed_room(bench: Bench) -> None:
    """Held back, it stays open; removals go on; when the room opens it enters the log."""
    bench.closed = True
    made = await bench.publish()
    assert (await refused(bench.effects.settled(made.id))).code.name == "room_closed"
    removal = await bench.remove(1)
    await bench.effects.settled(removal.id)
    assert await bench.ended() == [(made.id, False, 0, ""), (removal.id, True, 1, "")]
    bench.closed = False
    bench.effects.wake()
    assert (await bench.ended())[0] == (made.id, True, 2, "")


async def test_a_comment_does_not_follow_the_closing_of_its_room(bench: Bench) -> None:
    """Closing and approval begun in one turn: the closing is submitted first, so the comment waits."""
    draft = NoticeDraft(room="a", author="", key="", at_ms=0, notice="mode", room_mode="closed", code="", basis="", role="")
    submit = bench.log.submit

    async def closing(each: Draft) -> Outcome:
        bench.closed = bench.closed or isinstance(each, NoticeDraft)
        return await submit(each)

    bench.effects._submit = closing
    item = hold(bench.desk)

    def work(tx: Transaction) -> tuple[Decision, Decision]:
        closed = deciding.notice(tx, "mode", draft, "E1", "x", **ANN)
        return closed, deciding.decide_item(tx, item.id, 0, "publish", "K1", "x", **ANN)

    closed, made = await bench.desk.write(work)
    assert await bench.ended() == [(closed.id, True, 1, ""), (made.id, False, 0, "")]
    assert [type(each) for each in bench.log.taken] == [NoticeDraft]


async def test_what_does_nothing_in_a_log_is_said_so(bench: Bench) -> None:
    """A refusal of a held comment has no effect to wait for."""
    item = hold(bench.desk)
    made = await bench.desk.write(lambda tx: deciding.decide_item(tx, item.id, 0, "refuse", "S1", "x", **ANN))
    assert (await refused(bench.effects.settled(made.id))).code.name == "decision_not_found"


async def test_a_fault_of_the_book_is_waited_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in the log already is noted later; who waits is told what the log said."""
    fault = [StoreUnavailable("disk full")]
    write: Callable[..., Any] = bench.desk.write
    made = await bench.publish()

    async def failing(work: Callable[[Transaction], Any]) -> Any:
        if fault:
            raise fault.pop()
        return await write(work)

    monkeypatch.setattr(bench.desk, "write", failing)
    assert (await bench.effects.settled(made.id)).event.seq == 1
    assert await bench.ended() == [(made.id, True, 1, "")]


async def test_draining_leaves_the_rest_to_the_next_start(bench: Bench) -> None:
    """What is under way is awaited a moment; who waits is told."""
    bench.log.gate.clear()
    made = await bench.publish()
    waiter = asyncio.ensure_future(bench.effects.settled(made.id))
    await eventually(lambda: bench.log.under_way)
    await bench.effects.drain()
    assert (await refused(waiter)).code.name == "shutting_down"
    assert [row["done_ms"] for row in review.effects(bench.desk)] == [0]
    bench.log.gate.set()
    bench.again().start()
    assert await bench.ended() == [(made.id, True, 1, "")]


async def test_a_fault_of_ours_does_not_end_it(bench: Bench) -> None:
    """The effect stays open, and the next decision carries it out, too."""
    original = bench.log.submit

    async def broken(draft: Draft) -> Outcome:
        bench.effects._submit = original
        raise RuntimeError("a bug")

    bench.effects._submit = broken
    first = await bench.publish(1)
    await eventually(lambda: bench.effects._submit is original and bench.effects._task is None)
    second = await bench.publish(2)
    await bench.effects.settled(second.id)
    assert [(number, done) for number, done, _, _ in await bench.ended()] == [(first.id, True), (second.id, True)]


async def test_a_fault_of_ours_that_lasts_is_not_tried_without_a_pause(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """A draft that always fails costs one attempt a pause, not the whole processor."""
    monkeypatch.setattr(effects, "PAUSE_S", 0.05)
    attempts: list[float] = []

    async def broken(draft: Draft) -> Outcome:
        attempts.append(time.monotonic())
        raise RuntimeError("a bug")

    original, bench.effects._submit = bench.effects._submit, broken
    await bench.publish()
    await eventually(lambda: len(attempts) >= 3)
    assert all(later - earlier > 0.049 for earlier, later in itertools.pairwise(attempts))  # a timer's rounding
    bench.effects._submit = original


async def test_effects_are_stored_as_they_are_carried_out(bench: Bench) -> None:
    """Each kind of draft comes back from the book as it was written."""
    bench.effects._stopping = True
    await bench.publish()
    await bench.remove(1)
    await bench.remove(1, restored=True)
    notice = NoticeDraft(room="a", author="", key="", at_ms=0, notice="announcement", text="hello")
    await bench.desk.write(lambda tx: deciding.notice(tx, "announce", notice, "E4", "x", **ANN))
    found = bench.desk.read_now(lambda c: effects.waiting(c, 0, 10))
    assert [type(each.draft).__name__ for each in found] == ["CommentDraft", "RemovalDraft", "RestorationDraft", "NoticeDraft"]
    assert [msgspec.json.encode(each.draft) for each in found] == [
        row[0] for row in bench.desk.read_now(lambda c: c.exec_driver_sql("SELECT draft FROM effects").all())
    ]
    assert at(bench.desk, 1).state == "decided"
