"""The HTTP edge: uvicorn's protocol, with the bounds that it leaves to us.

A connection that does not finish a request's head in time, sends a head that is too large, or does not take its answer, is
closed. Between requests uvicorn's own keep-alive timer runs; bodies are bounded where they are read (``server.http.requests``);
once a connection is a WebSocket, ``server.ws`` looks after it. Uvicorn passes on the head of that request alone, so what it
leaves out is looked at here: the HTTP version, bytes behind the head, and an earlier request whose answer is not finished.

Requests for a WebSocket are served a few in each turn of the loop (:mod:`server.doorway`).

Open HTTP connections are counted, in all and by address (:class:`Places`). Overflow: a connection that finds no place gets a
503 with ``Retry-After`` before any of its bytes is read, and is closed; those that are open stay.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from httptools import HttpParserUpgrade
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from server.core.address import is_trusted, limit_key, parse_networks
from server.doorway import Doorway
from server.settings import Settings

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 34\r\nconnection: close\r\n\r\nToo many connections. Retry later."
)
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 30\r\nconnection: close\r\n\r\nThe request head is too large."
)
_OLD_VERSION = (
    b"HTTP/1.1 505 HTTP Version Not Supported\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 31\r\nconnection: close\r\n\r\nA WebSocket begins in HTTP/1.1."
)


class Places:
    """The open HTTP connections of the process: ``http_connections_max`` in all, ``http_connections_per_address`` by address.

    The address is the peer's own: no header has been read. So a trusted proxy, behind which everybody stands, counts in the sum
    alone. Belongs to the event loop.
    """

    def __init__(self, settings: Settings) -> None:
        self._max = settings.http_connections_max
        self._per_address = settings.http_connections_per_address
        self._proxies = parse_networks(settings.trusted_proxies)
        self._by_key: dict[str, int] = {}
        self.taken = 0

    def take(self, peer: str) -> str | None:
        """Take a place; returns the key to :meth:`give_back` it by (empty: a proxy), None when there is none left."""
        key = "" if is_trusted(peer, self._proxies) else limit_key(peer)
        held = self._by_key.get(key, 0)
        if self.taken >= self._max or (key and held >= self._per_address):
            return None
        self.taken += 1
        if key:
            self._by_key[key] = held + 1
        return key

    def give_back(self, key: str) -> None:
        """Give back the place that :meth:`take` gave."""
        self.taken -= 1
        if not key:
            return
        left = self._by_key[key] - 1
        if left:
            self._by_key[key] = left
        else:
            del self._by_key[key]


class BoundedHttp(HttpToolsProtocol):
    """One HTTP connection. ``settings``, ``places`` and ``doorway`` are bound by :func:`http_class`."""

    settings: Settings
    places: Places
    doorway: Doorway

    _early: bytes | None = None  # of a request for a WebSocket that waits in line
    _place: str | None = None
    _head_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn does
        super().connection_made(transport)
        self._place = self.places.take(self.client[0] if self.client is not None else "")
        if self._place is None:
            transport.write(_FULL)
            transport.close()
            return
        self._in_head = True
        self._head_bytes = 0
        # From the connection on, not from the first byte: a peer that says nothing holds a descriptor all the same.
        self._head_timer = self._start_head_timer()

    def _start_head_timer(self) -> asyncio.TimerHandle:
        return self.loop.call_later(self.settings.handshake_timeout_s, self.transport.close)

    def data_received(self, data: bytes) -> None:
        if self._place is None:
            return  # refused; some event loops deliver what came before the close
        if self._early is not None:
            # It may not send frames yet, so more is the rest of its head or wrong; bounded like any head.
            self._early += data
            if len(self._early) > self.settings.head_max_bytes:
                self.transport.close()
        elif self._in_head and not self._head_bytes and b"ebsocket" in data:
            self._early = data
            self.doorway.enter(self._come_in)
        else:
            self._receive(data)

    def _come_in(self) -> None:
        """The turn of a newcomer has come."""
        data, self._early = self._early, None
        if data is not None and not self.transport.is_closing():
            self._receive(data)

    def _receive(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        self._received = len(data)
        super().data_received(data)
        # The bytes of a body that came with the end of its head do not count; those of an unfinished head do.
        if self._in_head and self._head_bytes > self.settings.head_max_bytes and not self.transport.is_closing():
            self.send_400_response("")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._head_timer is None:
            self._head_timer = self._start_head_timer()

    def on_headers_complete(self) -> None:
        self._stop_head_timer()
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.settings.head_max_bytes:
            raise ValueError("head too large")  # the parser turns this into send_400_response
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        if self._in_head and self._head_bytes > self.settings.head_max_bytes:
            self.transport.write(_TOO_LARGE)
            self.transport.close()
        else:
            super().send_400_response(msg)

    def handle_websocket_upgrade(self) -> None:
        """Called while the parser's exception is handled, which says where the head ended."""
        self._stop_head_timer()
        stopped = sys.exception()
        assert isinstance(stopped, HttpParserUpgrade)
        if self.cycle is not None and not self.cycle.response_complete:  # type: ignore[redundant-expr] # None at first
            self.transport.close()  # the earlier answer would be written into the frames
            return
        if self.scope["http_version"] != "1.1":
            self.transport.write(_OLD_VERSION)
            self.transport.close()
            return
        if stopped.args[0] < self._received:
            # A client waits for the 101 before it sends frames (RFC 6455, 4.1); dropped, they would leave the two out of step.
            self.send_400_response("Frames were sent before the WebSocket was open.")
            return
        super().handle_websocket_upgrade()
        self._leave()  # from here on the bounds of server.ws hold
        # The parser holds this object in a cycle; undone, both go at once instead of waiting for the collector (per viewer 6 KB).
        self.parser = None  # type: ignore[assignment] # as uvicorn does when the connection is lost

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall_timer = self.loop.call_later(self.settings.slow_close_s, self.transport.abort)

    def resume_writing(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._leave()
        if self._stall_timer is not None:
            self._stall_timer.cancel()
        super().connection_lost(exc)

    def _leave(self) -> None:
        if self._place is not None:
            self.places.give_back(self._place)
            self._place = None

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def http_class(settings: Settings, doorway: Doorway) -> type[BoundedHttp]:
    """The class for uvicorn's ``http=``."""
    attributes: dict[str, Any] = {"settings": settings, "places": Places(settings), "doorway": doorway}
    return type("BoundedHttp", (BoundedHttp,), attributes)
