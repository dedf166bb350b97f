"""What the SQL store has beyond the contract: evidence, leaves, its one writer, many readers."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

import server.store.sql
from server.errors import ConfigError, StoreUnavailable
from server.store.base import Committed, Recorded
from server.store.leaf import text_hash
from server.store.sql import SqlStore
from tests.support.drafts import announcement, comment, connection, held, removal, report, restoration


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    """Rows of the database, as another program sees them."""
    with sqlite3.connect(path) as other:
        found = other.execute(query).fetchall()
    other.close()
    return found


def test_the_text_of_a_removed_comment_is_kept_as_evidence(sql: SqlStore, path: Path) -> None:
    """The store keeps what readers no longer get, and who removed it."""
    sql.append([comment(verdict=b"{}", connection="c1"), removal(1)])
    assert sql.read("a", 0, 1)[0].text == ""
    assert rows(path, "SELECT author, text, removed_by, verdict, connection FROM events WHERE seq = 1") == [
        ("ann", "你好", 2, b"{}", "c1")
    ]
    sql.append([restoration(1)])
    assert rows(path, "SELECT text, removed_by FROM events WHERE seq = 1") == [("你好", None)]


def test_every_text_has_a_salted_hash(sql: SqlStore, path: Path) -> None:
    """The hash of a leaf is stored with the event; equal texts have different hashes."""
    sql.append([comment("1"), comment("2"), announcement("Hi"), removal(1)])
    found = rows(path, "SELECT salt, text, text_hash FROM events ORDER BY seq")
    assert all(digest == text_hash(salt, text) for salt, text, digest in found[:3])
    assert len({digest for _, _, digest in found[:3]}) == 3
    assert found[3] == (None, None, None)


def test_an_erased_comment_stays_in_the_log_without_text(sql: SqlStore, path: Path) -> None:
    """When text and salt were erased in the database, numbers, removals and retries work as before."""
    sql.append([comment()])
    with sqlite3.connect(path) as other:
        other.execute("UPDATE events SET text = NULL, salt = NULL")
    other.close()
    assert sql.read("a", 0, 1)[0].text == ""
    retry, removed, restored = sql.append([comment(), removal(1), restoration(1)])
    assert isinstance(retry, Committed)
    assert not retry.fresh
    assert isinstance(removed, Committed)
    assert isinstance(restored, Committed)
    assert restored.event.text == ""


def test_connections_and_reports_keep_address_and_port(sql: SqlStore, path: Path) -> None:
    """Source addresses and ports are in the database, with both ends of the connection's time."""
    sql.append([connection(), connection("c2"), report()])
    sql.append([connection(closed_ms=950, address="198.51.100.1"), connection("c2", closed_ms=990)])
    assert rows(path, "SELECT * FROM connections") == [
        ("c1", "ann", "192.0.2.7", 40_001, 900, 950),
        ("c2", "ann", "192.0.2.7", 40_001, 900, 990),
    ]
    assert rows(path, "SELECT address, port FROM reports") == [("192.0.2.8", 40_002)]


def test_screened_comments_keep_everything(sql: SqlStore, path: Path) -> None:
    """A held comment's row has all that is needed to publish it later."""
    sql.append([held(connection="c1")])
    assert rows(path, "SELECT pos_ms, text, mode, color, size, author_id, author_name, connection FROM screened") == [
        (700, "加V", "scroll", "#ffffff", 25, "p-ann", "安", "c1")
    ]


def test_ids_of_screened_comments_are_never_used_again(sql: SqlStore, path: Path) -> None:
    """Even when the newest records were purged, ids go on: whoever pages through them misses nothing."""
    sql.append([held("1"), held("2"), report("R1")])
    with sqlite3.connect(path) as other:
        other.execute("DELETE FROM screened")
        other.execute("DELETE FROM reports")
    other.close()
    sql.append([held("3"), report("R2")])
    assert [record.id for record in sql.screened(2, 10)] == [3]
    assert [record.id for record in sql.reports(1, 10)] == [2]


