"""May this request become a WebSocket connection? Asked before the handshake, so that a refusal costs no connection."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, urlsplit

from websockets.datastructures import MultipleValuesError
from websockets.http11 import Request

from filters.rate import Gcra
from server.core.address import limit_key
from server.core.limits import Connections
from server.errors import CODES
from server.metrics import Stats
from server.posting import steady_ms
from server.settings import Settings

_KEYS: Final = 200_000
"""Addresses whose rate of joining is remembered; the longest unused is forgotten first."""

Refused = tuple[HTTPStatus, str]


class Admission:
    """The door. ``limits`` counts the connections that it let in; ``draining``: it lets nobody in any more."""

    def __init__(self, settings: Settings, stats: Stats) -> None:
        self._allowed = settings.allowed_origins
        self._same_origin = urlsplit(settings.public_url).netloc.lower()
        self._stats = stats
        self._joins = Gcra(max(1, round(1000 / settings.joins_per_s)), settings.joins_burst, _KEYS)
        self.limits = Connections(settings.connections_max, settings.connections_per_address, settings.connections_per_account)
        self.draining = False

    def refused(self, request: Request, address: str) -> Refused | None:
        """Status and text of the refusal. None: the request is let in, and counts against its address until ``limits.close``."""
        try:
            path, _, _ = target_of(request.path)
        except ValueError:
            return HTTPStatus.BAD_REQUEST, "This address cannot be read.\n"
        if len(request.headers.get_all("Host")) != 1:
            return HTTPStatus.BAD_REQUEST, "A request names one host.\n"
        if path != "/ws":
            return HTTPStatus.NOT_FOUND, "The WebSocket endpoint is /ws.\n"
        if self.draining:
            return self._refuse("shutting_down", HTTPStatus.SERVICE_UNAVAILABLE)
        if not self._origin_allowed(request):
            self._stats.refuse_connection("forbidden")
            return HTTPStatus.FORBIDDEN, "Pages of this origin may not connect; see the setting allowed_origins.\n"
        key = limit_key(address)
        if self.hasty(key):
            return self._refuse("too_many_requests", HTTPStatus.TOO_MANY_REQUESTS)
        if self.limits.open(key):
            return self._refuse("too_many_connections", HTTPStatus.SERVICE_UNAVAILABLE)
        return None

    def hasty(self, key: str) -> bool:
        """Do handshakes and joins from an address, by its ``limit_key``, come faster than they may? Each question counts as one."""
        return bool(self._joins.allow(key, steady_ms()))

    def _refuse(self, code: str, status: HTTPStatus) -> Refused:
        self._stats.refuse_connection(code)
        return status, CODES[code].en + "\n"

    def _origin_allowed(self, request: Request) -> bool:
        """A page of another site must not speak with its reader's rights. Programs that are no browsers send no Origin."""
        try:
            origin = request.headers.get("Origin")
            if origin is None or "*" in self._allowed or origin in self._allowed:
                return True
            netloc = urlsplit(origin).netloc.lower()
        except (MultipleValuesError, ValueError):
            return False
        return bool(netloc) and netloc in (request.headers["Host"].lower(), self._same_origin)


def target_of(target: str) -> tuple[str, str, str]:
    """Path, token and room of a request's address. Raises ValueError."""
    parts = urlsplit(target)
    query = parse_qs(parts.query, max_num_fields=8)
    return parts.path, query.get("token", [""])[0], query.get("room", [""])[0]
