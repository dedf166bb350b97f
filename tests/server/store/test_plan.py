"""What a batch becomes, without a database."""

from __future__ import annotations

from typing import Any

from server.store import plan as planning
from server.store.base import Committed, Draft, Recorded, Rejected
from server.store.leaf import text_hash
from server.store.plan import COMMENT_COLUMNS, KEY_COLUMNS, OTHER_COLUMNS, FirstScreened, Known, Plan, Room, Row
from tests.support.drafts import announcement, comment, connection, held, removal, restoration, room_mode

ROW = Row(
    room_id=1, seq=1, kind="comment", at_ms=1_000, pos_ms=500, author="ann", author_id="p-ann", author_name="安", mode="scroll",
    color="#ffffff", size=25, text="你好", target=0, code="", basis="", role="", removed_by=0, notice="", room_mode="",
    region="", label="", label_kind="",
)  # fmt: skip


def counting(size: int) -> bytes:
    """Entropy that can be told."""
    return bytes(number % 256 for number in range(size))


def make(*batch: Draft, known: Known | None = None) -> Plan:
    """Plan for room ``a``, id 1, with ten events."""
    return planning.make(batch, known or Known({"a": Room(1, 10, 10)}), counting)


def rows(values: list[Any], columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """The flat list as one dictionary for each row."""
    width = len(columns)
    assert len(values) % width == 0
    return [dict(zip(columns, values[at : at + width], strict=True)) for at in range(0, len(values), width)]


def test_a_comment_becomes_one_row_and_one_key() -> None:
    """The row has the number after the head, a salt of its own and the hash over both."""
    plan = make(comment("1"), comment("2", verdict=b"{}", connection="c9"))
    first, second = rows(plan.comments, COMMENT_COLUMNS)
    assert (first["seq"], second["seq"]) == (11, 12)
    assert (first["salt"], second["salt"]) == (counting(32)[:16], counting(32)[16:])
    assert first["text_hash"] == text_hash(first["salt"], "你好")
    (third,) = rows(make(comment(region="广东", label="日报", label_kind="news")).comments, COMMENT_COLUMNS)
    assert third["text_hash"] == text_hash(third["salt"], "你好", "广东")
    assert (third["region"], third["label"], third["label_kind"]) == ("广东", "日报", "news")
    assert (second["kind"], second["verdict"], second["connection"]) == ("comment", b"{}", "c9")
    assert rows(plan.keys, KEY_COLUMNS) == [
        {"author": "ann", "key": "1", "room_id": 1, "seq": 11},
        {"author": "ann", "key": "2", "room_id": 1, "seq": 12},
    ]


def test_heads_are_left_in_the_rooms() -> None:
    """After planning, the rooms carry the heads that the store remembers once it has committed."""
    known = Known({"a": Room(1, 10, 10), "b": Room(2, 0, 0)})
    make(comment("1"), comment("2", room="b"), announcement(), known=known)
    assert {name: room.head for name, room in known.rooms.items()} == {"a": 12, "b": 1}


def test_decisions_have_no_text_of_their_own() -> None:
    """A removal's row carries reason and target; an announcement has text, salt and hash."""
    plan = make(comment("1"), removal(11), announcement("Hi"))
    decision, notice = rows(plan.others, OTHER_COLUMNS)
    assert (decision["text"], decision["salt"], decision["text_hash"], decision["target"]) == (None, None, None, 11)
    assert (notice["text"], notice["target"]) == ("Hi", None)
    assert notice["text_hash"] == text_hash(notice["salt"], "Hi")
    assert plan.removed == {(1, 11): 12}


def test_only_the_last_state_is_written() -> None:
    """A comment that is removed and restored in one batch is not marked; the last mode of a room wins."""
    plan = make(comment("1"), removal(11), restoration(11), room_mode("closed", "m1"), room_mode("open", "m2"))
    assert plan.removed == {(1, 11): None}
    assert plan.modes == {1: {"mode": "open", "standing": "open", "until_ms": 0}}


def test_a_connection_of_one_batch_is_one_row() -> None:
    """Opening and closing in one batch are merged: a statement may not write a row twice."""
    plan = make(connection(), connection(closed_ms=950), connection("c2"))
    assert list(plan.connections.values()) == [
        ("c1", "ann", "192.0.2.7", 40_001, 900, 950),
        ("c2", "ann", "192.0.2.7", 40_001, 900, 0),
    ]


def test_the_retry_of_an_erased_comment_cannot_be_checked() -> None:
    """When the text is gone, room and kind have to do; the answer carries no text."""
    row = Row(**{name: getattr(ROW, name) for name in ROW.__struct_fields__} | {"text": None})
    known = Known({"a": Room(1, 10, 10)}, first={("ann", "k"): (1, 1)}, events={(1, 1): row})
    (outcome,) = make(comment("k", text="whatever"), known=known).outcomes
    assert isinstance(outcome, Committed)
    assert (outcome.fresh, outcome.event.seq, outcome.event.text) == (False, 1, "")


def test_a_first_answer_is_found_by_room_and_text() -> None:
    """A screened first answer is given to the same room and text only."""
    first = FirstScreened("ann", "k", 1, "x", "refused", "banned_content")
    known = Known({"a": Room(1, 0, 0), "b": Room(2, 0, 0)}, first={("ann", "k"): first})
    outcomes = make(
        comment("k", text="x"), held("k", text="x", room="b"), held("k", text="y"), removal(1, "k", author="ann"), known=known
    ).outcomes
    reused = Rejected("key_reused")
    assert outcomes == [Recorded(fresh=False, action="refused", code="banned_content"), reused, reused, reused]
