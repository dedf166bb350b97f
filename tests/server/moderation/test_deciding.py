"""server/moderation/deciding.py"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from server.errors import Refusal
from server.moderation import deciding, effects, queue
from server.moderation.book import Decision, ReviewBook, Transaction, effect_key
from server.moderation.deciding import UNDO_MS, VERDICTS, Verdict
from server.moderation.effects import Ended
from server.store.base import NoticeDraft
from tests.support import review
from tests.support.accounts import START_MS, Clock
from tests.support.review import ANN, BEN, BOSS, at, book, hold, report


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desk(tmp_path: Path, clock: Clock) -> Iterator[ReviewBook]:
    with book(tmp_path, clock) as found:
        yield found


def refused(desk: ReviewBook, work: Callable[[Transaction], Any], code: str) -> None:
    """The work ends in this refusal and leaves nothing."""
    before = (review.decisions(desk), review.effects(desk), review.receipts(desk))
    with pytest.raises(Refusal) as caught:
        desk.write_now(work)
    assert caught.value.code.name == code
    assert (review.decisions(desk), review.effects(desk), review.receipts(desk)) == before


def decide(
    desk: ReviewBook, item: int, verdict: Verdict, code: str, by: dict[str, Any] = ANN, version: int | None = None
) -> Decision:  # fmt: skip
    looked_at = at(desk, item).version if version is None else version
    return desk.write_now(lambda tx: deciding.decide_item(tx, item, looked_at, verdict, code, " why ", **by))


def carried_out(desk: ReviewBook, decision: Decision | int, seq: int, failure: str = "") -> None:
    """The effect of a decision ended."""
    number = decision if isinstance(decision, int) else decision.id
    desk.write_now(lambda tx: effects.end(tx, [Ended(number, seq, failure)]))


def drafts(desk: ReviewBook) -> list[tuple[int, str, dict[str, Any]]]:
    return [(each["decision"], each["kind"], each["draft"]) for each in review.effects(desk)]


# -- what waits ---------------------------------------------------------------------------------------------------------


def test_a_published_comment_is_what_was_sent(desk: ReviewBook, clock: Clock) -> None:
    """All its fields and its own position; the approval stands in its verdict, the decision's time and key in the draft."""
    item = hold(desk, pos_ms=4321, color="#ff0000", label="官方", label_kind="government", connection="c-1", region="江苏",
                verdict=b'{"rules":"r1","reasons":[]}')  # fmt: skip
    clock.forward(seconds=60)
    made = decide(desk, item.id, "publish", "K1")
    [(_, kind, draft)] = drafts(desk)
    assert (made.what, made.code, made.basis, made.rule, made.account) == ("publish", "K1", "why", "r1", "ann")
    assert (made.actor, made.role, made.automated, made.item, made.room) == ("staff:ann", "reviewer", False, item.id, "a")
    assert kind == "publish"
    assert msgspec.json.decode(base64.b64decode(draft["verdict"])) == {
        "rules": "r1", "reasons": [], "approved": {"decision": made.id, "code": "K1", "role": "reviewer"},
    }  # fmt: skip
    want = {
        "pos_ms": 4321,
        "color": "#ff0000",
        "label": "官方",
        "label_kind": "government",
        "connection": "c-1",
        "region": "江苏",
    }
    assert {name: draft[name] for name in want} == want
    assert (draft["key"], draft["at_ms"], draft["author"], draft["text"]) == (
        effect_key(made.id),
        clock.now_ms,
        "ann",
        item.text,
    )
    assert at(desk, item.id).state == "decided"


def test_no_text_stands_in_the_decision_log(desk: ReviewBook) -> None:
    """The log is for ever: it names the item, its source and what stopped it, and the key that its author gave it."""
    item = hold(desk, text="words of a person")
    made = decide(desk, item.id, "refuse", "S1")
    assert made.detail == {
        "queue": "held", "source": "s:1", "key": "h1", "received_ms": START_MS, "stopped_by": "held_for_review", "reports": 0,
        "claimed_ms": 0,
    }  # fmt: skip
    assert "words" not in str(review.decisions(desk))
    assert drafts(desk) == []


