"""How natural a piece of text is, in bits of surprise, by the cheapest way to cut it into known words.

This is what tells an evasion from chance: 其实 sounds like 歧视 but is a word; 七市 sounds like it and is none.
Used on hits only, over a few characters.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from filters import tables
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
# More than any piece of text costs.
_NEVER: Final = 1 << 20


def _ends() -> dict[str, int]:
    """Pairs of characters that words end with: four times the cost of the pair as a word, plus 1 or 2, or both, where words of three
    or four characters end so as well. Most pairs of a text are none of these: one look, instead of three."""
    found = {word: 4 * cost for word, cost in WORDS.items() if len(word) == 2}
    for word in WORDS:
        if 2 < len(word) <= LONGEST_WORD:
            found[word[-2:]] = found.get(word[-2:], 4 * _NEVER) | (len(word) - 2)
    once = {number: number for number in found.values()}
    return {pair: once[number] for pair, number in found.items()}


_ENDS: Final = _ends()


@lru_cache(maxsize=32_768)
def surprise(text: str) -> int:
    """Cost of a short folded text, cut in the cheapest way."""
    return _costs_up_to(text)[-1]


def surprise_within(left: str, piece: str, right: str) -> int:
    """What ``piece`` adds to the surprise of the text on either side of it."""
    costs = _costs_up_to(left + piece + right)
    return costs[-1] - costs[len(left)] - (_costs_up_to(right)[-1] if right else 0)


def rarity(piece: str) -> int:
    """What the surprise of uncommon ideographs goes beyond what those of an ordinary name would show."""
    return sum([_RARITIES[code] if code < _PLANE else _rarity(chr(code)) for code in map(ord, piece)])


def _costs_up_to(text: str) -> list[int]:
    """For each place of a text, the cost of what stands before it."""
    costs = [0]
    least = 0
    before = ""
    for char in text:
        code = ord(char)
        least += _SINGLES[code] if code < _PLANE else WORDS.get(char) or char_cost(char)
        ending = _ENDS.get(before + char)
        if ending is not None:
            cost = costs[-2] + (ending >> 2)
            if cost < least:
                least = cost
            if ending & 3:
                end = len(costs)
                for size in _LONGER[ending & 3]:
                    word = WORDS.get(text[end - size : end]) if size <= end else None
                    if word is not None and costs[end - size] + word < least:
                        least = costs[end - size] + word
        costs.append(least)
        before = char
    return costs


# By the two lowest bits of :func:`_ends`.
_LONGER: Final = ((), (3,), (4,), (3, 4))
