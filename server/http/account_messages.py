"""What ``/api/v1`` takes and answers. The OpenAPI description is made from these types (:mod:`server.http.openapi`)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from server.http.requests import SEQ_MAX

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]


class Token(msgspec.Struct, frozen=True):
    """A token for the WebSocket. ``expires_ms`` and ``now_ms`` are the server's Unix time: ask again well before."""

    token: str
    expires_ms: int
    now_ms: int


class Clause(msgspec.Struct, frozen=True):
    """A numbered clause of the agreement."""

    id: str
    number: str
    title: str
    text: str


class AgreementText(msgspec.Struct, frozen=True):
    """The service agreement in force, in one language. ``sha256`` is what a signature names; ``source`` the exact text."""

    version: str
    language: str
    languages: list[str]
    sha256: str
    title: str
    source: str
    clauses: list[Clause]


class Sign(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A signature: version, language and hash of the text that was shown."""

    version: Annotated[str, msgspec.Meta(max_length=40)]
    sha256: Annotated[str, msgspec.Meta(max_length=64)]
    language: Annotated[str, msgspec.Meta(max_length=16)]


class Signed(msgspec.Struct, frozen=True):
    """``new``: it was not signed before."""

    version: str
    new: bool


class MeasureState(msgspec.Struct, frozen=True):
    """A measure against the account, newest first in lists; ``until_ms`` 0: until it is lifted."""

    id: str
    rung: str
    state: str
    code: str
    basis: str
    clause: str
    functions: list[str]
    room: str
    seq: int
    at_ms: int
    until_ms: int
    role: str
    automated: bool


class Counted(msgspec.Struct, frozen=True):
    """What credit counted: its weight then, and what of it counts today."""

    what: str
    at_ms: int
    points: int
    left: int


class StandingState(msgspec.Struct, frozen=True):
    """How the account stands. ``missing``: the step before the first comment (``verify``, ``agreement``), or empty."""

    nickname: str
    kind: str
    verified: str
    strength: int
    agreement: str
    agreement_required: str
    missing: str
    lesson_wanted: bool
    level: int
    points: int
    counted: list[Counted]
    measures: list[MeasureState]


class LetterState(msgspec.Struct, frozen=True):
    """A letter; ``data`` holds ids, codes and times. ``read_ms`` 0: not seen yet."""

    id: int
    at_ms: int
    kind: str
    data: dict[str, Any]
    read_ms: int


class Letters(msgspec.Struct, frozen=True):
    """Letters, newest first; go on with ``before`` = the last id."""

    letters: list[LetterState]


class ReadThrough(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Letters up to this id were seen."""

    through: Annotated[int, msgspec.Meta(ge=0, le=SEQ_MAX)]


class Done(msgspec.Struct, frozen=True):
    """How many things changed."""

    changed: int


class AppealState(msgspec.Struct, frozen=True):
    """An appeal; ``decided_ms`` 0: it waits, at most until ``due_ms``."""

    id: str
    measure: str
    at_ms: int
    due_ms: int
    decided_ms: int
    upheld: bool
    code: str
    basis: str


class Appeals(msgspec.Struct, frozen=True):
    """One's own appeals, newest first."""

    appeals: list[AppealState]


class FileAppeal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An appeal against a measure of one's own."""

    measure: _Id
    words: Annotated[str, msgspec.Meta(min_length=1, max_length=4000)]


class Filed(msgspec.Struct, frozen=True):
    """The appeal's id."""

    appeal: str


class Rename(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another nickname."""

    nickname: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class Renamed(msgspec.Struct, frozen=True):
    """The nickname as it is shown."""

    nickname: str


class SessionState(msgspec.Struct, frozen=True):
    """A browser that is signed in; ``current``: the one that asks."""

    id: str
    created_ms: int
    seen_ms: int
    expires_ms: int
    current: bool


class Sessions(msgspec.Struct, frozen=True):
    """The browsers that are signed in, the last used first."""

    sessions: list[SessionState]


class LevelRule(msgspec.Struct, frozen=True):
    """What a credit level allows, from ``points`` on. ``text_max`` 0: as long as the site allows everybody."""

    level: int
    points: int
    modes: list[str]
    sizes: list[int]
    colors: bool
    links: bool
    text_max: int
    rate: int
    reviewed: bool


class CreditRules(msgspec.Struct, frozen=True):
    """The published rules of credit."""

    start: int
    days_per_point: int
    most_for_time: int
    fade_days: int
    weights: dict[str, int]
    levels: list[LevelRule]
