"""Who is signed in on which connection: tokens, standings, and what an account is told while it is connected.

A connection that signs in as an account whose standing is not in memory is held until it is: whatever it sends meanwhile waits, in
order, unread. A standing that cannot be read leaves the connection a reader that is told to try again when it posts. From then on
the book of accounts tells every change (:meth:`SignIns.changed`), which reaches all connections of the account in the same turn of
the event loop: their next comment is judged by it.

A token of somebody who signed in here counts for as long as their session goes on. Each time that one is presented, the session is
looked up; when it ends, its connections are told in the same way (:meth:`SignIns.ended`), and speak for nobody from then on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import structlog

from server import wire
from server.accounts.book import Letter
from server.accounts.identity import Identity, Tokens
from server.accounts.people import People
from server.accounts.sessions import SESSION_OVER
from server.accounts.standing import Standing
from server.core.limits import Connections
from server.errors import Refusal
from server.posting import Posting
from server.settings import Settings
from server.store.base import ConnectionDraft
from server.ws import Connection

log = structlog.get_logger("signin")


class SignIns:
    """See the module's text. Belongs to the event loop. Bounds: those of ``limits``, an entry for each signed-in connection."""

    def __init__(self, settings: Settings, tokens: Tokens, people: People, posting: Posting, limits: Connections) -> None:
        self.settings = settings
        self._tokens = tokens
        self._people = people
        self._posting = posting
        self._limits = limits
        self._connections: dict[str, set[Connection]] = {}
        self._loading: set[asyncio.Task[None]] = set()
        self._waiting: set[Connection] = set()

    def sign_in(self, conn: Connection, token: str, then: Callable[[], None]) -> None:
        """Let the connection speak for the token's account; ``then`` (which must not raise) is called when its standing is known,
        at once or later. Raises Refusal ``bad_token``, ``token_expired``, ``keys_unavailable``, ``too_many_connections``, and
        then nothing has changed. If it turns out later that the token's session has ended, the connection speaks for nobody, and is
        told so after ``then``."""
        if len(token) > wire.MAX_TOKEN:
            raise Refusal("bad_token", "longer than any token of ours")
        now_ms = time.time_ns() // 1_000_000
        identity = self._tokens.verify(token, now_ms)
        account = identity.subject
        if conn.identity is not None and conn.identity.subject == account:
            conn.identity, conn.permit = identity, None
        else:
            if self._limits.sign_in(account):
                raise Refusal("too_many_connections", "this account has too many connections")
            self.sign_out(conn)
            conn.identity = identity
            conn.author_id = self._tokens.public_id(account)
            self._connections.setdefault(account, set()).add(conn)
            # With the connection's id it names the record of this sign-in, so no two of a connection have the same.
            conn.session_ms = max(now_ms, conn.session_ms + 1)
            self._posting.record(_record(conn, account, 0))
            conn.standing = None if identity.session else self._people.book.standings.get(account)
        if conn.standing is None or identity.session:
            self.load(conn, then)
        else:
            then()

    def load(self, conn: Connection, then: Callable[[], None]) -> None:
        """Hold the connection until its session is looked up and the standing of its account is read, or they cannot be; then go on
        with ``then``."""
        conn.hold()
        self._waiting.add(conn)
        task = asyncio.get_running_loop().create_task(self._load(conn, then))
        self._loading.add(task)
        task.add_done_callback(self._loading.discard)

    async def _load(self, conn: Connection, then: Callable[[], None]) -> None:
        identity = conn.identity
        assert identity is not None
        found: Standing | None = None
        over = False
        try:
            over = bool(identity.session) and not await self._people.session_goes_on(identity.subject, identity.session)
            found = await self._people.standing(identity.subject)
        except Refusal:
            pass  # the book logged it; the connection has no standing, so it may read and not post
        except Exception:
            log.exception("a standing could not be read", connection=conn.id)
        self._waiting.discard(conn)
        if conn.identity is identity:
            if over:
                self.sign_out(conn)
            else:
                conn.standing, conn.permit = found, None
            then()
        elif not conn.closing:  # the session ended meanwhile, after it was looked up
            over = True
            then()
        if over:
            self._say_over(conn)
        conn.release()

    def sign_out(self, conn: Connection) -> None:
        """The connection speaks for nobody any more."""
        if conn.identity is None:
            return
        account = conn.identity.subject
        self._limits.sign_out(account)
        self._posting.record(_record(conn, account, time.time_ns() // 1_000_000))
        conn.identity = conn.standing = conn.permit = None
        conn.author_id = ""
        those = self._connections[account]
        those.discard(conn)
        if not those:
            del self._connections[account]

    def changed(self, standing: Standing, letters: list[Letter]) -> None:
        """A listener of the book: the account's newest standing, and what it is told."""
        those = self._connections.get(standing.account)
        if those is None:
            return
        frames = [wire.encode_letter(letter.kind, letter.at_ms, letter.data) for letter in letters]
        for conn in tuple(those):
            greeted = conn.standing is not None  # before the greeting nothing is sent; the letter is in the account's box
            conn.standing, conn.permit = standing, None
            for frame in frames if greeted else ():
                conn.send(frame)

    def ended(self, holder: str, sessions: set[str]) -> None:
        """A listener of the book: these sessions have ended, and their connections speak for nobody any more."""
        for conn in tuple(self._connections.get(holder, ())):
            if conn.identity is not None and conn.identity.session in sessions:
                self.sign_out(conn)
                if conn not in self._waiting:  # to those _load says it
                    conn.send(self.hello(conn))
                    self._say_over(conn)

    def _say_over(self, conn: Connection) -> None:
        conn.send(wire.encode_error("token_expired", SESSION_OVER))

    def hello(self, conn: Connection) -> bytes:
        """The greeting: who speaks and whether they may post, the agreement in force, the bounds that a client should know."""
        limits = {
            "text_max": self.settings.comment_max_chars,
            "frame_max": self.settings.frame_max_bytes,
            "rooms_max": self.settings.rooms_per_connection,
            "recall_s": self.settings.recall_window_s,
        }
        who = None if conn.identity is None else self._who(conn, conn.identity)
        return wire.encode_hello(who, limits)

    def _who(self, conn: Connection, identity: Identity) -> dict[str, Any]:
        who: dict[str, Any] = {
            "id": self._tokens.public_id(identity.subject),
            "name": identity.nickname,
            "verified": identity.verified,
        }
        try:
            permit = self._posting.permit(conn, time.time_ns() // 1_000_000)
        except Refusal as refusal:
            who["barred"] = refusal.code.name
            return who
        who["level"] = permit.level
        if permit.barred is not None:
            who["barred"] = permit.barred.code.name
        return who


def _record(conn: Connection, account: str, closed_ms: int) -> ConnectionDraft:
    return ConnectionDraft(
        id=conn.origin(), author=account, address=conn.address, port=conn.port, opened_ms=conn.session_ms, closed_ms=closed_ms
    )
