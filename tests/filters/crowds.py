"""A seeded world of ordinary crowds and campaigns, to measure the detection of swarms with.

``python -m tests.filters.crowds`` prints the table of docs/screening.md (about half a minute).
"""

from __future__ import annotations

import random
from itertools import accumulate
from typing import NamedTuple

from filters.normalize import fold
from filters.swarm import Swarm

SYLLABLE_WORDS = [
    "今天",
    "主播",
    "真的",
    "好看",
    "这个",
    "操作",
    "厉害",
    "我们",
    "一起",
    "支持",
    "一下",
    "大家",
    "晚上",
    "快来",
    "看看",
    "那个",
    "角色",
    "技能",
    "太强",
    "了吧",
    "没有",
    "想到",
    "剧情",
    "反转",
    "演员",
    "表情",
    "背景",
    "音乐",
    "好听",
    "求问",
    "歌名",
    "什么",
    "时候",
    "更新",
    "下集",
    "预告",
    "期待",
    "已经",
    "第三",
    "遍了",
    "还是",
    "想哭",
    "这里",
    "镜头",
    "很美",
    "导演",
    "用心",
    "手机",
    "镜头",
    "质量",
    "不行",
    "客服",
    "态度",
    "差评",
    "大家",
    "别买",
    "退货",
    "太慢",
    "性价",
    "比高",
    "推荐",
    "入手",
    "好用",
    "便宜",
    "朋友",
    "介绍",
    "效果",
    "不错",
    "值得",
    "购买",
    "回购",
    "三次",
    "物流",
    "很快",
    "包装",
    "精致",
]
TICK_MS = 50
RITUALS = ("全体起立欢迎主播", "前方高能非战斗人员撤离", "许愿不歪出必还愿", "关注主播不迷路", "大家晚上好呀")


class World(NamedTuple):
    """What one run is made of; rates are messages a minute per account.

    ``repertoire``: from how many lines the crowd takes all it says, the n-th one as often as 1/n (0: mostly words of its own).
    """

    accounts: int = 20
    texts: int = 10
    rooms: int = 4
    rate: float = 5.0
    perturbed: bool = False
    crowd: int = 1500
    crowd_rate: float = 2.0
    seconds: int = 180
    seed: int = 1
    repertoire: int = 0


class Outcome(NamedTuple):
    """Precision and recall over accounts; the share of the campaign named within 60 s of their first message, and the median of
    those seconds; the second of the run in which the first of them was named; how many of the crowd were named."""

    precision: float
    recall: float
    within_60_s: float
    median_s: float
    first_s: float
    false: int


def sentence(rng: random.Random) -> str:
    return "".join(rng.choices(SYLLABLE_WORDS, k=rng.randint(2, 5)))


def perturb(text: str, rng: random.Random) -> str:
    """What campaigns do to their texts: a changed character, a tail of digits or emoji, a sign in between."""
    place = rng.randrange(len(text))
    changed = rng.choice([text, text[:place] + rng.choice("哦呀了吧的一") + text[place + 1 :]])
    tail = rng.choice(["", "!", "666", "😂", str(rng.randrange(99))])
    return changed[:place] + rng.choice(["", "", " ", "~", "。"]) + changed[place:] + tail


