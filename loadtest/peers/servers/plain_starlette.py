"""Starlette on uvicorn and uvloop, with the loop of ``send_text`` that tutorials show. Argument: port."""

from __future__ import annotations

import sys
from collections import defaultdict

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

rooms: defaultdict[str, set[WebSocket]] = defaultdict(set)


async def publish(socket: WebSocket) -> None:
    """Every comment goes to every viewer of the room, one after the other."""
    viewers = rooms[socket.query_params["room"]]
    await socket.accept()
    try:
        while True:
            text = await socket.receive_text()
            for viewer in list(viewers):
                await viewer.send_text(text)
    except WebSocketDisconnect:
        return


async def view(socket: WebSocket) -> None:
    """A viewer waits until it leaves."""
    viewers = rooms[socket.query_params["room"]]
    await socket.accept()
    viewers.add(socket)
    try:
        await socket.receive_text()
    except WebSocketDisconnect:
        return
    finally:
        viewers.discard(socket)


app = Starlette(routes=[WebSocketRoute("/publish", publish), WebSocketRoute("/ws", view)])

if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        backlog=4096,
        lifespan="off",
        log_level="warning",
    )
