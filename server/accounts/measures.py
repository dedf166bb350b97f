"""The ladder of measures against an account: warn, refuse, delete, restrict, suspend, close, blacklist (duties P8, P9, T8).

A measure is taken, and then ends by itself (its term), is lifted (reversed, or an appeal was upheld), or stays. It carries code,
basis, clause of the agreement, term, role and whether a program took it; the person gets a letter and can appeal. All of that is
one transaction: the event that standings follow, the row that lists are made of, the credit, the letter. Terms are moments, not
timers, so they end whether a server runs or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from server.accounts import credit, tables
from server.accounts.agreement import clause_for
from server.accounts.book import Transaction, new_id
from server.accounts.events import AppealDecided, Counted, Discounted, Function, Lifted, Measured, Rung
from server.accounts.standing import LASTING
from server.errors import Refusal
from server.reasons import BY_AUTHOR, check_removal, check_restoration

MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000

FUNCTIONS: Final[tuple[Function, ...]] = ("post", "color", "mode", "link", "report", "nickname", "recall")

Role = Literal["system", "uploader", "reviewer", "senior", "operator"]
ROLES: Final[tuple[Role, ...]] = ("system", "uploader", "reviewer", "senior", "operator")
ReportOutcome = Literal["upheld", "unfounded", "malicious"]


class Step(NamedTuple):
    """One rung of the ladder: the longest term that each role may set, in ms. A role that is missing may not take it.

    ``None``: the measure has no term. A term that may also be left out (until lifted) is marked by ``open_ended``.
    """

    rung: Rung
    most_ms: dict[str, int | None]
    open_ended: bool
    en: str
    zh: str


def _no_term(*roles: Role) -> dict[str, int | None]:
    return dict.fromkeys(roles)


_STEPS: Final = (
    Step("warn", _no_term("system", "reviewer", "senior", "operator"), True, "warning", "警示提醒"),
    Step("refuse", _no_term("system", "reviewer", "senior", "operator"), True, "refusal to publish", "拒绝发布"),
    Step("delete", _no_term("system", "uploader", "reviewer", "senior", "operator"), True, "deletion", "删除信息"),
    Step(
        "restrict",
        {"system": DAY_MS, "reviewer": 7 * DAY_MS, "senior": 180 * DAY_MS, "operator": 180 * DAY_MS},
        False, "restriction of functions", "限制功能",
    ),
    Step("suspend", {"senior": 180 * DAY_MS, "operator": 180 * DAY_MS}, False, "suspension", "暂停账号更新"),
    Step("close", _no_term("operator"), True, "closing of the account", "关闭账号"),
    Step("blacklist", {"operator": 5 * 366 * DAY_MS}, True, "blacklist", "列入黑名单"),
)  # fmt: skip

LADDER: Final[dict[str, Step]] = {step.rung: step for step in _STEPS}
"""The rungs by name, mildest first. Programs (role ``system``) take what the column of ``system`` says, and nothing harder."""

LIFTERS: Final = frozenset({"senior", "operator"})
"""Roles that lift measures and decide appeals."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A measure as lists show it: a row of ``measures``."""

    id: str
    account: str
    rung: Rung
    code: str
    basis: str
    clause: str
    functions: tuple[str, ...]
    room: str
    seq: int
    at_ms: int
    until_ms: int
    ended_ms: int
    ended_how: str
    actor: str
    role: str
    automated: bool

    def state(self, now_ms: int) -> Literal["done", "in_force", "ended", "lifted"]:
        """``done``: told and recorded, nothing goes on; ``ended``: its term is over; ``lifted``: taken back."""
        if self.ended_ms:
            return "lifted"
        if self.rung not in LASTING:
            return "done"
        return "ended" if self.until_ms and now_ms >= self.until_ms else "in_force"


