"""Types of answers that routes make by hand, for speed or since they pass stored bytes on, as far as the description needs them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from server.store.base import RoomKind, RoomMode


class RoomState(msgspec.Struct, frozen=True):
    """A room. ``head`` is the number of its newest event, ``page`` that event's static page."""

    room: str
    title: str
    kind: RoomKind
    mode: RoomMode
    epoch: str
    head: int
    viewers: int
    created_ms: int
    started_ms: int
    video_url: str
    page: str


class RoomList(msgspec.Struct, frozen=True):
    """All rooms, by name."""

    rooms: list[RoomState]


class History(msgspec.Struct, frozen=True):
    """Events of a room as they are now, in order; docs/protocol.md describes them. Go on after the last number until ``head``."""

    room: str
    epoch: str
    head: int
    events: list[dict[str, Any]]


class AgreementTitle(msgspec.Struct, frozen=True):
    """The agreement in one language."""

    title: str
    sha256: str


class AgreementInForce(msgspec.Struct, frozen=True):
    """The version of the service agreement in force; ``required``: nobody posts without having signed it."""

    version: str
    sha256: str
    required: bool
    texts: dict[str, AgreementTitle]


class DemoToken(msgspec.Struct, frozen=True):
    """A token of an account of the demo."""

    token: str
    nickname: str


class Alive(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["ok"]


class Ready(msgspec.Struct, frozen=True):
    """Whether traffic is welcome, and each check by name."""

    ready: bool
    checks: dict[str, str]


class Written(msgspec.Struct, frozen=True):
    """What became of an operation that wrote into a room. ``fresh``: it was not done before under this key."""

    room: str
    seq: int
    fresh: bool


class Listing(msgspec.Struct, frozen=True):
    """Records, oldest first, under the name of the list."""

    screened: list[dict[str, Any]] = []
    reports: list[dict[str, Any]] = []
    rules: list[dict[str, Any]] = []


class Facts(msgspec.Struct, frozen=True):
    """Plain data of an operation."""


class Outcome(msgspec.Struct, frozen=True):
    """What an operation on accounts did."""

    done: Any
