"""Storage faults: nothing is half written, the message says what to do, and the same object works again afterwards."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import alembic.command  # noqa: F401 # migrations import it late: it must be here before the rights are gone
import pytest
from sqlalchemy import Connection, event

from server.errors import StoreError, StoreUnavailable, StoreUnknown
from server.store.base import Committed, Store
from server.store.sql import SqlStore
from tests.support.drafts import comment

NOBODY = 65_534


def numbers(store: Store) -> list[int]:
    """The numbers of room ``a``'s log."""
    return [found.seq for found in store.read("a", 0, 10_000)]


def append(store: Store, key: str) -> int:
    """Append a comment; its number."""
    (outcome,) = store.append([comment(key)])
    assert isinstance(outcome, Committed)
    return outcome.event.seq


@contextmanager
def somebody() -> Iterator[None]:
    """As an ordinary user: the rights of files mean nothing to root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that belongs to an ordinary user, outside of pytest's own ones, which only their owner may enter."""
    folder = Path(tempfile.mkdtemp())
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder)


def test_a_read_only_folder_is_named(open_folder: Path) -> None:
    """A store cannot be made in a folder that cannot be written; when the rights are given, it can."""
    path = open_folder / "barrage.db"
    with somebody():
        open_folder.chmod(0o555)
        with pytest.raises(StoreUnavailable, match=r"barrage\.db: the database cannot be opened: its folder and file must"):
            SqlStore.open(path)
        with pytest.raises(StoreUnavailable, match="the data folder cannot be made"):
            SqlStore.open(open_folder / "deep" / "barrage.db")
        open_folder.chmod(0o755)
        store = SqlStore.open(path)
        store.create_room("a", "", "live", 0)
        assert append(store, "1") == 1
        store.close()


def test_a_read_only_database_is_named_until_it_is_writable(open_folder: Path) -> None:
    """A backup that was put back with the wrong rights: reading works, appending says why not, then goes on."""
    path = open_folder / "barrage.db"
    with somebody():
        store = SqlStore.open(path, busy_ms=50)
        store.create_room("a", "", "live", 0)
        append(store, "1")
        backup(path, open_folder / "backup.db")
        (open_folder / "backup.db").chmod(0o444)
        (open_folder / "backup.db").replace(path)
        with pytest.raises(StoreUnavailable, match="cannot be written"):
            store.append([comment("2")])
        path.chmod(0o644)
        assert append(store, "2") == 2
        assert numbers(store) == [1, 2]
        store.close()


def backup(path: Path, copy: Path) -> None:
    """A copy of a database in use, as SQLite makes it."""
    source, target = sqlite3.connect(path), sqlite3.connect(copy)
    source.backup(target)
    source.close()
    target.close()


def test_a_locked_database_is_unavailable_until_it_is_free(sql: SqlStore, path: Path) -> None:
    """While another process holds the write lock nothing is written; afterwards appends go on."""
    append(sql, "1")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="locked by another process: find it with fuser"):
            sql.append([comment("2")])
    with pytest.raises(StoreUnavailable, match="locked"):
        sql.create_room("c", "", "live", 0)
    other.execute("ROLLBACK")
    assert append(sql, "2") == 2
    other.close()


def test_what_another_process_wrote_is_seen_after_the_fault(sql: SqlStore, path: Path) -> None:
    """Heads are not remembered over an error: a foreign event fails one append, and never leads to a doubled number."""
    append(sql, "1")
    other = SqlStore.open(path)
    assert append(other, "foreign") == 2
    other.close()
    with pytest.raises(StoreUnavailable, match="UNIQUE constraint failed"):
        sql.append([comment("2")])
    assert append(sql, "2") == 3
    assert numbers(sql) == [1, 2, 3]


def test_a_file_that_is_no_database_is_named(path: Path) -> None:
    """Opening something else says that it is no database, and leaves it alone."""
    path.parent.mkdir()
    path.write_text("not a database, but a long enough text to be taken for the header of one, and more than that" * 9)
    before = path.read_bytes()
    with pytest.raises(StoreUnavailable, match=r"this is not a database: .* put the last backup in its place"):
        SqlStore.open(path)
    assert path.read_bytes() == before


