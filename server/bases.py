"""The bases that the program knows in both languages: those of its rules, those of reason codes, and those of its own acts.

A record keeps a basis as it was, and so do the rows of the static pages, which everybody reads. So what is recorded of these holds
both languages, whoever recorded it; pages in one language show that one's words.
"""

from __future__ import annotations

from typing import Final, NamedTuple

_NO_ADVERTISING: Final = "本站规则：评论中不得发布广告"

CHINESE: Final[dict[str, str]] = {
    "Advertising Law of the PRC art. 14, 44; Internet Advertising Measures art. 10; house rule: no advertising in comments": (
        f"《中华人民共和国广告法》第十四条、第四十四条；《互联网广告管理办法》第十条；{_NO_ADVERTISING}"
    ),
    "Advertising Law of the PRC art. 14, 44; house rule: no advertising in comments": (
        f"《中华人民共和国广告法》第十四条、第四十四条；{_NO_ADVERTISING}"
    ),
    "Anti-Telecom and Online Fraud Law of the PRC art. 25; Criminal Law art. 266, 287-2": (
        "《中华人民共和国反电信网络诈骗法》第二十五条；《刑法》第二百六十六条、第二百八十七条之二"
    ),
    "Anti-Telecom and Online Fraud Law of the PRC art. 25; house rule: no offers of loans": (
        "《中华人民共和国反电信网络诈骗法》第二十五条；本站规则：不得发布贷款信息"
    ),
    "Criminal Law of the PRC art. 205, 280; house rule: no advertising in comments": (
        f"《中华人民共和国刑法》第二百零五条、第二百八十条；{_NO_ADVERTISING}"
    ),
    "Criminal Law of the PRC art. 253-1; Personal Information Protection Law art. 10": (
        "《中华人民共和国刑法》第二百五十三条之一；《个人信息保护法》第十条"
    ),
    "Criminal Law of the PRC art. 266, 279; Anti-Telecom and Online Fraud Law": (
        "《中华人民共和国刑法》第二百六十六条、第二百七十九条；《反电信网络诈骗法》"
    ),
    "Criminal Law of the PRC art. 303; Public Security Administration Punishments Law: gambling": (
        "《中华人民共和国刑法》第三百零三条；《治安管理处罚法》：赌博"
    ),
    "House rule: do not flood": "本站规则：不得刷屏",
    "House rule: review before publication": "本站规则：先审后发",
    "Law on the Protection of Minors of the PRC art. 50, 52; Criminal Law art. 363, 364": (
        "《中华人民共和国未成年人保护法》第五十条、第五十二条；《刑法》第三百六十三条、第三百六十四条"
    ),
    "Personal Information Protection Law of the PRC art. 10, 29; Civil Code art. 1034": (
        "《中华人民共和国个人信息保护法》第十条、第二十九条；《民法典》第一千零三十四条"
    ),
    "Provisions on the Governance of the Online Information Content Ecosystem art. 22, 24; "
    "house rule: no paid or automated posting": (
        "《网络信息内容生态治理规定》第二十二条、第二十四条；本站规则：不得有偿发布或者自动发布"
    ),
    "Provisions on the Governance of the Online Information Content Ecosystem art. 7; Civil Code of the PRC art. 1024; "
    "house rule: no abuse": "《网络信息内容生态治理规定》第七条；《中华人民共和国民法典》第一千零二十四条；本站规则：不得辱骂他人",
    "Provisions on the Governance of the Online Information Content Ecosystem art. 7; Law on the Protection of Women's Rights "
    "art. 20; house rule: no discrimination": "《网络信息内容生态治理规定》第七条；《妇女权益保障法》第二十条；本站规则：不得歧视",
    "Public Security Administration Punishments Law: soliciting; Criminal Law of the PRC art. 358, 359, 363": (
        "《治安管理处罚法》：招嫖；《中华人民共和国刑法》第三百五十八条、第三百五十九条、第三百六十三条"
    ),
    "Public Security Administration Punishments Law: threats; Criminal Law of the PRC art. 293; Cyberviolence Provisions art. 10": (
        "《治安管理处罚法》：威胁恐吓；《中华人民共和国刑法》第二百九十三条；《网络暴力信息治理规定》第十条"
    ),
}
"""By the English text of ``filters/packs/starter.toml``."""


class Basis(NamedTuple):
    """One basis in both languages."""

    en: str
    zh: str

    @property
    def recorded(self) -> str:
        """As records and rows have it."""
        return f"{self.zh} / {self.en}"

    def words(self, chinese: bool) -> str:
        """As a reader has it."""
        return self.zh if chinese else self.en


def _of_rule(english: str) -> Basis:
    return Basis(english, CHINESE[english])


_ORDINALS: Final = "一二三四五六七八九"

OF_CODES: Final[dict[str, Basis]] = {
    **{
        f"L{number}": Basis(
            f"Measures for Internet Information Services art. 15({number})",
            f"《互联网信息服务管理办法》第十五条第（{ordinal}）项",
        )
        for number, ordinal in enumerate(_ORDINALS, 1)
    },
    "M1": Basis("Law on the Protection of Minors of the PRC art. 50", "《中华人民共和国未成年人保护法》第五十条"),
    "M2": Basis("Law on the Protection of Minors of the PRC art. 54", "《中华人民共和国未成年人保护法》第五十四条"),
    "P1": _of_rule("Personal Information Protection Law of the PRC art. 10, 29; Civil Code art. 1034"),
    "P2": Basis("Civil Code of the PRC art. 1019, 1032", "《中华人民共和国民法典》第一千零一十九条、第一千零三十二条"),
    "S1": _of_rule("Advertising Law of the PRC art. 14, 44; house rule: no advertising in comments"),
    "S2": _of_rule("House rule: do not flood"),
    "S3": _of_rule(
        "Provisions on the Governance of the Online Information Content Ecosystem art. 22, 24; "
        "house rule: no paid or automated posting"
    ),
    "N1": Basis(
        "Provisions on the Administration of Internet News Information Services art. 5", "《互联网新闻信息服务管理规定》第五条"
    ),
    "A1": Basis("Service agreement of this site", "本站服务协议"),
    "A2": Basis("Published rules of this room", "本房间公布的规则"),
}
"""What a removal or refusal by a code rests on where nobody names anything nearer."""

RECALLED: Final = Basis("recalled by its author", "作者本人撤回")
ERASED: Final = Basis("withdrawn by its author with the account", "作者随账号注销撤回")
UNDONE: Final = Basis("undone by who decided it", "由作出该处理的人员撤销")
ANNOUNCED: Final = Basis("an announcement by the operator", "平台运营公告")
PROTECTED: Final = Basis("protected by the owner", "房主开启防护")
RAIDED: Final = Basis("a raid that was noticed by the program", "程序发现刷屏攻击")
"""What the program and its buttons give by themselves."""

_KNOWN: Final[dict[str, Basis]] = {
    form: basis
    for basis in (*OF_CODES.values(), *map(_of_rule, CHINESE), RECALLED, ERASED, UNDONE, ANNOUNCED, PROTECTED, RAIDED)
    for form in (basis.en, basis.zh, basis.recorded)
}


def known(basis: str) -> Basis | None:
    """The basis in both languages, if it is one of these, in whatever form."""
    return _KNOWN.get(basis)
