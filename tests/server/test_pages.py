"""server/pages.py"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from server.errors import StoreUnavailable
from server.pages import PageWork
from server.store.memory import MemoryStore
from static_mirror import Mirror


@pytest.mark.parametrize(
    "work",
    [
        lambda pages: pages.rewrite("a", [0], 3),
        lambda pages: pages.repair("a", 3),
        lambda pages: pages.differing("a", [0], 3),
        lambda pages: pages.seal("a", [0]),
        lambda pages: pages.rebuild("a", 3),
    ],
)
def test_a_held_room_that_the_database_lost_is_a_fault_of_the_store(tmp_path: Path, work: Callable[[PageWork], object]) -> None:
    """Another database was put in place: whatever is to be done to the pages, the operator reads what to do."""
    before = MemoryStore()
    infos = {"a": before.create_room("a", "Room A", "live", 1)}
    mirror = Mirror(tmp_path)
    PageWork(mirror, before, infos).repair("a", 0)
    with pytest.raises(StoreUnavailable, match="room a is not in the database any more: restart the server"):
        work(PageWork(mirror, MemoryStore(), infos))
