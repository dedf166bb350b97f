"""A peer in this process that does wrong on request, and cells with given figures."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from loadtest.peers.comparison import Cell

Fault = Callable[[int, str], list[str]]
"""What the first viewer is sent instead of message ``n``."""


class FaithlessPeer:
    """Hands on what publishers say; ``fault`` alters what the first viewer is sent, ``greeting`` goes to everybody first."""

    def __init__(self, fault: Fault = lambda number, text: [text], greeting: str = "") -> None:
        self._fault = fault
        self._greeting = greeting
        self._viewers: list[ServerConnection] = []
        self._said = 0
        self._server: Server | None = None
        self.heard: list[str] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self._server is not None
        return f"http://127.0.0.1:{next(iter(self._server.sockets)).getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await serve(self._serve_one, "127.0.0.1", 0, compression=None)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _serve_one(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        publishes = "publish" in connection.request.path
        if self._greeting:
            await connection.send(self._greeting)
        if not publishes:
            self._viewers.append(connection)
        with suppress(ConnectionClosed):
            async for message in connection:
                assert isinstance(message, str)
                self.heard.append(message)
                if message == "40":
                    await connection.send('40{"sid":"x"}')
                elif publishes and not message.isdigit():
                    await self._fan_out(message, urlsplit(connection.request.path).path)

    async def _fan_out(self, message: str, path: str) -> None:
        self._said += 1
        text = message.replace("say", "comment", 1) if path == "/ws/" else message
        for index, viewer in enumerate(self._viewers):
            for each in self._fault(self._said, text) if index == 0 else [text]:
                with suppress(ConnectionClosed):
                    await viewer.send(each)


def cell(server: str, rate: float, per_cpu_s: float, variant: str = "plain", **figures: float) -> Cell:
    """A valid cell."""
    values = {
        "deliveries_per_cpu_s": per_cpu_s,
        "deliveries_per_s": 1000.0,
        "cpu_share": 0.5,
        "p50_ms": 10.0,
        "p99_ms": 50.0,
        "loss_share": 0.0,
        "kb_per_viewer": 6.0,
        "kb_per_viewer_idle": 6.0,
        "bytes_per_delivery": 100.0,
    }
    return Cell(server=server, variant=variant, rate=rate, figures={**values, **figures})
