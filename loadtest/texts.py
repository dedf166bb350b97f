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
_WORD_TEXT: Final = (
    "天气音乐桌子苹果火车海边早餐故事颜色春天公园手表雨伞窗户电影咖啡书包月亮森林小猫足球老师晚饭汽车朋友城市河流山顶花园星星"
    "面包相机钢琴篮球冬天夏夜牛奶飞机邮局地图草原沙发铅笔画家厨房阳台沙滩秋风米饭茶杯毛衣西瓜雪人灯笼风筝滑板帐篷石头竹子蜜蜂"
    "松鼠海豚围巾日记"
)
_WORDS: Final = [_WORD_TEXT[at : at + 2] for at in range(0, len(_WORD_TEXT), 2)]
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
