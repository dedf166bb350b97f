"""What every store promises of the search of staff."""

from __future__ import annotations

import msgspec
import pytest

from server.errors import StoreUnavailable
from server.store.base import Store
from server.store.found import Search
from tests.support.drafts import comment, held, removal


@pytest.fixture
def log(store: Store) -> Store:
    """Comments of two rooms, one of them removed, and two that were screened."""
    store.append([
        comment("1", text="加V看片 100%", at_ms=100_000),
        comment("2", author="bob", author_id="p-bob", text="Good POINT", at_ms=200_000),
        comment("3", room="b", text="good grief", at_ms=300_000), comment("4", text="四_四", at_ms=400_000),
    ])  # fmt: skip
    store.append([removal(1), held("h1", at_ms=150_000), held("h2", room="b", author="bob", at_ms=250_000, text="Held one")])
    return store


def texts(store: Store, **wanted: object) -> list[str]:
    return [hit.text for hit in store.search(Search(**wanted), 50).hits]  # type: ignore[arg-type]


def test_comments_are_found_newest_first(log: Store) -> None:
    """By a part of the text, whatever the case of its letters; signs of patterns stand for themselves."""
    assert texts(log) == ["四_四", "good grief", "Good POINT", "加V看片 100%"]
    assert texts(log, text="good") == ["good grief", "Good POINT"]
    assert texts(log, text="0%") == ["加V看片 100%"]
    assert texts(log, text="四_") == ["四_四"]
    assert texts(log, text="_") == ["四_四"]


def test_comments_are_found_by_room_author_time_and_code(log: Store) -> None:
    """Each narrows the others; an account is found by its public id as well."""
    assert texts(log, room="a") == ["四_四", "Good POINT", "加V看片 100%"]
    assert texts(log, room="b", text="good") == ["good grief"]
    assert texts(log, room="none") == []
    assert texts(log, author="bob") == ["Good POINT"]
    assert texts(log, author="p-bob") == ["Good POINT"]
    assert texts(log, from_ms=200_000, until_ms=400_000) == ["good grief", "Good POINT"]
    assert texts(log, room="a", until_ms=200_000) == ["加V看片 100%"]
    code = log.search(Search(text="看片"), 1).hits[0].code
    assert code
    assert texts(log, code=code) == ["加V看片 100%"]
    assert texts(log, code="Z9") == []


def test_a_removed_comment_is_found_with_its_text_and_why(log: Store) -> None:
    """Staff look at what the public does not see any more."""
    states = {hit.text: (hit.room, hit.seq, hit.author, hit.state) for hit in log.search(Search(), 50).hits}
    assert states["加V看片 100%"] == ("a", 1, "ann", "removed")
    assert states["good grief"] == ("b", 1, "ann", "public")


def test_what_was_screened_is_found(log: Store) -> None:
    """Held and refused comments have no number; their code is that of the screening."""
    newest, oldest = log.search(Search(what="screened"), 50).hits
    assert (newest.text, newest.seq, newest.state, newest.room, newest.author) == ("Held one", 0, "held", "b", "bob")
    assert texts(log, what="screened", room="a") == [oldest.text]
    assert texts(log, what="screened", text="held") == ["Held one"]
    assert texts(log, what="screened", code=newest.code) == [newest.text, oldest.text]
    assert texts(log, what="screened", code="Z9") == []
    assert texts(log, what="screened", until_ms=200_000) == [oldest.text]


@pytest.mark.parametrize("wanted", [Search(), Search(room="a"), Search(what="screened"), Search(text="o")])
def test_pages_of_a_search_join_without_a_gap(log: Store, wanted: Search) -> None:
    """Asked for one by one the hits are those of one search; the last page says that there is nothing more."""
    whole = log.search(wanted, 50)
    assert whole.next == 0
    assert whole.looked >= len(whole.hits)
    found, before = [], 0
    for _ in range(10):
        page = log.search(msgspec.structs.replace(wanted, before=before), 1)
        found += page.hits
        before = page.next
        if not before:
            break
    assert found == whole.hits


def test_a_search_says_how_far_it_looked(log: Store) -> None:
    """The time of the oldest record that it looked at; nothing to look at has none."""
    assert log.search(Search(text="nothing like it"), 5).oldest_ms == 100_000
    assert log.search(Search(what="screened"), 1).oldest_ms == 250_000
    assert log.search(Search(until_ms=1), 5).hits == []
    assert log.search(Search(room="none"), 5).oldest_ms == 0


def test_a_closed_store_does_not_search(store: Store) -> None:
    """As every other method."""
    store.close()
    with pytest.raises(StoreUnavailable):
        store.search(Search(), 1)