def events(world: World, rng: random.Random) -> list[tuple[int, str, str, str]]:
    """(time, account, room, text) in order: a crowd with rituals and one great burst of a single text, and one campaign."""
    out = []
    end_ms = world.seconds * 1000
    rooms = [f"room{number}" for number in range(world.rooms)]
    phrases = [sentence(rng) for _ in range(400)]
    lines = [sentence(rng) + sentence(rng) for _ in range(world.repertoire)]
    weights = list(accumulate(1 / place for place in range(1, len(lines) + 1)))
    for number in range(world.crowd):
        home = rng.choice(rooms)
        at_ms = rng.expovariate(world.crowd_rate / 60_000)
        while at_ms < end_ms:
            room = home if rng.random() < 0.9 else rng.choice(rooms)
            kind = rng.random()
            if lines:
                text = rng.choices(lines, cum_weights=weights)[0]
            else:
                text = (
                    rng.choice(RITUALS)
                    if kind < 0.15
                    else rng.choice(phrases)
                    if kind < 0.25
                    else sentence(rng) + sentence(rng)
                )
            out.append((int(at_ms), f"person{number}", room, text))
            at_ms += rng.expovariate(world.crowd_rate / 60_000)
    burst = sentence(rng) + "起飞"
    out.extend((60_000 + rng.randrange(10_000), f"person{rng.randrange(world.crowd)}", rooms[0], burst) for _ in range(600))
    pool = [sentence(rng) + sentence(rng) for _ in range(world.texts)]
    for number in range(world.accounts):
        at_ms = rng.expovariate(world.rate / 60_000)
        while at_ms < end_ms:
            text = rng.choice(pool)
            out.append((int(at_ms), f"paid{number}", rng.choice(rooms), perturb(text, rng) if world.perturbed else text))
            at_ms += rng.expovariate(world.rate / 60_000)
    out.sort()
    return out


def run(world: World) -> Outcome:
    """Play a world through the detector, which is let catch up every TICK_MS, as the server does."""
    rng = random.Random(world.seed)
    swarm = Swarm()
    named: dict[str, int] = {}
    began: dict[str, int] = {}
    ticked = 0
    for at_ms, account, room, text in events(world, rng):
        if at_ms >= ticked + TICK_MS:
            ticked = at_ms
            swarm.settle()
        began.setdefault(account, at_ms)
        if swarm.post(account, room, fold(text), at_ms) is not None:
            named.setdefault(account, at_ms)
    paid = [account for account in named if account.startswith("paid")]
    waits = sorted((named[account] - began[account]) / 1000 for account in paid)
    return Outcome(
        precision=len(paid) / len(named) if named else 1.0,
        recall=len(paid) / max(1, world.accounts),
        within_60_s=sum(wait <= 60 for wait in waits) / max(1, world.accounts),
        median_s=waits[len(waits) // 2] if waits else float("inf"),
        first_s=min((named[account] for account in paid), default=float("inf")) / 1000,
        false=len(named) - len(paid),
    )


SEEDS = (1, 2, 3)


def row(world: World) -> str:
    """One line of the table: means over the seeds."""
    outcomes = [run(world._replace(seed=seed)) for seed in SEEDS]
    mean = [sum(figures) / len(SEEDS) for figures in zip(*outcomes, strict=True)]
    given = f"{world.accounts} | {world.texts} | {'yes' if world.perturbed else 'no'} | {world.rate:g} | {world.crowd}"
    lines = f"{world.repertoire} lines" if world.repertoire else "own"
    found = f"{mean[1]:.2f} | {mean[2]:.2f} | {mean[3]:.0f} | {mean[4]:.0f}" if world.accounts else "- | - | - | -"
    return f"| {given} | {lines} | {mean[0]:.3f} | {mean[5]:.1f} | {found} |"


def main() -> None:
    """Print the table."""
    head = "accounts | texts | perturbed | a minute | crowd | its words | precision | crowd named | recall | in 60 s | median s"
    print(f"| {head} | first s |")
    print("|---" * 12 + "|")
    for accounts in (20, 50, 200):
        for texts in (3, 10, 30):
            for perturbed in (False, True):
                print(row(World(accounts=accounts, texts=texts, perturbed=perturbed)))
    for rate in (1.0, 2.0, 10.0):
        print(row(World(accounts=50, rate=rate)))
    for crowd in (300, 500):
        for accounts, texts in ((20, 30), (200, 3), (200, 30)):
            print(row(World(accounts=accounts, texts=texts, crowd=crowd)))
    for repertoire in (300, 5000):
        for accounts, rate in ((0, 2.0), (0, 6.0), (20, 2.0)):
            print(row(World(accounts=accounts, repertoire=repertoire, crowd_rate=rate)))


if __name__ == "__main__":
    main()
