"""Who may post what: the checks between a decoded ``say`` and the screening. Pure; the caller passes the clock reading."""

from __future__ import annotations

import re
from typing import Final, Protocol, TypeVar

from server.errors import Refusal
from server.store.base import RoomMode
from server.wire import MAX_KEY, MAX_POSITION_MS, SIZES, Say

_COLOR: Final = re.compile(r"#[0-9a-fA-F]{6}\Z", re.ASCII)
_LATEST_MS: Final = 10_000
"""How far a live comment's position may run ahead of the room's own clock (a viewer's clock is never exact)."""


class Poster(Protocol):
    """What the checks need of an identity; ``expires_ms`` is Unix time, 0 for never."""

    @property
    def subject(self) -> str: ...
    @property
    def expires_ms(self) -> int: ...


_P = TypeVar("_P", bound=Poster)


def authorise(poster: _P | None, now_ms: int) -> _P:
    """Is somebody signed in, by a token that is still good? What the account may do is the matter of its permit.

    Raises Refusal ``sign_in_required``, ``token_expired``.
    """
    if poster is None:
        raise Refusal("sign_in_required")
    if poster.expires_ms and poster.expires_ms <= now_ms:
        raise Refusal("token_expired")
    return poster


def check_mode(room_mode: RoomMode) -> None:
    """Does a room of this mode take comments? Raises Refusal ``room_closed``, ``room_read_only``."""
    if room_mode == "closed":
        raise Refusal("room_closed")
    if room_mode == "read_only":
        raise Refusal("room_read_only")


def check_key(key: str) -> None:
    """A key is 1 to 64 visible ASCII characters. Raises Refusal ``bad_message``."""
    if not 0 < len(key) <= MAX_KEY or not (key.isascii() and key.isprintable()) or " " in key:
        raise Refusal("bad_message", f"key: 1 to {MAX_KEY} visible ASCII characters")


def check_form(say: Say) -> None:
    """Key, colour and size have the form of the protocol. Raises Refusal ``bad_message``."""
    check_key(say.key)
    if _COLOR.match(say.color) is None:
        raise Refusal("bad_message", "color: #rrggbb")
    if say.size not in SIZES:
        raise Refusal("bad_message", f"size: one of {', '.join(map(str, SIZES))}")


def position(pos_ms: int | None, live: bool, started_ms: int, now_ms: int) -> int:
    """The comment's position in milliseconds.

    A live room's position 0 is its start: a missing position is the present one, and no position lies in the future. A video's
    comment must say where it belongs. Raises Refusal ``bad_position``.
    """
    if live:
        present = min(max(0, now_ms - started_ms), MAX_POSITION_MS)
        if pos_ms is None:
            return present
        if pos_ms > present + _LATEST_MS:
            raise Refusal("bad_position", f"pos_ms: at most {present}, the present of this live room")
    elif pos_ms is None:
        raise Refusal("bad_position", "pos_ms: a video's comment needs its position")
    if not 0 <= pos_ms <= MAX_POSITION_MS:
        raise Refusal("bad_position", f"pos_ms: 0 to {MAX_POSITION_MS}")
    return pos_ms