def take(
    tx: Transaction,
    account: str,
    rung: Rung,
    code: str,
    basis: str,
    *,
    actor: str,
    role: str,
    clause: str = "",
    functions: Sequence[Function] = (),
    duration_ms: int = 0,
    automated: bool = False,
    room: str = "",
    seq: int = 0,
    measure: str = "",
    told: Mapping[str, Any] = MappingProxyType({}),
) -> str:
    """Take a measure, tell the person, count it; returns its id, which is ``measure`` if given. ``clause`` empty: the one that the
    code rests on. ``told`` is what else the letter says.

    Raises Refusal ``account_not_found``, ``bad_code`` (no removal code, or no basis), ``forbidden`` (not for this role, or not
    by a program), ``bad_measure`` with the reason.
    """
    check_removal(code, basis)
    standing = tx.standing(account)
    if not standing.last:
        raise Refusal("account_not_found")
    _check(rung, role, functions, duration_ms, automated)
    if rung != "delete" and code[0] == "U":
        raise Refusal("bad_measure", "code: a code of family U is for deletions")
    if bool(room) != bool(seq) and (seq or rung != "refuse"):  # what was refused has no number
        raise Refusal("bad_measure", "room, seq: a comment is named by both")
    if rung in ("close", "blacklist") and any(each.rung == rung for each in standing.in_force(tx.now_ms)):
        raise Refusal("bad_measure", f"rung: a {rung} is in force already")
    if standing.erased and rung not in ("close", "blacklist"):
        raise Refusal("bad_measure", "account: it is erased")
    measure = measure or new_id("m")
    until_ms = tx.now_ms + duration_ms if duration_ms else 0
    common: dict[str, Any] = {
        "rung": rung, "code": code, "basis": basis, "clause": clause or clause_for(code), "until_ms": until_ms,
        "automated": automated, "room": room, "seq": seq,
    }  # fmt: skip
    event = Measured(measure=measure, functions=tuple(functions), **common)
    tx.append(account, event, actor=actor, role=role)
    row = {
        "id": measure,
        "account": account,
        "functions": " ".join(functions),
        "at_ms": tx.now_ms,
        "actor": actor,
        "role": role,
    }
    tx.sql.execute(insert(tables.measures).values(**row, **common))
    what = counted_as(rung, code, role)
    if what:
        tx.append(account, Counted(what=what, ref=measure), actor=actor, role=role)
    if rung == "blacklist":
        _mark(tx, account, measure, until_ms)
    tx.tell(account, "measure", {"measure": measure, "functions": list(functions), "at_ms": tx.now_ms, **common, **told})
    return measure


def lift(
    tx: Transaction,
    measure: str,
    code: str,
    basis: str,
    *,
    actor: str,
    role: str,
    how: Literal["reversed", "appeal"] = "reversed",
) -> Record:
    """Take a measure back, also one whose term is over: it ends, its credit is restored, its marks leave the blacklist.

    An appeal that waits is decided by it. Returns the measure as it was. Raises Refusal ``measure_not_found`` (also when it was
    lifted before), ``bad_code`` (no code of family R, or no basis), ``forbidden``.
    """
    check_restoration(code, basis)
    found = find(tx.sql, measure)
    if found is None or found.ended_ms:
        raise Refusal("measure_not_found")
    if role not in LIFTERS and not (role == found.role and actor == found.actor):
        raise Refusal("forbidden", f"role {role or 'none'} lifts its own measures only")
    _end(tx, found, how, code, basis, actor, role)
    return found


def _end(
    tx: Transaction, found: Record, how: Literal["reversed", "appeal"], code: str, basis: str, actor: str, role: str
) -> None:
    measure = found.id
    tx.append(found.account, Lifted(measure=measure, how=how, code=code, basis=basis), actor=actor, role=role)
    ended = update(tables.measures).where(tables.measures.c.id == measure)
    tx.sql.execute(ended.values(ended_ms=tx.now_ms, ended_how=how))
    what = counted_as(found.rung, found.code, found.role)
    if what:
        back = Discounted(what=what, ref=measure, counted_ms=found.at_ms)
        tx.append(found.account, back, actor=actor, role=role)
    tx.sql.execute(delete(tables.blacklist).where(tables.blacklist.c.measure == measure))
    if how == "reversed":
        _settle_appeal(tx, found, code, basis, actor, role)
    told = {"measure": measure, "rung": found.rung, "how": how, "code": code, "basis": basis}
    tx.tell(found.account, "measure_lifted", {**told, "room": found.room, "seq": found.seq})


