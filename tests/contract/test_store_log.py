"""What every store promises of the log: numbers, outcomes, removals, what readers see."""

from __future__ import annotations

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from server.errors import CODES, Refusal
from server.store.base import Committed, Draft, Outcome, Rejected, Store
from server.wire import Event
from tests.support.drafts import announcement, comment, held, removal, report, restoration, room_mode

PLAIN = Event(
    seq=1, kind="comment", at_ms=1_000, pos_ms=500, text="你好", mode="scroll", color="#ffffff", size=25, author_id="p-ann",
    author_name="安",
)  # fmt: skip
ABOUT = {"region": "广东", "label": "南方日报", "label_kind": "news"}
LABELLED = replace(PLAIN, **ABOUT)
REMOVAL = Event(seq=2, kind="removal", at_ms=2_000, target=1, code="L5", basis="house rule 3", role="reviewer")
TOMBSTONE = replace(
    PLAIN, text="", author_id="", author_name="", code="L5", basis="house rule 3", role="reviewer", removed_by=2
)
RESTORATION = replace(
    PLAIN, seq=3, kind="restoration", at_ms=3_000, target=1, code="appeal", basis="appeal granted", role="reviewer"
)


def committed(outcome: Outcome) -> Committed:
    """The outcome, which has to be a Committed."""
    assert isinstance(outcome, Committed)
    return outcome


def codes(outcomes: list[Outcome]) -> list[str]:
    """The codes of rejected drafts; empty for the others."""
    return [outcome.code if isinstance(outcome, Rejected) else "" for outcome in outcomes]


def one(store: Store, draft: Draft) -> Outcome:
    """Append one draft."""
    (outcome,) = store.append([draft])
    return outcome


def test_an_empty_batch_does_nothing(store: Store) -> None:
    """No drafts, no outcomes."""
    assert store.append([]) == []
    assert store.read("a", 0, 10) == []


def test_a_comment_becomes_an_event(store: Store) -> None:
    """A comment's outcome names its room and carries the event that readers get."""
    assert store.append([comment()]) == [Committed(room="a", event=PLAIN, fresh=True)]
    assert store.read("a", 0, 10) == [PLAIN]


def test_every_field_of_a_comment_comes_back(store: Store) -> None:
    """Position, mode, colour, size, author and text are what was given."""
    text = "a\"\\'%_<b>\n\x01😀"
    draft = comment(
        at_ms=2**62,
        pos_ms=172_800_000,
        mode="reverse",
        color="#fe0302",
        size=64,
        text=text,
        author_id="",
        author_name="😀",
    )
    expected = Event(
        seq=1,
        kind="comment",
        at_ms=2**62,
        pos_ms=172_800_000,
        mode="reverse",
        color="#fe0302",
        size=64,
        text=text,
        author_id="",
        author_name="😀",
    )
    assert committed(one(store, draft)).event == expected
    assert store.read("a", 0, 1) == [expected]


def test_notices_become_events(store: Store) -> None:
    """An announcement carries its text, a mode notice the new mode."""
    store.append([announcement("Be kind."), room_mode("closed")])
    assert store.read("a", 0, 10) == [
        Event(seq=1, kind="notice", at_ms=4_000, notice="announcement", text="Be kind."),
        Event(seq=2, kind="notice", at_ms=4_000, notice="mode", room_mode="closed"),
    ]


def test_numbers_follow_the_batch_in_each_room(store: Store) -> None:
    """Events of a room are numbered from 1 without gaps, in the order of the batch, across batches and kinds."""
    first = store.append([comment("1"), comment("2", room="b"), announcement(), comment("3"), comment("4", room="b")])
    second = store.append([comment("5"), comment("6", room="b")])
    numbers = [(outcome.room, outcome.event.seq) for outcome in map(committed, first + second)]
    assert numbers == [("a", 1), ("b", 1), ("a", 2), ("a", 3), ("b", 2), ("a", 4), ("b", 3)]
    assert [event.seq for event in store.read("a", 0, 10)] == [1, 2, 3, 4]


def test_rejected_drafts_take_no_number(store: Store) -> None:
    """A draft that cannot be is told so, writes nothing, and leaves the rest of the batch alone."""
    outcomes = store.append([comment("1"), comment("2", room="nowhere"), removal(9), comment("3"), report(room="nowhere")])
    assert codes(outcomes) == ["", "room_not_found", "comment_not_found", "", "room_not_found"]
    assert [event.seq for event in store.read("a", 0, 10)] == [1, 2]
    assert one(store, comment("2")) != Rejected("key_reused")


def test_rejected_codes_are_in_the_table(store: Store) -> None:
    """Every code of a rejection is one that leaves the server."""
    outcomes = store.append(
        [comment(room="x"), comment(text="\0"), comment(author_name="\0"), removal(1), comment("n"), comment("n", text="o")]
    )
    assert [code for code in codes(outcomes) if code and code not in CODES] == []
    assert codes(outcomes) == ["room_not_found", "bad_text", "bad_message", "comment_not_found", "", "key_reused"]


