"""Tests of filters.swarm."""

from __future__ import annotations

import random

import pytest

from filters.swarm import (
    AT_ONCE,
    KNOWN_MS,
    LAG_MS,
    MAX_POSTS,
    MAX_SPEAKERS,
    MAX_WAITING,
    WINDOW_MS,
    Evidence,
    Swarm,
)
from filters.versions import said
from tests.filters.crowds import SYLLABLE_WORDS, World, run, sentence

CAMPAIGN = ("这个产品真的好用推荐给大家", "朋友介绍买的效果很不错", "第三次回购了性价比很高", "客服态度很好物流也很快")


def say(swarm: Swarm, account: str, room: str, text: str, at_ms: int) -> Evidence | None:
    """A comment, after which there is time to catch up."""
    evidence = swarm.post(account, room, text, at_ms)
    swarm.settle()
    return evidence


def play(swarm: Swarm, accounts: int, texts: tuple[str, ...], rooms: int, at_ms: int = 0) -> set[str]:
    """Every account says every text, round the rooms; who was named."""
    named = set()
    for number, text in enumerate(texts):
        for account in range(accounts):
            at_ms += 200
            if say(swarm, f"a{account}", f"r{(number + account) % rooms}", text, at_ms):
                named.add(f"a{account}")
    return named


def test_campaign_is_named() -> None:
    """Accounts that share several texts in several rooms are named, with the evidence."""
    swarm = Swarm()
    assert len(play(swarm, 10, CAMPAIGN, 3)) >= 9
    evidence = say(swarm, "a1", "r1", CAMPAIGN[0], 10_000)
    assert evidence is not None
    assert evidence.words().endswith("texts shared with 8 accounts in 3 rooms within 120 s")
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
        assert say(swarm, "person", f"r{number % 3}", text, 20_000 + number) is None


def test_memory_decays() -> None:
    """What is older than the window is forgotten."""
    swarm = Swarm()
    play(swarm, 10, CAMPAIGN[:2], 3)
    assert play(swarm, 10, CAMPAIGN[2:], 3, at_ms=3 * WINDOW_MS) == set()


def test_known_texts_name_sooner() -> None:
    """Once a group is known, an account needs only two of its texts, and a named one is told at once while that lasts."""
    swarm = Swarm()
    play(swarm, 10, CAMPAIGN, 3)
    assert say(swarm, "late", "r1", CAMPAIGN[0], 12_000) is None
    assert say(swarm, "late", "r2", CAMPAIGN[1], 13_000) is not None
    assert say(swarm, "a3", "r0", CAMPAIGN[2], 14_000) is not None
    assert say(swarm, "a3", "r0", CAMPAIGN[2], 14_000 + 2 * KNOWN_MS) is None


def test_memory_is_bounded() -> None:
    """The number of accounts stays within its bound, whoever comes."""
    swarm = Swarm(max_accounts=50)
    for number in range(500):
        say(swarm, f"a{number}", "r", f"第{chr(0x4E00 + number)}句完全不同的话", number)
    assert len(swarm) <= 50


def test_silent_accounts_are_let_go() -> None:
    """Accounts that were silent for a whole window are let go as others speak."""
    swarm = Swarm()
    for number in range(20):
        say(swarm, f"old{number}", "r", "很久以前说过的一句话", number)
    for number in range(20):
        say(swarm, "new", "r", "现在才说的另一句话呀", 10 * WINDOW_MS + number)
    assert len(swarm) == 1


def test_an_account_comes_back() -> None:
    """The only account there is may come back after any time."""
    swarm = Swarm()
    for at_ms in (0, 10 * WINDOW_MS, 20 * WINDOW_MS):
        assert say(swarm, "a", "r", "一句足够长的话语呀", at_ms) is None
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