def test_of_two_who_look_at_once_one_is_told(desk: ReviewBook) -> None:
    """A decision names the version that was looked at; an item that is claimed is its holder's; one that is decided is decided."""
    item = hold(desk)
    mine = desk.write_now(lambda tx: queue.claim(tx, item.id, "staff:ann"))
    stale = lambda tx: deciding.decide_item(tx, item.id, item.version, "publish", "K1", "x", **ANN)  # noqa: E731
    refused(desk, stale, "item_changed")
    taken = lambda tx: deciding.decide_item(tx, item.id, mine.version, "publish", "K1", "x", **BEN)  # noqa: E731
    refused(desk, taken, "item_taken")
    decide(desk, item.id, "publish", "K1")
    refused(
        desk,
        lambda tx: deciding.decide_item(tx, item.id, at(desk, item.id).version, "refuse", "S1", "x", **ANN),
        "item_changed",
    )
    refused(desk, lambda tx: deciding.decide_item(tx, 99, 0, "refuse", "S1", "x", **ANN), "item_not_found")


def test_a_lease_that_ran_out_does_not_stop_who_had_it(desk: ReviewBook, clock: Clock) -> None:
    """As long as nobody else took the item; afterwards it is refused."""
    first, second = hold(desk, 1), hold(desk, 2)
    mine = [desk.write_now(lambda tx: queue.claim(tx, each.id, "staff:ann")) for each in (first, second)]  # noqa: B023
    clock.forward(ms=queue.LEASE_MS)
    assert decide(desk, first.id, "publish", "K1", version=mine[0].version).what == "publish"
    desk.write_now(lambda tx: queue.claim(tx, second.id, "staff:ben"))
    refused(
        desk, lambda tx: deciding.decide_item(tx, second.id, mine[1].version, "publish", "K1", "x", **ANN), "item_taken"
    )  # fmt: skip


@pytest.mark.parametrize("verdict", ["publish", "refuse", "keep", "remove", "warn"])
def test_each_queue_has_its_verdicts(desk: ReviewBook, verdict: Verdict) -> None:
    """What is held is published or refused; what is reported is kept or removed, a room warned of."""
    code = "K1" if verdict in ("publish", "keep") else "S1"
    items = {"held": hold(desk), "report": report(desk), "room": report(desk, 2, 0)}
    fits = {
        "held": verdict in VERDICTS["held"],
        "report": verdict in ("keep", "remove"),
        "room": verdict in ("keep", "warn"),
    }
    for name, item in items.items():
        if fits[name]:
            assert decide(desk, item.id, verdict, code).what == verdict
        else:
            work = lambda tx: deciding.decide_item(tx, item.id, item.version, verdict, code, "x", **ANN)  # noqa: E731, B023
            refused(desk, work, "bad_step")


@pytest.mark.parametrize(
    ("verdict", "code", "basis"),
    [("publish", "S1", "x"), ("publish", "R1", "x"), ("refuse", "K1", "x"), ("refuse", "U1", "x"), ("refuse", "", "x"),
     ("refuse", "S1", " "), ("refuse", "S1", "a\nb"), ("refuse", "S1", "x" * 301)],
)  # fmt: skip
def test_no_decision_without_code_and_basis(desk: ReviewBook, verdict: Verdict, code: str, basis: str) -> None:
    """Of the right family, and one line; nothing is changed otherwise."""
    item = hold(desk)
    refused(desk, lambda tx: deciding.decide_item(tx, item.id, 0, verdict, code, basis, **ANN), "bad_code")
    assert at(desk, item.id).state == "open"


def test_reports_are_decided_with_their_comment(desk: ReviewBook) -> None:
    """All receipts of the item have the outcome: upheld, unfounded, or malicious; each queue's own item has its own."""
    for number in (1, 2):
        item = report(desk, number, account=f"a-{number}")
    made = decide(desk, item.id, "remove", "S1")
    other = report(desk, 3, 2)
    kept = decide(desk, other.id, "keep", "K2")
    bad = decide(desk, report(desk, 4, 3).id, "keep", "K3")
    found = {name: (row["outcome"], row["code"], row["decision"]) for name, row in review.receipts(desk).items()}
    assert found == {
        "R1": ("upheld", "S1", made.id), "R2": ("upheld", "S1", made.id), "R3": ("unfounded", "K2", kept.id),
        "R4": ("malicious", "K3", bad.id),
    }  # fmt: skip
    [(_, kind, draft)] = drafts(desk)
    assert (kind, draft["target"], draft["code"], draft["basis"], draft["role"]) == ("remove", 1, "S1", "why", "reviewer")


