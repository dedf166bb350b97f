"""Clients that a member of staff has signed in from: they are let try a password while strangers have to wait.

A client holds a cookie ``NAME.NONCE.MAC``. It proves an earlier sign-in and nothing more, so who steals one may guess, and not enter.
One from which guesses fail too often counts as a stranger's from then on. Codes that confirm who is there are counted by session.
Names that do not exist wait like those that do. Belongs to the event loop; what it remembers is bounded, and gone after a restart.
"""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from typing import Final

from server.accounts.staff import FREE_FAILURES, wait_after

REMEMBERED: Final = 10_000


class Devices:
    """``key``: 32 secret bytes that outlive a restart."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._failures: OrderedDict[str, int] = OrderedDict()
        self._confirmations: OrderedDict[str, int] = OrderedDict()
        self._strangers: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def issue(self, name: str) -> str:
        """A cookie for the client from which ``name`` has just signed in."""
        nonce = secrets.token_urlsafe(16)
        return f"{name}.{nonce}.{self._mac(name, nonce)}"

    def knows(self, cookie: str, name: str) -> bool:
        """Whether ``name`` has signed in from the client that holds this cookie, and few attempts have failed there since."""
        holder, nonce, mac = self._parts(cookie)
        if holder != name or not hmac.compare_digest(mac, self._mac(name, nonce)):
            return False
        return self._failures.get(nonce, 0) < FREE_FAILURES

    def tries(self, cookie: str) -> None:
        """An attempt from a client that is known begins. It counts as failed from here on, so that many at once get no further than
        one after the other; :meth:`succeeded` takes it back."""
        self._count(self._failures, self._parts(cookie)[1])

    def succeeded(self, cookie: str) -> None:
        """The attempt was good."""
        self._failures.pop(self._parts(cookie)[1], None)

    def confirms(self, session: str) -> bool:
        """Somebody who is signed in tries a fresh code. False: this session has had its attempts, and is to end. Counted like
        :meth:`tries`."""
        return self._count(self._confirmations, session) <= FREE_FAILURES

    def confirmed(self, session: str) -> None:
        """The code was good."""
        self._confirmations.pop(session, None)

    def _count(self, counts: OrderedDict[str, int], key: str) -> int:
        counts[key] = counts.get(key, 0) + 1
        counts.move_to_end(key)
        if len(counts) > REMEMBERED:
            counts.popitem(last=False)
        return counts.get(key, 1)

    def nobody_failed(self, name: str, now_ms: int) -> int:
        """An attempt with a name that does not exist; returns how long it has to wait, as one that exists would."""
        failures, until_ms = self._strangers.get(name, (0, 0))
        if now_ms < until_ms:
            return until_ms - now_ms
        self._strangers[name] = (failures + 1, now_ms + wait_after(failures + 1))
        self._strangers.move_to_end(name)
        if len(self._strangers) > REMEMBERED:
            self._strangers.popitem(last=False)
        return 0

    def _parts(self, cookie: str) -> tuple[str, str, str]:
        rest, _, mac = cookie.rpartition(".")
        name, _, nonce = rest.rpartition(".")
        return name, nonce, mac

    def _mac(self, name: str, nonce: str) -> str:
        return hmac.new(self._key, f"{name}.{nonce}".encode(), "sha256").hexdigest()
