"""What the routes share in reading a request: the services, bounded bodies, checked numbers, limits per address."""

from __future__ import annotations

import asyncio
import re
from typing import Final, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request

from filters.rate import Gcra
from server.bounds import WHOLE_MAX
from server.core.address import limit_key
from server.errors import Refusal
from server.http.services import Services
from server.settings import Settings

ADDRESSES_MAX: Final = 100_000
"""Addresses whose rates and streams are remembered; the longest unused is forgotten first."""
SEQ_MAX: Final = WHOLE_MAX
"""Largest number that every JSON reader understands."""

_DIGITS: Final = re.compile(r"[0-9]{1,16}\Z", re.ASCII)
_T = TypeVar("_T")


def services(request: Request) -> Services:
    """The running server."""
    found: Services = request.app.state.services
    return found


async def read_body(request: Request, limit: int = 0) -> bytes:
    """The body, bounded in size (``limit`` bytes; 0: by the settings) and in time. Raises Refusal ``too_large`` or ``bad_message``.

    A request that claims or sends too much is answered at once, and its connection is closed by the answer.
    """
    settings = services(request).settings
    limit = limit or settings.body_max_bytes
    claimed = request.headers.get("content-length", "0")
    if not _DIGITS.match(claimed) or int(claimed) > limit:
        raise Refusal("too_large", f"at most {limit} bytes")
    body = bytearray()
    try:
        async with asyncio.timeout(settings.body_timeout_s):
            async for piece in request.stream():
                body += piece
                if len(body) > limit:
                    raise Refusal("too_large", f"at most {limit} bytes")
    except TimeoutError:
        raise Refusal("request_timeout", f"the body did not arrive within {settings.body_timeout_s:g} s") from None
    except ClientDisconnect:
        raise Refusal("bad_message", "the body ended early") from None
    return bytes(body)


async def read_json(request: Request, kind: type[_T], limit: int = 0) -> _T:
    """The body as JSON of a type. Raises Refusal ``bad_message`` (the detail names the field), ``bad_json``, and as above.

    The content type is asked for, since a form of another site cannot send it without the browser asking us first.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal("bad_message", "Content-Type: application/json")
    try:
        return msgspec.json.decode(await read_body(request, limit), type=kind)
    except msgspec.ValidationError as error:
        raise Refusal("bad_message", str(error)) from None
    except UnicodeDecodeError:
        raise Refusal("bad_json", "not UTF-8") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refusal("bad_json", str(error)) from None


def whole(request: Request, name: str, default: int, low: int, high: int) -> int:
    """A whole number of the query. Raises Refusal ``bad_message``."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not _DIGITS.match(text) or not low <= int(text) <= high:
        raise Refusal("bad_message", f"{name}: a whole number from {low} to {high}")
    return int(text)


class HttpLimits:
    """Limits per address of one application. Belongs to the event loop."""

    def __init__(self, settings: Settings) -> None:
        self._demo_tokens = Gcra(round(1000 / settings.demo_tokens_per_s), settings.demo_tokens_burst, ADDRESSES_MAX)
        self._sign_ins = Gcra(round(1000 / settings.sign_ins_per_s), settings.sign_ins_burst, ADDRESSES_MAX)
        self._streams_max = settings.sse_max
        self._streams_per_address = settings.sse_per_address
        self._streams: dict[str, int] = {}
        self.streams = 0

    def demo_token(self, address: str, steady_ms: int) -> None:
        """Take one demo token at this moment of a clock that nobody sets. Raises Refusal ``too_many_requests``."""
        wait_ms = self._demo_tokens.allow(limit_key(address), steady_ms)
        if wait_ms:
            raise Refusal("too_many_requests", retry_after_ms=wait_ms)

    def sign_in(self, address: str, steady_ms: int) -> None:
        """Take one step of signing in, as :meth:`demo_token`. Raises Refusal ``too_many_requests``."""
        wait_ms = self._sign_ins.allow(limit_key(address), steady_ms)
        if wait_ms:
            raise Refusal("too_many_requests", retry_after_ms=wait_ms)

    def open_stream(self, address: str) -> str:
        """Take a place for an event stream; returns the key to give it back by. Raises Refusal ``too_many_connections``."""
        key = limit_key(address)
        if self.streams >= self._streams_max or self._streams.get(key, 0) >= self._streams_per_address:
            raise Refusal("too_many_connections", "event streams", retry_after_ms=10_000)
        self.streams += 1
        self._streams[key] = self._streams.get(key, 0) + 1
        return key

    def close_stream(self, key: str) -> None:
        """Give back the place that :meth:`open_stream` took."""
        self.streams -= 1
        left = self._streams[key] - 1
        if left:
            self._streams[key] = left
        else:
            del self._streams[key]


def limits(request: Request) -> HttpLimits:
    """The limits of the request's application, made at its first request."""
    app: Starlette = request.app
    if not hasattr(app.state, "limits"):
        app.state.limits = HttpLimits(services(request).settings)
    found: HttpLimits = app.state.limits
    return found


def address(request: Request) -> str:
    """The source address of the request, behind our own proxies where the settings name them."""
    return request.client.host if request.client is not None else ""