def keep_out(tx: Transaction, account: str) -> None:
    """The account is about to give up its claims, being erased: what keeps it from posting keeps the person from signing up anew.

    The marks of the identity go into the blacklist for as long as the suspension or closing that lasts longest; under a blacklist
    they are there already.
    """
    standing = [each for each in tx.standing(account).in_force(tx.now_ms) if each.rung in ("suspend", "close", "blacklist")]
    if standing and not any(each.rung == "blacklist" for each in standing):
        longest = max(standing, key=lambda each: (each.until_ms == 0, each.until_ms))
        _mark(tx, account, longest.id, longest.until_ms)


def count_removal(
    tx: Transaction,
    account: str,
    room: str,
    seq: int,
    code: str,
    basis: str,
    *,
    actor: str,
    role: str,
    automated: bool = False,
) -> str:
    """Record that a comment was removed: a measure ``delete``, counted by the family of its code. Returns the measure's id.

    Said twice of one comment it counts once. An author's own recall is no measure: nothing happens, and the id is empty.
    """
    if code == BY_AUTHOR:
        return ""
    standing_removal = _removal_of(tx.sql, account, room, seq)
    if standing_removal is not None:
        return standing_removal.id
    tx.open(account, origin="host", actor="host", role="host")
    return take(
        tx, account, "delete", code, basis, actor=actor, role=role, automated=automated, room=room, seq=seq
    )  # fmt: skip


def discount_removal(
    tx: Transaction, account: str, room: str, seq: int, code: str, basis: str, *, actor: str, role: str
) -> bool:
    """Record that a removed comment was restored: its removal counts no more. Returns whether one had been recorded."""
    check_restoration(code, basis)
    found = _removal_of(tx.sql, account, room, seq)
    if found is None:
        return False
    _end(tx, found, "reversed", code, basis, actor, role)  # the room's rules have decided who may restore
    return True


def refused_on_review(
    tx: Transaction, account: str, ref: str, code: str, basis: str, *, actor: str, role: str, room: str = "", measure: str = "",
    told: Mapping[str, Any] = MappingProxyType({}),
) -> str:  # fmt: skip
    """Record that a reviewer refused a held comment of ``room``, which ``ref`` names: a measure ``refuse``, counted. Returns its id;
    ``measure`` and ``told`` as of :func:`take`."""
    tx.open(account, origin="host", actor="host", role="host")
    taken = take(
        tx, account, "refuse", code, basis, actor=actor, role=role, automated=role == "system", room=room, measure=measure,
        told=told,
    )  # fmt: skip
    tx.log_access(actor, role, "refuse", subject=account, detail=ref)
    return taken


def end_refusal(tx: Transaction, found: Record, code: str, basis: str, *, actor: str, role: str) -> None:
    """Record that a refused comment is published after all, or looked at again: its refusal counts no more."""
    _end(tx, found, "reversed", code, basis, actor, role)  # the desk has decided who may


def report_decided(tx: Transaction, account: str, ref: str, outcome: ReportOutcome, *, actor: str, role: str) -> bool:
    """Record what became of the account's report ``ref``; said twice of one report it counts once, and what was said before counts no
    more when it is said otherwise. Returns whether it is new."""
    what = f"report.{outcome}"
    standing: Counted | None = None
    counted_ms = 0
    for each in tx.entries_of(account):
        if isinstance(each.event, Counted) and each.event.ref == ref and each.event.what.startswith("report."):
            standing, counted_ms = each.event, each.at_ms
        elif isinstance(each.event, Discounted) and standing is not None and each.event.ref == ref:
            standing = None
    if standing is not None:
        if standing.what == what:
            return False
        back = Discounted(what=standing.what, ref=ref, counted_ms=counted_ms)
        tx.append(account, back, actor=actor, role=role)
    tx.open(account, origin="host", actor="host", role="host")
    tx.append(account, Counted(what=what, ref=ref), actor=actor, role=role)
    tx.tell(account, "report_decided", {"report": ref, "outcome": outcome})
    return True


def listed(connection: Connection, account: str) -> list[Record]:
    """All measures of an account, newest first."""
    row = tables.measures.c
    query = select(tables.measures).where(row.account == account).order_by(row.at_ms.desc(), row.id)
    return [record(found) for found in connection.execute(query).mappings()]


def find(connection: Connection, measure: str) -> Record | None:
    """One measure by its id."""
    found = connection.execute(select(tables.measures).where(tables.measures.c.id == measure)).mappings().first()
    return record(found) if found is not None else None


