"""Sessions of browsers: viewers and staff alike, told apart by their holder.

The browser holds 256 random bits in a cookie; the table holds their SHA-256, so whoever reads the database cannot take a session
over. A session ends when it was unused for the policy's idle time, at the latest after its absolute time, or when its holder ends
it. Each sign-in and each rise of privilege gets a new value (:func:`begin`, :func:`renew`), so that a value that somebody planted
beforehand is worth nothing.

Functions take a transaction or a connection of the book; nothing here reads a clock.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from typing import Final

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from server.accounts import tables
from server.accounts.book import Transaction
from server.accounts.keys import read_or_create_secret
from server.settings import Settings

COOKIE_BYTES: Final = 32
TOUCH_MS: Final = 60_000
"""The time of the last use is written at most this often."""

SESSION_OVER: Final = "its session has ended"
"""The detail of ``token_expired`` where the token's time is not over, but its session is."""

_COOKIE: Final = re.compile(r"[A-Za-z0-9_-]{43}\Z", re.ASCII)
_rows: Final = tables.sessions.c


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """How long sessions live, in milliseconds, and how many one holder may have; the longest unused gives way to a new one."""

    idle_ms: int
    absolute_ms: int
    most: int


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One session. ``id`` is the SHA-256 of the cookie's value: it names the session and opens nothing. ``holder`` is an account,
    or ``staff:NAME``; ``expires_ms`` moves with each use; ``stepped_up_ms`` is when the holder last proved to be there, or 0."""

    id: str
    holder: str
    created_ms: int
    seen_ms: int
    expires_ms: int
    stepped_up_ms: int


def open_key(settings: Settings) -> bytes:
    """The key of form tokens, made at first use. Raises ConfigError."""
    return read_or_create_secret(settings.data_dir / "session.key")


def new_cookie() -> str:
    """A value for a cookie, 256 random bits."""
    return secrets.token_urlsafe(COOKIE_BYTES)


def is_cookie(value: str) -> bool:
    """Whether a cookie's value has the form of ours."""
    return _COOKIE.match(value) is not None


def id_of(cookie: str) -> str:
    """The id under which the table knows the cookie's session."""
    return hashlib.sha256(cookie.encode("utf-8", "surrogatepass")).hexdigest()


def form_token(key: bytes, cookie: str) -> str:
    """The token that a form carries: bound to the cookie, and of no use for guessing it."""
    digest = hmac.digest(key, b"form\0" + cookie.encode("utf-8", "surrogatepass"), "sha256")
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def is_form_token(key: bytes, cookie: str, token: str) -> bool:
    """Whether a form's token belongs to the cookie; takes the same time for each wrong one."""
    return hmac.compare_digest(form_token(key, cookie).encode(), token.encode("utf-8", "surrogatepass"))


def begin(tx: Transaction, holder: str, policy: Policy, *, previous: str = "", stepped_up: bool = False) -> str:
    """Begin a session after the holder has proved who it is; returns the cookie's value.

    ``previous`` is the value that the browser came with: its session ends, whoever's it was. ``stepped_up``: the proof was one that
    sensitive actions ask for.
    """
    if previous:
        _end(tx, _rows.id == id_of(previous))
    sweep(tx)
    _make_room(tx, holder, policy.most - 1)
    return _insert(tx, holder, policy, tx.now_ms, stepped_up)


def find(connection: Connection, cookie: str, now_ms: int) -> Session | None:
    """The session of a cookie's value; None when there is none, or it has ended."""
    if not is_cookie(cookie):
        return None
    row = connection.execute(select(tables.sessions).where(_rows.id == id_of(cookie))).mappings().first()
    if row is None or now_ms >= row["expires_ms"]:
        return None
    return Session(**row)


def goes_on(connection: Connection, holder: str, session: str, now_ms: int) -> bool:
    """Whether the holder's session of this id has not ended."""
    query = select(_rows.id).where(_rows.id == session, _rows.holder == holder, _rows.expires_ms > now_ms)
    return connection.execute(query).first() is not None


def touch(tx: Transaction, session: Session, policy: Policy) -> None:
    """The session is in use: it expires later, though never after its absolute time. A session that has ended stays so."""
    until_ms = min(tx.now_ms + policy.idle_ms, session.created_ms + policy.absolute_ms)
    row = (_rows.id == session.id) & (_rows.expires_ms > tx.now_ms)
    tx.sql.execute(update(tables.sessions).where(row).values(seen_ms=tx.now_ms, expires_ms=until_ms))


def is_stale(session: Session, now_ms: int) -> bool:
    """Whether the last use was written so long ago that :func:`touch` is due."""
    return now_ms - session.seen_ms >= TOUCH_MS


def renew(tx: Transaction, cookie: str, policy: Policy, *, stepped_up: bool = False) -> str | None:
    """Give the session of ``cookie`` a new value, after its holder's privileges changed or (``stepped_up``) it was asked again who it
    is. The absolute time goes on from the first sign-in. Returns None when the session has ended."""
    session = find(tx.sql, cookie, tx.now_ms)
    if session is None:
        return None
    _end(tx, _rows.id == session.id)
    kept = 0 if stepped_up else session.stepped_up_ms
    return _insert(tx, session.holder, policy, session.created_ms, stepped_up, kept)


def end(tx: Transaction, holder: str, session: str) -> bool:
    """End one of the holder's sessions, by its id. Returns whether there was one."""
    return _end(tx, _rows.id == session, _rows.holder == holder) > 0


def end_all(tx: Transaction, holder: str, keep: str = "") -> int:
    """End all of the holder's sessions but ``keep`` (an id); returns how many."""
    return _end(tx, _rows.holder == holder, _rows.id != keep)


def listed(connection: Connection, holder: str, now_ms: int) -> list[Session]:
    """The holder's sessions that go on, the last used first."""
    query = select(tables.sessions).where(_rows.holder == holder, _rows.expires_ms > now_ms)
    rows = connection.execute(query.order_by(_rows.seen_ms.desc(), _rows.id)).mappings()
    return [Session(**row) for row in rows]


def sweep(tx: Transaction) -> int:
    """Forget sessions that have ended; returns how many."""
    return _end(tx, _rows.expires_ms <= tx.now_ms)


def _end(tx: Transaction, *those: ColumnElement[bool]) -> int:
    """Take sessions out of the table; whoever is connected by one of them hears of it after the commit. Returns how many."""
    ended = tx.sql.execute(delete(tables.sessions).where(*those).returning(_rows.holder, _rows.id)).all()
    for holder, session in ended:
        tx.end_session(holder, session)
    return len(ended)


def _make_room(tx: Transaction, holder: str, most: int) -> None:
    """Leave the holder at most ``most`` sessions, the last used ones."""
    query = select(_rows.id).where(_rows.holder == holder).order_by(_rows.seen_ms.desc(), _rows.id)
    surplus = list(tx.sql.execute(query).scalars())[most:]
    if surplus:
        _end(tx, _rows.id.in_(surplus))


def _insert(tx: Transaction, holder: str, policy: Policy, created_ms: int, stepped_up: bool, stepped_up_ms: int = 0) -> str:
    cookie = new_cookie()
    tx.sql.execute(
        insert(tables.sessions).values(
            id=id_of(cookie),
            holder=holder,
            created_ms=created_ms,
            seen_ms=tx.now_ms,
            expires_ms=min(tx.now_ms + policy.idle_ms, created_ms + policy.absolute_ms),
            stepped_up_ms=tx.now_ms if stepped_up else stepped_up_ms,
        )
    )
    return cookie
