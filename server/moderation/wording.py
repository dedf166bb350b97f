"""The bases that the desk gives by itself and that hold numbers, in both languages: they stand on static pages, and authors read
them. Those without numbers are in :mod:`server.bases`."""

from __future__ import annotations

from server.bases import Basis
from server.core.raids import Raid


def term_over(decision: int) -> str:
    """A mode's term has ended; ``decision`` set it, 0: it is not known which."""
    if not decision:
        return Basis("its term is over", "期限已满").recorded
    return Basis(f"the term of decision {decision} is over", f"决定 {decision} 的期限已满").recorded


def raided(raid: Raid) -> str:
    """The program has noticed a raid."""
    return Basis(
        f"a raid: {raid.newcomers} newcomers of {raid.authors} authors, {raid.bad:.0%} of their comments refused or alike",
        f"刷屏攻击：{raid.authors} 名发言者中有 {raid.newcomers} 名新账号，其弹幕的 {raid.bad:.0%} 被拒绝或内容相近",
    ).recorded
