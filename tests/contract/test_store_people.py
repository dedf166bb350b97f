"""What every store promises of one account's records, and of records whose term has run out."""

from __future__ import annotations

import pytest

from server.errors import StoreUnavailable
from server.store.base import ConnectionRecord, OwnComment, Store
from tests.support.drafts import comment, connection, held, removal, restoration


def test_an_account_gets_back_what_it_said(store: Store) -> None:
    """Comments of all rooms in the order of writing, removed ones too, and nobody else's."""
    store.append(
        [
            comment("1", text="一", region="广东"),
            comment("2", author="bob"),
            comment("3", room="b", text="三"),
            comment("4", text="四"),
        ]
    )
    store.append([removal(1), removal(3, key="r2"), restoration(3)])
    found = store.comments_of("ann", 0, 10)
    assert [(each.room, each.seq, each.text, each.removed) for each in found] == [
        ("a", 1, "一", True),
        ("b", 1, "三", False),
        ("a", 3, "四", False),
    ]
    assert found[0] == OwnComment(id=found[0].id, room="a", seq=1, at_ms=1_000, text="一", removed=True, region="广东")
    assert store.comments_of("ann", found[0].id, 1) == [found[1]]
    assert store.comments_of("nobody", 0, 10) == store.comments_of("ann", 0, 0) == []


def test_an_account_gets_back_its_connections(store: Store) -> None:
    """The newest first, with address and port."""
    store.append([connection("c1"), connection("c2", opened_ms=950, closed_ms=990), connection("c3", author="bob")])
    newest = ConnectionRecord(id="c2", address="192.0.2.7", port=40_001, opened_ms=950, closed_ms=990)
    assert store.connections_of("ann", 10) == [
        newest,
        ConnectionRecord(id="c1", address="192.0.2.7", port=40_001, opened_ms=900, closed_ms=0),
    ]
    assert store.connections_of("ann", 1) == [newest]


def test_records_go_when_their_term_is_over(store: Store) -> None:
    """What is older is gone, what is not and whatever is held stays; in bounded steps."""
    store.append([connection(f"c{number}", opened_ms=number) for number in range(5)])
    store.append([connection("kept", author="bob", opened_ms=1), held("old", at_ms=10), held("new", at_ms=20)])
    assert store.purge(4, 15, ["bob"], 3) == 4  # three connections, one text
    assert store.purge(4, 15, ["bob"], 3) == 1
    assert store.purge(4, 15, ["bob"], 3) == 0
    assert [each.id for each in store.connections_of("ann", 9)] == ["c4"]
    assert [each.id for each in store.connections_of("bob", 9)] == ["kept"]
    assert [(each.key, each.text) for each in store.screened(0, 9)] == [("old", ""), ("new", "加V")]
    assert store.purge(4, 15, [], 3) == 1


def test_a_closed_store_says_so(store: Store) -> None:
    """As every other method."""
    store.close()
    for call in (
        lambda: store.comments_of("ann", 0, 1),
        lambda: store.connections_of("ann", 1),
        lambda: store.purge(1, 1, [], 1),
    ):
        with pytest.raises(StoreUnavailable):
            call()
