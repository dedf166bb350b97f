"""Tests of filters.pipeline."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from filters import STARTER_PACK, default_pipeline
from filters.classifier import Classifier, Model
from filters.config import ScreeningConfig
from filters.pipeline import Memory, Pipeline, mask
from filters.rules import load, loads
from filters.verdict import Action, Candidate, Verdict
from tests.filters.timing import best_of, bound

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


@pytest.mark.parametrize("refusing", ["rate.room", "rate.slow", "rate.address"])
def test_a_refusal_takes_nothing_from_the_other_rates(refusing: str) -> None:
    """However often one rate refuses, the others allow as much as if nobody had asked."""
    pace = ScreeningConfig(
        account_interval_ms=10, account_burst=3, room_interval_ms=10, room_burst=3, address_interval_ms=10, address_burst=3
    )
    tight = {"rate.room": structs.replace(pace, room_burst=1), "rate.address": structs.replace(pace, address_burst=1)}
    pipeline = Pipeline(loads(RULES), tight.get(refusing, pace))
    one = Candidate(text="一", room="r", author="a", address="192.0.2.1", slow_ms=50 if refusing == "rate.slow" else 0)
    assert pipeline.screen(one, 1000).action is Action.ACCEPT
    for _ in range(9):
        assert pipeline.screen(one, 1000).reasons[0].rule == refusing
    memory = pipeline.memory
    left = [
        sum(not rate.allow(key, 1000) for _ in range(9))
        for rate, key in ((memory.account, "a"), (memory.room, "r\na"), (memory.address, "192.0.2.1"))
    ]
    assert left == [0 if name == refusing else 2 for name in ("rate.account", "rate.room", "rate.address")]


def test_slow_mode() -> None:
    """Slow mode asks for its distance between two comments of one author in that room only."""
    pipeline = Pipeline(loads(RULES), OPEN)
    slow = Candidate(text="一", room="r", author="a", slow_ms=3000)
    assert pipeline.screen(slow, 1000).action is Action.ACCEPT
    verdict = pipeline.screen(slow, 3000)
    assert (verdict.reasons[0].rule, verdict.retry_after_ms) == ("rate.slow", 1000)
    assert pipeline.screen(Candidate(text="一", room="r2", author="a"), 3000).action is Action.ACCEPT
    assert pipeline.screen(slow, 4000).action is Action.ACCEPT


def test_rates_and_days_go_by_different_clocks() -> None:
    """The time of day says which rules are in force; when it is set back, rates and repeats go on by the other clock."""
    config = ScreeningConfig(account_interval_ms=1000, account_burst=1, room_interval_ms=0, repeat_interval_ms=0)
    dated = RULES.replace('terms = ["坏词语"]', 'terms = ["坏词语"]\nsince = 2020-01-01')
    for now_ms, action in ((1_500_000_000_000, Action.ACCEPT), (1_600_000_000_000, Action.REFUSE)):
        pipeline = Pipeline(loads(dated), config)
        assert pipeline.screen(Candidate(text="坏词语", room="r", author="a"), now_ms, 5000).action is action
    pipeline = Pipeline(loads(RULES), config)
    one, two = (Candidate(text=text, room="r", author="a") for text in ("一", "二"))
    assert pipeline.screen(one, 2_000_000_000_000, 5000).action is Action.ACCEPT
    assert pipeline.screen(two, 1_000_000_000_000, 5400).retry_after_ms == 600
    assert pipeline.screen(two, 1_000_000_000_000, 6000).action is Action.ACCEPT


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


STARTER = load(STARTER_PACK)


def test_repeats_wait() -> None:
    """One account that says one thing again and again waits; its other words, and other people, do not."""
    pipeline = Pipeline(STARTER, OPEN)
    burst = OPEN.repeat_burst
    texts = ["大家好呀" + "！" * number for number in range(burst + 1)]
    say = [pipeline.screen(Candidate(text=text, room="r", author="a"), 1000) for text in texts]
    assert [verdict.action for verdict in say] == [Action.ACCEPT] * burst + [Action.REFUSE]
    assert (say[-1].reasons[0].code, say[-1].reasons[0].rule) == ("repeated_text", "repeat.account")
    assert say[-1].retry_after_ms == OPEN.repeat_interval_ms
    assert pipeline.screen(Candidate(text="别的话", room="r", author="a"), 1000).action is Action.ACCEPT


def test_a_crowd_flows() -> None:
    """A ritual line from thousands of people flows, and the verdict says that it is a crowd's."""
    pipeline = Pipeline(STARTER, OPEN)
    verdicts = [
        pipeline.screen(Candidate(text="茜特菈莉不歪，玩到关服！", room="r", author=f"a{number}"), 1000 + number)
        for number in range(3000)
    ]
    assert {verdict.action for verdict in verdicts} == {Action.ACCEPT}
    assert verdicts[0].reasons == ()
    assert verdicts[-1].reasons[0].rule == "repeat.crowd"


