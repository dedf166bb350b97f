"""The bases that the desk gives by itself, in the language of the site: they stand on its static pages, and authors read them."""

from __future__ import annotations

from server.core.raids import Raid


def undone(chinese: bool) -> str:
    """Who decided took it back, moments later."""
    return "由作出该处理的人员撤销" if chinese else "undone by who decided it"


def term_over(decision: int, chinese: bool) -> str:
    """A mode's term has ended; ``decision`` set it, 0: it is not known which."""
    if not decision:
        return "期限已满" if chinese else "its term is over"
    return f"决定 {decision} 的期限已满" if chinese else f"the term of decision {decision} is over"


def raided(raid: Raid, chinese: bool) -> str:
    """The program has noticed a raid."""
    if chinese:
        return f"刷屏攻击：{raid.authors} 名发言者中有 {raid.newcomers} 名新账号，其弹幕的 {raid.bad:.0%} 被拒绝或内容相近"
    return f"a raid: {raid.newcomers} newcomers of {raid.authors} authors, {raid.bad:.0%} of their comments refused or alike"
