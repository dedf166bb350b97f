"""Tests of filters.contacts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.contacts import personal, score
from filters.normalize import fold
from tests.filters.timing import best_of, bound

THRESHOLD = 3.0
BOUND_S = 0.005


@pytest.mark.parametrize(
    "text",
    [
        "加微信abc12345领红包",
        "加V：abc12345",
        "威❤同号 138 1234 5678",
        "扣群 123456789",
        "QQ群：七八九六五四三二一",
        "兼职日结三百加我",
        "电话13812345678",
        "www.abc.com 免费领取",
        "看这里 https://t.me/abc",
        "写信到 boss.lin@example.com 咨询",
        "私聊我有资源",
        "+86 138-1234-5678",
        "vx：qq123456",
        "加➕v abcd1234",
    ],
)
def test_contacts(text: str) -> None:
    """A cue with an identifier, a cue with a lure, a phone number or a link is scored above the threshold."""
    found = score(fold(text))
    assert found is not None
    assert found.score >= THRESHOLD
    assert 0 <= found.start < found.end <= len(fold(text))


@pytest.mark.parametrize(
    "text",
    [
        "第12集 3:21",
        "比分108:102",
        "只要998元",
        "2024年12月25日",
        "6666666",
        "233333333",
        "一加一等于二",
        "加油加油",
        "兄弟们加群啊",
        "私信没开",
        "oppor9splus",
        "1080p60帧",
        "他手机打字慢",
        "教育资源丰厚",
        "房间号123456在哪看呢，离这里很远很远很远才到的地方有人联系我",
        "3.1415926",
        "免费的",
    ],
)
def test_ordinary(text: str) -> None:
    """Prices, times, scores, episodes, laughter and single cues stay below the threshold."""
    found = score(fold(text))
    assert found is None or found.score < THRESHOLD


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("11010519491231002x", "identity number"),
        ("我的卡4111111111111111呀", "bank card number"),
        ("110105194912310021", None),
        ("4111111111111112", None),
        ("12345678901234567890123", None),
    ],
)
def test_personal_numbers(text: str, name: str | None) -> None:
    """Identity and bank card numbers are told by their check digits; other long numbers are none."""
    found = personal(text)
    assert (found[0] if found else None) == name


@given(st.text(max_size=100))
def test_any_text(text: str) -> None:
    """Any text is scored without an error."""
    score(fold(text))
    personal(fold(text))


@pytest.mark.parametrize("text", ["1" * 100, "a1" * 50, "加 " * 50, "1-" * 50, "a." * 50, "微信 " * 33, "0.0" * 33, "-1" * 50])
def test_bounded_time(text: str) -> None:
    """Texts made to send patterns back and forth stay below the 5 ms that any comment may take, also on a busy machine."""
    assert best_of(20, lambda: (score(text), personal(text)), bound(BOUND_S)) < bound(BOUND_S)
