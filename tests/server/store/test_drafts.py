"""What drafts mean to every store."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.store import drafts
from server.store.base import Draft
from tests.support.drafts import announcement, comment, connection, held, removal, report, restoration, room_mode


@pytest.mark.parametrize("draft", [comment(), removal(1), restoration(1), announcement(), held(), connection(), report()])
def test_good_drafts_have_no_fault(draft: Draft) -> None:
    """An ordinary draft of any kind can be kept."""
    assert drafts.fault(draft) == ""


@pytest.mark.parametrize(
    ("draft", "code"),
    [
        (comment(text="\0"), "bad_text"),
        (comment(text="\ud800"), "bad_text"),
        (comment(color="\0"), "bad_message"),
        (comment(pos_ms=2**63), "bad_message"),
        (comment(pos_ms=-(2**63) - 1), "bad_message"),
        (comment(pos_ms=2**63 - 1), ""),
        (connection(address="\udfff"), "bad_message"),
        (held(text="\0"), ""),
        (report(text="\ud800"), ""),
        (report(reason="\ud800"), "bad_message"),
    ],
)
def test_faults_name_the_code(draft: Draft, code: str) -> None:
    """NUL, lone surrogates and numbers beyond 64 bits cannot be kept, but in the texts that are evidence."""
    assert drafts.fault(draft) == code


@given(st.text(st.characters()))
def test_storable_texts_can_be_encoded(text: str) -> None:
    """Any text becomes one that a database holds, of the same length; a good text stays as it is."""
    kept = drafts.storable(text)
    kept.encode()
    assert "\0" not in kept
    assert len(kept) == len(text)
    assert drafts.storable(kept) == kept
    if "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text):
        assert kept == text


def test_identities_tell_retries_from_reused_keys() -> None:
    """Comment and screened comment of one text are the same thing; kinds, rooms, targets and texts tell others apart."""
    assert drafts.identity(comment(text="x")) == drafts.identity(held(text="x", at_ms=9))
    different: list[drafts.KeyedDraft] = [
        comment(), comment(room="b"), comment(text="x"), removal(1), removal(2), restoration(1), announcement(),
        announcement("x"), room_mode("open"), room_mode("closed"),
    ]  # fmt: skip
    assert len({drafts.identity(draft) for draft in different}) == len(different)


def test_obstacles_tell_a_stranger_nothing() -> None:
    """Whose comment it is comes before its state and its age."""
    mine = removal(1, owner="ann", not_before_ms=10)
    assert drafts.obstacle(mine, "bob", 5, 3) == "not_yours"
    assert drafts.obstacle(mine, "ann", 5, 3) == "already_removed"
    assert drafts.obstacle(mine, "ann", 9, 0) == "too_late"
    assert drafts.obstacle(mine, "ann", 10, 0) == ""
    assert drafts.obstacle(removal(1, not_before_ms=10), "bob", 5, 0) == ""
    assert drafts.obstacle(restoration(1), "bob", 5, 0) == "not_removed"
    assert drafts.obstacle(restoration(1), "bob", 5, 3) == ""
