"""server/backup.py"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from server.backup import make
from server.control import DATABASES, DataFolderError
from server.errors import ConfigError, StoreError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder as a server leaves it when it is killed: the log's newest row is in the write-ahead log alone."""
    folder = tmp_path / "data"
    (folder / "rules").mkdir(parents=True)
    (folder / "pages" / "rooms").mkdir(parents=True)
    (folder / "rules" / "history.jsonl").write_text("{}\n")
    for name in ("token.key", "vault.keys", "lock"):
        (folder / name).write_text("secret")
    for name in DATABASES:
        connection = sqlite3.connect(folder / name)
        connection.execute("CREATE TABLE kept (number INTEGER)")
        connection.execute("INSERT INTO kept VALUES (1)")
        connection.commit()
        connection.close()
    return folder


def numbers(database: Path) -> list[int]:
    connection = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)
    try:
        return [number for (number,) in connection.execute("SELECT number FROM kept ORDER BY number")]
    finally:
        connection.close()


def test_databases_keys_and_rules_are_copied_for_their_owner_only(data: Path, tmp_path: Path) -> None:
    """The vault's keys, the pages and what a running server leaves for commands are not; nobody else can read the copies."""
    to = tmp_path / "backups" / "monday"
    done = make(data, to)
    names = sorted(str(path.relative_to(to)) for path in to.rglob("*") if path.is_file())
    assert names == ["accounts.db", "barrage.db", "review.db", "rules/history.jsonl", "token.key"]
    assert (done.files, done.vault_keys) == (5, True)
    assert done.bytes == sum(path.stat().st_size for path in to.rglob("*") if path.is_file())
    assert to.stat().st_mode & 0o777 == 0o700
    assert {(to / name).stat().st_mode & 0o777 for name in (*DATABASES, "token.key")} == {0o600}
    assert [path.name for path in to.parent.iterdir()] == ["monday"]


def test_what_is_committed_is_copied_while_somebody_writes(data: Path, tmp_path: Path) -> None:
    """Rows that stand in the write-ahead log alone are in the copy, those of an open transaction are not; a copy is one file."""
    writing = sqlite3.connect(data / "barrage.db", isolation_level=None)
    writing.execute("PRAGMA journal_mode=WAL")
    writing.execute("INSERT INTO kept VALUES (2)")
    writing.execute("BEGIN IMMEDIATE")
    writing.execute("INSERT INTO kept VALUES (3)")
    try:
        make(data, tmp_path / "copy")
    finally:
        writing.execute("COMMIT")
        writing.close()
    assert numbers(tmp_path / "copy" / "barrage.db") == [1, 2]
    assert sorted(path.name for path in (tmp_path / "copy").glob("barrage*")) == ["barrage.db"]


def test_the_log_is_copied_last(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No copy of a book knows more than the copy of the log that it follows."""
    order: list[str] = []
    connect = sqlite3.connect

    def seen(database: str, *, uri: bool = False) -> sqlite3.Connection:
        if uri:
            order.append(database.rsplit("/", 1)[1].removesuffix("?mode=rw"))
        return connect(database, uri=uri)

    monkeypatch.setattr(sqlite3, "connect", seen)
    make(data, tmp_path / "copy")
    assert order[-1] == "barrage.db"
    assert sorted(order) == sorted(DATABASES)


def test_a_damaged_database_makes_no_backup(data: Path, tmp_path: Path) -> None:
    """It is told, and nothing is left that could be taken for a backup."""
    damaged = bytearray((data / "accounts.db").read_bytes())
    damaged[4096:] = b"\xff" * (len(damaged) - 4096)
    (data / "accounts.db").write_bytes(damaged)
    with pytest.raises(StoreError, match=r"accounts\.db"):
        make(data, tmp_path / "copies" / "copy")
    assert list((tmp_path / "copies").iterdir()) == []


def test_a_name_that_is_taken_or_cannot_be_is_refused(data: Path, tmp_path: Path) -> None:
    """An older backup is not touched; a folder that cannot be made is told with what to do."""
    with pytest.raises(ConfigError, match="is there already"):
        make(data, data)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written"):
        make(data, tmp_path / "file" / "copy")


def test_a_folder_without_a_log_is_none_of_ours(tmp_path: Path) -> None:
    """So that a mistyped folder is not kept for months as a backup of nothing."""
    with pytest.raises(DataFolderError, match=r"no barrage\.db"):
        make(tmp_path, tmp_path / "copy")


def test_what_an_interrupted_one_left_is_cleared_away(data: Path, tmp_path: Path) -> None:
    """The next backup of that name takes its place."""
    (tmp_path / ".copy.part").mkdir()
    (tmp_path / ".copy.part" / "half.db").touch()
    make(data, tmp_path / "copy")
    assert not (tmp_path / "copy" / "half.db").exists()
    assert not (tmp_path / ".copy.part").exists()
