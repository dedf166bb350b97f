"""server/moderation/suggesting.py"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from filters.verdict import Action, Reason
from server.moderation.statement import Rule
from server.moderation.suggesting import CODES, KEEPING, QUICK, pieces, suggest
from server.reasons import KEEPING_CODES, REMOVAL_CODES, recorded_basis
from tests.support.review import book, put


def verdict(*reasons: Reason) -> bytes:
    return msgspec.json.encode({"rules": "hash", "action": "hold", "reasons": reasons})


def reason(rule: str = "ads.contact", category: str = "advertising", **fields: Any) -> Reason:
    return Reason(action=Action.HOLD, code="held_for_review", rule=rule, category=category, **{"basis": "law 1", **fields})


def recorded(code: str) -> str:
    return recorded_basis(code, "")


@pytest.mark.parametrize(
    ("fields", "code", "basis"),
    [
        ({"verdict": verdict(reason())}, "S1", "law 1"),
        ({"verdict": verdict(reason(category="sexual", basis=""))}, "L7", recorded("L7")),
        ({"verdict": verdict(reason(category="unheard"))}, "A1", recorded("A1")),
        ({"queue": "report", "code": "L8"}, "L8", recorded("L8")),
        ({"queue": "report", "code": "U1"}, "A1", recorded("A1")),
        ({"queue": "news"}, "A1", recorded("A1")),
        ({"verdict": b"{damaged"}, "A1", recorded("A1")),
        ({"queue": "second", "code": "L7", "verdict": verdict(reason())}, QUICK[0], recorded(QUICK[0])),
    ],
)
def test_code_and_basis_are_proposed(tmp_path: Path, fields: dict[str, Any], code: str, basis: str) -> None:
    """From the rule that stopped it, from what was reported, else from the queue; a second review is told nothing."""
    with book(tmp_path) as review:
        found = suggest(put(review, text="x", **fields))
    assert (found.code, found.basis) == (code, basis)
    assert found.harmful == (code == "L7")
    assert bool(found.rules) == (b"ads" in fields.get("verdict", b"") and fields.get("queue") != "second")


def test_keys_have_codes_of_removals_and_every_code_is_offered() -> None:
    """Nine keys, each of another code; what authors and uploaders do is not for reviewers."""
    assert len(set(QUICK)) == len(QUICK) == 9
    assert set(CODES) == {code for code in REMOVAL_CODES if code[0] != "U"}
    assert len(set(CODES)) == len(CODES)
    assert set(KEEPING.values()) <= KEEPING_CODES


def test_what_stopped_a_text_is_marked() -> None:
    """Also where spans touch, overlap, or lie outside of a text that was cut; together the pieces are the text."""

    def spans(*given: tuple[int, int]) -> list[tuple[str, tuple[int, ...]]]:
        found = pieces("abcdef", [Rule("r", start=start, end=end) for start, end in given])
        assert "".join(each.text for each in found) == "abcdef"
        return [(each.text, each.rules) for each in found]

    assert spans() == [("abcdef", ())]
    assert spans((0, 0)) == [("abcdef", ())]
    assert spans((1, 3)) == [("a", ()), ("bc", (0,)), ("def", ())]
    assert spans((0, 4), (2, 9)) == [("ab", (0,)), ("cd", (0, 1)), ("ef", (1,))]
    assert pieces("", []) == []
