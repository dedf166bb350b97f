"""What every store promises of its tallies."""

from __future__ import annotations

import pytest

from server.errors import StoreUnavailable
from server.store.base import Store
from server.store.tallies import Tally
from tests.support.drafts import comment, removal, restoration


def test_events_are_counted_by_kind_and_decisions_by_code_and_role(store: Store) -> None:
    """Removals and restorations are told apart by why and by whom; a time's begin belongs to it, its end does not."""
    store.append([comment("1", at_ms=100), comment("2", at_ms=200), comment("3", room="b", at_ms=300), comment("4", at_ms=400)])
    store.append([removal(1, "r1", at_ms=350), removal(2, "r2", at_ms=360), restoration(1, at_ms=370)])
    found = store.tally(200, 400)
    assert [(each.kind, each.count) for each in found if each.kind == "comment"] == [("comment", 2)]
    removed = [each for each in found if each.kind == "removal"]
    assert [each.count for each in removed] == [2]
    assert removed[0].code
    assert removed[0].role
    assert sum(each.count for each in found if each.kind == "restoration") == 1
    assert found == sorted(found, key=lambda each: (each.kind, each.code, each.role))
    assert store.tally(401, 500) == []
    assert store.tally(0, 101) == [Tally(kind="comment", code="", role="", count=1)]


def test_a_closed_store_counts_nothing(store: Store) -> None:
    """It says that it is closed."""
    store.close()
    with pytest.raises(StoreUnavailable):
        store.tally(0, 1)
