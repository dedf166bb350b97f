"""``websockets.broadcast`` on uvloop. Arguments: port, ``deflate`` or ``plain``."""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from urllib.parse import parse_qs, urlsplit

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

rooms: defaultdict[str, set[ServerConnection]] = defaultdict(set)


async def serve_one(connection: ServerConnection) -> None:
    """Publishers speak, viewers wait until they leave."""
    assert connection.request is not None
    parts = urlsplit(connection.request.path)
    viewers = rooms[parse_qs(parts.query)["room"][0]]
    if parts.path == "/publish":
        async for message in connection:
            broadcast(viewers, message)
        return
    viewers.add(connection)
    try:
        await connection.wait_closed()
    finally:
        viewers.discard(connection)


async def main(port: int, encoding: str) -> None:
    """Serve until the process is ended."""
    compression = "deflate" if encoding == "deflate" else None
    async with serve(serve_one, "127.0.0.1", port, compression=compression, ping_interval=None, backlog=4096):
        await asyncio.Future()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
