"""Tests of filters.pipeline."""

from __future__ import annotations

import pytest

from filters import default_pipeline
from filters.config import ScreeningConfig
from filters.pipeline import Pipeline, mask
from filters.rules import loads
from filters.verdict import Action, Candidate, Verdict

RULES = """
format = 1
name = "test"
version = "1"

[[rule]]
code = "t.reject"
title = "rejected"
category = "test"
tier = "reject"
basis = "house rule 1"
terms = ["坏词语"]

[[rule]]
code = "t.mask"
title = "masked"
category = "test"
tier = "mask"
basis = "house rule 2"
terms = ["小瑕疵"]

[[rule]]
code = "t.hold"
title = "held"
category = "test"
tier = "hold"
basis = "house rule 3"
terms = ["可疑词"]

[[rule]]
code = "t.watch"
title = "only watched"
category = "test"
tier = "reject"
basis = "house rule 4"
observer = true
terms = ["观察词"]
"""

OPEN = ScreeningConfig(account_interval_ms=0, room_interval_ms=0, address_interval_ms=0)


def screen(text: str, config: ScreeningConfig = OPEN) -> Verdict:
    return Pipeline(loads(RULES), config).screen(Candidate(text=text, room="r", author="a"), 1000)


def test_ordinary_comment() -> None:
    """An ordinary comment is accepted, unchanged, without reasons, under the hash of the rules."""
    assert screen("前方高能！") == Verdict(action=Action.ACCEPT, text="前方高能！", rules=loads(RULES).hash)


@pytest.mark.parametrize(
    ("text", "action", "code", "rule"),
    [
        ("", Action.REFUSE, "text_empty", "text.empty"),
        (" \u200b\u3164\ufe0f ", Action.REFUSE, "text_empty", "text.empty"),
        ("好" * 101, Action.REFUSE, "text_too_long", "text.length"),
        ("a\nb", Action.REFUSE, "bad_text", "text.characters"),
        ("这是坏词语。", Action.REFUSE, "banned_content", "t.reject"),
        ("这是可疑词。", Action.HOLD, "held_for_review", "t.hold"),
    ],
)
def test_stopped_comment(text: str, action: Action, code: str, rule: str) -> None:
    """What cannot be shown, and what a rule stops, comes back with its code, its rule and the text as it was."""
    verdict = screen(text)
    assert (verdict.action, verdict.text) == (action, text)
    assert [(reason.code, reason.rule) for reason in verdict.reasons] == [(code, rule)]


def test_longest_allowed() -> None:
    """A text of exactly the longest length is accepted."""
    assert screen("好" * 100).action is Action.ACCEPT


def test_mask_replaces_only_the_span() -> None:
    """A masked comment keeps every character outside the term."""
    verdict = screen("有点小瑕疵呢")
    assert (verdict.action, verdict.text) == (Action.MASK, "有点***呢")
    assert (verdict.reasons[0].start, verdict.reasons[0].end) == (2, 5)


def test_weightiest_reason_wins() -> None:
    """With several findings the weightiest decides, and all are told."""
    verdict = screen("小瑕疵 可疑词")
    assert verdict.action is Action.HOLD
    assert {reason.rule for reason in verdict.reasons} == {"t.mask", "t.hold"}


def test_observer_only_watches() -> None:
    """A rule that only watches is recorded and decides nothing."""
    verdict = screen("观察词")
    assert verdict.action is Action.ACCEPT
    assert [(reason.rule, reason.observer) for reason in verdict.reasons] == [("t.watch", True)]


@pytest.mark.parametrize(
    ("config", "rule", "same_room", "same_author"),
    [
        (ScreeningConfig(account_interval_ms=1000, account_burst=1, room_interval_ms=0), "rate.account", False, True),
        (ScreeningConfig(room_interval_ms=1000, room_burst=1, account_interval_ms=0), "rate.room", True, True),
        (ScreeningConfig(address_interval_ms=1000, address_burst=1, account_interval_ms=0), "rate.address", False, False),
    ],
)
def test_rates(config: ScreeningConfig, rule: str, same_room: bool, same_author: bool) -> None:
    """Each rate refuses the second comment that falls under it, with the wait in milliseconds."""
    pipeline = Pipeline(loads(RULES), config)
    first = Candidate(text="一", room="r1", author="a1", address="192.0.2.1")
    second = Candidate(text="二", room="r1" if same_room else "r2", author="a1" if same_author else "a2", address="192.0.2.1")
    assert pipeline.screen(first, 5000).action is Action.ACCEPT
    verdict = pipeline.screen(second, 5400)
    assert (verdict.reasons[0].code, verdict.reasons[0].rule, verdict.retry_after_ms) == ("too_fast", rule, 600)
    assert pipeline.screen(second, 6000).action is Action.ACCEPT


def test_slow_mode() -> None:
    """Slow mode asks for its distance between two comments of one author in that room only."""
    pipeline = Pipeline(loads(RULES), OPEN)
    slow = Candidate(text="一", room="r", author="a", slow_ms=3000)
    assert pipeline.screen(slow, 1000).action is Action.ACCEPT
    verdict = pipeline.screen(slow, 3000)
    assert (verdict.reasons[0].rule, verdict.retry_after_ms) == ("rate.slow", 1000)
    assert pipeline.screen(Candidate(text="一", room="r2", author="a"), 3000).action is Action.ACCEPT
    assert pipeline.screen(slow, 4000).action is Action.ACCEPT


def test_low_credit_slows() -> None:
    """An author of the lowest level pays more of the rate for each comment."""
    pipeline = Pipeline(loads(RULES), ScreeningConfig(account_interval_ms=1000, account_burst=1, room_interval_ms=0))
    low = Candidate(text="一", room="r", author="a", level=0)
    assert pipeline.screen(low, 0).action is Action.ACCEPT
    assert pipeline.screen(low, 1000).retry_after_ms == 2000


def test_a_fault_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault inside a check never lets a comment pass unseen: it is held, and the verdict says so."""
    pipeline = Pipeline(loads(RULES), OPEN)
    monkeypatch.setattr(pipeline, "lexicon", object())
    verdict = pipeline.screen(Candidate(text="好", room="r", author="a"), 0)
    assert (verdict.action, verdict.reasons[0].rule) == (Action.HOLD, "screening.fault")


def test_mask_of_overlapping_spans() -> None:
    """Overlapping spans are masked once, and the length stays."""
    assert mask("abcdef", [(1, 3), (2, 5)]) == "a****f"


def test_default_pipeline() -> None:
    """The starter pack loads and lets an ordinary comment pass."""
    pipeline = default_pipeline()
    assert pipeline.screen(Candidate(text="哈哈哈", room="r", author="a"), 0).action is Action.ACCEPT
