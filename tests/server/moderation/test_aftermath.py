"""server/moderation/aftermath.py"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from server.accounts import appeals, followed, measures, privacy, tables
from server.accounts.book import Accounts
from server.accounts.credit import weight
from server.errors import Refusal, StoreUnavailable
from server.moderation import aftermath, deciding, effects, intake, queue
from server.moderation.aftermath import LEDGER, Aftermath
from server.moderation.book import Decision, ReviewBook
from server.moderation.effects import Ended
from server.moderation.queue import Item
from server.store.memory import MemoryStore
from tests.support import accounts as people
from tests.support import review
from tests.support.accounts import Clock, letters, standing
from tests.support.drafts import comment, removal, restoration
from tests.support.review import ANN, BOSS, at, hold, report
from tests.support.vaults import vault
from tests.support.waiting import eventually

WHY: dict[str, Any] = {"actor": "staff:ben", "role": "senior"}


class Bench:
    """Both books and a log, and the followers between them."""

    def __init__(self, desk: ReviewBook, accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(aftermath, "_PAUSE_S", 0.005)
        self.desk, self.accounts = desk, accounts
        self.store = MemoryStore()
        self.store.create_room("a", "A", "live", 1)
        self.fault: Refusal | None = None
        self.aftermath = self.again()

    def again(self) -> Aftermath:
        """As after a restart."""

        async def read(call: Callable[[], Any]) -> Any:
            if self.fault is not None:
                fault, self.fault = self.fault, None
                raise fault
            return call()

        self.aftermath = Aftermath(self.desk, self.accounts, self.store, read)
        return self.aftermath

    async def decide(self, item: Item, verdict: Any, code: str) -> Decision:
        version = at(self.desk, item.id).version
        return await self.desk.write(lambda tx: deciding.decide_item(tx, item.id, version, verdict, code, "why", **ANN))

    async def done(self) -> None:
        """Everything is followed."""
        self.aftermath.start()
        await eventually(lambda: self.aftermath._task is None)

    def letters(self, account: str = "ann") -> list[str]:
        return [kind for kind, _ in letters(self.accounts, account)]


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    clock = Clock()
    with review.book(tmp_path, clock) as desk, people.book(tmp_path, clock) as accounts:
        people.add_person(accounts, "ann")
        found = Bench(desk, accounts, monkeypatch)
        await found.done()
        yield found
        await found.aftermath.drain()


async def test_an_author_is_told_that_a_comment_is_published(bench: Bench) -> None:
    """By the key that the author's client gave it; it counts nothing."""
    made = await bench.decide(hold(bench.desk), "publish", "K1")
    await bench.done()
    told = {"room": "a", "key": "h1", "code": "K1", "basis": "why", "decision": made.id}
    assert letters(bench.accounts, "ann") == [("review_published", told)]
    assert standing(bench.accounts, "ann").marks == ()


async def test_a_refusal_counts_and_can_be_appealed(bench: Bench) -> None:
    """A measure whose letter names the key, the code and the decision; an account of a host platform is opened by it."""
    made = await bench.decide(hold(bench.desk, author="h-1"), "refuse", "S1")
    await bench.done()
    [(kind, data)] = letters(bench.accounts, "h-1")
    assert (kind, data["rung"], data["code"], data["key"], data["room"]) == ("measure", "refuse", "S1", "h1", "a")
    assert (data["measure"], data["decision"]) == (f"m-review-{made.id}", made.id)
    taken = bench.accounts.read_now(lambda connection: measures.find(connection, f"m-review-{made.id}"))
    assert taken is not None
    assert (taken.room, taken.seq) == ("a", 0), "an inspection of the room finds it"
    assert standing(bench.accounts, "h-1").marks[0][1] == weight("refused_on_review")


async def test_an_appeal_that_is_upheld_publishes_what_was_refused(bench: Bench) -> None:
    """The refusal is reversed by who decided the appeal: the comment enters the log, its author hears of it, credit is back."""
    made = await bench.decide(hold(bench.desk), "refuse", "S1")
    await bench.done()
    appeal = await bench.accounts.write(lambda tx: appeals.file(tx, "ann", f"m-review-{made.id}", "it is no advertising"))
    await bench.accounts.write(lambda tx: appeals.decide(tx, appeal, True, "R2", "no advertising", **WHY))
    await bench.done()
    last = review.decisions(bench.desk)[-1]
    assert (last.what, last.reverses, last.actor, last.role, last.basis) == (
        "publish",
        made.id,
        "staff:ben",
        "senior",
        "no advertising",
    )
    assert [each["kind"] for each in review.effects(bench.desk)] == ["publish"]
    await bench.done()
    assert bench.letters() == ["measure", "appeal_filed", "measure_lifted", "appeal_decided", "review_published"]
    assert standing(bench.accounts, "ann").marks == ()


