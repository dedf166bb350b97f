"""Databases are brought to the newest schema, or refused in plain words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from server.errors import ConfigError, StoreUnavailable
from server.store import migrate, schema
from server.store.leaf import leaf
from server.store.sql import SqlStore
from server.store.sqlite import writer_engine
from server.wire import Event
from tests.support.drafts import comment

FIRST_SCHEMA_ROWS = (
    "INSERT INTO rooms (id, name, kind, mode, epoch, created_ms, started_ms) VALUES (1, 'a', 'live', 'open', 'e', 0, 0)",
    "INSERT INTO events (room_id, seq, kind, at_ms, pos_ms, author, author_id, author_name, text)"
    " VALUES (1, 1, 'comment', 1000, 5, 'ann', 'p', '安', '旧')",
    "INSERT INTO keys VALUES ('k', 'ann', 1, 1)",
    "INSERT INTO screened (room_id, author, key, at_ms, action, code, verdict, pos_ms, text, mode, color, size, author_id,"
    " author_name) VALUES (1, 'ann', 'h', 1, 'held', 'held_for_review', x'7b7d', 1, '等', 'top', '#ffffff', 25, 'p', '安')",
)


@pytest.fixture(scope="module", autouse=True)
def migrations() -> None:
    """Here each new database is migrated, as outside of tests."""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A writer's engine over a new file."""
    made = writer_engine(tmp_path / "new.db", 100, create=True)
    yield made
    made.dispose()


def tables(engine: Engine) -> dict[str, str]:
    """The statements that made the tables, with plain spaces, without Alembic's own."""
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")
        )
        return {name: " ".join(sql.split()) for name, sql in rows if name != "alembic_version"}


def test_the_newest_migration_is_the_one_the_server_asks_for(engine: Engine) -> None:
    """``schema.REVISION`` is the head of the scripts, and there is one head."""
    with engine.begin() as connection:
        scripts = ScriptDirectory.from_config(migrate.config(connection))
    assert scripts.get_heads() == [schema.REVISION]


def test_migrations_make_the_schema_of_the_code(engine: Engine, tmp_path: Path) -> None:
    """From an empty file, the migrations give exactly the tables that the metadata describes."""
    with engine.begin() as connection:
        assert migrate.revision(connection) == ""
        migrate.ensure(connection, "new.db")
        assert migrate.revision(connection) == schema.REVISION
    with engine.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
    direct = writer_engine(tmp_path / "direct.db", 100, create=True)
    with direct.begin() as connection:
        schema.metadata.create_all(connection)
    assert tables(engine) == tables(direct)
    direct.dispose()


def test_migrations_go_down_and_up_again(engine: Engine) -> None:
    """Undoing all migrations leaves no table; doing them again gives the same schema."""
    with engine.begin() as connection:
        migrate.upgrade(connection)
    first = tables(engine)
    with engine.begin() as connection:
        migrate.downgrade(connection, "base")
    assert tables(engine) == {}
    with engine.begin() as connection:
        migrate.upgrade(connection)
    assert tables(engine) == first


def test_rows_of_the_first_schema_are_upgraded_as_they_are(path: Path) -> None:
    """A database with a log, written by the version before regions and labels, is opened: its events read as before, with both
    fields empty and the leaves that they had, held comments stay, and new comments have the new fields."""
    path.parent.mkdir()
    engine = writer_engine(path, 100, create=True)
    with engine.begin() as connection:
        migrate.upgrade(connection, "0001")
        for statement in FIRST_SCHEMA_ROWS:
            connection.exec_driver_sql(statement)
    engine.dispose()
    store = SqlStore.open(path)
    old = Event(seq=1, kind="comment", at_ms=1000, pos_ms=5, text="旧", author_id="p", author_name="安")
    assert store.read("a", 0, 9) == [old]
    assert leaf("e", old, b"").startswith(b"14:barrage-leaf-1,")
    assert [(record.text, record.action) for record in store.screened(0, 9)] == [("等", "held")]
    store.append([comment("new", region="广东", label="日报", label_kind="news")])
    assert [(event.region, event.label, event.label_kind) for event in store.read("a", 0, 9)] == [
        ("", "", ""), ("广东", "日报", "news"),
    ]  # fmt: skip
    store.close()
    SqlStore.open(path).close()


def test_rooms_keep_their_mode_over_the_newer_modes(engine: Engine) -> None:
    """A room of before keeps its mode, as its standing mode too and without a term; going back, a mode that was not there before
    becomes read only, and its log stays."""
    with engine.begin() as connection:
        migrate.upgrade(connection, "0001")
        for statement in FIRST_SCHEMA_ROWS:
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql("UPDATE rooms SET mode = 'closed'")
        migrate.upgrade(connection)
        found = connection.exec_driver_sql("SELECT mode, standing, until_ms, slow_ms, news, owner FROM rooms").all()
        assert found == [("closed", "closed", 0, 0, 0, "")]
        connection.exec_driver_sql("UPDATE rooms SET mode = 'shield'")
        migrate.downgrade(connection, "0002")
        assert connection.exec_driver_sql("SELECT mode FROM rooms").all() == [("read_only",)]
        assert connection.exec_driver_sql("SELECT count(*) FROM events").scalar() == 1


def test_a_failed_migration_leaves_the_database_as_it_was(engine: Engine) -> None:
    """The migrations run in the caller's transaction: all or nothing."""
    with engine.connect() as connection:
        transaction = connection.begin()
        migrate.upgrade(connection)
        transaction.rollback()
    assert tables(engine) == {}


def test_opening_again_changes_nothing(path: Path) -> None:
    """A database that is at the newest schema is opened as it is, with everything in it."""
    first = SqlStore.open(path)
    first.create_room("a", "", "live", 0)
    first.append([comment()])
    first.close()
    again = SqlStore.open(path)
    assert [room.head for room in again.rooms()] == [1]
    again.close()


def test_a_database_of_a_newer_server_is_refused(path: Path) -> None:
    """The message says what to do, and the file is not touched."""
    SqlStore.open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(
        ConfigError, match=r"barrage\.db has schema 9999, this server knows .* Start that version, or restore a backup"
    ):
        SqlStore.open(path)


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    """Foreign tables are left alone."""
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE recipes (name)")
    connection.close()
    with pytest.raises(ConfigError, match="the database of another program"):
        SqlStore.open(path)


def test_folders_with_percent_signs_are_fine(tmp_path: Path) -> None:
    """Alembic's configuration would take a percent sign for its own."""
    store = SqlStore.open(tmp_path / "100%s" / "a?b#c.db")
    assert store.rooms() == []
    assert (tmp_path / "100%s" / "a?b#c.db").exists()
    store.close()


def test_a_schema_that_changes_under_the_server_stops_it(sql: SqlStore, path: Path) -> None:
    """When the file was replaced by one of another schema, appending is refused until a restart."""
    other = path.with_name("other.db")
    SqlStore.open(other).close()
    with sqlite3.connect(other) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    other.replace(path)
    with pytest.raises(StoreUnavailable, match="has schema 9999"):
        sql.append([comment()])
