"""Tests of filters.explain."""

from __future__ import annotations

import json

from filters.explain import as_object, explain, visible
from filters.verdict import Action, Reason, Verdict


def test_words() -> None:
    """An explanation tells the outcome, each place, the evidence, and each basis once."""
    reason = Reason(
        action=Action.HOLD,
        code="held_for_review",
        rule="r",
        basis="law",
        term="歧视",
        view="phonetic",
        start=1,
        end=3,
        score=9.5,
    )
    watched = Reason(action=Action.REFUSE, code="banned_content", rule="w", observer=True, score=2.0)
    verdict = Verdict(action=Action.HOLD, text="我起是", rules="h", reasons=(reason, reason, watched))
    words = explain("我起是", verdict)
    assert words.splitlines() == [
        "我起是",
        "  held for review (rules h)",
        "  - r; “起是” at 1-3; stands for “歧视” by its sound; 9.5 bits of evidence",
        "    basis: law",
        "  - r; “起是” at 1-3; stands for “歧视” by its sound; 9.5 bits of evidence",
        "  - w (only watching); score 2.0",
    ]


def test_cancelled_and_masked() -> None:
    """A cancelled hit says that it does not count and why; a masked text is shown."""
    calm = Reason(action=Action.ACCEPT, code="", rule="r", term="赌", view="surface", start=0, end=1, detail="inside “赌神”")
    verdict = Verdict(action=Action.MASK, text="赌神*", rules="h", reasons=(calm,))
    assert "  shown as: 赌神*" in explain("赌神坏", verdict)
    assert "not counted, inside “赌神”" in explain("赌神坏", verdict)


def test_object() -> None:
    """The object of a verdict is plain data; a held text is not accepted and not shown."""
    reason = Reason(action=Action.HOLD, code="held_for_review", rule="r")
    found = as_object("x", Verdict(action=Action.HOLD, text="x", rules="h", reasons=(reason,)))
    assert json.loads(json.dumps(found)) == found
    assert (found["action"], found["accepted"], found["shown"], found["reasons"][0]["action"]) == ("hold", False, "", "hold")


def test_invisible_characters_are_written_out() -> None:
    """What cannot be seen is written as its code point."""
    assert visible("a\u202eb c") == "a<U+202E>b c"
