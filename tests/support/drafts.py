"""Drafts with plain values: a test names the fields that matter to it."""

from __future__ import annotations

from typing import Any

from server.store.base import (
    CommentDraft,
    ConnectionDraft,
    NoticeDraft,
    RemovalDraft,
    ReportDraft,
    RestorationDraft,
    ScreenedDraft,
)


def comment(key: str = "k", **fields: Any) -> CommentDraft:
    """A comment of account ``ann`` in room ``a``."""
    base: dict[str, Any] = {
        "room": "a", "author": "ann", "key": key, "at_ms": 1_000, "pos_ms": 500, "text": "你好", "mode": "scroll",
        "color": "#ffffff", "size": 25, "author_id": "p-ann", "author_name": "安",
    }  # fmt: skip
    return CommentDraft(**(base | fields))


def removal(target: int, key: str = "rm", **fields: Any) -> RemovalDraft:
    """A removal in room ``a`` by the reviewer ``rev``."""
    base: dict[str, Any] = {
        "room": "a", "author": "rev", "key": key, "at_ms": 2_000, "target": target, "code": "L5",
        "basis": "house rule 3", "role": "reviewer",
    }  # fmt: skip
    return RemovalDraft(**(base | fields))


def restoration(target: int, key: str = "rs", **fields: Any) -> RestorationDraft:
    """A restoration in room ``a`` by the reviewer ``rev``."""
    base: dict[str, Any] = {
        "room": "a", "author": "rev", "key": key, "at_ms": 3_000, "target": target, "code": "appeal",
        "basis": "appeal granted", "role": "reviewer",
    }  # fmt: skip
    return RestorationDraft(**(base | fields))


def announcement(text: str = "Be kind.", key: str = "an", **fields: Any) -> NoticeDraft:
    """An announcement in room ``a``."""
    base: dict[str, Any] = {"room": "a", "author": "op", "key": key, "at_ms": 4_000, "notice": "announcement", "text": text}
    return NoticeDraft(**(base | fields))


def room_mode(mode: str, key: str = "rmode", **fields: Any) -> NoticeDraft:
    """A change of mode of room ``a``."""
    base: dict[str, Any] = {"room": "a", "author": "op", "key": key, "at_ms": 4_000, "notice": "mode", "room_mode": mode}
    return NoticeDraft(**(base | fields))


def held(key: str = "h", **fields: Any) -> ScreenedDraft:
    """A held comment of account ``ann`` in room ``a``."""
    base: dict[str, Any] = {
        "room": "a", "author": "ann", "key": key, "at_ms": 1_500, "action": "held", "code": "held_for_review",
        "verdict": b'{"action":2}', "pos_ms": 700, "text": "加V", "mode": "scroll", "color": "#ffffff", "size": 25,
        "author_id": "p-ann", "author_name": "安",
    }  # fmt: skip
    return ScreenedDraft(**(base | fields))


def connection(identifier: str = "c1", **fields: Any) -> ConnectionDraft:
    """An open connection of account ``ann``."""
    base: dict[str, Any] = {"id": identifier, "author": "ann", "address": "192.0.2.7", "port": 40_001, "opened_ms": 900}
    return ConnectionDraft(**(base | fields))


def report(receipt: str = "R1", **fields: Any) -> ReportDraft:
    """A report about room ``a``."""
    base: dict[str, Any] = {
        "receipt": receipt, "room": "a", "seq": 0, "at_ms": 5_000, "reason": "abuse", "text": "please look",
        "address": "192.0.2.8", "port": 40_002,
    }  # fmt: skip
    return ReportDraft(**(base | fields))