@pytest.mark.parametrize("address", ["", ":memory:", "postgresql://db/barrage", "sqlite:///"])
def test_only_files_can_be_opened(address: str) -> None:
    """Another address is refused with what is accepted."""
    with pytest.raises(ConfigError, match="path"):
        SqlStore.open(address)


def test_a_sqlite_address_is_a_path(tmp_path: Path) -> None:
    """``sqlite:///`` and a path is the same as the path; missing folders are made."""
    SqlStore.open(f"sqlite:///{tmp_path}/x/y/log.db").close()
    assert (tmp_path / "x" / "y" / "log.db").exists()


def test_an_old_sqlite_is_refused(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """A library without the features that are needed is refused at once, not at the first comment."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 37, 2))
    with pytest.raises(ConfigError, match="too old"):
        SqlStore.open(path)


def test_an_empty_batch_reaches_the_disk(sql: SqlStore, path: Path) -> None:
    """A probe is a transaction like any other: it waits for the lock, and its page is written; what it says is true."""
    log = path.with_name(path.name + "-wal")
    before = log.stat().st_size
    assert sql.append([]) == []
    assert log.stat().st_size > before
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        sql.append([])
    other.close()
    assert sql.append([]) == []


def test_remembered_heads_are_bounded(sql: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its bound the writer forgets all heads and reads them again: numbers stay right."""
    monkeypatch.setattr(server.store.sql, "_HEADS", 1)
    for number in range(3):
        sql.append([comment(f"{number}a"), comment(f"{number}b", room="b")])
    assert [room.head for room in sql.rooms()] == [3, 3]
    assert [event.seq for event in sql.read("b", 0, 10)] == [1, 2, 3]


def test_many_rooms_are_listed_with_their_heads(sql: SqlStore, path: Path) -> None:
    """The list is complete and sorted for thousands of rooms, of which some have events."""
    with sqlite3.connect(path) as other:
        other.executemany(
            "INSERT INTO rooms (name, kind, mode, epoch, created_ms, started_ms) VALUES (?, 'live', 'open', 'e', 1, 1)",
            [(f"r{number:05d}",) for number in range(20_000)],
        )
    other.close()
    sql.append([comment(str(number), room=f"r{number * 19_990 // 400:05d}") for number in range(400)])
    rooms = sql.rooms()
    assert len(rooms) == 20_002
    assert [room.name for room in rooms] == sorted(room.name for room in rooms)
    assert sum(room.head for room in rooms) == 400


def test_reads_go_on_during_a_transaction(sql: SqlStore, path: Path) -> None:
    """A writer that holds the lock does not keep readers out."""
    sql.append([comment()])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert len(sql.read("a", 0, 10)) == 1
    other.close()


def test_too_many_reads_at_once_are_refused_in_time(sql: SqlStore) -> None:
    """The pool of reading connections is bounded; beyond it a read fails as unavailable, and works again later."""
    taken = [sql._readers.connect() for _ in range(16)]
    with pytest.raises(StoreUnavailable, match="too many reads"):
        sql.rooms()
    for one in taken:
        one.close()
    assert len(sql.rooms()) == 2


def test_threads_read_while_one_writes(sql: SqlStore) -> None:
    """Eight readers and a writer: nobody fails, every reader sees a log without gaps."""
    failures: list[BaseException] = []
    done = threading.Event()

    def watch() -> None:
        try:
            while not done.is_set():
                seen = [event.seq for event in sql.read("a", 0, 1_000)]
                assert seen == list(range(1, len(seen) + 1))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=watch) for _ in range(8)]
    for thread in threads:
        thread.start()
    for number in range(40):
        assert sql.append([comment(str(number)), held(str(1_000 + number))])[1] == Recorded(True, "held", "held_for_review")
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
