"""What every store makes of a draft: whether it can be kept, what makes it a retry, the event that it becomes."""

from __future__ import annotations

from typing import Final

from server.store.base import (
    CommentDraft,
    Draft,
    NoticeDraft,
    RemovalDraft,
    RestorationDraft,
    ScreenedDraft,
)
from server.wire import Event

KeyedDraft = CommentDraft | ScreenedDraft | RemovalDraft | RestorationDraft | NoticeDraft

_LEAST: Final = -(2**63)
_MOST: Final = 2**63 - 1


def fault(draft: Draft) -> str:
    """The refusal code of a draft that no database can hold, empty for a good one.

    Lone surrogates have no UTF-8 form, and columns of numbers take 64 bits. One such draft must not fail the whole batch.
    """
    for field in draft.__struct_fields__:
        value = getattr(draft, field)
        if isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError:
                return "bad_text" if field == "text" else "bad_message"
        elif isinstance(value, int) and not _LEAST <= value <= _MOST:
            return "bad_message"
    return ""


def identity(draft: KeyedDraft) -> tuple[str | int, ...]:
    """What must be equal for a second draft with the same ``(author, key)`` to be a retry of the first.

    A comment and a screened comment of the same text are one thing to their author: the screening may judge a retry
    differently, and the first answer stands.
    """
    if isinstance(draft, CommentDraft | ScreenedDraft):
        return ("comment", draft.room, draft.text)
    if isinstance(draft, NoticeDraft):
        return ("notice", draft.room, draft.notice, draft.text, draft.room_mode)
    return ("removal" if isinstance(draft, RemovalDraft) else "restoration", draft.room, draft.target)


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
    )


def removal(seq: int, draft: RemovalDraft) -> Event:
    """The removal's event."""
    return Event(
        seq=seq,
        kind="removal",
        at_ms=draft.at_ms,
        target=draft.target,
        code=draft.code,
        basis=draft.basis,
        role=draft.role,
    )


def restoration(seq: int, draft: RestorationDraft, restored: Event) -> Event:
    """The restoration's event with the fields of the comment ``restored``."""
    return Event(
        seq=seq,
        kind="restoration",
        at_ms=draft.at_ms,
        pos_ms=restored.pos_ms,
        text=restored.text,
        mode=restored.mode,
        color=restored.color,
        size=restored.size,
        author_id=restored.author_id,
        author_name=restored.author_name,
        target=draft.target,
        code=draft.code,
        basis=draft.basis,
        role=draft.role,
    )


def notice(seq: int, draft: NoticeDraft) -> Event:
    """The notice's event."""
    return Event(seq=seq, kind="notice", at_ms=draft.at_ms, text=draft.text, notice=draft.notice, room_mode=draft.room_mode)
