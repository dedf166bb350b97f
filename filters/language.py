"""How natural a piece of text is, in bits of surprise, by the cheapest way to cut it into known words.

This is what tells an evasion from chance: 其实 sounds like 歧视 but is a word; 七市 sounds like it and is none.
Used on hits only, over a few characters.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from typing import Final

from filters import tables
from filters.automata import Found, finder
from filters.normalize import is_han

# Costs are eighths of a bit. Characters that are in no word, by kind.
UNKNOWN_HAN: Final = 176
UNKNOWN_LETTER: Final = 40
ENGLISH_WORD: Final = 72
DIGIT: Final = 24
NOISE: Final = 32
FACE: Final = 40
PICTURE: Final = 96
LONGEST_WORD: Final = 4

EVERYDAY_WORD: Final = 112
# What a character of an ordinary name may cost.
NAME_CHAR: Final = 104
# Ideographs of a lower rank than this are worth a second look.
USUAL_RANK: Final = 4000
WORDS: Final[dict[str, int]] = {word: int(cost) for word, cost in tables.pairs("words").items()}
WORDS.update((word, min(WORDS.get(word, EVERYDAY_WORD), EVERYDAY_WORD)) for word in tables.words("everyday"))
RANKS: Final[dict[str, int]] = {char: int(rank) for char, rank in tables.pairs("ranks").items()}
USUAL: Final[frozenset[str]] = frozenset(
    [*(char for char, rank in RANKS.items() if rank < USUAL_RANK), *tables.words("usual"), *"".join(tables.words("everyday"))]
)
ENGLISH: Final[frozenset[str]] = frozenset(tables.pairs("english"))


ABBREVIATIONS: Final = frozenset(tables.words("abbreviations"))
SURNAMES: Final = frozenset(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖萧田董袁潘蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范"
    "金石廖贾夏韦方白邹孟熊秦邱江尹薛阎段雷侯龙史陶黎贺顾毛郝龚邵万钱严戴莫孔向汤易鹿关柳迪"
)


def is_face(char: str) -> bool:
    """Whether an emoji mostly decorates: faces, hands and hearts."""
    return "\U0001f600" <= char <= "\U0001f64f" or "\U0001f90c" <= char <= "\U0001f93a" or "\U0001f970" <= char <= "\U0001f97a"


def char_cost(char: str) -> int:
    """Cost of a character that is in no known word."""
    if "a" <= char <= "z":
        return UNKNOWN_LETTER
    if char >= "\u3400":
        if char >= "\U0001f000":
            return FACE if is_face(char) or char in "👍👏🙏💪👌🔥🎉💯💕💔💖" else PICTURE
        return UNKNOWN_HAN if char <= "\u9fff" else PICTURE
    if char >= "\u2300":
        return PICTURE if char < "\u2e80" else NOISE
    return DIGIT if char.isdigit() else NOISE


def _rarity(char: str) -> int:
    return max(0, WORDS.get(char, UNKNOWN_HAN) - NAME_CHAR) if is_han(char) else 0


_PLANE: Final = 0x10000
# What each character of the basic plane costs alone: one byte each, which stay in the processor's cache.
_SINGLES: Final = bytes(WORDS.get(char, char_cost(char)) for char in map(chr, range(_PLANE)))
# The like for rarity, which only ideographs have.
_HAN, _HAN_END = 0x3400, 0xA000
_RARITIES: Final = (
    bytes(_HAN)
    + _SINGLES[_HAN:_HAN_END].translate(bytes(max(0, cost - NAME_CHAR) for cost in range(256)))
    + bytes(_PLANE - _HAN_END)
)
_WORDS: Final = [word for word in WORDS if 1 < len(word) <= LONGEST_WORD]


def _single(char: str) -> int:
    return WORDS.get(char) or char_cost(char)


# What each word costs less than its characters one by one.
_SAVED: Final = [sum(map(_single, word)) - WORDS[word] for word in _WORDS]
_find_words: Final = finder(_WORDS)


class Cut:
    """The cheapest ways to cut a folded text, and any part of it, into words.

    The words of the text are looked for once, and only when the first part is asked for.
    """

    __slots__ = ("_before", "_found", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        # Per place, the cost of the characters before it one by one; and the words, in order of their ends.
        self._before: list[int] = []
        self._found: Found = []

    def cost(self, start: int, end: int) -> int:
        """The surprise of characters ``start`` to ``end`` by themselves, in eighths of a bit."""
        before = self._before
        if not before:
            codes = map(ord, self._text)
            singles = [_SINGLES[code] if code < _PLANE else _single(chr(code)) for code in codes]
            before = self._before = list(accumulate(singles, initial=0))
            self._found = _find_words(self._text)
        # Per place from ``start`` on, what words save at the most up to there.
        saved = [0]
        for first, last, number in self._found:
            if first < start:
                continue
            if last > end:
                break
            saves = saved[min(first - start, len(saved) - 1)] + _SAVED[number]
            missing = last - start - len(saved) + 1
            if missing > 0:
                saved += [saved[-1]] * missing
            if saves > saved[-1]:
                saved[-1] = saves
        return before[end] - before[start] - saved[-1]

    def added(self, start: int, end: int, context: int) -> int:
        """What characters ``start`` to ``end`` add to the surprise of up to ``context`` characters on either side of them."""
        first, last = max(0, start - context), min(len(self._text), end + context)
        return self.cost(first, last) - self.cost(first, start) - self.cost(end, last)


@lru_cache(maxsize=32_768)
def surprise(text: str) -> int:
    """Cost of a short folded text, cut in the cheapest way."""
    return Cut(text).cost(0, len(text))


def rarity(piece: str) -> int:
    """What the surprise of uncommon ideographs goes beyond what those of an ordinary name would show."""
    return sum([_RARITIES[code] if code < _PLANE else _rarity(chr(code)) for code in map(ord, piece)])
