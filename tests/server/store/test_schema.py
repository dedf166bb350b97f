"""The tables in code, in migrations and in the store's statements are the same."""

from __future__ import annotations

from sqlalchemy import make_url
from sqlalchemy.schema import CreateTable

from server.store import plan, schema


def test_the_plan_names_columns_of_its_tables() -> None:
    """Every column that a plan fills exists; those left out have a default or may be NULL."""
    for table, columns in (
        (schema.events, plan.COMMENT_COLUMNS),
        (schema.events, plan.OTHER_COLUMNS),
        (schema.keys, plan.KEY_COLUMNS),
        (schema.screened, plan.SCREENED_COLUMNS),
        (schema.connections, plan.CONNECTION_COLUMNS),
        (schema.reports, plan.REPORT_COLUMNS),
    ):
        assert set(columns) <= set(table.c.keys())
        for column in table.c:
            left_out = column.name not in columns and column.name != "id"
            assert not left_out or column.nullable or column.server_default is not None, f"{table.name}.{column.name}"


def test_the_tables_can_be_made_in_postgresql_too() -> None:
    """Nothing of the tables is SQLite's alone; numbers and times take 64 bits where a type has a size."""
    dialect = make_url("postgresql+psycopg://").get_dialect()()
    made = {table.name: str(CreateTable(table).compile(dialect=dialect)) for table in schema.metadata.sorted_tables}
    assert "seq BIGINT NOT NULL" in made["events"]
    assert "PRIMARY KEY (room_id, seq)" in made["events"]
    assert not any("ROWID" in text or "STRICT" in text for text in made.values())