def test_equal_texts_are_decided_together(desk: ReviewBook) -> None:
    """One decision for each; those that somebody else has, or decided meanwhile, are left alone and named."""
    items = [hold(desk, number) for number in range(1, 5)]
    desk.write_now(lambda tx: queue.claim(tx, items[1].id, "staff:ben"))
    decide(desk, items[2].id, "publish", "K1", BEN)
    those = [(each.id, each.version) for each in items]
    made, changed = desk.write_now(lambda tx: deciding.decide_many(tx, those, "refuse", "S1", "ads", **ANN))
    assert [each.item for each in made] == [items[0].id, items[3].id]
    assert changed == [items[1].id, items[2].id]
    refused(desk, lambda tx: deciding.decide_many(tx, [(items[1].id, 1)] * 501, "refuse", "S1", "x", **ANN), "bad_message")
    fresh = hold(desk, 9)
    refused(desk, lambda tx: deciding.decide_many(tx, [(fresh.id, 0)], "refuse", "K1", "x", **ANN), "bad_code")


# -- any comment --------------------------------------------------------------------------------------------------------


def test_a_removal_settles_what_waits_about_the_comment(desk: ReviewBook) -> None:
    """Who reported it has got what they asked for; reports of other comments wait on."""
    item, other = report(desk, 1, 1), report(desk, 2, 2)
    made = desk.write_now(lambda tx: deciding.remove(tx, "a", 1, "ann", "L8", "facts", **BOSS))
    assert (at(desk, item.id).state, at(desk, item.id).decision) == ("decided", made.id)
    assert at(desk, other.id).state == "open"
    assert review.receipts(desk)["R1"]["outcome"] == "upheld"
    back = desk.write_now(lambda tx: deciding.restore(tx, "a", 1, "ann", "R1", "facts", **BOSS))
    assert back.reverses == made.id
    assert [(kind, draft["target"]) for _, kind, draft in drafts(desk)] == [("remove", 1), ("restore", 1)]


def test_a_request_is_decided_once(desk: ReviewBook) -> None:
    """The same request again gives the first decision; its key for something else is refused, another person's key is their own."""
    once = lambda tx: deciding.remove(tx, "a", 1, "ann", "S1", "x", request="k", **BOSS)  # noqa: E731
    first = desk.write_now(once)
    assert desk.write_now(once) == first
    assert desk.write_now(lambda tx: deciding.remove(tx, "a", 1, "ann", "S1", "x", request="k", **ANN)).id != first.id
    refused(desk, lambda tx: deciding.restore(tx, "a", 1, "ann", "R1", "x", request="k", **BOSS), "key_reused")
    refused(desk, lambda tx: deciding.remove(tx, "a", 2, "ann", "S1", "x", request="k", **BOSS), "key_reused")


def test_a_notice_carries_who_decided_it_and_why(desk: ReviewBook) -> None:
    """The draft needs neither key nor time; a request that asks for another text is refused."""
    draft = NoticeDraft(room="a", author="", key="", at_ms=0, notice="announcement", text="hello")

    def tell(tx: Transaction, text: str = "hello") -> Decision:
        asked = msgspec.structs.replace(draft, text=text)
        return deciding.notice(tx, "announce", asked, "E4", "x", request="k", detail={"to": "all"}, **BOSS)

    made = desk.write_now(tell)
    assert desk.write_now(tell) == made
    assert made.detail == {"to": "all"}
    [(_, kind, told)] = drafts(desk)
    assert (kind, told["author"], told["key"], told["at_ms"]) == ("notice", "staff:boss", effect_key(made.id), START_MS)
    assert (told["code"], told["basis"], told["role"]) == ("E4", "x", "senior")
    refused(desk, lambda tx: tell(tx, "bye"), "key_reused")
    refused(desk, lambda tx: deciding.notice(tx, "mode", draft, "S1", "x", **BOSS), "bad_code")