def test_versions_of_one_text_are_one() -> None:
    """Many versions of one text from a whole crowd, over all rooms, name nobody: one post counts as one text at most."""
    swarm = Swarm()
    heads, tails = ("", "姐妹们", "我说", "家人们"), ("", "冲", "啊对", "真的好")
    for number in range(2_000):
        text = heads[number % 4] + "全体起立迎接冠军回家了" + tails[number // 4 % 4]
        text = text[: number % 7 + 2] + "哦呀的了吧"[number % 5] + text[number % 7 + 3 :]
        assert say(swarm, f"a{number * 7 % 300}", f"r{number % 4}", text, 20 * number) is None


def test_one_post_is_not_two_texts() -> None:
    """A post that begins like one text and ends like another is no proof of sharing both."""
    rng = random.Random(4)
    slots = ["".join(rng.choices(SYLLABLE_WORDS, k=3)) for _ in range(24)]
    swarm = Swarm()
    for number in range(6_000):
        text = rng.choice(slots) + sentence(rng) + sentence(rng) + rng.choice(slots)
        assert say(swarm, f"a{rng.randrange(500)}", f"r{rng.randrange(4)}", text, number * 25) is None


def test_memory_of_pieces_is_bounded() -> None:
    """Pieces of texts are let go after two windows, or sooner when there are too many, bit by bit."""
    swarm = Swarm(max_accounts=1_000)
    for number in range(2_000):
        say(swarm, "a", "r", "".join(chr(0x4E00 + (number * 31 + place * 7) % 5_000) for place in range(12)), number)
        assert len(swarm._said) <= 503
        assert len(swarm._said_before) <= 503
        assert len(swarm._spent) <= 503
    for number in range(200):
        say(swarm, "a", "r", "666", 10 * WINDOW_MS + number)
    assert not swarm._said
    assert not swarm._spent


def test_sums_of_posts_are_right() -> None:
    """The sums by which the effective size of a crowd is reckoned follow what is remembered."""
    swarm = Swarm(max_accounts=40)
    for number in range(1_500):
        account = f"a{number % 7 * number % 61}"
        say(swarm, account, "r", f"第{chr(0x4E00 + number)}句完全不同的话", number * (WINDOW_MS // 100))
        counts = [len(record.posts) for record in swarm._accounts.values()]
        assert max(counts) <= MAX_POSTS
        assert swarm._posts == sum(counts)
        assert swarm._squares == sum(count * count for count in counts)


def test_speakers_are_bounded() -> None:
    """Of a text that everybody says only the latest speakers are remembered."""
    swarm = Swarm()
    for number in range(3 * MAX_SPEAKERS):
        say(swarm, f"a{number}", f"r{number % 50}", CAMPAIGN[0], number)
    saying = swarm._said[said(CAMPAIGN[0]).marks[0]]
    assert not isinstance(saying, tuple)
    assert len(saying.speakers) == MAX_SPEAKERS
    assert len(saying.rooms) <= 16


@pytest.mark.parametrize(
    "world", [World(accounts=0, repertoire=300), World(accounts=0, repertoire=5_000, crowd=700, crowd_rate=6.0, seconds=90)]
)
def test_crowd_of_common_lines_is_not_named(world: World) -> None:
    """A crowd whose every message is one of the lines that all use, the common ones most, is hardly ever taken for a campaign."""
    assert run(world).false <= 3


def test_large_campaign_on_a_small_site() -> None:
    """A campaign that is a large part of everybody there is found all the same."""
    outcome = run(World(accounts=200, texts=3, crowd=500))
    assert outcome.recall >= 0.95
    assert outcome.precision >= 0.95


@pytest.mark.parametrize(
    "world",
    [
        World(accounts=20, texts=3),
        World(accounts=60, texts=10, perturbed=True),
        World(accounts=200, texts=30, seed=3),
        World(accounts=20, texts=30),
    ],
)
def test_precision_and_recall(world: World) -> None:
    """Among ordinary crowds with rituals and a burst of one text, campaigns are found, and hardly anybody else is named."""
    outcome = run(world)
    assert outcome.precision >= 0.95
    assert outcome.recall >= 0.8
    assert outcome.median_s <= 60
    assert outcome.within_60_s >= 0.7
    assert outcome.first_s <= 60


def test_a_comment_does_not_wait() -> None:
    """A comment is put down only; what it tells is known once there was time to weigh it, in the order of the comments."""
    swarm = Swarm()
    for number in range(10):
        swarm.post(f"a{number}", "r", "一句足够长的话语呀", number)
    assert len(swarm) == 0
    assert swarm.settle(4)
    assert list(swarm._accounts) == ["a0", "a1", "a2", "a3"]
    assert not swarm.settle(6)
    assert len(swarm) == 10


def test_later_comments_weigh_earlier_ones() -> None:
    """Where nobody calls for it, a comment weighs two that have waited too long, or when too many wait: so many and no more."""
    swarm = Swarm()
    for number in range(5):
        swarm.post(f"a{number}", "r", "一句足够长的话语呀", 0)
    swarm.post("late", "r", "现在才说的另一句话呀", LAG_MS)
    assert len(swarm) == 0
    swarm.post("later", "r", "现在才说的另一句话呀", LAG_MS + 1)
    assert len(swarm) == 2
    swarm = Swarm()
    for number in range(MAX_WAITING + 100):
        swarm.post(f"a{number}", "r", "666", 0)
        assert len(swarm._waiting) <= MAX_WAITING
    assert 100 <= len(swarm) <= 200


def test_campaigns_are_named_without_catching_up() -> None:
    """A campaign is named though nobody ever calls for weighing; its texts are then held from everybody known for them."""
    swarm = Swarm()
    named = [
        number
        for number in range(200)
        if swarm.post(f"a{number % 10}", f"r{number % 3}", CAMPAIGN[number // 10 % 4], 1_000 * number)
    ]
    assert named
    assert set(range(180, 200)) <= set(named)


def test_the_comment_that_completes_the_evidence_is_told() -> None:
    """An account of little own is weighed before its comment is answered, so many a second; further ones at their next comment."""
    swarm = Swarm()
    for number, text in enumerate(CAMPAIGN[:2]):
        for account in range(30):
            say(swarm, f"a{account}", f"r{(number + account) % 3}", text, 200 * account + 10_000 * number)
    told = [account for account in range(30) if swarm.post(f"a{account}", f"r{account % 3}", CAMPAIGN[2], 20_000 + account)]
    assert 0 < len(told) <= AT_ONCE
    swarm.settle()
    again = [account for account in range(30) if swarm.post(f"a{account}", f"r{account % 3}", CAMPAIGN[2], 30_000 + account)]
    assert len(again) >= 28
