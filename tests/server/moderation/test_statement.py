"""server/moderation/statement.py"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from filters.verdict import Action, Reason
from server.accounts.measures import Record
from server.moderation import statement
from server.moderation.book import Decision
from server.moderation.records import Source
from server.reasons import REASONS


def decision(**fields: Any) -> Decision:
    given: dict[str, Any] = {
        "id": 7, "at_ms": 1000, "actor": "staff:ann", "role": "reviewer", "automated": False, "what": "remove", "code": "L8",
        "basis": "an insult", "room": "a", "seq": 3,
    }  # fmt: skip
    return Decision(**{**given, **fields})


def source(queue: str, **fields: Any) -> Source:
    return Source(**{"queue": queue, "verdict": b"", "reports": 0, "at_ms": 900, **fields})


def test_a_statement_has_facts_ground_category_and_the_part_of_programs() -> None:
    """Of a comment that the screening held and a person refused: detected by a program, decided by a person, with the rule and what
    it found; nobody's name stands there."""
    held = (
        Reason(action=Action.HOLD, code="held_for_review", rule="insult", basis="art. 15 (8)", term="dunce", start=3, end=8),
        Reason(action=Action.REFUSE, code="banned_content", rule="watch", observer=True),
        Reason(action=Action.ACCEPT, code="", rule="repeat.crowd"),
    )
    verdict = msgspec.json.encode({"rules": "abc", "action": "hold", "reasons": held})
    found = statement.of_decision(decision(what="refuse", seq=0, rule="abc"), source("held", verdict=verdict))
    assert (found.ground, found.family, found.code, found.basis) == ("law", "L", "L8", "an insult")
    assert (found.found, found.automated_detection, found.automated_decision) == ("screening", True, False)
    assert [(rule.rule, rule.term, rule.start, rule.end) for rule in found.rules] == [("insult", "dunce", 3, 8)]
    assert (found.redress, found.rule_set) == ("appeal", "abc")
    assert b"ann" not in msgspec.json.encode(found)


@pytest.mark.parametrize(
    ("queue", "how", "detected"),
    [("report", "reports", False), ("news", "news", False), ("swarm", "swarm", True), ("second", "second", False)],
)
def test_how_it_came_to_be_looked_at_is_told(queue: str, how: str, detected: bool) -> None:
    """By the queue; only the screening and the detection of groups are programs."""
    found = statement.of_decision(decision(), source(queue, reports=3))
    assert (found.found, found.automated_detection, found.reports) == (how, detected, 3)


def test_what_staff_found_themselves_and_what_a_program_decided() -> None:
    """Without an item staff came upon it; what a program decides it has detected as well."""
    assert statement.of_decision(decision(), None).found == "own"
    found = statement.of_decision(decision(automated=True, role="system"), None)
    assert (found.automated_detection, found.automated_decision) == (True, True)


def test_what_was_taken_back_needs_no_appeal() -> None:
    """The statement says when; only removals and refusals are appealed against."""
    back = decision(id=9, at_ms=5000, what="restore", code="R1")
    found = statement.of_decision(decision(), None, back)
    assert (found.reversed_ms, found.redress) == (5000, "none")
    assert statement.of_decision(back, None).redress == "none"


def test_every_code_has_a_ground() -> None:
    """No code of the table is without one, and each has words in both languages."""
    assert {statement.ground_of(code) for code in REASONS} == {
        "law",
        "agreement",
        "author",
        "restoration",
        "review",
        "operation",
    }
    for code in REASONS:
        assert statement.code_words(code, chinese=True) != statement.code_words(code, chinese=False)
    assert statement.code_words("Z9", chinese=False) == "Z9"


def test_a_measure_has_a_statement_with_and_without_a_decision() -> None:
    """The measure says what, until when and by which clause; the decision behind it adds the facts."""
    measure = Record(
        id="m1", account="zoe", rung="delete", code="S1", basis="advertising", clause="no_spam", functions=(), room="a", seq=3,
        at_ms=2000, until_ms=0, ended_ms=0, ended_how="", actor="staff:ann", role="reviewer", automated=False,
    )  # fmt: skip
    alone = statement.of_measure(measure)
    assert (alone.number, alone.what, alone.ground, alone.clause, alone.found, alone.redress) == (
        0, "delete", "agreement", "no_spam", "own", "appeal",
    )  # fmt: skip
    whole = statement.of_measure(measure, decision(code="S1"), source("report", reports=2))
    assert (whole.number, whole.found, whole.reports, whole.at_ms) == (7, "reports", 2, 2000)
    lifted = statement.of_measure(msgspec.structs.replace(measure, ended_ms=3000), decision(code="S1"))
    assert (lifted.reversed_ms, lifted.redress) == (3000, "none")


@pytest.mark.parametrize("verdict", [b"{", b"\xff", b"[]", b'{"reasons": 1}'])
def test_a_verdict_that_cannot_be_read_has_no_rules(verdict: bytes) -> None:
    """The statement stands without them."""
    assert statement.rules_of(verdict) == ()