def test_raid_slows_low_credit_only() -> None:
    """In a raid authors of low credit pay more in that room, until it ends; nothing else changes."""
    config = ScreeningConfig(account_interval_ms=1000, account_burst=1, room_interval_ms=0)
    pipeline = Pipeline(loads(RULES), config)
    pipeline.memory.raid("r", 10_000)
    for author, room, level, wait_ms in (("a", "r", 1, 4000), ("b", "r", 2, 1000), ("c", "r2", 1, 1000)):
        candidate = Candidate(text="一", room=room, author=author, level=level)
        assert pipeline.screen(candidate, 1000).action is Action.ACCEPT
        assert pipeline.screen(candidate, 1000).retry_after_ms == wait_ms
    pipeline.memory.raid("r", 0)
    assert pipeline.memory.raids == {}


def test_raids_are_bounded() -> None:
    """The number of rooms in raid mode has a bound; the first one is dropped."""
    memory = Memory(OPEN)
    for number in range(1_001):
        memory.raid(f"r{number}", 10)
    assert len(memory.raids) == 1_000
    assert "r0" not in memory.raids


def test_contacts_and_numbers() -> None:
    """The built-in checks speak with the code, the basis and the span of their rule."""
    pipeline = Pipeline(STARTER, OPEN)
    contact = pipeline.inspect("快加Ｖ：abc12345")
    assert (contact.action, contact.reasons[0].rule, contact.reasons[0].start) == (Action.HOLD, "ads.contact", 1)
    number = pipeline.inspect("11010519491231002X")
    assert (number.action, number.reasons[0].detail) == (Action.REFUSE, "identity number")
    assert number.reasons[0].basis


def test_classifier_watches_first() -> None:
    """The classifier's finding is told with its weights and decides nothing while its rule watches; later it only holds."""
    model = Classifier(Model(bias=0.0, weights={"点击": 9.0}, trained_on=1, positives=1))
    watching = Pipeline(STARTER, OPEN, classifier=model).inspect("点击这里")
    assert (watching.action, watching.reasons[0].detail, watching.reasons[0].observer) == (Action.ACCEPT, "点击+9.0", True)
    active = tuple(structs.replace(rule, observer=False) for rule in STARTER.rule)
    holding = Pipeline(structs.replace(STARTER, rule=active), OPEN, classifier=model).inspect("点击这里")
    assert holding.action is Action.HOLD
    assert Pipeline(STARTER, OPEN, classifier=model).inspect("看看这里").reasons == ()


