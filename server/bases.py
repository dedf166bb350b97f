"""The bases of the rules that come with the program, in Chinese. A record keeps a basis as it was; this is how it is read."""

from __future__ import annotations

from typing import Final

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
