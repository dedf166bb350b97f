"""Contacts and advertising: a scored combination of a cue, a shape and a lure, in the folded text.

Hardly a part says enough by itself: a number is a score, a price or an episode; 加 is addition; 免费 is a word. What counts
is a *cue* for a private contact beside the *shape* of an identifier, or a cue or shape beside a *lure*; a whole phone number
or a link is enough. Digits are evened out first (〇 to 九, 壹 to 玖).
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

_DIGITS: Final = str.maketrans("〇零一二三四五六七八九壹贰叁肆伍陆柒捌玖幺洞拐", "00123456789123456789107")
_ANY_DIGIT: Final = "〇一二三四五六七八九零壹贰叁肆伍陆柒捌玖幺洞拐"
# No shape without such a run, and none of those without the looser one, which is quicker: most comments are looked at no further.
_PERHAPS_SHAPED: Final = re.compile(f"[0-9a-z{_ANY_DIGIT}][0-9a-z._@+ {_ANY_DIGIT}-]{{3}}")
_SHAPED: Final = re.compile(r"[0-9a-z][0-9a-z._@+ -]{3}|[0-9〇一二三四五六七八九零壹贰叁肆伍陆柒捌玖幺洞拐]{5}")
# Nor any without one of these: words of letters alone are none, in no shape.
_TELLING: Final = re.compile(f"[0-9@.:{_ANY_DIGIT}]")

# Searched before digits are evened out.
CUES: Final = re.compile(
    r"(?=[加+➕微薇威徽vwqt扣抠企电飞扫进裙群私联咨滴找主看camrd手热客])(?:"
    r"(?P<strong>加\s*我?\s*(?:微|薇|威|维|卫|徽)\s*(?:信|芯|心|星|欣)?|[加+➕]\s*(?:我\s*)?(?:v|vx|wx|wechat|qq|扣扣|抠抠|q)(?![a-z])|"
    r"(?:微|薇|威|徽)\s*(?:信|芯|❤|♥)\s*(?:号|同号)?\s*[:：]?(?=\s*[a-z0-9DIGITS])|(?<![a-z])(?:vx|wx|wechat|weixin|telegram|whatsapp)(?![a-z])|"
    r"(?<![a-z])qq\s*(?:群|号)?\s*[:：]?(?=\s*[0-9DIGITS])|(?:扣|抠|企鹅)\s*(?:扣|抠|鹅)?\s*(?:群|号)\s*[:：]?|电报群|飞机群|(?<![a-z])t\.me(?![a-z])|"
    r"扫\s*码\s*(?:进|加|领)|进\s*(?:裙|羣|群)|加\s*(?:裙|羣|群)|(?:裙|群)\s*号\s*[:：]?)|"
    r"(?P<weak>加\s*我|私\s*(?:聊|信|我|戳|窝)|联\s*系|咨\s*询|滴\s*滴\s*我|找\s*我|主页\s*有|看\s*(?:我\s*)?(?:头像|主页|简介)|"
    r"(?:call|text|contact|dm|add|message|reach)\s+me|手机|电话|热线|客服))".replace("DIGITS", _ANY_DIGIT)
)
LURES: Final = re.compile(
    r"兼\s*职|日\s*(?:结|赚|入)|月\s*入|躺\s*赚|稳\s*赚|包\s*赚|高\s*薪|刷\s*单|返\s*(?:利|现|佣)|免\s*费\s*领|免\s*费\s*送|领\s*(?:红包|福利|资料|取)|"
    r"低\s*价|批\s*发|代\s*(?:购|练|充|刷|写|办|孕|开)|优\s*惠\s*券|内\s*部\s*(?:价|消息|渠道|票)|(?:出|卖|售|收)\s*(?:号|票|货|粉)|(?:买|涨|加)\s*粉|"
    r"贷\s*款|放\s*款|秒\s*批|征\s*信|办\s*(?:证|卡)|发\s*票|彩\s*(?:票|金)|下\s*注|首\s*充|充\s*值\s*(?:优惠|返)|注\s*册\s*送|约\s*(?:炮|吗)|上\s*门|资\s*源|看\s*片|"
    r"福\s*利\s*(?:群|社|视频)|(?:全|无)\s*套|减\s*肥\s*(?:药|产品)|祛\s*(?:斑|痘)|壮\s*阳|正\s*品\s*(?:保证|代购)|高\s*仿|原\s*单|招\s*(?:代理|兼职|聘)|诚\s*招|"
    r"free\s+(?:gift|money|followers|bitcoin)|earn\s+money|make\s+\$|work\s+from\s+home|click\s+(?:here|the\s+link)|best\s+price|promo\s*code"
)
PHONE: Final = re.compile(r"(?<![0-9])(?:\+?86[- ]?)?1[3-9][0-9](?:[- .]?[0-9]{4}){2}(?![0-9])")
LONG_NUMBER: Final = re.compile(r"(?<![0-9.])[1-9][0-9]{5,11}(?![0-9.%])")
ACCOUNT: Final = re.compile(r"(?<![a-z0-9])(?=[a-z0-9_-]*[0-9])(?=[a-z0-9_-]*[a-z])[a-z][a-z0-9_-]{5,19}(?![a-z0-9])")
LINK: Final = re.compile(
    r"https?://[^\s\u3400-\u9fff]+|(?<![a-z0-9@])(?:[a-z0-9-]+\.)+(?:com|cn|net|org|cc|xyz|top|vip|club|info|me|io|tv|shop|site|online|link|app|ru|pw)"
    r"(?![a-z0-9])(?:/[^\s\u3400-\u9fff]*)?"
)
MAIL: Final = re.compile(r"[a-z0-9._%+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+")
# What numbers mean when they mean no contact: money, time, episodes, scores, counts, ordinals.
PLAIN: Final = re.compile(
    r"(?:[¥$￥]\s*[0-9.]+|[0-9.]+\s*(?:元|块|毛|万|亿|w|k|刀|美元|人民币|rmb|%|折|倍|分|度|岁|年|月|日|号|点|时|秒|集|季|话|期|楼|层|级|关|回|次|个|人|条|只|米|斤|g|kg|cm|km|p|帧|fps|mb|gb))|"
    r"第\s*[0-9]+|[0-9]{1,2}[:：][0-9]{2}(?:[:：][0-9]{2})?|[0-9]{1,3}\s*[-比:：]\s*[0-9]{1,3}|(?:19|20)[0-9]{2}(?:[-/.年][0-9]{1,2}){0,2}|[-+]\s*[0-9]+|(?:6|8|2|3|5){4,}|[0-9]+(?:\.[0-9]+)?\s*x"
)
ID_NUMBER: Final = re.compile(
    r"(?<![0-9])[1-9][0-9]{5}(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9x](?![0-9a-z])"
)
_LONG_RUN: Final = re.compile("[0-9]{15}")
BANK_CARD: Final = re.compile(r"(?<![0-9])(?:62|60|4|5)[0-9]{13,18}(?![0-9])")

WEIGHTS: Final = {
    "strong cue": 2.5,
    "weak cue": 1.0,
    "phone": 3.0,
    "link": 3.0,
    "mail": 2.5,
    "account": 1.5,
    "long number": 1.5,
    "lure": 2.0,
}
# A weak cue counts only this near to another part, in characters.
NEAR: Final = 12


class Finding(msgspec.Struct, frozen=True, gc=False):
    """What speaks for an advertisement or a contact: a score, its parts, and the span from the first part to the last."""

    score: float
    parts: tuple[str, ...]
    start: int
    end: int


def personal(folded: str) -> tuple[str, int, int] | None:
    """An identity number (with a right check digit) or a bank card number (by Luhn), and its span; None: there is none."""
    if len(folded) < 15 or _LONG_RUN.search(folded) is None:
        return None
    for match in ID_NUMBER.finditer(folded):
        if _id_check(match.group()):
            return "identity number", match.start(), match.end()
    for match in BANK_CARD.finditer(folded):
        if _luhn(match.group()):
            return "bank card number", match.start(), match.end()
    return None


def score(folded: str) -> Finding | None:
    """The combination found in a folded text; None when there is neither a cue nor a shape (a lure alone is none)."""
    shaped = _PERHAPS_SHAPED.search(folded) and _SHAPED.search(folded) and _TELLING.search(folded)
    cue = CUES.search(folded)
    if cue is None and shaped is None:
        return None
    text = folded.translate(_DIGITS)
    parts: dict[str, tuple[int, int]] = {}
    if cue is not None:
        parts[f"{cue.lastgroup} cue"] = cue.span()
    shape = _shape(folded, text) if shaped is not None else None
    if shape is not None:
        parts[shape[0]] = shape[1:]
    if not parts:
        return None
    lure = LURES.search(text)
    if lure is not None:
        parts["lure"] = lure.span()
    if "weak cue" in parts and len(parts) > 1:
        start, end = parts["weak cue"]
        if not any(first - end < NEAR and start - last < NEAR for part, (first, last) in parts.items() if part != "weak cue"):
            del parts["weak cue"]
    total = sum(WEIGHTS[part] for part in parts)
    spans = list(parts.values())
    return Finding(total, tuple(sorted(parts)), min(start for start, _ in spans), max(end for _, end in spans))


def _shape(folded: str, text: str) -> tuple[str, int, int] | None:
    """The strongest shape of an identifier that is no price, time, score or count; ``text`` is ``folded`` with even digits."""
    for name, pattern, within in (("mail", MAIL, folded), ("link", LINK, folded), ("phone", PHONE, text)):
        match = pattern.search(within)
        if match is not None:
            return name, match.start(), match.end()
    plain = [match.span() for match in PLAIN.finditer(text)]
    for name, pattern, within in (("account", ACCOUNT, folded), ("long number", LONG_NUMBER, text)):
        for match in pattern.finditer(within):
            if not any(start < match.end() and match.start() < end for start, end in plain) and not _dull(match.group()):
                return name, match.start(), match.end()
    return None


def _dull(number: str) -> bool:
    """Digits that are laughter or crying (666666, 233333) or one run of neighbours."""
    digits = [char for char in number if char.isdigit()]
    return len(set(digits)) <= 2 and len(digits) == len(number)


def _id_check(number: str) -> bool:
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(int(digit) * weight for digit, weight in zip(number, weights, strict=False))
    return "10x98765432"[total % 11] == number[17]


def _luhn(number: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
