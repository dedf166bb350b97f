"""Tests of filters.swarm."""

from __future__ import annotations

import pytest

from filters.swarm import KNOWN_MS, WINDOW_MS, Swarm, marks_of
from tests.filters.crowds import World, run

CAMPAIGN = ("这个产品真的好用推荐给大家", "朋友介绍买的效果很不错", "第三次回购了性价比很高", "客服态度很好物流也很快")


def play(swarm: Swarm, accounts: int, texts: tuple[str, ...], rooms: int, at_ms: int = 0) -> set[str]:
    """Every account says every text, round the rooms; who was named."""
    named = set()
    for number, text in enumerate(texts):
        for account in range(accounts):
            at_ms += 200
            if swarm.post(f"a{account}", f"r{(number + account) % rooms}", text, at_ms):
                named.add(f"a{account}")
    return named


def test_campaign_is_named() -> None:
    """Accounts that share several texts in several rooms are named, with the evidence."""
    swarm = Swarm()
    assert len(play(swarm, 10, CAMPAIGN, 3)) >= 9
    evidence = swarm.post("a1", "r1", CAMPAIGN[0], 10_000)
    assert evidence is not None
    assert evidence.words().endswith("texts shared with 9 accounts in 3 rooms within 120 s")
    assert evidence.texts >= 3


@pytest.mark.parametrize(
    ("texts", "rooms"),
    [
        (CAMPAIGN[:1], 3),  # one ritual line from everybody
        (CAMPAIGN, 1),  # a song that one room sings
        (("哈哈哈", "666", "？？？", "来了"), 3),  # too short to tell
    ],
)
def test_crowds_are_not_named(texts: tuple[str, ...], rooms: int) -> None:
    """Volume of one text, a whole room in chorus and short exclamations name nobody."""
    assert play(Swarm(), 50, texts, rooms) == set()


def test_people_of_many_words_are_not_named() -> None:
    """Who mostly says things of their own is not named for sayings shared with others."""
    swarm = Swarm()
    play(swarm, 10, CAMPAIGN, 3)
    own = (
        "今天天气真不错啊大家好",
        "我家的猫又把杯子打翻了",
        "刚下班回来赶上直播了",
        "晚饭吃了两碗牛肉面条",
        "明天还要早起去开会呢",
        "这集的剧情我没有看懂呢",
    )
    for number, text in enumerate((*own, *CAMPAIGN[:2])):
        assert swarm.post("person", f"r{number % 3}", text, 20_000 + number) is None


def test_memory_decays() -> None:
    """What is older than the window is forgotten."""
    swarm = Swarm()
    play(swarm, 10, CAMPAIGN[:2], 3)
    assert play(swarm, 10, CAMPAIGN[2:], 3, at_ms=3 * WINDOW_MS) == set()


def test_known_texts_name_sooner() -> None:
    """Once a group is known, an account needs only two of its texts, and a named one is told at once while that lasts."""
    swarm = Swarm()
    play(swarm, 10, CAMPAIGN, 3)
    assert swarm.post("late", "r1", CAMPAIGN[0], 12_000) is None
    assert swarm.post("late", "r2", CAMPAIGN[1], 13_000) is not None
    assert swarm.post("a3", "r0", CAMPAIGN[2], 14_000) is not None
    assert swarm.post("a3", "r0", CAMPAIGN[2], 14_000 + 2 * KNOWN_MS) is None


def test_memory_is_bounded() -> None:
    """The number of accounts stays within its bound, whoever comes."""
    swarm = Swarm(max_accounts=50)
    for number in range(500):
        swarm.post(f"a{number}", "r", f"第{chr(0x4E00 + number)}句完全不同的话", number)
    assert len(swarm) <= 50


def test_silent_accounts_are_let_go() -> None:
    """Accounts that were silent for a whole window are let go as others speak."""
    swarm = Swarm()
    for number in range(20):
        swarm.post(f"old{number}", "r", "很久以前说过的一句话", number)
    for number in range(20):
        swarm.post("new", "r", "现在才说的另一句话呀", 10 * WINDOW_MS + number)
    assert len(swarm) == 1


def test_an_account_comes_back() -> None:
    """The only account there is may come back after any time."""
    swarm = Swarm()
    for at_ms in (0, 10 * WINDOW_MS, 20 * WINDOW_MS):
        assert swarm.post("a", "r", "一句足够长的话语呀", at_ms) is None
    assert len(swarm) == 1


def test_likes_and_reports() -> None:
    """Likes and reports of the same several targets by the same accounts are a swarm as well."""
    swarm = Swarm()
    named = {
        f"a{account}"
        for target in range(4)
        for account in range(8)
        if swarm.act(f"a{account}", f"r{account % 2}", f"comment-{target}", 100 * target + account)
    }
    assert len(named) >= 7


def test_marks() -> None:
    """Near copies share a mark; texts too short to tell have none."""
    assert set(marks_of("这个产品真的好用推荐给大家")) & set(marks_of("这个產品真的好用推荐給大家666!"))
    assert set(marks_of("这个产品真的好用推荐给大家")) & set(marks_of("这个产品真的很用推荐给大家"))
    assert marks_of("哈哈哈哈哈") == ()


@pytest.mark.parametrize(
    "world", [World(accounts=20, texts=3), World(accounts=60, texts=10, perturbed=True), World(accounts=200, texts=30, seed=3)]
)
def test_precision_and_recall(world: World) -> None:
    """Among ordinary crowds with rituals and a burst of one text, campaigns are found, and hardly anybody else is named."""
    outcome = run(world)
    assert outcome.precision >= 0.95
    assert outcome.recall >= 0.8
    assert outcome.median_s <= 60
