"""server/store/search.py: the bound of a search (what it finds is in tests/contract/test_store_search.py)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Connection

from server.store import search, sqlite
from server.store.found import Found, Search
from server.store.sql import SqlStore
from tests.support.drafts import comment, held


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """A database with 40 comments, a minute and a half apart, in two rooms by turns, and three held ones."""
    store = SqlStore.open(tmp_path / "barrage.db")
    for name in "ab":
        store.create_room(name, name, "live", 0)
    store.append([comment(f"k{n}", room="ab"[n % 2], text=f"text {n}", at_ms=n * 90_000) for n in range(1, 41)])
    store.append([held(f"h{n}", at_ms=n * 90_000) for n in range(1, 4)])
    engine = sqlite.reader_engine(tmp_path / "barrage.db", 1000)
    with engine.connect() as made:
        yield made
    engine.dispose()
    store.close()


def pages(connection: Connection, wanted: Search, looked_max: int) -> list[Found]:
    found = [search.find(connection, wanted, 50, looked_max)]
    while found[-1].next:
        found.append(search.find(connection, msgspec.structs.replace(wanted, before=found[-1].next), 50, looked_max))
    return found


@pytest.mark.parametrize("room", ["", "a"])
def test_a_search_looks_through_so_many_records_at_a_time(connection: Connection, room: str) -> None:
    """It stops there, says so, and goes on from there; together the pages have everything once."""
    found = pages(connection, Search(room=room, text="text"), 8)
    assert [page.looked for page in found] == [8] * (5 if not room else 2) + ([] if not room else [4])
    texts = [hit.text for page in found for hit in page.hits]
    assert texts == [f"text {n}" for n in range(40, 0, -1) if not room or n % 2 == 0]
    assert found[0].oldest_ms == (33 if not room else 26) * 90_000


def test_times_bound_what_is_looked_through(connection: Connection) -> None:
    """What is far outside of them is not read at all."""
    [found] = pages(connection, Search(from_ms=10 * 90_000, until_ms=14 * 90_000), 100)
    assert [hit.text for hit in found.hits] == ["text 13", "text 12", "text 11", "text 10"]
    assert found.looked <= 6
    [screened] = pages(connection, Search(what="screened", from_ms=2 * 90_000), 100)
    assert [hit.at_ms for hit in screened.hits] == [3 * 90_000, 2 * 90_000]


def test_the_window_is_looked_through_in_its_own_order(connection: Connection) -> None:
    """By the places of the records, whatever else is asked for: no other table or index leads."""
    for wanted in (Search(text="x", author="a", code="L1"), Search(what="screened", text="x", code="c")):
        log = search._log(wanted, None)
        window = (log.place >= 1, log.place < 9)
        query = (search._published if wanted.what == "published" else search._screened)(log, wanted, window)
        compiled = query.order_by(log.place.desc()).compile(connection.engine, compile_kwargs={"literal_binds": True})
        steps = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")]
        table = "events" if wanted.what == "published" else "screened"
        assert steps[0] == f"SEARCH {table} USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"
        assert not any("SCAN" in step or "TEMP" in step for step in steps)