# -- taking back --------------------------------------------------------------------------------------------------------


def undo(desk: ReviewBook, decision: Decision, by: dict[str, Any] = ANN) -> queue.Item:
    return desk.write_now(lambda tx: deciding.undo(tx, decision.id, **by))


def test_who_refused_by_mistake_has_the_item_again(desk: ReviewBook) -> None:
    """It waits, claimed by the same person, and the reports on it wait with it."""
    made = decide(desk, hold(desk).id, "refuse", "S1")
    item = undo(desk, made)
    assert (item.state, item.claimed_by, item.decision) == ("open", "staff:ann", 0)
    assert item == at(desk, item.id)
    last = review.decisions(desk)[-1]
    assert (last.what, last.code, last.reverses) == ("undo", "R1", made.id)
    reported = report(desk)
    kept = decide(desk, reported.id, "keep", "K2")
    undo(desk, kept)
    assert (review.receipts(desk)["R1"]["outcome"], review.receipts(desk)["R1"]["decided_ms"]) == ("", 0)
    assert decide(desk, reported.id, "remove", "S1").what == "remove"


def test_what_was_published_by_mistake_is_removed_and_decided_anew(desk: ReviewBook) -> None:
    """Published after all, it is restored under its own number; refused, it stays removed."""
    for number, (verdict, code, kind) in enumerate([("publish", "K1", "restore"), ("refuse", "S1", "")], 1):
        made = decide(desk, hold(desk, number).id, "publish", "K1")
        refused(desk, lambda tx: deciding.undo(tx, made.id, **ANN), "storage_unavailable")  # noqa: B023
        carried_out(desk, made, 40 + number)
        item = undo(desk, made)
        assert item.seq == 40 + number
        assert (drafts(desk)[-1][1], drafts(desk)[-1][2]["target"], drafts(desk)[-1][2]["code"]) == ("remove", item.seq, "A1")
        count = len(drafts(desk))
        again = decide(desk, item.id, verdict, code)  # type: ignore[arg-type]
        assert (again.what, again.seq) == (verdict, item.seq)
        assert [each[1] for each in drafts(desk)[count:]] == ([kind] if kind else [])


def test_what_was_removed_by_mistake_is_restored(desk: ReviewBook) -> None:
    """And its report waits again; a removal that the log refused needs no restoration."""
    made = decide(desk, report(desk).id, "remove", "S1")
    carried_out(desk, made, 9)
    item = undo(desk, made)
    assert (item.state, item.seq) == ("open", 1)
    assert (drafts(desk)[-1][1], drafts(desk)[-1][2]["target"]) == ("restore", 1)
    again = decide(desk, item.id, "remove", "S1")
    carried_out(desk, again, 0, "already_removed")
    count = len(drafts(desk))
    assert undo(desk, again).state == "open"
    assert len(drafts(desk)) == count


def test_an_undo_is_for_a_moment_and_for_oneself(desk: ReviewBook, clock: Clock) -> None:
    """Not of somebody else's decision, not later, not twice, not of what is no item's, and not when a newer item waits."""
    made = decide(desk, hold(desk).id, "refuse", "S1")
    refused(desk, lambda tx: deciding.undo(tx, made.id, **BEN), "forbidden")
    refused(desk, lambda tx: deciding.undo(tx, 99, **ANN), "decision_not_found")
    undo(desk, made)
    refused(desk, lambda tx: deciding.undo(tx, made.id, **ANN), "bad_step")
    removal = desk.write_now(lambda tx: deciding.remove(tx, "a", 1, "ann", "S1", "x", **ANN))
    refused(desk, lambda tx: deciding.undo(tx, removal.id, **ANN), "bad_step")
    kept = decide(desk, report(desk).id, "keep", "K2")
    report(desk, 2)
    refused(desk, lambda tx: deciding.undo(tx, kept.id, **ANN), "item_changed")
    late = decide(desk, hold(desk, 2).id, "refuse", "S1")
    clock.forward(ms=UNDO_MS + 1)
    refused(desk, lambda tx: deciding.undo(tx, late.id, **ANN), "too_late")


