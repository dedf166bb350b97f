"""What every store promises of retries: one key, one effect, the first answer."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from server.store.base import Committed, Draft, Outcome, Recorded, Rejected, Store
from tests.support.drafts import announcement, comment, held, removal, restoration, room_mode

HELD = Recorded(fresh=False, action="held", code="held_for_review")
REUSED = Rejected("key_reused")


def again(outcome: Outcome) -> Outcome:
    """The outcome that a retry gets."""
    assert isinstance(outcome, Committed | Recorded)
    return replace(outcome, fresh=False)


EVERY_KIND: list[Draft] = [
    comment(),
    removal(1),
    restoration(1),
    announcement(),
    room_mode("closed"),
    held(),
]


def test_a_retry_of_any_kind_gets_the_first_answer(store: Store) -> None:
    """All of a batch appended again gives the same outcomes with ``fresh`` false, and writes nothing."""
    first = store.append(EVERY_KIND)
    log, screened = store.read("a", 0, 10), store.screened(0, 10)
    later = store.append(EVERY_KIND)
    expected = [again(outcome) for outcome in first]
    # Outcomes carry what stands now: the removal's comment was restored since.
    assert isinstance(first[0], Committed)
    assert isinstance(expected[1], Committed)
    expected[1] = replace(expected[1], target=first[0].event)
    assert later == expected
    assert store.read("a", 0, 10) == log
    assert store.screened(0, 10) == screened


def test_a_retry_within_a_batch_gets_the_first_answer(store: Store) -> None:
    """The same draft twice in one batch is written once."""
    for draft in EVERY_KIND:
        first, second = store.append([draft, draft])
        assert second == again(first)
    assert len(store.read("a", 0, 10)) == 5
    assert len(store.screened(0, 10)) == 1


def test_a_retry_may_have_other_times(store: Store) -> None:
    """Time, position, looks, nickname and verdict of a retry do not matter; the first ones stand."""
    store.append([comment()])
    later = comment(at_ms=9_999, pos_ms=9, color="#000000", mode="top", size=12, author_name="new", verdict=b"{}")
    (outcome,) = store.append([later])
    assert isinstance(outcome, Committed)
    assert (outcome.fresh, outcome.event.at_ms, outcome.event.author_name) == (False, 1_000, "安")


@pytest.mark.parametrize("together", [True, False])
def test_another_room_or_text_is_a_reused_key(store: Store, together: bool) -> None:
    """The same key with another room or text is rejected, whatever kind it was first."""
    drafts: list[Draft] = [
        comment("k"), comment("k", room="b"), comment("k", text="other"),
        held("h"), held("h", room="b"), held("h", text="other"), comment("h", room="b"), comment("h"),
        announcement(key="n"), announcement("Other.", key="n"), announcement(key="n", room="b"),
        room_mode("closed", "m"), room_mode("open", "m"),
        removal(1, "r"), removal(2, "r"), removal(1, "r", room="b"),
        restoration(1, "s"), restoration(2, "s"),
    ]  # fmt: skip
    outcomes = store.append(drafts) if together else [store.append([draft])[0] for draft in drafts]
    assert [outcome == REUSED for outcome in outcomes] == [
        False, True, True, False, True, True, True, True, False, True, True, False, True, False, True, True, False, True,
    ]  # fmt: skip
    assert [room.head for room in store.rooms()] == [5, 0]
    assert store.rooms()[0].mode == "closed"


@pytest.mark.parametrize("together", [True, False])
def test_kinds_share_the_keys_of_an_author(store: Store, together: bool) -> None:
    """A key that was used for one kind cannot be used for another."""
    drafts: list[Draft] = [
        comment("1", author="x"), removal(1, "1", author="x"), restoration(1, "1", author="x"),
        announcement(key="1", author="x"), removal(1, "2", author="x"), restoration(1, "2", author="x"), comment("2", author="x"),
        held("2", author="x"), held("3", author="x"), removal(1, "3", author="x"), announcement("加V", key="3", author="x"),
    ]  # fmt: skip
    outcomes = store.append(drafts) if together else [store.append([draft])[0] for draft in drafts]
    assert [outcome == REUSED for outcome in outcomes] == [False, True, True, True, False, True, True, True, False, True, True]


@pytest.mark.parametrize("together", [True, False])
def test_the_screening_may_judge_a_retry_differently(store: Store, together: bool) -> None:
    """A comment and a held or refused comment of the same text and key are one thing: the first answer stands."""
    drafts: list[Draft] = [
        comment("1"), held("1", text="你好"), held("1", text="你好", action="refused", code="banned_content"),
        held("2"), comment("2", text="加V"), held("2", action="refused", code="banned_content"),
        held("3", action="refused", code="too_fast"), comment("3", text="加V"),
    ]  # fmt: skip
    outcomes = store.append(drafts) if together else [store.append([draft])[0] for draft in drafts]
    assert isinstance(outcomes[0], Committed)
    first = again(outcomes[0])
    refused = Recorded(fresh=False, action="refused", code="too_fast")
    assert outcomes[1:] == [first, first, replace(HELD, fresh=True), HELD, HELD, replace(refused, fresh=True), refused]
    assert len(store.read("a", 0, 10)) == 1
    assert [record.key for record in store.screened(0, 10)] == ["2", "3"]


def test_keys_belong_to_their_author(store: Store) -> None:
    """Two authors may use the same key; a pair is never taken for another pair with the same letters."""
    outcomes = store.append(
        [comment("k", author="ann"), comment("k", author="bob"), comment("bk", author="an"), comment("", author="k")]
    )
    assert [getattr(outcome, "fresh", None) for outcome in outcomes] == [True, True, True, True]


def test_a_rejected_draft_leaves_its_key_free(store: Store) -> None:
    """Nothing is remembered of a rejected draft: its key may be used again."""
    store.append([removal(1, "r"), comment("c", room="nowhere")])
    outcomes = store.append([comment("c"), removal(1, "r")])
    assert [getattr(outcome, "fresh", None) for outcome in outcomes] == [True, True]


def test_the_retry_of_a_removed_comment_gets_its_tombstone(store: Store) -> None:
    """A retry is told the number; the removed text is not handed out again."""
    store.append([comment(), removal(1)])
    (outcome,) = store.append([comment()])
    assert isinstance(outcome, Committed)
    assert (outcome.fresh, outcome.event.seq, outcome.event.text, outcome.event.removed_by) == (False, 1, "", 2)


def test_a_large_batch_of_retries_and_new_drafts(store: Store) -> None:
    """Half of a thousand drafts are retries, in any order: each gets its own number."""
    numbers = {f"k{number}": number + 1 for number in range(500)}
    store.append([comment(key, text=key) for key in numbers])
    mixed = [comment(f"k{number * 7 % 1_000}", text=f"k{number * 7 % 1_000}") for number in range(1_000)]
    for draft, outcome in zip(mixed, store.append(mixed), strict=True):
        assert isinstance(outcome, Committed)
        assert outcome.event.text == draft.text
        assert outcome.fresh == (draft.key not in numbers)
    assert [event.seq for event in store.read("a", 0, 2_000)] == list(range(1, 1_001))
