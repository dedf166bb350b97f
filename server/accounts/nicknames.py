"""Nicknames: chosen freely, one person's alone, and never to be taken for another's or for the site's own voice.

A nickname is public by its nature. Two that look alike count as one (:func:`.lookalikes.skeleton`). One that was given up stays
reserved for :data:`HELD_MS`, so that nobody steps into a name that readers know. Words are screened by whoever calls, before the
transaction, since the screening belongs to the event loop.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from server.accounts import identity, tables
from server.accounts.book import Transaction
from server.accounts.events import NicknameChanged
from server.accounts.lookalikes import skeleton as _skeleton
from server.accounts.lookalikes import words
from server.accounts.public import CATEGORIES
from server.errors import Refusal

HELD_MS: Final = 30 * 86_400_000
"""How long a name that was given up is kept from others."""
LABEL_PART_CHARS: Final = 3
"""A name of a public account of so many characters or more may not be a part of another's nickname either."""

skeleton: Final = lru_cache(maxsize=16_384)(_skeleton)


def _keys(names: str) -> frozenset[str]:
    return frozenset(map(skeleton, names.split()))


ALONE: Final = _keys("""
    admin administrator moderator mod staff official system root support service help security operator owner webmaster
    anonymous guest user null undefined none deleted me you everyone all here barrage
    系统 匿名 匿名用户 游客 用户 作者 本人 全体成员 所有人 已注销 账号已注销 弹幕 管理 客户服务 警察 公安 法院 政府
""")
"""Names of the site's own voice, when they stand alone."""
ANYWHERE: Final = _keys("""
    官方 管理员 客服 版主 站长 超管 审核员 工作人员 运营团队 系统消息 系统通知 认证账号 网信办 网警 administrator moderator
""")
"""The same as part of a name."""
AS_WORD: Final = _keys("admin administrator moderator staff official webmaster sysop")
"""The same as a word of a name."""


CATEGORY_WORDS: Final = frozenset(skeleton(word) for names in CATEGORIES.values() for word in names)
"""What the label of a public account can say."""


class Former(msgspec.Struct, frozen=True):
    """A nickname and when it was borne, in Unix ms; ``until_ms`` 0: still."""

    nickname: str
    from_ms: int
    until_ms: int


def clean(text: str) -> str:
    """The nickname as it is shown, 1 to 24 characters. Raises Refusal ``nickname_refused`` for other lengths, and for controls,
    direction marks and invisible characters."""
    try:
        return identity.clean_nickname(text[:1000])
    except Refusal as refusal:
        raise Refusal("nickname_refused", refusal.detail) from None


def check(connection: Connection, name: str, now_ms: int, *, account: str = "", reserved: Iterable[str] = ()) -> None:
    """Whether a clean name is free for ``account`` (empty: for a new one). ``reserved`` are more names of the site's own.

    Raises Refusal ``nickname_refused`` for names of the site's own voice, of its staff, and of public accounts; ``nickname_taken``
    for one that looks like another person's, or did lately.
    """
    key = skeleton(name)
    own = {skeleton(each) for each in reserved}
    if key in ALONE or key in own or not AS_WORD.isdisjoint(words(name)) or any(each in key for each in ANYWHERE):
        raise Refusal("nickname_refused", "reserved for the site")
    if key in map(skeleton, connection.execute(select(tables.staff.c.name)).scalars()):
        raise Refusal("nickname_refused", "reserved for the site")
    _check_public(connection, key, account)
    holders = select(tables.accounts.c.id).where(tables.accounts.c.nickname_key == key, tables.accounts.c.id != account)
    former = tables.nicknames.c
    held = select(former.id).where(former.nickname_key == key, former.account != account, former.until_ms > now_ms - HELD_MS)
    if connection.execute(holders).first() is not None or connection.execute(held).first() is not None:
        raise Refusal("nickname_taken")


def _check_public(connection: Connection, key: str, account: str) -> None:
    """Names and labels of public accounts: these may be borne by the account itself alone, the words of their categories by nobody
    (duty T7)."""
    if key in CATEGORY_WORDS:
        raise Refusal("nickname_refused", "the words of a label")
    public = tables.public_accounts.c
    others = select(public.name, public.label).where(public.account != account, public.state.not_in(("rejected", "revoked")))
    for names in connection.execute(others):
        for taken in map(skeleton, filter(None, names)):
            if taken == key or (len(taken) >= LABEL_PART_CHARS and taken in key):
                raise Refusal("nickname_refused", "the name of a public account")


def take(tx: Transaction, account: str, name: str, *, interval_ms: int = 0, reserved: Iterable[str] = ()) -> None:
    """Give a clean and screened name to an account. The first one costs nothing: from the first change on, ``interval_ms`` lies
    between two. To bear a name already is no change.

    Raises Refusal ``nickname_refused``, ``nickname_taken``, ``too_many_attempts`` (with the time to wait), and
    ``function_restricted`` while a measure forbids it.
    """
    old = current(tx.sql, account)
    if name == old:
        return
    if old:
        _may_change(tx, account, interval_ms)
    check(tx.sql, name, tx.now_ms, account=account, reserved=reserved)
    names, key = tables.nicknames, skeleton(name)
    tx.sql.execute(update(names).where(names.c.account == account, names.c.until_ms == 0).values(until_ms=tx.now_ms))
    tx.sql.execute(insert(names).values(account=account, nickname=name, nickname_key=key, from_ms=tx.now_ms))
    accounts = tables.accounts
    tx.sql.execute(update(accounts).where(accounts.c.id == account).values(nickname=name, nickname_key=key))
    if old:
        tx.append(account, NicknameChanged(), actor=account, role="person")


def _may_change(tx: Transaction, account: str, interval_ms: int) -> None:
    for measure in tx.standing(account).in_force(tx.now_ms):
        if measure.rung != "restrict" or "nickname" in measure.functions:
            raise Refusal("function_restricted", f"{measure.code} {measure.basis}")
    names = tables.nicknames.c
    borne, last_ms = tx.sql.execute(select(func.count(), func.max(names.from_ms)).where(names.account == account)).one()
    if borne > 1 and tx.now_ms < last_ms + interval_ms:
        raise Refusal("too_many_attempts", "nickname", retry_after_ms=last_ms + interval_ms - tx.now_ms)


def current(connection: Connection, account: str) -> str:
    """The account's nickname; empty when it has none."""
    return connection.execute(select(tables.accounts.c.nickname).where(tables.accounts.c.id == account)).scalar() or ""


def history(connection: Connection, account: str) -> list[Former]:
    """All nicknames that the account has borne, oldest first."""
    names = tables.nicknames.c
    rows = connection.execute(
        select(names.nickname, names.from_ms, names.until_ms).where(names.account == account).order_by(names.id)
    )
    return [Former(*row) for row in rows]
