"""Reason codes of decisions: the families of the law's duties, each code with a short name.

A code is on every removal for good (frames, pages, records), so codes are added here and never renamed or used anew.
Families: L unlawful content (its nine kinds, as article 15 of the Measures for Internet Information Services counts them), M
minors, P privacy, S spam and paid posting, N news permission, A agreement, U by author or uploader, R restoration, K keeping
(what was looked at may stay or appear), E operation of a room or of the site.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from server.bases import OF_CODES, Basis, known
from server.errors import Refusal

BASIS_MAX_CHARS: Final = 300
BY_AUTHOR: Final = "U1"


class ReasonCode(NamedTuple):
    """One code with its short names. ``code[0]`` is the family."""

    code: str
    en: str
    zh: str


_TABLE: Final = (
    ReasonCode("L1", "opposes the basic principles of the Constitution", "反对宪法确定的基本原则"),
    ReasonCode("L2", "endangers national security, leaks secrets, incites separation", "危害国家安全、泄露秘密、煽动分裂"),
    ReasonCode("L3", "harms the honour and interests of the nation", "损害国家荣誉和利益"),
    ReasonCode("L4", "incites ethnic hatred or discrimination", "煽动民族仇恨、民族歧视"),
    ReasonCode("L5", "cults and feudal superstition", "宣扬邪教和封建迷信"),
    ReasonCode("L6", "rumours that disturb public order", "散布谣言，扰乱社会秩序"),
    ReasonCode("L7", "obscenity, gambling, violence, terror, abetting crime", "淫秽色情、赌博、暴力、恐怖或教唆犯罪"),
    ReasonCode("L8", "insults or slanders others", "侮辱或者诽谤他人"),
    ReasonCode("L9", "otherwise forbidden by laws and regulations", "法律、行政法规禁止的其他内容"),
    ReasonCode("M1", "harms minors", "损害未成年人身心健康"),
    ReasonCode("M2", "lures or exploits minors", "诱导、侵害未成年人"),
    ReasonCode("P1", "shows someone's personal information", "泄露他人个人信息"),
    ReasonCode("P2", "violates someone's privacy or likeness", "侵犯他人隐私或肖像"),
    ReasonCode("S1", "advertising, contact details, lures", "广告、联系方式或引流"),
    ReasonCode("S2", "flooding", "刷屏"),
    ReasonCode("S3", "paid or automated posting", "网络水军或自动发帖"),
    ReasonCode("N1", "news published without permission", "未经许可发布新闻信息"),
    ReasonCode("A1", "breaks the service agreement", "违反服务协议"),
    ReasonCode("A2", "breaks a rule of this room", "违反本房间规则"),
    ReasonCode("U1", "recalled by its author", "作者本人撤回"),
    ReasonCode("U2", "removed by the uploader", "发布者移除"),
    ReasonCode("R1", "removed by mistake", "误删恢复"),
    ReasonCode("R2", "appeal upheld", "申诉成立"),
    ReasonCode("R3", "reported fact corrected", "事实更正"),
    ReasonCode("K1", "reviewed and allowed", "审核通过"),
    ReasonCode("K2", "no violation found", "未发现违规"),
    ReasonCode("K3", "malicious report", "恶意举报"),
    ReasonCode("E1", "raid or flood", "刷屏攻击"),
    ReasonCode("E2", "emergency, or order of an authority", "突发事件或主管部门要求"),
    ReasonCode("E3", "review cannot keep up", "审核力量不足"),
    ReasonCode("E4", "planned operation of the room", "正常运营安排"),
    ReasonCode("E5", "back to normal", "恢复正常"),
)

REASONS: Final[dict[str, ReasonCode]] = {reason.code: reason for reason in _TABLE}
REMOVAL_CODES: Final = frozenset(code for code in REASONS if code[0] not in "RKE")
RESTORATION_CODES: Final = frozenset(code for code in REASONS if code[0] == "R")
KEEPING_CODES: Final = frozenset(code for code in REASONS if code[0] == "K")
OPERATION_CODES: Final = frozenset(code for code in REASONS if code[0] == "E")


def basis_for(code: str, basis: str, chinese: bool) -> str:
    """A recorded basis as somebody reads it: where the program knows it in both languages, or it is no more than the code's own name,
    in the reader's. The record stays as it was written."""
    found = known(basis)
    if found is None and code in REASONS:
        name = name_of(code)
        found = name if basis in (*name, name.recorded) else None
    return basis if found is None else found.words(chinese)


def name_of(code: str) -> Basis:
    """The code's own name."""
    return Basis(REASONS[code].en, REASONS[code].zh)


def standing_basis(code: str) -> Basis | None:
    """What a decision by this code rests on where nobody gives a nearer basis: the law or the rule behind it, else its own name.
    None: there is no such code."""
    return OF_CODES.get(code) or (name_of(code) if code in REASONS else None)


def recorded_basis(code: str, basis: str) -> str:
    """A basis as it is recorded: one that the program knows, or the code's own standing one where ``basis`` is empty, in both
    languages, so that rows say the same whoever decided; every other as somebody wrote it. Empty: none was given and the code has
    none."""
    words = basis.strip()
    found = known(words) if words else standing_basis(code)
    both = words if found is None else found.recorded
    return both if len(both) <= BASIS_MAX_CHARS else words


def check_removal(code: str, basis: str) -> None:
    """A removal by staff has a code of the table (the author's own recall is none) and a basis. Raises Refusal ``bad_code``."""
    _check(code, basis, REMOVAL_CODES - {BY_AUTHOR})


def check_restoration(code: str, basis: str) -> None:
    """A restoration has a code of family R and a basis. Raises Refusal ``bad_code``."""
    _check(code, basis, RESTORATION_CODES)


def check_keeping(code: str, basis: str) -> None:
    """What stays, or appears after all, has a code of family K and a basis. Raises Refusal ``bad_code``."""
    _check(code, basis, KEEPING_CODES)


def check_judgement(code: str, basis: str) -> None:
    """A judgement of a comment, whichever way, has a code of keeping or of removing, and a basis. Raises Refusal ``bad_code``."""
    _check(code, basis, KEEPING_CODES | REMOVAL_CODES - {BY_AUTHOR})


def check_operation(code: str, basis: str) -> None:
    """A change of how a room or the site works has a code of family E and a basis. Raises Refusal ``bad_code``."""
    _check(code, basis, OPERATION_CODES)


def _check(code: str, basis: str, allowed: frozenset[str]) -> None:
    if code not in allowed:
        raise Refusal("bad_code", f"code: one of {', '.join(sorted(allowed))}")
    if not basis.strip() or len(basis) > BASIS_MAX_CHARS:
        raise Refusal("bad_code", f"basis: 1 to {BASIS_MAX_CHARS} characters")
    if not basis.isprintable():
        raise Refusal("bad_code", "basis: one line of printable characters")
