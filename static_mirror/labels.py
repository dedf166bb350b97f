"""Words on the pages. Each stands in Chinese and in English, so that one file serves both."""

from __future__ import annotations

from typing import Final

_ROLES: Final = {
    "author": ("作者本人", "the author"),
    "uploader": ("发布者", "the uploader"),
    "reviewer": ("审核员", "a reviewer"),
    "senior": ("高级审核员", "a senior reviewer"),
    "operator": ("平台运营", "the operator"),
    "program": ("程序自动", "a program"),
    "system": ("系统", "the system"),
}

_FAMILIES: Final = {
    "L": ("违法内容", "unlawful content"),
    "M": ("未成年人保护", "protection of minors"),
    "P": ("个人隐私", "privacy"),
    "S": ("垃圾信息或网络水军", "spam or paid posting"),
    "N": ("新闻信息许可", "news permission"),
    "A": ("服务协议", "service agreement"),
    "U": ("作者或发布者处理", "by the author or uploader"),
    "R": ("更正此前处理", "correction of an earlier decision"),
    "E": ("房间或全站运营", "operation of the room or site"),
}

_MODES: Final = {
    "open": ("开放", "open"),
    "slow": ("慢速", "slow"),
    "shield": ("防护", "protected"),
    "review": ("先审后发", "all comments are reviewed first"),
    "read_only": ("只读", "read only"),
    "closed": ("关闭", "closed"),
}

CATEGORIES: Final = {
    "news_unit": ("新闻单位", "News unit"),
    "licensed": ("持证新闻服务", "Licensed news service"),
    "government": ("政务", "Government"),
    "institution": ("事业单位", "Institution"),
    "media": ("媒体", "Media"),
    "company": ("企业", "Company"),
    "creator": ("认证创作者", "Certified creator"),
    "other": ("公众账号", "Public account"),
}
"""What public accounts are classified as."""
_SELF_EXPLAINING: Final = frozenset({"creator", "other"})


def both(zh: str, en: str) -> str:
    """Chinese in the page's language, then English marked as such. Both are HTML already."""
    return f'{zh} <span lang="en">{en}</span>'


def role(name: str) -> str:
    """Who acted; ``name`` is escaped and stands for itself when it is not known here."""
    words = _ROLES.get(name)
    return both(*words) if words else name


def family(code: str) -> str:
    """What the family of a reason code means, empty when it is not known: ``L5`` is unlawful content."""
    words = _FAMILIES.get(code[:1])
    return both(*words) if words else ""


def category(code: str) -> str:
    """The category of a public account; empty where the label itself says it, as with certified creators, and where it is not
    known here."""
    return "" if code in _SELF_EXPLAINING or code not in CATEGORIES else both(*CATEGORIES[code])


def region(name: str, english: str) -> str:
    """Where a comment came from; both names are escaped."""
    return both(f"IP属地：{name}", f"from {english}")


def mode(name: str) -> str:
    """A room's mode; ``name`` is escaped and stands for itself when it is not known here."""
    words = _MODES.get(name)
    return both(*words) if words else name