async def removed(bench: Bench) -> str:
    """A comment of ann was removed, and counted; the measure's id."""
    bench.store.append([comment("c1"), removal(1, "rm", code="S1")])
    return await bench.accounts.write(
        lambda tx: measures.count_removal(tx, "ann", "a", 1, "S1", "ads", actor="staff:x", role="reviewer")
    )


@pytest.mark.parametrize("by_hand", [False, True])
async def test_a_lifted_removal_brings_the_comment_back(bench: Bench, by_hand: bool) -> None:
    """By an appeal that is upheld, or by hand; the restoration is a decision of who lifted it."""
    made = await bench.desk.write(lambda tx: deciding.remove(tx, "a", 1, "ann", "S1", "ads", **ANN))
    measure = await removed(bench)
    if by_hand:
        await bench.accounts.write(lambda tx: measures.lift(tx, measure, "R1", "an error", **WHY))
    else:
        appeal = await bench.accounts.write(lambda tx: appeals.file(tx, "ann", measure, "please"))
        await bench.accounts.write(lambda tx: appeals.decide(tx, appeal, True, "R2", "an error", **WHY))
    await bench.done()
    last = review.decisions(bench.desk)[-1]
    assert (last.what, last.code, last.basis, last.actor) == ("restore", "R1" if by_hand else "R2", "an error", "staff:ben")
    assert (last.room, last.seq, last.account, last.reverses) == ("a", 1, "ann", made.id)
    assert review.effects(bench.desk)[-1]["kind"] == "restore"


async def test_what_is_restored_already_is_not_restored_again(bench: Bench) -> None:
    """A restoration in the log lifts the measure: that must not come back as another restoration; nor a log without the room."""
    await removed(bench)
    bench.store.append([restoration(1, "back")])
    await bench.accounts.write(lambda tx: measures.discount_removal(tx, "ann", "a", 1, "R1", "x", **WHY))
    await bench.done()
    assert review.decisions(bench.desk) == []
    other = await bench.accounts.write(
        lambda tx: measures.count_removal(tx, "ann", "gone", 1, "S1", "ads", actor="staff:x", role="reviewer")
    )
    await bench.accounts.write(lambda tx: measures.lift(tx, other, "R1", "x", **WHY))
    await bench.done()
    assert review.decisions(bench.desk) == []


async def test_an_undone_refusal_is_not_published(bench: Bench) -> None:
    """Its measure is lifted, since it counts no more; the comment waits for the next decision."""
    made = await bench.decide(hold(bench.desk), "refuse", "S1")
    await bench.done()
    await bench.desk.write(lambda tx: deciding.undo(tx, made.id, **ANN))
    await bench.done()
    await bench.done()
    assert [each.what for each in review.decisions(bench.desk)] == ["refuse", "undo"]
    assert standing(bench.accounts, "ann").marks == ()
    assert at(bench.desk, 1).state == "open"


async def test_a_refusal_of_what_stood_in_the_log_counts_once(bench: Bench) -> None:
    """It was counted when it was removed from there."""
    made = await bench.decide(hold(bench.desk), "publish", "K1")
    bench.desk.write_now(lambda tx: effects.end(tx, [Ended(made.id, 1, "")]))
    item = await bench.desk.write(lambda tx: deciding.undo(tx, made.id, **ANN))
    await bench.decide(item, "refuse", "S1")
    await bench.done()
    assert bench.letters() == ["review_published"]


async def test_reporters_learn_the_outcome(bench: Bench) -> None:
    """Who was signed in; their accuracy follows; an outcome that is changed counts as it is in the end."""
    for number in (1, 2):
        item = report(bench.desk, number, account="a-2" if number == 2 else "")
    made = await bench.decide(item, "keep", "K3")
    await bench.done()
    assert letters(bench.accounts, "a-2") == [("report_decided", {"report": "R2", "outcome": "malicious"})]
    await bench.desk.write(lambda tx: deciding.undo(tx, made.id, **ANN))
    await bench.decide(item, "remove", "S1")
    await bench.done()
    found = standing(bench.accounts, "a-2")
    assert (found.reports_decided, found.reports_right, found.marks[0][1]) == (1, 1, weight("report.upheld"))