def test_a_damaged_database_is_named_until_it_is_restored(sql: SqlStore, path: Path, tmp_path: Path) -> None:
    """Damage inside the file is reported by reads and appends; with the backup in its place the same object works."""
    sql.append([comment(str(number)) for number in range(2_000)])
    backup(path, tmp_path / "backup.db")
    sql.close()
    store = SqlStore.open(path)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4_096)
        file.write(b"\xa5" * (size - 4_096))
    for call in (lambda: store.read("a", 0, 10), lambda: store.append([comment("new")]), lambda: store.rooms()):
        with pytest.raises(StoreUnavailable, match="the database is damaged: stop the server, keep the damaged files"):
            call()
    (tmp_path / "backup.db").replace(path)
    assert append(store, "new") == 2_001
    assert numbers(store) == list(range(1, 2_002))
    store.close()


DAMAGED_ROWS = {
    "a kind that does not exist": ("UPDATE events SET kind = 'odd'", "UPDATE events SET kind = 'comment'"),
    "a text that is no text": ("UPDATE events SET author_name = CAST(x'ff' AS TEXT)", "UPDATE events SET author_name = 'Ann'"),
    "a room of no kind": ("UPDATE rooms SET kind = 'odd'", "UPDATE rooms SET kind = 'live'"),
}


@pytest.mark.parametrize("name", DAMAGED_ROWS)
def test_a_damaged_row_is_named_until_it_is_mended(sql: SqlStore, path: Path, name: str) -> None:
    """A row that the server never wrote, in a file that SQLite finds whole, is damage too, for reads and for appends."""
    damage, mend = DAMAGED_ROWS[name]
    append(sql, "1")

    def change(statement: str) -> None:
        with sqlite3.connect(path) as other:
            other.execute("PRAGMA ignore_check_constraints=ON")
            other.execute(statement)
        other.close()

    change(damage)
    calls: list[Callable[[], object]] = [sql.rooms]
    if "events" in damage:
        calls = [lambda: sql.read("a", 0, 10), lambda: sql.append([comment("1")])]  # a retry reads what the first attempt wrote
    for call in calls:
        with pytest.raises(StoreUnavailable, match="the database is damaged: stop the server, keep the damaged files"):
            call()
    change(mend)
    assert [room.name for room in sql.rooms()] == ["a", "b"]
    assert append(sql, "2") == 2
    assert numbers(sql) == [1, 2]


def test_a_lost_file_is_not_replaced_by_an_empty_one(sql: SqlStore, path: Path) -> None:
    """When the database was moved away, appends are refused; when it is back, they go on and nothing is lost."""
    append(sql, "1")
    away = path.with_name("away.db")
    path.rename(away)
    with pytest.raises(StoreUnavailable, match="the database is gone: put it back"):
        sql.append([comment("2")])
    assert not path.exists()
    away.rename(path)
    assert append(sql, "2") == 2
    assert numbers(sql) == [1, 2]


