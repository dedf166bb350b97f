"""A SQLite store in the test's folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from server.store.sql import SqlStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is."""
    return tmp_path / "data" / "barrage.db"


@pytest.fixture
def sql(path: Path) -> Iterator[SqlStore]:
    """A store with the live rooms ``a`` and ``b``, which waits 50 ms for locks."""
    store = SqlStore.open(path, busy_ms=50)
    store.create_room("a", "Room A", "live", 100)
    store.create_room("b", "Room B", "live", 100)
    yield store
    store.close()
