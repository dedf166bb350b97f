"""server/store/people.py (the rest is in tests/contract/test_store_people.py)"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from server.store.sql import SqlStore
from tests.support.drafts import connection, held, report


def test_a_purged_connection_is_not_in_the_file_any_more(tmp_path: Path) -> None:
    """Address, nickname and region are gone from the tables of the database, and reports have lost their source."""
    store = SqlStore.open(tmp_path / "barrage.db")
    store.create_room("a", "Room A", "live", 100)
    store.append(
        [connection("c1", address="203.0.113.77"), report(address="203.0.113.78"), held(author_name="某人", region="青海")]
    )
    assert store.purge(9_000, 9_000, [], 10) == 4
    store.close()
    with sqlite3.connect(tmp_path / "barrage.db") as database:
        dump = "\n".join(database.iterdump())
    database.close()
    assert "203.0.113" not in dump
    assert "某人" not in dump
    assert "青海" not in dump
    assert "please look" not in dump


def test_a_purge_keeps_no_writer_waiting_while_it_looks(tmp_path: Path) -> None:
    """Where nothing is due it does without the writer's lock, and what it needs the lock for are the rows that it has found."""
    store = SqlStore.open(tmp_path / "barrage.db")
    store.append([connection("c1"), connection("c2")])
    with store._lock:
        assert store.purge(1, 1, [], 10) == 0
    assert store.purge(9_000, 9_000, [], 1) == 1
    assert store.purge(9_000, 9_000, [], 1) == 1
    assert store.purge(9_000, 9_000, [], 1) == 0
    store.close()
