"""server/moderation/tables and the migrations that make them"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import REAL, Engine, Integer, LargeBinary, Text, text
from sqlalchemy.exc import DBAPIError

from server.moderation.book import SCRIPTS, ReviewBook
from server.moderation.tables import APPEND_ONLY, REVISION, metadata
from server.store import migrate
from server.store.sqlite import writer_engine
from tests.support.accounts import Clock


@pytest.fixture(scope="module", autouse=True)
def migrations() -> None:
    """Here each new database is migrated, as outside of tests."""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A writer's engine over a new file."""
    made = writer_engine(tmp_path / "new.db", 100, create=True)
    yield made
    made.dispose()


def made(engine: Engine, *, triggers: bool = True) -> dict[str, str]:
    """The statements that made everything, with plain spaces, without Alembic's own."""
    kinds = "('table', 'index', 'trigger')" if triggers else "('table', 'index')"
    query = f"SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND type IN {kinds} AND name NOT LIKE 'sqlite_%'"
    with engine.connect() as connection:
        return {name: " ".join(sql.split()) for name, sql in connection.execute(text(query)) if name != "alembic_version"}


def test_the_newest_migration_is_the_one_the_book_asks_for(engine: Engine) -> None:
    """``tables.REVISION`` is the head of the scripts, and there is one head."""
    with engine.begin() as connection:
        scripts = ScriptDirectory.from_config(migrate.config(connection, SCRIPTS))
    assert scripts.get_heads() == [REVISION]


def test_migrations_make_the_tables_of_the_code(engine: Engine, tmp_path: Path) -> None:
    """From an empty file, the migrations give exactly the statements of the tables that the code describes."""
    with engine.begin() as connection:
        migrate.ensure(connection, "new.db", REVISION, SCRIPTS)
        assert migrate.revision(connection) == REVISION
    direct = writer_engine(tmp_path / "direct.db", 100, create=True)
    with direct.begin() as connection:
        metadata.create_all(connection)
    assert made(engine, triggers=False) == made(direct)
    direct.dispose()


def test_migrations_do_not_follow_the_code() -> None:
    """What a migration makes is written in it: a later change of the tables does not change what it did in older databases."""
    for script in (SCRIPTS / "versions").glob("0*.py"):
        assert "server.moderation" not in script.read_text(encoding="utf-8"), script.name


def test_append_only_tables_are_guarded(engine: Engine) -> None:
    """Each has a trigger against changing, deleting and replacing; the decision log is one of them."""
    assert {"decisions", "views"} <= set(APPEND_ONLY)
    with engine.begin() as connection:
        migrate.ensure(connection, "new.db", REVISION, SCRIPTS)
    names = {f"{table}_no_{verb}" for table in APPEND_ONLY for verb in ("update", "delete", "replace")}
    assert {name for name, sql in made(engine).items() if sql.startswith("CREATE TRIGGER")} == names


@pytest.mark.parametrize(
    "verb", ["UPDATE decisions SET code = 'K1'", "DELETE FROM decisions", "REPLACE INTO decisions SELECT * FROM decisions"]
)
def test_a_decision_is_never_changed(tmp_path: Path, verb: str) -> None:
    """Whatever statement is tried, the database refuses it."""
    book = ReviewBook(tmp_path / "review.db", Clock())
    try:
        decision = book.write_now(lambda tx: tx.decide("keep", "K2", "x", actor="staff:ann", role="reviewer"))
        with pytest.raises(DBAPIError, match="append-only"):
            book.write_now(lambda tx: tx.sql.exec_driver_sql(verb))
        assert decision.id == 1
    finally:
        book.close()


def test_migrations_go_down_and_up_again(engine: Engine) -> None:
    """Undoing all migrations leaves nothing; doing them again gives the same."""
    with engine.begin() as connection:
        migrate.upgrade(connection, scripts=SCRIPTS)
    first = made(engine)
    with engine.begin() as connection:
        command.downgrade(migrate.config(connection, SCRIPTS), "base")
    assert made(engine) == {}
    with engine.begin() as connection:
        migrate.upgrade(connection, scripts=SCRIPTS)
    assert made(engine) == first


def test_tables_are_strict_and_nothing_is_missing() -> None:
    """Types are checked by the database, and nothing is NULL: empty and 0 mean "not (yet)"."""
    for table in metadata.sorted_tables:
        assert table.dialect_options["sqlite"]["strict"], table.name
        assert {column.name for column in table.c if column.nullable} == set(), table.name
        assert all(isinstance(column.type, Text | Integer | REAL | LargeBinary) for column in table.c), table.name


def test_names_of_personal_columns_are_nowhere() -> None:
    """Who is behind an account is the book of accounts' matter alone."""
    personal = {"phone", "real_name", "id_number", "address", "birthday", "birth_date", "email", "nickname"}
    assert not {
        f"{table.name}.{column.name}" for table in metadata.sorted_tables for column in table.c if column.name in personal
    }
