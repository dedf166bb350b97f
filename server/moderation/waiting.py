"""What waits for the desk at a moment, for the first page of staff."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, func, select

from server.moderation import cases, outbox, queue, tables
from server.moderation.queue import Count, Queue


class Waiting(NamedTuple):
    """``queues`` as :func:`server.moderation.queue.counts`; ``late_reports`` were promised an answer by now; ``differing`` are second
    judgements that a senior has to settle; findings and cases: how many are open, how many of them too long."""

    queues: dict[Queue, Count]
    late_reports: int
    differing: int
    findings: int
    late_findings: int
    cases: int
    late_cases: int


def waiting(connection: Connection, now_ms: int) -> Waiting:
    """All of it, in one reading."""
    receipts, seconds = tables.receipts.c, tables.seconds.c
    late = select(func.count()).where(receipts.decided_ms == 0, receipts.due_ms < now_ms)
    differing = select(func.count()).where(seconds.agrees == 0, seconds.settled == 0)
    return Waiting(
        queue.counts(connection, now_ms), connection.execute(late).scalar_one(), connection.execute(differing).scalar_one(),
        *outbox.counts(connection, now_ms), *cases.counts(connection, now_ms),
    )  # fmt: skip
