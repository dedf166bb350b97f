"""The stores that the contract suite runs against: one entry of ``KITS`` each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from server.store.base import Store
from server.store.memory import MemoryStore
from server.store.sql import SqlStore


class Kit(Protocol):
    """How the suite makes a store, and makes it start again from what is durable."""

    def make(self) -> Store:
        """A new, empty store."""

    def restart(self, store: Store) -> Store:
        """Close ``store`` and open what it has recorded."""


@dataclass
class MemoryKit:
    """Nothing outlives a store in memory, so it goes on as it is."""

    folder: Path

    def make(self) -> Store:
        """A new store."""
        return MemoryStore()

    def restart(self, store: Store) -> Store:
        """The same store."""
        return store


@dataclass
class SqliteKit:
    """A database file in the test's folder."""

    folder: Path

    def make(self) -> Store:
        """A store in a new file."""
        return SqlStore.open(self.folder / "barrage.db")

    def restart(self, store: Store) -> Store:
        """Another store over the same file."""
        store.close()
        return SqlStore.open(self.folder / "barrage.db")


KITS: dict[str, Callable[[Path], Kit]] = {"memory": MemoryKit, "sqlite": SqliteKit}


@pytest.fixture(params=sorted(KITS))
def kit(request: pytest.FixtureRequest, tmp_path: Path) -> Kit:
    """One implementation of the store."""
    return KITS[request.param](tmp_path)


@pytest.fixture
def empty(kit: Kit) -> Iterator[Store]:
    """A store without rooms."""
    store = kit.make()
    yield store
    store.close()


@pytest.fixture
def store(empty: Store) -> Store:
    """A store with the live room ``a`` and the video ``b``."""
    empty.create_room("a", "Room A", "live", 100)
    empty.create_room("b", "Room B", "vod", 200, "https://v.example/b.mp4")
    return empty
