"""What signing in of staff needs beside the book: passwords, known clients, open ceremonies, how long a session lives."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Final
from urllib.parse import urlsplit

from server.accounts.devices import Devices
from server.accounts.keys import read_or_create_secret
from server.accounts.passkeys import Challenges, Site
from server.accounts.passwords import Passwords
from server.accounts.sessions import Policy
from server.errors import Refusal
from server.settings import Settings

IDLE_MS: Final = 30 * 60 * 1000
ABSOLUTE_MS: Final = 12 * 3600 * 1000
"""A member of staff signs in anew each day, and after half an hour without a request."""
SESSIONS: Final = 3
HASHES_AT_ONCE: Final = 2
"""Each takes 64 MiB for some 50 ms; who comes later waits."""
WAITING_MAX: Final = 64
"""How many wait at once, which is for some two seconds; who comes then is refused."""


class Hashing:
    """Turns at hashing passwords, bounded: ``async with hashing`` waits for one, or raises Refusal ``too_many_requests``."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(HASHES_AT_ONCE)
        self._waiting = 0

    async def __aenter__(self) -> None:
        if self._waiting >= WAITING_MAX:
            raise Refusal("too_many_requests", "many people sign in at this moment", retry_after_ms=2000)
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1

    async def __aexit__(self, *error: object) -> None:
        self._turns.release()


class StaffDesk:
    """Belongs to the event loop; ``passwords`` is called in threads."""

    def __init__(self, settings: Settings) -> None:
        """Raises ConfigError."""
        key = read_or_create_secret(settings.data_dir / "session.key")
        self.passwords = Passwords()
        self.hashing: Final = Hashing()
        self.devices: Final = Devices(hashlib.sha256(b"devices of staff\0" + key).digest())
        self.challenges: Final = Challenges()
        self.policy: Final = Policy(idle_ms=IDLE_MS, absolute_ms=ABSOLUTE_MS, most=SESSIONS)
        self._settings = settings

    def site(self, scheme: str, host: str) -> Site:
        """This site as authenticators know it: by its public address, or (where none is set) by that of the request."""
        parts = urlsplit(self._settings.public_url or f"{scheme}://{host}")
        return Site(parts.hostname or "localhost", f"{parts.scheme}://{parts.netloc}", self._settings.site_name)
