"""The statements use the indexes, whatever the size of the log."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from server.store import queries
from server.store.sql import SqlStore
from tests.support.drafts import comment

GIVEN: dict[str, Any] = {"given": "[]"}
PAGE: dict[str, Any] = {"after": 0, "limit": 10, "action": "", "room": "a"}


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
def test_no_statement_scans_a_table(sql: SqlStore, path: Path, statement: Any, values: dict[str, Any]) -> None:
    """Only the rows that are asked for are touched: no plan reads a whole table."""
    compiled = statement.compile(dialect=make_url("sqlite://").get_dialect()())
    parameters = compiled.construct_params(values)
    with sqlite3.connect(path) as connection:
        plan = connection.execute(
            f"EXPLAIN QUERY PLAN {compiled}", [parameters[name] for name in compiled.positiontup]
        ).fetchall()
    connection.close()
    steps = [step[3] for step in plan]
    assert [step for step in steps if step.startswith("SCAN") and "VIRTUAL" not in step and "anon" not in step] == []


def test_heads_are_found_without_counting(sql: SqlStore, path: Path) -> None:
    """rooms() reads the rooms once, and one entry of the index of events for each."""
    compiled = queries.ROOMS.compile(dialect=make_url("sqlite://").get_dialect()())
    with sqlite3.connect(path) as connection:
        parameters = compiled.construct_params({})
        plan = connection.execute(
            f"EXPLAIN QUERY PLAN {compiled}", [parameters[name] for name in compiled.positiontup or []]
        ).fetchall()
    connection.close()
    assert [step[3] for step in plan if "events" in step[3]] == [
        "SEARCH events USING COVERING INDEX sqlite_autoindex_events_1 (room_id=?)"
    ]


def test_the_answer_to_nothing_is_an_empty_list(sql: SqlStore) -> None:
    """Aggregating no rows gives an empty array, not NULL."""
    assert sql.read("a", 0, 10) == []
    assert sql.append([comment(room="x")])[0] is not None
