"""The statements use the indexes, whatever the size of the log."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Update
from sqlalchemy.dialects.sqlite.pysqlite import dialect as sqlite_dialect

from server.store import queries
from server.store.sql import SqlStore
from server.store.sqlite import Query
from tests.support.drafts import comment

GIVEN: dict[str, Any] = {"given": "[]"}
PAGE: dict[str, Any] = {"after": 0, "limit": 10, "action": "", "room": "a"}


def plan(path: Path, statement: Query[Any] | Update, values: dict[str, str | int]) -> list[str]:
    """The steps in which SQLite carries a statement out."""
    if isinstance(statement, Query):
        text, parameters = statement.text, {**statement.constants, **values}
    else:
        compiled = statement.compile(dialect=sqlite_dialect(paramstyle="named"))
        text, parameters = str(compiled), {**compiled.params, **values}
    connection = sqlite3.connect(path)
    steps = connection.execute(f"EXPLAIN QUERY PLAN {text}", parameters).fetchall()
    connection.close()
    return [step[3] for step in steps]


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        (queries.EVENTS, PAGE),
        (queries.SCREENED, PAGE),
        (queries.REPORTS, PAGE),
        (queries.ROOM_EXISTS, PAGE),
        (queries.HEADS, GIVEN),
        (queries.KEYS, GIVEN),
        (queries.FIRST_SCREENED, GIVEN),
        (queries.ROWS, GIVEN),
        (queries.RECEIPTS, GIVEN),
        (queries.CONNECTIONS, GIVEN),
        (queries.SET_REMOVED, GIVEN),
    ],
)
def test_no_statement_scans_a_table(
    sql: SqlStore, path: Path, statement: Query[Any] | Update, values: dict[str, str | int]
) -> None:
    """Only the rows that are asked for are touched: no plan reads a whole table."""
    steps = plan(path, statement, values)
    assert [step for step in steps if step.startswith("SCAN") and "VIRTUAL" not in step and "anon" not in step] == []


def test_heads_are_found_without_counting(sql: SqlStore, path: Path) -> None:
    """rooms() reads the rooms once, and one entry of the index of events for each."""
    assert [step for step in plan(path, queries.ROOMS, {}) if "events" in step] == [
        "SEARCH events USING COVERING INDEX sqlite_autoindex_events_1 (room_id=?)"
    ]


def test_the_answer_to_nothing_is_an_empty_list(sql: SqlStore) -> None:
    """Aggregating no rows gives an empty array, not NULL."""
    assert sql.read("a", 0, 10) == []
    assert sql.append([comment(room="x")])[0] is not None
