"""The statement of reasons of a decision: facts, ground, category, automated detection, automated decision, and the way to redress.

A pure function of what was recorded, so that the same records give the same statement at any time, to the person it is about and to
staff alike. It names no member of staff: the role that decided is enough for the person, the name stands in the records.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from server.accounts.agreement import clause_for
from server.accounts.measures import Record
from server.moderation.book import Decision
from server.moderation.records import Source
from server.reasons import REASONS

Ground = Literal["law", "agreement", "author", "restoration", "review", "operation"]
Found = Literal["screening", "news", "reports", "swarm", "second", "own"]
Redress = Literal["appeal", "none"]

_GROUNDS: Final[dict[str, Ground]] = {
    "L": "law", "M": "law", "P": "law", "N": "law", "S": "agreement", "A": "agreement", "U": "author", "R": "restoration",
    "K": "review", "E": "operation",
}  # fmt: skip
_FOUND: Final[dict[str, Found]] = {
    "held": "screening", "news": "news", "report": "reports", "swarm": "swarm", "second": "second",
}  # fmt: skip
_APPEALABLE: Final = frozenset({"remove", "refuse"})


class Rule(msgspec.Struct, frozen=True):
    """A rule of the screening that stopped the comment; ``start`` and ``end`` are offsets in its text, ``term`` what was found."""

    rule: str
    basis: str = ""
    category: str = ""
    term: str = ""
    start: int = 0
    end: int = 0


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """Why a decision was taken. ``number`` is the decision's (0: a measure that no decision of the desk stands behind).

    ``what`` as in the decision log, or the rung of a measure; ``ground``: what kind of rule ``code`` and ``basis`` rest on;
    ``clause`` of the service agreement, where the code has one; ``found``: how it came to be looked at (``reports`` counts those of
    the public, ``rules`` are those that stopped it); ``automated_detection``: a program brought it up; ``automated_decision``: a
    program decided. ``until_ms`` 0: for good, or until it is taken back.
    """

    number: int
    at_ms: int
    what: str
    room: str
    seq: int
    code: str
    family: str
    ground: Ground
    basis: str
    clause: str
    role: str
    found: Found
    reports: int
    rules: tuple[Rule, ...]
    rule_set: str
    automated_detection: bool
    automated_decision: bool
    until_ms: int
    reversed_ms: int
    redress: Redress


def of_decision(decision: Decision, source: Source | None, reversed_by: Decision | None = None) -> Statement:
    """The statement of a decision; ``source`` is the item that it decided, ``reversed_by`` the decision that took it back."""
    found: Found = _FOUND.get(source.queue, "own") if source is not None else "own"
    return Statement(
        number=decision.id, at_ms=decision.at_ms, what=decision.what, room=decision.room, seq=decision.seq, code=decision.code,
        family=decision.code[:1], ground=ground_of(decision.code), basis=decision.basis, clause=clause_for(decision.code),
        role=decision.role, found=found, reports=source.reports if source is not None else 0,
        rules=rules_of(source.verdict) if source is not None else (), rule_set=decision.rule,
        automated_detection=found in {"screening", "swarm"} or decision.automated, automated_decision=decision.automated,
        until_ms=decision.until_ms, reversed_ms=reversed_by.at_ms if reversed_by is not None else 0,
        redress="appeal" if decision.what in _APPEALABLE and reversed_by is None else "none",
    )  # fmt: skip


def of_measure(measure: Record, decision: Decision | None = None, source: Source | None = None) -> Statement:
    """The statement of a measure against an account; ``decision`` (with its ``source``) is the one that led to it, where one did."""
    if decision is not None:
        base = of_decision(decision, source)
    else:
        base = Statement(
            number=0, at_ms=0, what="", room="", seq=0, code="", family="", ground="law", basis="", clause="", role="",
            found="own", reports=0, rules=(), rule_set="", automated_detection=measure.automated, automated_decision=False,
            until_ms=0, reversed_ms=0, redress="none",
        )  # fmt: skip
    return msgspec.structs.replace(
        base, at_ms=measure.at_ms, what=measure.rung, room=measure.room or base.room, seq=measure.seq, code=measure.code,
        family=measure.code[:1], ground=ground_of(measure.code), basis=measure.basis,
        clause=measure.clause or clause_for(measure.code), role=measure.role,
        automated_decision=base.automated_decision or measure.automated, until_ms=measure.until_ms,
        reversed_ms=measure.ended_ms, redress="none" if measure.ended_ms else "appeal",
    )  # fmt: skip


def ground_of(code: str) -> Ground:
    """What kind of rule a reason code rests on. Raises KeyError for a code of no known family."""
    return _GROUNDS[code[:1]]


def code_words(code: str, chinese: bool) -> str:
    """The code's short name; a code of an older table speaks for itself."""
    reason = REASONS.get(code)
    return code if reason is None else reason.zh if chinese else reason.en


def rules_of(verdict: bytes) -> tuple[Rule, ...]:
    """The rules in a stored verdict that stopped the comment; those that only watch are none. Damaged JSON has none."""
    try:
        reasons = msgspec.json.decode(verdict, type=_Verdict).reasons if verdict else ()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ()
    return tuple(
        Rule(each.rule, each.basis, each.category, each.term, each.start, each.end)
        for each in reasons
        if each.action and not each.observer
    )


class _Reason(msgspec.Struct, frozen=True):
    rule: str
    action: int = 0
    basis: str = ""
    category: str = ""
    term: str = ""
    start: int = 0
    end: int = 0
    observer: bool = False


class _Verdict(msgspec.Struct, frozen=True):
    reasons: tuple[_Reason, ...] = ()