@pytest.mark.parametrize(
    ("draft", "code"),
    [
        (comment(text="a\0b"), "bad_text"),
        (comment(text="a\ud800b"), "bad_text"),
        (comment(author_name="\udfff"), "bad_message"),
        (comment(author="a\0"), "bad_message"),
        (comment("a\0"), "bad_message"),
        (comment("\ud800"), "bad_message"),
        (comment(pos_ms=2**63), "bad_message"),
        (removal(2**80), "bad_message"),
        (removal(1, basis="\0"), "bad_message"),
        (announcement("\0"), "bad_text"),
        (held(author_name="\ud800"), "bad_message"),
        (report(reason="\0"), "bad_message"),
    ],
)
def test_what_no_database_holds_is_rejected_alone(store: Store, draft: Draft, code: str) -> None:
    """NUL, lone surrogates and huge numbers reject their draft and no other one of the batch."""
    assert codes(store.append([comment("1"), draft, comment("2")])) == ["", code, ""]
    assert [event.seq for event in store.read("a", 0, 10)] == [1, 2]


def test_a_backslash_is_an_ordinary_character(store: Store) -> None:
    """Keys and texts that look like escapes are kept as they are."""
    key = "\\u0000"
    assert committed(one(store, comment(key, text="\\u0000\\n"))).fresh
    assert not committed(one(store, comment(key, text="\\u0000\\n"))).fresh
    assert committed(one(store, comment("\\"))).fresh
    assert store.read("a", 0, 1)[0].text == "\\u0000\\n"


# Reading


def test_reading_pages_through_the_log(store: Store) -> None:
    """``after`` and ``limit`` cut the log as they say, at its ends too."""
    store.append([comment(str(number), text=str(number)) for number in range(1, 8)])

    def texts(after: int, limit: int) -> str:
        return "".join(event.text for event in store.read("a", after, limit))

    assert texts(0, 10) == "1234567"
    assert texts(0, 3) == "123"
    assert texts(3, 3) == "456"
    assert texts(6, 3) == "7"
    assert texts(7, 3) == texts(99, 3) == texts(0, 0) == texts(0, -1) == ""
    assert texts(-5, 2) == "12"


def test_ten_thousand_events_are_read_at_once(store: Store) -> None:
    """The greatest limit that callers use gives every event, in order."""
    for start in range(0, 10_500, 1_500):
        store.append([comment(str(number)) for number in range(start, start + 1_500)])
    assert [event.seq for event in store.read("a", 0, 10_000)] == list(range(1, 10_001))
    assert [event.seq for event in store.read("a", 10_000, 10_000)] == list(range(10_001, 10_501))


def test_reading_an_unknown_room_is_refused(store: Store) -> None:
    """An empty room has no events; a room that does not exist is refused."""
    assert store.read("b", 0, 10) == []
    with pytest.raises(Refusal) as refused:
        store.read("nowhere", 0, 10)
    assert refused.value.code.name == "room_not_found"


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    name=st.text('\x01\x7f"\\/<>\u2028😀e\u0301'),
)
def test_any_text_comes_back_as_it_was(store: Store, text: str, name: str) -> None:
    """Texts and names of any characters are stored and read unchanged."""
    key = f"{text}|{name}"
    event = committed(one(store, comment(key, text=text, author_name=name))).event
    assert (event.text, event.author_name) == (text, name)
    assert store.read("a", event.seq - 1, 1) == [event]


# Removing and restoring


def test_a_removal_leaves_a_tombstone(store: Store) -> None:
    """The removal is an event of its own; the comment keeps its number and place, without text, author and names."""
    store.append([comment()])
    assert store.append([removal(1)]) == [Committed(room="a", event=REMOVAL, fresh=True, target=TOMBSTONE)]
    assert store.read("a", 0, 10) == [TOMBSTONE, REMOVAL]


@pytest.mark.parametrize("together", [False, True], ids=["batch by batch", "in one batch"])
def test_region_and_label_come_and_go_with_the_comment(store: Store, together: bool) -> None:
    """They stand on the comment as written and on its restoration while it may be seen, and on no tombstone."""
    drafts: list[Draft] = [comment(**ABOUT), removal(1), restoration(1), removal(1, "again")]
    outcomes = store.append(drafts) if together else [one(store, draft) for draft in drafts]
    first, gone, back, again = map(committed, outcomes)
    assert first.event == LABELLED
    assert gone.target == TOMBSTONE
    assert (back.target, back.event) == (LABELLED, replace(RESTORATION, **ABOUT))
    assert again.target == replace(TOMBSTONE, removed_by=4)
    log = store.read("a", 0, 10)
    assert log[0] == replace(TOMBSTONE, removed_by=4)
    assert {(event.region, event.label, event.label_kind) for event in log} == {("", "", "")}
    store.append([restoration(1, "rs2")])
    assert store.read("a", 0, 1) == [LABELLED]
    assert committed(one(store, comment(text="你好"))) == Committed(room="a", event=LABELLED, fresh=False)


