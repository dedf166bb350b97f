"""``/api/signing-key``: the public half of the key with which the site signs bundles of inspections."""

from __future__ import annotations

from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from server.http.requests import services

_HEADERS: Final = {"Cache-Control": "public, max-age=3600"}


async def signing_key(request: Request) -> Response:
    """``GET /api/signing-key``: a JSON Web Key Set; ``kid`` is what people compare."""
    body = orjson.dumps({"keys": [services(request).moderation.inspections.key.jwk()]})
    return Response(body, media_type="application/json", headers=_HEADERS)


routes: Final[list[BaseRoute]] = [Route("/api/signing-key", signing_key, methods=["GET"])]
