"""A connection of :mod:`server.ws` without a loop and a network: what it says and does stands in one list, in its order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NoReturn, cast

from server.conversation import Conversation
from server.core.inbox import Inbox
from server.metrics import Stats
from server.settings import Settings
from server.ws import Connection


class FakeTransport(asyncio.Transport):
    """Notes what is done to it. Something always stands in its buffer, but never too much."""

    def __init__(self, log: list[tuple[Any, ...]]) -> None:
        super().__init__()
        self._log = log

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """There is one only."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """It never stalls."""

    def get_write_buffer_size(self) -> int:
        """See the class."""
        return 1

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Note it."""
        self._log.append(("write", bytes(data)))

    def can_write_eof(self) -> bool:
        """As a TCP transport can."""
        return True

    def write_eof(self) -> None:
        """Note it."""
        self._log.append(("eof",))

    def pause_reading(self) -> None:
        """Note it."""
        self._log.append(("pause",))

    def resume_reading(self) -> None:
        """Note it."""
        self._log.append(("resume",))

    def is_closing(self) -> bool:
        """Not by us."""
        return False

    def abort(self) -> None:
        """Note it."""
        self._log.append(("abort",))


class FakeConversation:
    """Takes everybody in, and notes what it is told; ``act`` is called with each message."""

    trusted_proxies = ()

    def __init__(self, settings: Settings, log: list[tuple[Any, ...]], act: Callable[[Connection, bytes], None]) -> None:
        self.settings = settings
        self.stats = Stats()
        self.now_s = 0
        self.inbox: Inbox[Connection] = Inbox(Connection.serve, _never, lambda: 0.0, lambda: 0.0)
        self._log = log
        self._act = act

    def admit(self, conn: Connection, request: object) -> None:
        """Anyone may come."""

    def opened(self, conn: Connection, target: str) -> None:
        """Nothing is said."""

    def on_message(self, conn: Connection, data: bytes) -> None:
        """A message came."""
        assert type(data) is bytes
        self._log.append(("message", data))
        self._act(conn, data)

    def on_error(self, conn: Connection, code: str) -> None:
        """A frame came that cannot be a message."""
        self._log.append(("error", code))

    def closing(self, conn: Connection, wait_s: int) -> None:
        """The closing handshake began."""
        self._log.append(("closing", wait_s))


def _never(after_s: float, call: Callable[[], None]) -> NoReturn:
    raise AssertionError("a beat of no length waits for nothing")


def connection(settings: Settings, act: Callable[[Connection, bytes], None]) -> tuple[Connection, list[tuple[Any, ...]]]:
    """A connection that waits for its request (give it to ``serve``), and the list of all it does."""
    log: list[tuple[Any, ...]] = []
    conn = Connection(cast(Conversation, FakeConversation(settings, log, act)))
    conn.connection_made(FakeTransport(log))
    return conn, log