def test_an_undo_does_not_undo_what_others_decided_since(desk: ReviewBook) -> None:
    """Removed, restored by a senior and removed again: the first reviewer cannot bring the comment back."""
    made = decide(desk, report(desk).id, "remove", "S1")
    carried_out(desk, made, 8)
    restored = desk.write_now(lambda tx: deciding.reverse(tx, made.id, "R1", "x", **BOSS))
    carried_out(desk, restored, 9)
    desk.write_now(lambda tx: deciding.remove(tx, made.room, made.seq, "ann", "L1", "x", **BOSS))
    refused(desk, lambda tx: deciding.undo(tx, made.id, **ANN), "bad_step")


def reverse(desk: ReviewBook, decision: Decision, code: str) -> Decision:
    return desk.write_now(lambda tx: deciding.reverse(tx, decision.id, code, "second look", **BOSS))


def test_each_decision_on_a_comment_is_reversed_by_its_opposite(desk: ReviewBook) -> None:
    """Refused - published; published - removed; kept - removed; removed - restored; restored - removed; each once."""
    refusal = decide(desk, hold(desk).id, "refuse", "S1")
    published = reverse(desk, refusal, "K1")
    assert (published.what, published.reverses, published.item) == ("publish", refusal.id, refusal.item)
    assert at(desk, refusal.item).decision == published.id
    refused(desk, lambda tx: deciding.reverse(tx, published.id, "S1", "x", **BOSS), "storage_unavailable")
    carried_out(desk, published, 7)
    removed = reverse(desk, published, "S1")
    assert (removed.what, removed.seq) == ("remove", 7)
    carried_out(desk, removed, 8)
    restored = reverse(desk, removed, "R1")
    assert (restored.what, restored.seq) == ("restore", 7)
    carried_out(desk, restored, 9)
    assert reverse(desk, restored, "L8").what == "remove"
    kept = decide(desk, report(desk).id, "keep", "K2")
    assert (reverse(desk, kept, "S1").what, drafts(desk)[-1][2]["target"]) == ("remove", 1)
    refused(desk, lambda tx: deciding.reverse(tx, refusal.id, "K1", "x", **BOSS), "bad_step")


def test_what_cannot_be_reversed_is_said_so(desk: ReviewBook) -> None:
    """A warning, a removal that the log refused, an item whose text is deleted, and what is not there; a wrong family of code."""
    warned = decide(desk, report(desk, 1, 0).id, "warn", "S1")
    refused(desk, lambda tx: deciding.reverse(tx, warned.id, "K1", "x", **BOSS), "bad_step")
    refusal = decide(desk, hold(desk).id, "refuse", "S1")
    refused(desk, lambda tx: deciding.reverse(tx, refusal.id, "R2", "x", **BOSS), "bad_code")
    desk.write_now(lambda tx: tx.sql.exec_driver_sql("UPDATE items SET draft = x'', text = ''"))
    refused(desk, lambda tx: deciding.reverse(tx, refusal.id, "K1", "x", **BOSS), "bad_step")
    refused(desk, lambda tx: deciding.reverse(tx, 99, "K1", "x", **BOSS), "decision_not_found")
    item = hold(desk, 5)
    desk.write_now(lambda tx: tx.sql.exec_driver_sql("UPDATE items SET draft = x''"))
    refused(desk, lambda tx: deciding.decide_item(tx, item.id, 0, "publish", "K1", "x", **ANN), "bad_step")


def test_a_comment_that_stood_in_the_log_is_restored_by_a_reversal(desk: ReviewBook) -> None:
    """Published, undone, refused, and the refusal reversed: the same number is back."""
    made = decide(desk, hold(desk).id, "publish", "K1")
    carried_out(desk, made, 3)
    refusal = decide(desk, undo(desk, made).id, "refuse", "S1")
    again = reverse(desk, refusal, "K1")
    assert (drafts(desk)[-1][0], drafts(desk)[-1][1], drafts(desk)[-1][2]["target"]) == (again.id, "restore", 3)


def test_automated_decisions_say_so(desk: ReviewBook) -> None:
    """What a program decides stands as that in the log."""
    item = hold(desk)
    made = desk.write_now(
        lambda tx: deciding.decide_item(tx, item.id, 0, "refuse", "S2", "flood", actor="system", role="system", automated=True)
    )
    assert review.decisions(desk) == [made]
    assert made.automated