def test_catching_up_is_bounded() -> None:
    """What comments left to be done is done for as long as asked, and the rest is told to be left."""
    pipeline = Pipeline(STARTER, OPEN)
    for number in range(3_000):
        pipeline.screen(Candidate(text=f"第{chr(0x4E00 + number)}句完全不同的话", room="r", author=f"a{number}"), number // 4)
    assert len(pipeline.memory.swarm) == 0
    assert pipeline.catch_up(0.0)
    assert len(pipeline.memory.swarm) == 4
    while pipeline.catch_up(0.001):
        pass
    assert len(pipeline.memory.swarm) == 3_000


def test_swarm_holds() -> None:
    """Comments of accounts that post as a group are held, with the evidence."""
    pipeline = Pipeline(STARTER, OPEN)
    texts = ("这个产品真的好用推荐给大家", "朋友介绍买的效果很不错", "第三次回购了性价比很高", "客服态度很好物流也很快")
    verdicts = [
        pipeline.screen(Candidate(text=text, room=f"r{(number + place) % 3}", author=f"a{number}"), 1000 * place + number)
        for place, text in enumerate(texts)
        for number in range(10)
    ]
    held = [verdict for verdict in verdicts if verdict.action is Action.HOLD]
    assert held
    assert {verdict.reasons[-1].rule for verdict in held} == {"swarm.campaign"}


@pytest.mark.parametrize(
    ("limits", "room", "day", "stops"),
    [
        ('rooms = ["r1"]', "r1", 20_000, True),
        ('rooms = ["r1"]', "r2", 20_000, False),
        ("since = 2026-01-01", "r1", 20_453, False),
        ("since = 2026-01-01", "r1", 20_454, True),
        ("until = 2026-01-01", "r1", 20_454, True),
        ("until = 2026-01-01", "r1", 20_455, False),
    ],
)
def test_rooms_and_days(limits: str, room: str, day: int, stops: bool) -> None:
    """A rule holds in its rooms and on its days only, both ends included."""
    rules = loads(RULES.replace('basis = "house rule 1"', f'basis = "house rule 1"\n{limits}'))
    verdict = Pipeline(rules, OPEN).inspect("坏词语", room, day * 86_400_000)
    assert (verdict.action is Action.REFUSE) is stops


def test_inspection_refuses_what_cannot_be_shown() -> None:
    """Inspecting a text alone checks its form as well, and takes nothing from anybody."""
    pipeline = Pipeline(loads(RULES))
    assert pipeline.inspect("好" * 101).reasons[0].rule == "text.length"
    assert len(pipeline.memory.account) == 0


def test_a_soft_hit_holds() -> None:
    """A term of a rejecting rule that is found by its sound only is held, not refused."""
    verdict = Pipeline(loads(RULES), OPEN).inspect("这是坏慈宇呀")
    assert (verdict.action, verdict.reasons[0].view) == (Action.HOLD, "phonetic")


PIPELINE = Pipeline(
    STARTER,
    ScreeningConfig(account_interval_ms=0, room_interval_ms=0, address_interval_ms=0, repeat_interval_ms=0),
)


@given(st.text(st.characters(exclude_categories=()), max_size=120))
def test_any_text_gets_a_verdict(text: str) -> None:
    """Any text gets a verdict without a fault, and a masked one keeps its length and its other characters."""
    verdict = PIPELINE.screen(Candidate(text=text, room="r", author="a"), 0)
    assert all(reason.rule != "screening.fault" for reason in verdict.reasons)
    assert len(verdict.text) == len(text)
    covered = {place for reason in verdict.reasons for place in range(reason.start, reason.end)}
    assert all(char == verdict.text[place] for place, char in enumerate(text) if place not in covered)


@pytest.mark.parametrize(
    "text", ["操你妈" * 33, "🐴" * 99, "加微信" * 33, "shuadan" * 14, "a" * 65_536, "赌" * 65_536, "1" * 99]
)
def test_adversarial_input_is_bounded(text: str) -> None:
    """Input made to hurt, of 64 KB or full of hits, takes less than five milliseconds of processor time."""
    numbers = itertools.count()

    def screen() -> None:
        number = next(numbers)
        PIPELINE.screen(Candidate(text=text + str(number), room="r", author=str(number)), number)

    assert best_of(20, screen, bound(0.005)) < bound(0.005)
