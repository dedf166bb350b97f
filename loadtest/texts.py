"""Comments to send: made up ones, of the length that viewers really write, each different; or the lines of a file."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import count, cycle
from pathlib import Path
from typing import Final

_PHRASES: Final = (
    "这一球传得太漂亮了",
    "前方高能注意保护",
    "哈哈哈哈笑死我了",
    "主队加油再进一个",
    "解说员激动得声音都变了",
    "刚刚进来什么情况啊",
    "这个镜头值得反复看",
    "门将今天状态神勇",
    "泪目了真的不容易",
    "节奏起来了好紧张",
    "坐等名场面",
    "背景音乐叫什么名字",
    "这配合教科书级别",
    "大家晚上好呀",
    "画面好清晰音质也棒",
    "终于等到这一幕",
    "what a save",
    "let's go everyone",
)
_WORDS: Final = (
    "天气 音乐 桌子 苹果 火车 海边 早餐 故事 颜色 春天 公园 手表 雨伞 窗户 电影 咖啡 书包 月亮 森林 小猫 足球 老师 晚饭 汽车 "
    "朋友 城市 河流 山顶 花园 星星 面包 相机 钢琴 篮球 冬天 夏夜 牛奶 飞机 邮局 地图 草原 沙发 铅笔 画家 厨房 阳台 沙滩 秋风 "
    "米饭 茶杯 毛衣 西瓜 雪人 灯笼 风筝 滑板 帐篷 石头 竹子 蜜蜂 松鼠 海豚 围巾 日记"
).split()
_DIGITS: Final = "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわを"


def serial(number: int) -> str:
    """A number in syllables: no screening takes them for a contact, as it may digits."""
    out = ""
    while True:
        number, digit = divmod(number, len(_DIGITS))
        out = _DIGITS[digit] + out
        if not number:
            return out


def made_up() -> Iterator[str]:
    """Endlessly many comments of about 10 to 20 characters, no two alike."""
    phrases = cycle(_PHRASES)
    return (f"{next(phrases)}{serial(number)}" for number in count())


def various() -> Iterator[str]:
    """Endlessly many comments that have little in common, of 8 to 12 characters: what many rooms at once say to each other's people
    must not look like one campaign."""
    dice = random.Random(1)  # noqa: S311 -- a repeatable run is meant
    return (f"{''.join(dice.sample(_WORDS, 4))}{serial(number)}" for number in count())


def raid(seed: int) -> Iterator[str]:
    """What raiders write, endlessly: one slogan over and over, lures with contacts in changing forms, and noise."""
    dice = random.Random(seed)  # noqa: S311 -- a repeatable run is meant
    forms: tuple[Callable[[], str], ...] = (
        lambda: "全体集合冲掉这个直播间",
        lambda: f"加V信 wx{dice.randrange(10**6, 10**7)} 领红包",
        lambda: f"福利群 QQ {dice.randrange(10**8, 10**9)} 速进",
        lambda: "冲" * dice.randint(10, 60),
        lambda: f"全体集合冲掉这个直播间{'!' * dice.randint(1, 9)}",
    )
    return (dice.choice(forms)() for _ in count())


def from_file(path: Path, max_chars: int = 100) -> Iterator[str]:
    """The lines of a text file over and over, those that are a comment. Raises ValueError when there are none."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}).") from None
    lines = [line for line in lines if 0 < len(line) <= max_chars]
    if not lines:
        raise ValueError(f"{path} has no line that could be a comment.")
    return cycle(lines)
