"""How staff find accounts and read what was recorded: nothing here touches the vault."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, or_, select

from server.accounts import tables


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """An account as lists show it. Times are Unix ms, 0: never."""

    id: str
    nickname: str
    kind: str
    origin: str
    created_ms: int
    erased_ms: int


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the access log."""

    id: int
    at_ms: int
    actor: str
    role: str
    action: str
    subject: str
    detail: str


_COLUMNS = [tables.accounts.c[name] for name in Found.__struct_fields__]


def search(connection: Connection, text: str, limit: int = 50) -> list[Found]:
    """Accounts whose id is ``text`` or whose nickname begins with it, by nickname; the newest ones for an empty text."""
    columns = tables.accounts.c
    query = select(*_COLUMNS).limit(limit)
    if not text:
        query = query.order_by(columns.created_ms.desc(), columns.id)
    else:
        begins = columns.nickname.startswith(text, autoescape=True)
        query = query.where(or_(columns.id == text, begins)).order_by(columns.nickname, columns.id)
    return [Found(**row) for row in connection.execute(query).mappings()]


def find(connection: Connection, account: str) -> Found | None:
    """One account by its id."""
    row = connection.execute(select(*_COLUMNS).where(tables.accounts.c.id == account)).mappings().first()
    return Found(**row) if row is not None else None


def of_nickname(connection: Connection, nickname: str) -> Found | None:
    """The account of exactly this nickname."""
    row = connection.execute(select(*_COLUMNS).where(tables.accounts.c.nickname == nickname)).mappings().first()
    return Found(**row) if row is not None and nickname else None


def accesses(connection: Connection, subject: str = "", before: int = 0, limit: int = 100) -> list[Access]:
    """The access log, newest first: of a subject, or all; ``before``: only lines with smaller ids."""
    log = tables.access_log.c
    query = select(tables.access_log).order_by(log.id.desc()).limit(limit)
    if subject:
        query = query.where(log.subject == subject)
    if before:
        query = query.where(log.id < before)
    return [Access(**row) for row in connection.execute(query).mappings()]
