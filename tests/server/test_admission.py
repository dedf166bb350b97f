"""server/admission.py; how refusals look on the wire is in test_ws_handshake.py"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request

from server.admission import Admission, target_of
from server.metrics import Stats
from server.settings import Settings

HOST = ("Host", "video.example")


def door(**settings: Any) -> Admission:
    return Admission(Settings(**settings), Stats())


def request(*headers: tuple[str, str], target: str = "/ws") -> Request:
    return Request(target, Headers(list(headers or (HOST,))))


@pytest.mark.parametrize(
    ("headers", "target", "status"),
    [
        ((HOST,), "/ws?room=a", None),
        ((HOST,), "/wss", HTTPStatus.NOT_FOUND),
        ((HOST,), "http://[/ws", HTTPStatus.BAD_REQUEST),
        ((HOST,), "/ws?" + "a=1&" * 9, HTTPStatus.BAD_REQUEST),
        ((("Upgrade", "websocket"),), "/ws", HTTPStatus.BAD_REQUEST),
        ((HOST, HOST), "/ws", HTTPStatus.BAD_REQUEST),
        ((HOST, ("Origin", "https://video.example")), "/ws", None),
        ((HOST, ("Origin", "https://VIDEO.example")), "/ws", None),
        ((HOST, ("Origin", "https://partner.example")), "/ws", None),
        ((HOST, ("Origin", "https://evil.example")), "/ws", HTTPStatus.FORBIDDEN),
        ((HOST, ("Origin", "null")), "/ws", HTTPStatus.FORBIDDEN),
        ((HOST, ("Origin", "https://video.example"), ("Origin", "https://evil.example")), "/ws", HTTPStatus.FORBIDDEN),
    ],
)
def test_who_is_let_in(headers: tuple[tuple[str, str], ...], target: str, status: HTTPStatus | None) -> None:
    """The address has to be the endpoint's, the host one, and a page's origin ours or one that is allowed."""
    found = door(allowed_origins=("https://partner.example",)).refused(request(*headers, target=target), "192.0.2.1")
    assert (found[0] if found is not None else None) == status


def test_each_address_has_its_rate_and_its_number() -> None:
    """Handshakes are bounded in a time, connections at a time, each by address; a connection that ended makes room."""
    hasty = door(joins_per_s=0.001, joins_burst=2)
    assert [hasty.refused(request(), "192.0.2.1") is None for _ in range(3)] == [True, True, False]
    assert hasty.refused(request(), "192.0.2.1") == (HTTPStatus.TOO_MANY_REQUESTS, "Too many requests. Wait and send less.\n")
    assert hasty.refused(request(), "192.0.2.2") is None
    full = door(connections_per_address=1)
    assert full.refused(request(), "192.0.2.1") is None
    found = full.refused(request(), "192.0.2.1")
    assert found is not None
    assert found[0] is HTTPStatus.SERVICE_UNAVAILABLE
    full.limits.close("192.0.2.1")
    assert full.refused(request(), "192.0.2.1") is None


def test_nobody_comes_in_while_the_server_ends() -> None:
    """A draining server says so, and counts no connection."""
    ending = door()
    ending.draining = True
    found = ending.refused(request(), "192.0.2.1")
    assert found is not None
    assert found[0] is HTTPStatus.SERVICE_UNAVAILABLE
    assert ending.limits.count == 0


def test_what_a_target_says() -> None:
    """Path, token and room; of several the first counts, what is not there is empty."""
    assert target_of("/ws?token=t&room=a&room=b") == ("/ws", "t", "a")
    assert target_of("/ws") == ("/ws", "", "")
