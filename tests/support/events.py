"""Events with plain values, for tests of what lies above a store."""

from __future__ import annotations

from typing import Any

from server.wire import Event


def comment(seq: int, text: str = "", **fields: Any) -> Event:
    """Comment ``seq`` by 安; its text names its number unless given."""
    base: dict[str, Any] = {"at_ms": 1_000 + seq, "pos_ms": 10 * seq, "author_id": "p-ann", "author_name": "安"}
    return Event(seq=seq, kind="comment", text=text or f"text {seq}", **(base | fields))


def tombstone(event: Event, removed_by: int) -> Event:
    """The tombstone of this comment."""
    return Event(
        seq=event.seq, kind="comment", at_ms=event.at_ms, pos_ms=event.pos_ms, mode=event.mode, color=event.color,
        size=event.size, removed_by=removed_by, code="L5", basis="house rule 3", role="reviewer",
    )  # fmt: skip


def removal(seq: int, target: int) -> Event:
    """Event ``seq`` removes comment ``target``."""
    return Event(seq=seq, kind="removal", at_ms=1_000 + seq, target=target, code="L5", basis="house rule 3", role="reviewer")


def restoration(seq: int, of: Event) -> Event:
    """Event ``seq`` restores the comment ``of``."""
    return Event(
        seq=seq, kind="restoration", at_ms=1_000 + seq, target=of.seq, code="R1", basis="appeal granted", role="reviewer",
        pos_ms=of.pos_ms, text=of.text, mode=of.mode, color=of.color, size=of.size, author_id=of.author_id,
        author_name=of.author_name, region=of.region, label=of.label, label_kind=of.label_kind,
    )  # fmt: skip
