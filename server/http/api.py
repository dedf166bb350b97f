"""``/api/rooms``: the rooms, one room, and a room's history in pages; ``/api/v1/agreement``: what must be signed before posting."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.errors import Refusal
from server.http.requests import SEQ_MAX, services, whole
from server.http.services import Services
from server.operations import room_object
from server.store.base import RoomInfo

LIMIT_DEFAULT: Final = 100


def find_room(request: Request) -> RoomInfo:
    """The room of the path. Raises Refusal ``room_not_found``."""
    info = services(request).room(request.path_params["room"])
    if info is None:
        raise Refusal("room_not_found")
    return info


def _room(found: Services, info: RoomInfo) -> dict[str, Any]:
    """A room as anybody may see it: whose it is, is not told, for accounts are nobody's business."""
    shown = room_object(found, info)
    del shown["owner"]
    return shown


async def list_rooms(request: Request) -> Response:
    """All rooms, by name."""
    found = services(request)
    return _json(request, orjson.dumps({"rooms": [_room(found, info) for info in found.rooms()]}))


async def show_room(request: Request) -> Response:
    """One room."""
    return _json(request, orjson.dumps(_room(services(request), find_room(request))))


async def events(request: Request) -> Response:
    """Events after ``after``, at most ``limit``, as they are now: ``{room, epoch, head, events}``.

    A reader goes on after the last number it got until that is ``head``. The bytes of the events are those of the live frames.
    """
    found = services(request)
    most = found.settings.history_limit_max
    after = whole(request, "after", 0, 0, SEQ_MAX)
    limit = whole(request, "limit", min(LIMIT_DEFAULT, most), 1, most)
    name = find_room(request).name
    encoded = await found.history(name, after, limit)
    # Asked for after the history, so that no event is above the head.
    info = find_room(request)
    start = orjson.dumps({"room": name, "epoch": info.epoch, "head": info.head})
    return _json(request, b'%b,"events":[%b]}' % (start[:-1], b",".join(encoded)))


async def agreement(request: Request) -> Response:
    """The service agreement in force: ``{version, sha256, required, texts}``; ``texts`` has title and SHA-256 by language.

    A host platform that vouches for a signature (claim ``agreed``) names the version; nobody posts without one while ``required``.
    """
    people = services(request).people
    document = people.agreements.current()
    texts = {language: {"title": text.title, "sha256": text.sha256} for language, text in document.texts.items()}
    body = {"version": document.version, "sha256": document.sha256, "required": bool(people.required), "texts": texts}
    return _json(request, orjson.dumps(body))


def _json(request: Request, body: bytes) -> Response:
    """The answer, or 304 when the reader has these very bytes. They may change with any event or removal, so every use of a
    stored copy asks first."""
    etag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    asked = request.headers.get("if-none-match", "")
    if asked.strip() == "*" or etag in [part.strip().removeprefix("W/") for part in asked.split(",")]:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


routes = [
    Route("/api/rooms", list_rooms),
    Route("/api/rooms/{room}", show_room),
    Route("/api/rooms/{room}/events", events),
    Route("/api/v1/agreement", agreement),
]