def test_a_restoration_brings_the_comment_back(store: Store) -> None:
    """The comment is as it was before, and the restoration carries its fields."""
    store.append([comment(), removal(1)])
    assert store.append([restoration(1)]) == [Committed(room="a", event=RESTORATION, fresh=True, target=PLAIN)]
    assert store.read("a", 0, 10) == [PLAIN, REMOVAL, RESTORATION]


def test_a_second_removal_takes_the_text_out_of_the_restoration_too(store: Store) -> None:
    """No event shows the text of a comment that is removed now."""
    store.append([comment(), removal(1), restoration(1), removal(1, "rm2", code="P1")])
    log = store.read("a", 0, 10)
    assert [event.text for event in log] == ["", "", "", ""]
    assert [event.author_name for event in log] == ["", "", "", ""]
    assert (log[0].removed_by, log[0].code) == (4, "P1")
    assert (log[2].kind, log[2].target, log[2].pos_ms) == ("restoration", 1, 500)


def test_a_comment_lives_and_dies_in_one_batch(store: Store) -> None:
    """Drafts of a batch see those before them, and their outcomes tell the state at their place."""
    batch: list[Draft] = [comment(), removal(1), restoration(1), removal(1, "again"), comment()]
    outcomes = [committed(outcome) for outcome in store.append(batch)]
    assert [outcome.event.seq for outcome in outcomes] == [1, 2, 3, 4, 1]
    assert [outcome.target for outcome in outcomes[:3]] == [None, TOMBSTONE, PLAIN]
    assert outcomes[2].event == RESTORATION
    assert outcomes[3].target == replace(TOMBSTONE, removed_by=4)
    assert outcomes[4] == Committed(room="a", event=replace(TOMBSTONE, removed_by=4), fresh=False)
    assert store.read("a", 0, 1) == [replace(TOMBSTONE, removed_by=4)]


def test_removals_ask_for_a_comment_that_stands(store: Store) -> None:
    """Only comments of the room can be removed, once; only removed ones restored."""
    store.append([comment("1"), comment("2", room="b"), announcement()])
    drafts: list[Draft] = [
        removal(0, "1"), removal(-1, "2"), removal(3, "3"), removal(2, "4"), removal(1, "5", room="nowhere"), restoration(1, "6"),
        removal(1, "7"), removal(1, "8"), removal(4, "9"), restoration(4, "10"), restoration(1, "11"), restoration(1, "12"),
    ]  # fmt: skip
    assert codes(store.append(drafts)) == [
        "comment_not_found", "comment_not_found", "comment_not_found", "comment_not_found", "room_not_found", "not_removed",
        "", "already_removed", "comment_not_found", "comment_not_found", "", "not_removed",
    ]  # fmt: skip


@pytest.mark.parametrize("together", [True, False])
def test_an_author_recalls_only_own_comments_in_time(store: Store, together: bool) -> None:
    """With ``owner`` the comment must be the owner's (not_yours) and not older than ``not_before_ms`` (too_late)."""
    drafts: list[Draft] = [
        comment("1"),
        removal(1, "r1", author="bob", owner="bob"),
        removal(1, "r2", author="ann", owner="ann", not_before_ms=1_001),
        removal(1, "r3", author="ann", owner="ann", not_before_ms=1_000),
        removal(1, "r4", author="ann", owner="ann", not_before_ms=1_001),
        removal(1, "r5", author="bob", owner="bob"),
    ]
    outcomes = store.append(drafts) if together else [one(store, draft) for draft in drafts]
    assert codes(outcomes) == ["", "not_yours", "too_late", "", "already_removed", "not_yours"]


def test_without_owner_the_age_does_not_matter(store: Store) -> None:
    """``not_before_ms`` bounds the author's own recall only."""
    store.append([comment()])
    assert committed(one(store, removal(1, not_before_ms=9_999))).fresh


# Threads


def test_readers_see_a_whole_batch_or_nothing_of_it(store: Store) -> None:
    """During appends another thread reads only whole batches, in rooms() as in read()."""
    failures: list[str] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen = len(store.read("a", 0, 10_000))
            head = next(room.head for room in store.rooms() if room.name == "a")
            if seen % 40 or head % 40 or head < seen:
                failures.append(f"{seen} events, head {head}")

    watcher = threading.Thread(target=watch)
    watcher.start()
    for batch in range(25):
        store.append([comment(f"{batch}-{number}") for number in range(40)])
    done.set()
    watcher.join()
    assert failures == []


def test_the_account_behind_a_comment_is_known_also_when_it_was_removed(store: Store) -> None:
    """Whoever has to act on a comment finds its author; other events and numbers, and other rooms, have none."""
    store.append([comment(author="u1"), removal(1), comment("k2", author="u2")])
    assert [store.author("a", seq) for seq in range(5)] == ["", "u1", "", "u2", ""]
    assert store.author("nowhere", 1) == ""
    assert [store.actor("a", seq) for seq in range(5)] == ["", "u1", "rev", "u2", ""]
    assert store.actor("nowhere", 1) == ""