def record(row: Any) -> Record:
    """The record of a row of ``measures``."""
    fields = dict(row)
    functions = tuple(fields.pop("functions").split())
    return Record(**{**fields, "functions": functions, "automated": bool(fields["automated"])})


def _check(rung: str, role: str, functions: Sequence[str], duration_ms: int, automated: bool) -> None:
    step = LADDER.get(rung)
    if step is None:
        raise Refusal("bad_measure", f"rung: one of {', '.join(LADDER)}")
    if automated != (role == "system"):
        raise Refusal("bad_measure", "automated: what the role system does, and nothing else, is automated")
    if role not in step.most_ms:
        raise Refusal("forbidden", f"role {role or 'none'} may not {rung}; it takes {' or '.join(step.most_ms)}")
    if (rung == "restrict") != bool(functions) or not set(functions) <= set(FUNCTIONS):
        raise Refusal("bad_measure", f"functions: some of {', '.join(FUNCTIONS)} for restrict, none otherwise")
    most_ms = step.most_ms[role]
    if most_ms is None:
        if duration_ms:
            raise Refusal("bad_measure", f"duration_ms: a {rung} has no term")
    elif duration_ms > most_ms:
        raise Refusal("bad_measure", f"duration_ms: at most {most_ms // MINUTE_MS} minutes for the role {role}")
    elif duration_ms < MINUTE_MS and (duration_ms or not step.open_ended):
        raise Refusal("bad_measure", f"duration_ms: at least {MINUTE_MS}{', or 0: until lifted' if step.open_ended else ''}")


def counted_as(rung: str, code: str, role: str) -> str:
    """What credit counts a measure as; empty: not at all.

    What a program refused, and what an uploader removed, is no decision of staff and costs nothing.
    """
    if rung == "delete":
        what = f"removal.{code[0]}" if role != "uploader" else ""
    elif rung == "refuse":
        what = "refused_on_review" if role != "system" else ""
    else:
        what = f"measure.{rung}"
    return what if credit.weight(what) else ""


def _mark(tx: Transaction, account: str, measure: str, until_ms: int) -> None:
    """Copy the HMACs of the account's identity into the blacklist, where they outlive the account and its claims."""
    for kind, value, pepper in _identity_marks(tx.sql, account):
        old = (tables.blacklist.c.kind == kind) & (tables.blacklist.c.value == value)
        tx.sql.execute(delete(tables.blacklist).where(old))  # one whose term is over, or it could not have registered
        row = {"kind": kind, "value": value, "pepper": pepper, "measure": measure}
        tx.sql.execute(insert(tables.blacklist).values(**row, since_ms=tx.now_ms, until_ms=until_ms))


def _identity_marks(connection: Connection, account: str) -> list[tuple[str, str, int]]:
    """The marks of the account's identity: kind, HMAC, version of the pepper."""
    row = tables.claims.c
    query = select(row.kind, row.value, row.pepper).where(row.account == account).order_by(row.kind, row.value)
    return [(kind, value, pepper) for kind, value, pepper in connection.execute(query)]


def _removal_of(connection: Connection, account: str, room: str, seq: int) -> Record | None:
    """The removal of a comment that stands."""
    row = tables.measures.c
    query = select(tables.measures).where(
        row.account == account, row.rung == "delete", row.room == room, row.seq == seq, row.ended_ms == 0
    )
    found = connection.execute(query).mappings().first()
    return record(found) if found is not None else None


def _settle_appeal(tx: Transaction, measure: Record, code: str, basis: str, actor: str, role: str) -> None:
    """An appeal against a measure that is lifted anyway has got what it asked for."""
    row = tables.appeals.c
    appeal = tx.sql.execute(select(row.id).where(row.measure == measure.id, row.decided_ms == 0)).scalar()
    if appeal is None:
        return
    decided = update(tables.appeals).where(row.id == appeal)
    tx.sql.execute(decided.values(decided_ms=tx.now_ms, decided_by=actor, upheld=1, code=code, basis=basis))
    event = AppealDecided(appeal=appeal, measure=measure.id, upheld=True, code=code, basis=basis)
    tx.append(measure.account, event, actor=actor, role=role)
