"""Events of the room logs within a time, counted by a database: the public figures of a month come from here.

The times are found by halving, as those of a search are, so only the rows of that time are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, func, select

from server.store.found import Search
from server.store.schema import events
from server.store.search import window
from server.store.tallies import Tally, tallies

STEP: Final = 200_000
"""Rows of one statement, some 0.1 s: whoever waits for the connection's thread does not wait for a month."""


def count(connection: Connection, since_ms: int, until_ms: int) -> list[Tally]:
    """Events from ``since_ms`` to before ``until_ms``; see :meth:`server.store.base.Store.tally`."""
    place, low, high = window(connection, Search(from_ms=max(1, since_ms), until_ms=until_ms))

    def parts() -> Iterator[tuple[str, str, str, int]]:
        e = events.c
        for first in range(low, high, STEP):
            within = (place >= first, place < min(first + STEP, high), e.at_ms >= since_ms, e.at_ms < until_ms)
            query = select(e.kind, e.code, e.role, func.count()).where(*within).group_by(e.kind, e.code, e.role)
            for kind, code, role, number in connection.execute(query):
                yield kind, code, role, int(number)

    return tallies(parts())