async def test_nothing_is_told_twice(bench: Bench) -> None:
    """Across restarts, also when the process forgot that it had told it; what happened meanwhile is caught up with."""
    await bench.decide(hold(bench.desk, 1), "publish", "K1")
    await bench.done()
    await bench.aftermath.drain()
    await bench.decide(hold(bench.desk, 2), "publish", "K1")
    bench.again()
    await bench.done()
    [told] = bench.desk.read_now(lambda c: aftermath.decisions_after(c, 0, 1))
    bench.accounts.write_now(lambda tx: aftermath.follow_decision(tx, told))
    assert bench.letters() == ["review_published", "review_published"]


async def test_an_entry_is_followed_once(bench: Bench) -> None:
    """The place moves in the transaction that decides."""
    measure = await removed(bench)
    await bench.accounts.write(lambda tx: measures.lift(tx, measure, "R1", "x", **WHY))
    await bench.done()
    assert len(review.decisions(bench.desk)) == 1
    [lift] = bench.accounts.read_now(lambda c: aftermath.entries_after(c, 0, 10))
    assert bench.desk.write_now(lambda tx: aftermath.follow_entry(tx, lift, True)) is None


async def test_who_cannot_be_told_does_not_hold_up_the_others(bench: Bench) -> None:
    """A measure against an erased account is refused; the next decision is told."""
    first, second = hold(bench.desk, 1), hold(bench.desk, 2, author="bob")
    await bench.accounts.write(lambda tx: privacy.erase(tx, vault(), "ann", actor="ann", role="person"))
    await bench.decide(first, "refuse", "S1")
    await bench.decide(second, "publish", "K1")
    await bench.done()
    assert bench.letters("bob") == ["review_published"]
    assert "measure" not in bench.letters()


async def test_an_erased_account_waits_for_nothing(bench: Bench) -> None:
    """Its held comments leave the queue with their texts."""
    item = hold(bench.desk, text="words of ann")
    await bench.accounts.write(lambda tx: privacy.erase(tx, vault(), "ann", actor="ann", role="person"))
    await bench.done()
    assert (at(bench.desk, item.id).state, at(bench.desk, item.id).text) == ("withdrawn", "")


async def test_faults_are_waited_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the log and of the books; nothing is left out."""
    measure = await removed(bench)
    bench.fault = Refusal("storage_unavailable")
    faults = [StoreUnavailable("disk full")]
    write = bench.accounts.write

    async def failing(work: Callable[[Any], Any]) -> Any:
        if faults:
            raise faults.pop()
        return await write(work)

    monkeypatch.setattr(bench.accounts, "write", failing)
    await bench.decide(hold(bench.desk), "publish", "K1")
    await bench.done()
    await bench.accounts.write(lambda tx: measures.lift(tx, measure, "R1", "x", **WHY))
    await bench.done()
    assert [each.what for each in review.decisions(bench.desk)] == ["publish", "restore"]
    assert "review_published" in bench.letters()
    assert not bench.aftermath.trouble


async def test_older_books_are_followed_from_their_ends(bench: Bench) -> None:
    """After restoring a backup of one of the two, what it decides anew is told."""
    await bench.decide(hold(bench.desk), "publish", "K1")
    await bench.done()
    await bench.aftermath.drain()
    bench.desk.write_now(lambda tx: intake.move(tx, LEDGER, 10**9))
    bench.accounts.write_now(lambda tx: followed.move(tx, followed.REVIEW, 10**9))
    bench.again()
    await bench.done()
    assert bench.desk.read_now(lambda c: intake.place(c, LEDGER)) < 1000
    await bench.decide(hold(bench.desk, 2), "publish", "K1")
    await bench.done()
    assert bench.letters() == ["review_published", "review_published"]


async def test_rooms_are_not_mixed_up_with_the_desk(bench: Bench) -> None:
    """The place in the decision log is none of a room's: a log without such a room does not put it back."""
    await bench.decide(hold(bench.desk), "publish", "K1")
    await bench.done()
    assert bench.accounts.read_now(followed.places) == {}
    bench.accounts.write_now(lambda tx: followed.begin(tx, {}))
    assert bench.accounts.write_now(lambda tx: followed.fit(tx, {})) == []
    row = select(tables.followed.c.seq).where(tables.followed.c.room == followed.REVIEW)
    assert bench.accounts.read_now(lambda c: c.execute(row).scalar()) == 1
    assert standing(bench.accounts, "nobody").report_weight == queue.NEUTRAL
    assert BOSS["role"] in measures.ROLES


async def test_a_fault_of_ours_does_not_end_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next decision begins anew."""
    with monkeypatch.context() as patch:
        patch.setattr(aftermath, "follow_decision", None)
        await bench.decide(hold(bench.desk, 1), "publish", "K1")
        await bench.done()
    assert bench.letters() == []
    await bench.decide(hold(bench.desk, 2), "publish", "K1")
    await bench.done()
    assert bench.letters() == ["review_published", "review_published"]
