"""picows on uvloop: one ``send`` per viewer, from Cython. Argument: port."""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from urllib.parse import parse_qs, urlsplit

import uvloop
from picows import (  # type: ignore[import-not-found, unused-ignore] # it is in an environment of its own
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_create_server,
)

READ_BUFFER_BYTES = 1024  # the largest frame that comes in, as its manual advises
rooms: defaultdict[str, set[WSTransport]] = defaultdict(set)


class Viewer(WSListener):  # type: ignore[misc, unused-ignore]
    """One that reads a room."""

    def __init__(self, viewers: set[WSTransport]) -> None:
        self.viewers = viewers

    def on_ws_connected(self, transport: WSTransport) -> None:
        """It reads from now on."""
        self.viewers.add(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """It has gone."""
        self.viewers.discard(transport)


class Publisher(WSListener):  # type: ignore[misc, unused-ignore]
    """One that writes to a room."""

    def __init__(self, viewers: set[WSTransport]) -> None:
        self.viewers = viewers

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Every comment goes to every viewer."""
        if frame.msg_type != WSMsgType.TEXT:
            return
        message = frame.get_payload_as_bytes()
        for viewer in self.viewers:
            viewer.send(WSMsgType.TEXT, message)


def listener(request: WSUpgradeRequest) -> WSListener:
    """Who has come."""
    parts = urlsplit(request.path.decode())
    viewers = rooms[parse_qs(parts.query)["room"][0]]
    return Publisher(viewers) if parts.path == "/publish" else Viewer(viewers)


async def main(port: int) -> None:
    """Serve until the process is ended."""
    server = await ws_create_server(listener, "127.0.0.1", port, read_buffer_init_size=READ_BUFFER_BYTES, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(main(int(sys.argv[1])))
