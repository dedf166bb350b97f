"""What every store promises of the records around the log: screened comments, connections, reports."""

from __future__ import annotations

import msgspec
import pytest

from server.store.base import Draft, Outcome, Recorded, Rejected, ReportRecord, ScreenedRecord, Store
from tests.support.drafts import comment, connection, held, removal, report

WRITTEN = Recorded(fresh=True)
THERE = Recorded(fresh=False)


def each(store: Store, drafts: list[Draft], together: bool) -> list[Outcome]:
    """Append all at once, or one by one."""
    return store.append(drafts) if together else [store.append([draft])[0] for draft in drafts]


def test_a_screened_comment_is_recorded_and_not_in_the_log(store: Store) -> None:
    """It comes back with its verdict; readers of the room see nothing of it, and it takes no number."""
    outcomes = store.append([held(), comment()])
    assert outcomes[0] == Recorded(fresh=True, action="held", code="held_for_review")
    assert store.screened(0, 10) == [ScreenedRecord(id=1, **msgspec.structs.asdict(held()))]
    assert [event.seq for event in store.read("a", 0, 10)] == [1]


def test_screened_comments_are_paged_and_filtered(store: Store) -> None:
    """Ids count up; ``after``, ``limit`` and ``action`` choose."""
    store.append(
        [
            held(str(number), action="held" if number % 2 else "refused", code="banned_content", room="ab"[number % 2])
            for number in range(6)
        ]
    )

    def keys(after: int, limit: int, action: str = "") -> str:
        return "".join(record.key for record in store.screened(after, limit, action))

    ids = [record.id for record in store.screened(0, 10)]
    assert ids == sorted(set(ids))
    assert keys(0, 10) == "012345"
    assert keys(ids[1], 2) == "23"
    assert keys(0, 2, "held") == "13"
    assert keys(ids[2], 9, "refused") == "4"
    assert keys(ids[-1], 9) == keys(0, 0) == keys(0, -1) == keys(0, 9, "other") == ""
    assert {record.room for record in store.screened(0, 10, "held")} == {"b"}


def test_a_screened_text_is_kept_in_any_case(store: Store) -> None:
    """NUL and lone surrogates become U+FFFD, any verdict comes back, and a retry is known."""
    draft = held(text="a\0b\ud800c", verdict=bytes(range(256)))
    assert store.append([draft, draft]) == [
        Recorded(fresh=True, action="held", code="held_for_review"),
        Recorded(fresh=False, action="held", code="held_for_review"),
    ]
    assert store.append([draft]) == [Recorded(fresh=False, action="held", code="held_for_review")]
    (record,) = store.screened(0, 10)
    assert (record.text, record.verdict) == ("a\ufffdb\ufffdc", bytes(range(256)))


def test_a_screened_comment_needs_its_room(store: Store) -> None:
    """A screened comment of an unknown room is rejected."""
    assert store.append([held(room="nowhere")]) == [Rejected("room_not_found")]
    assert store.screened(0, 10) == []


@pytest.mark.parametrize("together", [True, False])
def test_a_connection_is_written_when_it_opens_and_when_it_closes(store: Store, together: bool) -> None:
    """Opening and closing are each written once; what comes again, or late, changes nothing."""
    drafts: list[Draft] = [
        connection(), connection(), connection(closed_ms=950), connection(closed_ms=950), connection(closed_ms=990), connection(),
        connection("c2", closed_ms=960), connection("c2"),
    ]  # fmt: skip
    assert each(store, drafts, together) == [WRITTEN, THERE, WRITTEN, THERE, THERE, THERE, WRITTEN, THERE]


@pytest.mark.parametrize("together", [True, False])
def test_a_report_is_recorded_once_for_its_receipt(store: Store, together: bool) -> None:
    """A report may be about a room or any number of its log; its receipt is unique."""
    drafts: list[Draft] = [
        comment(), removal(1), report("R1"), report("R1", text="other"), report("R2", seq=1), report("R3", seq=2),
        report("R4", seq=3), report("R5", seq=-1), report("R6", room="nowhere"), report("R4", seq=2, room="a"),
    ]  # fmt: skip
    outcomes = each(store, drafts, together)
    assert outcomes[2:] == [
        WRITTEN, THERE, WRITTEN, WRITTEN, Rejected("comment_not_found"), Rejected("comment_not_found"),
        Rejected("room_not_found"), WRITTEN,
    ]  # fmt: skip
    assert [(record.receipt, record.seq, record.text) for record in store.reports(0, 10)] == [
        ("R1", 0, "please look"), ("R2", 1, "please look"), ("R3", 2, "please look"), ("R4", 2, "please look"),
    ]  # fmt: skip


def test_reports_come_back_without_the_reporters_address(store: Store) -> None:
    """Reports are paged by ids that count up; their text is kept in any case."""
    store.append([report("R1", text="a\0"), report("R2", room="b", account="ann"), report("R3")])
    first, second, third = store.reports(0, 10)
    assert [record.account for record in (first, second, third)] == [None, "ann", None]
    assert first == ReportRecord(id=first.id, receipt="R1", room="a", seq=0, at_ms=5_000, reason="abuse", text="a\ufffd")
    assert first.id < second.id < third.id
    assert store.reports(first.id, 1) == [second]
    assert store.reports(third.id, 10) == store.reports(0, 0) == store.reports(0, -1) == []
