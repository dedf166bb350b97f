"""What the store in memory has beyond the contract."""

from __future__ import annotations

from server.store.memory import MemoryStore
from tests.support.drafts import connection


def test_connections_can_be_looked_at() -> None:
    """A test may ask what was recorded of a connection."""
    store = MemoryStore()
    store.append([connection(), connection(closed_ms=950)])
    assert store.connection("c1") == connection(closed_ms=950)
    assert store.connection("c2") is None