def test_a_restored_backup_is_taken_up(sql: SqlStore, path: Path, tmp_path: Path) -> None:
    """A backup in the place of the file: numbers, keys and rooms are those of the backup from then on."""
    append(sql, "1")
    backup(path, tmp_path / "backup.db")
    append(sql, "2")
    (tmp_path / "backup.db").replace(path)
    for side in ("-wal", "-shm"):
        path.with_name(path.name + side).unlink(missing_ok=True)
    assert append(sql, "3") == 2
    assert append(sql, "2") == 3
    assert numbers(sql) == [1, 2, 3]


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of four MiB."""
    folder = Path(tempfile.mkdtemp())
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        folder.rmdir()
        pytest.skip("mounting a small disk takes root")
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        folder.rmdir()
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
    folder.rmdir()


def test_a_full_disk_refuses_and_then_goes_on(small_disk: Path) -> None:
    """On a full disk appends are unavailable, never unknown, and reading works; when space is freed, recording goes on."""
    store = SqlStore.open(small_disk / "barrage.db")
    store.create_room("a", "", "live", 0)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(2_000_000))
    acknowledged: list[int] = []
    refused = 0
    for batch in range(400):
        drafts = [comment(f"{batch}-{number}", text="满" * 60) for number in range(50)]
        try:
            outcomes = store.append(drafts)
        except StoreUnavailable as error:
            refused += 1
            assert "the disk is full: free space" in str(error)  # noqa: PT017 - the appends before it succeed
            assert numbers(store) == acknowledged
            if refused == 3:
                ballast.unlink()
            if refused == 6:
                break
        else:
            acknowledged += [outcome.event.seq for outcome in outcomes if isinstance(outcome, Committed)]
    assert refused == 6
    assert acknowledged == list(range(1, len(acknowledged) + 1))
    assert len(acknowledged) > 1_000
    store.close()
    again = SqlStore.open(small_disk / "barrage.db")
    assert numbers(again) == acknowledged
    again.close()


def failing_commit(code: int, *, after: bool) -> Callable[[Connection], None]:
    """A listener that fails a COMMIT with an error of SQLite, before it or after it took place."""

    def listener(connection: Connection) -> None:
        if after:
            connection.connection.commit()
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = code
        error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
        raise error

    return listener


@pytest.mark.parametrize("after", [False, True])
def test_a_failed_commit_is_unknown_and_a_retry_tells(sql: SqlStore, after: bool) -> None:
    """An error of the COMMIT itself may have written the batch: appending the same drafts tells, and doubles nothing."""
    append(sql, "1")
    listener = failing_commit(sqlite3.SQLITE_IOERR_FSYNC, after=after)
    event.listen(sql._writers, "commit", listener)
    with pytest.raises(StoreUnknown, match="the disk reports an error"):
        sql.append([comment("2"), comment("3")])
    event.remove(sql._writers, "commit", listener)
    outcomes = sql.append([comment("2"), comment("3")])
    assert [(outcome.event.seq, outcome.fresh) for outcome in outcomes if isinstance(outcome, Committed)] == [
        (2, not after),
        (3, not after),
    ]
    assert numbers(sql) == [1, 2, 3]


@pytest.mark.parametrize("after", [False, True])
def test_a_room_may_be_there_after_a_failed_commit(sql: SqlStore, after: bool) -> None:
    """When it is unknown whether a room was made, the list of rooms tells."""
    append(sql, "1")
    listener = failing_commit(sqlite3.SQLITE_IOERR_FSYNC, after=after)
    event.listen(sql._writers, "commit", listener)
    with pytest.raises(StoreUnknown):
        sql.create_room("c", "", "live", 0)
    event.remove(sql._writers, "commit", listener)
    assert [room.name for room in sql.rooms()] == (["a", "b", "c"] if after else ["a", "b"])


def test_a_commit_on_a_full_disk_is_unavailable(sql: SqlStore) -> None:
    """SQLite writes the commit's mark last: on a full disk the batch is surely not in the log."""
    listener = failing_commit(sqlite3.SQLITE_FULL, after=False)
    event.listen(sql._writers, "commit", listener)
    with pytest.raises(StoreUnavailable, match="disk is full"):
        sql.append([comment("1")])
    event.remove(sql._writers, "commit", listener)
    assert append(sql, "1") == 1


@pytest.mark.parametrize("name", ["begin", "commit"])
def test_other_errors_pass_and_leave_nothing(sql: SqlStore, name: str) -> None:
    """A bug is not taken for a fault of the storage; the transaction is undone, and the next append works."""

    def broken(_: Connection) -> None:
        raise ZeroDivisionError

    event.listen(sql._writers, name, broken)
    with pytest.raises(ZeroDivisionError):
        sql.append([comment("1")])
    event.remove(sql._writers, name, broken)
    assert numbers(sql) == []
    assert append(sql, "1") == 1


def test_an_unstorable_batch_that_looks_good_is_a_bug(sql: SqlStore) -> None:
    """When no draft is at fault, the error is not swallowed."""

    def broken(*_: object) -> None:
        raise OverflowError("odd")

    event.listen(sql._writers, "begin", broken)
    with pytest.raises(OverflowError, match="odd"):
        sql.append([comment("1")])
    event.remove(sql._writers, "begin", broken)
    assert append(sql, "1") == 1


def test_every_fault_is_a_store_error() -> None:
    """Callers may catch both outcomes by one name."""
    assert issubclass(StoreUnavailable, StoreError)
    assert issubclass(StoreUnknown, StoreError)
