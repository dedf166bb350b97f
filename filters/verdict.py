"""What the screening says of a comment, and why."""

from __future__ import annotations

import enum

import msgspec


class Action(enum.IntEnum):
    """In order of weight: a verdict's action is the weightiest among its reasons that are not observers."""

    ACCEPT = 0
    MASK = 1
    HOLD = 2
    REFUSE = 3


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One finding. ``start`` and ``end`` are offsets of the original text in code points (0, 0: the whole).

    ``code`` is a refusal code that the author is told (``text_too_long``, ``too_fast``, ``banned_content`` ...); ``rule``
    names the rule, ``basis`` the law or house rule behind it, ``view`` the form of the text in which it was found
    (``surface``, ``folded``, ``skeleton``, ``phonetic``), ``observer`` a rule that only watches.
    """

    action: Action
    code: str
    rule: str
    basis: str = ""
    category: str = ""
    term: str = ""
    view: str = ""
    start: int = 0
    end: int = 0
    score: float = 0.0
    observer: bool = False
    detail: str = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome for one comment. ``text`` is what may be shown (masked where ``action`` is MASK).

    ``rules`` is the hash of the rules in force. ``retry_after_ms`` is set for rate refusals.
    """

    action: Action
    text: str
    rules: str
    reasons: tuple[Reason, ...] = ()
    retry_after_ms: int = 0


class Candidate(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A comment to be screened.

    ``author`` and ``address`` are opaque keys for rates; ``level`` is the author's credit level; ``slow_ms`` the room's slow
    mode (least time between two comments of one author, 0: none), ``raided`` whether the room is shielded from a raid.
    """

    text: str
    room: str
    author: str
    address: str = ""
    level: int = 1
    slow_ms: int = 0
    raided: bool = False
