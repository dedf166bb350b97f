"""What every store makes of a draft: whether it can be kept, what makes it a retry, the event that it becomes."""

from __future__ import annotations

import re
from typing import Any, Final

from msgspec.structs import replace

from server.store.base import (
    APPROVED,
    CommentDraft,
    Draft,
    NoticeDraft,
    RemovalDraft,
    ReportDraft,
    RestorationDraft,
    ScreenedDraft,
    ScreenedRecord,
)
from server.wire import SAID, Event

KeyedDraft = CommentDraft | ScreenedDraft | RemovalDraft | RestorationDraft | NoticeDraft

WHY: Final = ("code", "basis", "role", "until_ms", "slow_ms")
"""What a notice of a mode says beside the mode."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_UNSAID: Final = dict.fromkeys(SAID, "")
_LEAST: Final = -(2**63)
_MOST: Final = 2**63 - 1


def fault(draft: Draft) -> str:
    """The refusal code of a draft that a database cannot hold, empty for a good one.

    Lone surrogates have no UTF-8 form, NUL ends a text in many places, and columns of numbers take 64 bits. One such draft must
    not fail the whole batch. The text of a held or refused comment and of a report is kept in any case (:func:`storable`).
    """
    kept = isinstance(draft, ScreenedDraft | ReportDraft)
    for field in draft.__struct_fields__:
        value = getattr(draft, field)
        if isinstance(value, str):
            if storable(value) != value and not (kept and field == "text"):
                return "bad_text" if field == "text" else "bad_message"
        elif isinstance(value, int) and not _LEAST <= value <= _MOST:
            return "bad_message"
    return ""


def storable(text: str) -> str:
    """``text`` with U+FFFD in place of NUL and lone surrogates."""
    if "\0" not in text and (text.isascii() or not _SURROGATE.search(text)):
        return text
    return _SURROGATE.sub("\ufffd", text.replace("\0", "\ufffd"))


def identity(draft: KeyedDraft) -> tuple[str | int, ...]:
    """What must be equal for a second draft with the same ``(author, key)`` to be a retry of the first.

    A comment and a screened comment of the same text are one thing to their author: the screening may judge a retry
    differently, and the first answer stands.
    """
    if isinstance(draft, CommentDraft | ScreenedDraft):
        return ("comment", draft.room, storable(draft.text))
    if isinstance(draft, NoticeDraft):
        return ("notice", draft.room, draft.notice, draft.text, draft.room_mode, *(getattr(draft, name) for name in WHY))
    return ("removal" if isinstance(draft, RemovalDraft) else "restoration", draft.room, draft.target)


def screened(number: int, draft: ScreenedDraft) -> ScreenedRecord:
    """The record of a held or refused comment, as it is read back."""
    kept = {name: getattr(draft, name) for name in draft.__struct_fields__}
    return ScreenedRecord(id=number, **{**kept, "text": storable(draft.text)})


def comment(seq: int, draft: CommentDraft) -> Event:
    """The comment's event, number ``seq`` of its room."""
    return Event(
        seq=seq,
        kind="comment",
        at_ms=draft.at_ms,
        pos_ms=draft.pos_ms,
        text=draft.text,
        mode=draft.mode,
        color=draft.color,
        size=draft.size,
        author_id=draft.author_id,
        author_name=draft.author_name,
        region=draft.region,
        label=draft.label,
        label_kind=draft.label_kind,
    )


def decision(seq: int, draft: RemovalDraft | RestorationDraft) -> Event:
    """The event of a removal, or of a restoration without the comment's fields (see :func:`with_comment`)."""
    return Event(
        seq=seq,
        kind="removal" if isinstance(draft, RemovalDraft) else "restoration",
        at_ms=draft.at_ms,
        target=draft.target,
        code=draft.code,
        basis=draft.basis,
        role=draft.role,
    )


def needs_approval(news: bool, draft: CommentDraft) -> bool:
    """Is it a comment for a room of news that no decision let through?"""
    return news and not draft.key.startswith(APPROVED)


def mode_of_room(draft: NoticeDraft) -> dict[str, Any]:
    """What the notice changes of its room: fields of RoomInfo, columns of ``rooms``."""
    if draft.notice != "mode" or not draft.room_mode:
        return {}
    changes: dict[str, Any] = {"mode": draft.room_mode, "until_ms": draft.until_ms}
    if not draft.until_ms:
        changes["standing"] = draft.room_mode
    if draft.slow_ms:
        changes["slow_ms"] = draft.slow_ms
    return changes


def notice(seq: int, draft: NoticeDraft) -> Event:
    """The notice's event."""
    return Event(
        seq=seq,
        kind="notice",
        at_ms=draft.at_ms,
        text=draft.text,
        notice=draft.notice,
        room_mode=draft.room_mode,
        code=draft.code,
        basis=draft.basis,
        role=draft.role,
        until_ms=draft.until_ms,
        slow_ms=draft.slow_ms,
    )


def obstacle(draft: RemovalDraft | RestorationDraft, author: str, at_ms: int, removed_by: int) -> str:
    """The refusal code of a removal or restoration of a comment of ``author`` from ``at_ms``; empty when it can be done.

    Whose comment it is comes first: a stranger learns nothing about it.
    """
    if isinstance(draft, RestorationDraft):
        return "" if removed_by else "not_removed"
    if draft.owner and draft.owner != author:
        return "not_yours"
    if removed_by:
        return "already_removed"
    return "too_late" if draft.owner and at_ms < draft.not_before_ms else ""


def tombstone(written: Event, why: Event) -> Event:
    """What readers see of the comment ``written`` while the removal ``why`` is in force."""
    return replace(written, **_UNSAID, code=why.code, basis=why.basis, role=why.role, removed_by=why.seq)


def with_comment(restoration: Event, now: Event) -> Event:
    """A restoration with the fields of its comment as that is ``now``: without text and author when it was removed again."""
    return replace(
        restoration,
        pos_ms=now.pos_ms,
        mode=now.mode,
        color=now.color,
        size=now.size,
        **{name: getattr(now, name) for name in SAID},
    )
