"""Decisions: on what waits in the queue, on any comment, and taking decisions back (duties P5(3), P7, P8).

Each function writes a line of the decision log, with what it does in a room's log (its effect), the state of the items that it
decides, and the outcome of the reports that hang on them, in one transaction. Whoever acts is named by ``actor`` and ``role``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, select, update

from server.bases import UNDONE
from server.errors import Refusal
from server.moderation import queue, second, tables
from server.moderation.book import Decision, Transaction, decision_of, effect_key, find_decision
from server.moderation.queue import Item, Queue
from server.reasons import REMOVAL_CODES
from server.store.base import CommentDraft, NoticeDraft, RemovalDraft, RestorationDraft

Verdict = Literal["publish", "refuse", "keep", "remove", "warn", "confirm", "differ"]
VERDICTS: Final[dict[Queue, tuple[Verdict, ...]]] = {
    "held": ("publish", "refuse"),
    "news": ("publish", "refuse"),
    "report": ("keep", "remove", "warn"),
    "swarm": ("keep", "remove", "warn"),
    "second": ("confirm", "differ"),
}
"""What can be decided on an item of each queue. ``remove`` needs a comment; ``warn`` upholds a report about a room, or a swarm."""

UNDO_MS: Final = 10 * 60_000
"""For so long who decided can take it back by :func:`undo`."""
MALICIOUS: Final = "K3"
_UNDONE: Final = "R1"
_MISTAKE: Final = "A1"

_d: Final = tables.decisions.c
_e: Final = tables.effects.c


def decide_item(
    tx: Transaction, item: int, version: int, verdict: Verdict, code: str, basis: str, *, actor: str, role: str, automated: bool
    = False
) -> Decision:  # fmt: skip
    """Decide an item that was looked at in this ``version``. Raises Refusal ``item_not_found``, ``item_taken``, ``item_changed``,
    ``second_person_required``, ``bad_code``, ``bad_step`` (no such verdict on this item)."""
    found = queue.get(tx.sql, item)
    if found.queue == "second":
        return second.judge(tx, item, version, code, basis, actor=actor, role=role)
    queue.check_version(found, version, actor, tx.now_ms)
    if verdict not in VERDICTS[found.queue] or verdict == ("warn" if found.seq else "remove"):
        raise Refusal("bad_step", f"an item of the queue {found.queue} is not decided by {verdict}")
    if found.seq and found.queue in ("held", "news"):
        # It was published before, and that was undone: what is decided now is whether it stays removed.
        return _decide_again(tx, found, verdict, code, basis, actor, role)
    decision = tx.decide(
        verdict, code, basis.strip(), actor=actor, role=role, automated=automated, rule=found.rule, room=found.room, seq=found.seq,
        item=item, account=found.account, detail=_detail(found),
    )  # fmt: skip
    if verdict == "publish":
        tx.effect(decision, _published(found, decision))
    elif verdict == "remove":
        tx.effect(decision, _removal(decision))
    _settle(tx, found, decision)
    if verdict == "remove":
        _settle_others(tx, decision)
    return decision


def decide_many(
    tx: Transaction, items: Sequence[tuple[int, int]], verdict: Verdict, code: str, basis: str, *, actor: str, role: str
) -> tuple[list[Decision], list[int]]:  # fmt: skip
    """Decide items, each given with its version, one decision for each; those that changed meanwhile are left alone and given back.
    Raises Refusal ``bad_code``, ``bad_step``, ``bad_message`` (too many)."""
    if len(items) > queue.EQUAL_MAX:
        raise Refusal("bad_message", f"items: at most {queue.EQUAL_MAX}")
    decisions, changed = [], []
    for item, version in items:
        try:
            decisions.append(decide_item(tx, item, version, verdict, code, basis, actor=actor, role=role))
        except Refusal as refusal:
            if refusal.code.name in ("bad_code", "bad_step"):
                raise
            changed.append(item)
    return decisions, changed


def remove(
    tx: Transaction, room: str, seq: int, account: str, code: str, basis: str, *, actor: str, role: str, reverses: int = 0,
    automated: bool = False, request: str = "",
) -> Decision:  # fmt: skip
    """Remove a comment of ``account``. What waits about it is decided by that. Raises Refusal ``bad_code``, ``key_reused``."""
    again = _requested(tx, "remove", room, seq, actor, request)
    if again is not None:
        return again
    decision = tx.decide(
        "remove", code, basis.strip(), actor=actor, role=role, automated=automated, room=room, seq=seq, account=account,
        reverses=reverses, request=request,
    )  # fmt: skip
    tx.effect(decision, _removal(decision))
    _settle_others(tx, decision)
    return decision


def restore(
    tx: Transaction, room: str, seq: int, account: str, code: str, basis: str, *, actor: str, role: str, reverses: int = 0,
    automated: bool = False, request: str = "",
) -> Decision:  # fmt: skip
    """Restore a removed comment. ``reverses`` 0: the newest decision that removed it, if there is one. Raises Refusal ``bad_code``,
    ``key_reused``."""
    again = _requested(tx, "restore", room, seq, actor, request)
    if again is not None:
        return again
    decision = tx.decide(
        "restore", code, basis.strip(), actor=actor, role=role, automated=automated, room=room, seq=seq, account=account,
        reverses=reverses or _standing(tx, "remove", room, seq), request=request,
    )  # fmt: skip
    tx.effect(decision, _restoration(decision))
    return decision


def notice(
    tx: Transaction, what: Literal["mode", "site_mode", "emergency", "announce"], draft: NoticeDraft, code: str, basis: str, *,
    actor: str, role: str, request: str = "", automated: bool = False, until_ms: int = 0, reverses: int = 0,
    detail: dict[str, Any] | None = None,
) -> Decision:  # fmt: skip
    """Decide that a room is told something, or that its mode changes; ``draft`` needs no key and no time. Raises Refusal
    ``bad_code``, ``key_reused``."""
    again = _requested(tx, what, draft.room, 0, actor, request)
    if again is not None:
        _check_same(tx, again, draft)
        return again
    decision = tx.decide(
        what, code, basis.strip(), actor=actor, role=role, automated=automated, room=draft.room, until_ms=until_ms,
        reverses=reverses, request=request, detail=detail or {},
    )  # fmt: skip
    why = {"code": decision.code, "basis": decision.basis, "role": role}
    tx.effect(decision, msgspec.structs.replace(draft, key=effect_key(decision.id), author=actor, at_ms=decision.at_ms, **why))
    return decision


# ---------------------------------------------------------------------------------------------------------------------
# Taking back


def undo(tx: Transaction, decision: int, *, actor: str, role: str) -> Item:
    """Take back one's own decision on an item, a moment after it: the item waits again, claimed by the same person; what was
    published is removed, what was removed is restored. Returns the item. Raises Refusal
    ``decision_not_found``, ``forbidden`` (somebody else's), ``too_late``, ``bad_step`` (it is no decision on an item, or it was taken
    back before), ``item_changed``, ``storage_unavailable`` (what it does is not done yet)."""
    found = _there(tx, decision)
    if found.actor != actor:
        raise Refusal("forbidden", "only who decided can undo it")
    item = queue.find(tx.sql, found.item) if found.item else None
    if item is None or item.decision != decision or item.state != "decided" or found.what in ("confirm", "differ"):
        raise Refusal("bad_step", "this cannot be undone")
    if is_reversed(tx.sql, decision):  # what came of that is for whoever decided it
        raise Refusal("bad_step", "it was taken back before")
    if tx.now_ms > found.at_ms + UNDO_MS:
        raise Refusal("too_late")
    effect, words = _effect_of(tx, decision), UNDONE.recorded
    about: dict[str, Any] = {
        "actor": actor, "role": role, "room": item.room, "item": item.id, "account": item.account, "rule": item.rule,
        "reverses": decision, "detail": {"undone": True},
    }  # fmt: skip
    if effect is None or effect.failure:
        tx.decide("undo", _UNDONE, words, seq=item.seq, **about)
        return _wait_again(tx, item, item.seq, actor)
    if found.what == "publish":
        code = item.code if item.code in REMOVAL_CODES else _MISTAKE
        back = tx.decide("remove", code, words, seq=effect.place, **about)
        tx.effect(back, _removal(back))
    else:
        back = tx.decide("restore", _UNDONE, words, seq=effect.place, **about)
        tx.effect(back, _restoration(back))
    return _wait_again(tx, item, effect.place, actor)


def reverse(
    tx: Transaction, decision: int, code: str, basis: str, *, actor: str, role: str, automated: bool = False
) -> Decision:
    """Take a decision on a comment back by the opposite one, whose family ``code`` is of: what was refused is published, what
    was kept, published or restored is removed, what was removed is restored. Raises Refusal ``decision_not_found``,
    ``bad_code``, ``bad_step`` (no decision on a comment; or it was taken back; or what it was about is deleted),
    ``storage_unavailable``."""
    found = _there(tx, decision)
    if is_reversed(tx.sql, decision):
        raise Refusal("bad_step", "it was taken back before")
    by: dict[str, Any] = {"actor": actor, "role": role, "automated": automated, "reverses": decision}
    if found.what == "refuse":
        return _publish_after_all(tx, found, code, basis, by)
    effect = _effect_of(tx, decision)
    seq = effect.place if effect is not None and not effect.failure else found.seq
    if not seq or found.what not in ("publish", "keep", "restore", "remove"):
        raise Refusal("bad_step", "this cannot be taken back")
    act = restore if found.what == "remove" else remove
    return act(tx, found.room, seq, found.account, code, basis, **by)


def _publish_after_all(tx: Transaction, found: Decision, code: str, basis: str, by: dict[str, Any]) -> Decision:
    item = queue.find(tx.sql, found.item)
    if item is None or item.decision != found.id or not item.draft:
        raise Refusal("bad_step", "this cannot be taken back")
    decision = tx.decide(
        "publish", code, basis.strip(), rule=item.rule, room=item.room, seq=item.seq, item=item.id, account=item.account,
        detail=_detail(item), **by,
    )  # fmt: skip
    tx.effect(decision, _restoration(decision) if item.seq else _published(item, decision))
    tx.sql.execute(
        update(tables.items).where(tables.items.c.id == item.id).values(decision=decision.id, version=item.version + 1)
    )
    return decision


def _decide_again(
    tx: Transaction, item: Item, verdict: Verdict, code: str, basis: str, actor: str, role: str
) -> Decision:  # fmt: skip
    """An item whose comment stands in the log already, removed: published means restored there; refused, it stays removed."""
    decision = tx.decide(
        verdict, code, basis.strip(), actor=actor, role=role, rule=item.rule, room=item.room, seq=item.seq, item=item.id,
        account=item.account, detail=_detail(item),
    )  # fmt: skip
    if verdict == "publish":
        tx.effect(decision, _restoration(decision))
    _settle(tx, item, decision)
    return decision


def _wait_again(tx: Transaction, item: Item, seq: int, actor: str) -> Item:
    if queue.is_open(tx.sql, item.queue, item.source):
        raise Refusal("item_changed", "there is a newer one about the same")
    values: dict[str, Any] = {
        "state": "open", "decision": 0, "decided_ms": 0, "claimed_by": actor, "claimed_ms": tx.now_ms,
        "lease_until_ms": tx.now_ms + queue.LEASE_MS, "version": item.version + 1, "seq": seq,
    }  # fmt: skip
    tx.sql.execute(update(tables.items).where(tables.items.c.id == item.id).values(**values))
    told = tables.receipts.c
    anew = {"outcome": "", "code": "", "decision": 0, "decided_ms": 0}
    tx.sql.execute(update(tables.receipts).where(told.decision == item.decision, told.decided_ms > 0).values(**anew))
    return msgspec.structs.replace(item, **values)


# ---------------------------------------------------------------------------------------------------------------------
# What follows


class _Done(msgspec.Struct, frozen=True):
    """An effect that was carried out, or refused for good. ``place`` is the number of the comment that it is about."""

    failure: str
    place: int


def _effect_of(tx: Transaction, decision: int) -> _Done | None:
    """What a decision did in the log; None: nothing. Raises Refusal ``storage_unavailable`` while it is still to be done."""
    row = tx.sql.execute(select(tables.effects).where(_e.decision == decision)).mappings().first()
    if row is None:
        return None
    if not row["done_ms"]:
        raise Refusal("storage_unavailable", "what was decided is being carried out", retry_after_ms=1000)
    target = msgspec.json.decode(row["draft"]).get("target", 0)
    return _Done(row["failure"], target or row["seq"])


def _there(tx: Transaction, decision: int) -> Decision:
    found = find_decision(tx.sql, decision)
    if found is None:
        raise Refusal("decision_not_found")
    return found


def is_reversed(connection: Connection, decision: int) -> bool:
    """Whether a decision was taken back by a later one."""
    return connection.execute(select(_d.id).where(_d.reverses == decision).limit(1)).first() is not None


def requested(connection: Connection, actor: str, request: str) -> Decision | None:
    """The decision that a request led to before; None: it is new, or has no key."""
    if not request:
        return None
    row = connection.execute(select(tables.decisions).where(_d.actor == actor, _d.request == request)).mappings().first()
    return decision_of(row) if row is not None else None


def _requested(tx: Transaction, what: str, room: str, seq: int, actor: str, request: str) -> Decision | None:
    found = requested(tx.sql, actor, request)
    if found is not None and (found.what, found.room, found.seq) != (what, room, seq):
        raise Refusal("key_reused")
    return found


def _check_same(tx: Transaction, decision: Decision, draft: NoticeDraft) -> None:
    """Raises Refusal ``key_reused`` when the request asked for something else before."""
    data = tx.sql.execute(select(_e.draft).where(_e.decision == decision.id)).scalar_one()
    before = msgspec.json.decode(data, type=NoticeDraft)
    if (before.notice, before.text, before.room_mode) != (draft.notice, draft.text, draft.room_mode):
        raise Refusal("key_reused")


def _standing(tx: Transaction, what: str, room: str, seq: int) -> int:
    query = select(_d.id).where(_d.what == what, _d.room == room, _d.seq == seq).order_by(_d.id.desc()).limit(1)
    return tx.sql.execute(query).scalar() or 0


def _settle(tx: Transaction, item: Item, decision: Decision) -> None:
    """The item is decided, and so are the reports that it is made of."""
    values = {
        "state": "decided", "decision": decision.id, "decided_ms": tx.now_ms, "version": item.version + 1, "claimed_by": "",
        "claimed_ms": 0, "lease_until_ms": 0,
    }  # fmt: skip
    tx.sql.execute(update(tables.items).where(tables.items.c.id == item.id).values(**values))
    outcome = "upheld" if decision.what != "keep" else "malicious" if decision.code == MALICIOUS else "unfounded"
    told = {"outcome": outcome, "code": decision.code, "decision": decision.id, "decided_ms": tx.now_ms}
    receipt = tables.receipts.c
    tx.sql.execute(update(tables.receipts).where(receipt.item == item.id, receipt.decided_ms == 0).values(**told))


def _settle_others(tx: Transaction, decision: Decision) -> None:
    """What else waits about the comment that is removed: it has got what it asked for."""
    for item in queue.about(tx.sql, decision.room, decision.seq):
        _settle(tx, item, decision)


def _detail(item: Item) -> dict[str, Any]:
    """What a statement of reasons needs to know of the item, and since when it was claimed. No text: the log is for ever."""
    key = msgspec.json.decode(item.draft)["key"] if item.draft else ""
    return {
        "queue": item.queue, "source": item.source, "key": key, "received_ms": item.at_ms, "stopped_by": item.code,
        "reports": item.reports, "claimed_ms": item.claimed_ms,
    }  # fmt: skip


def _published(item: Item, decision: Decision) -> CommentDraft:
    """The held comment as it was sent, at its own position, with the approval in its verdict."""
    if not item.draft:
        raise Refusal("bad_step", "the text is not kept any more")
    draft = msgspec.json.decode(item.draft, type=CommentDraft)
    verdict = msgspec.json.decode(item.verdict) if item.verdict else {}
    verdict["approved"] = {"decision": decision.id, "code": decision.code, "role": decision.role}
    return msgspec.structs.replace(
        draft, key=effect_key(decision.id), at_ms=decision.at_ms, verdict=msgspec.json.encode(verdict)
    )  # fmt: skip


def _removal(decision: Decision) -> RemovalDraft:
    return RemovalDraft(
        room=decision.room, author=decision.actor, key=effect_key(decision.id), at_ms=decision.at_ms, target=decision.seq,
        code=decision.code, basis=decision.basis, role=decision.role,
    )  # fmt: skip


def _restoration(decision: Decision) -> RestorationDraft:
    code = decision.code if decision.code[0] == "R" else _UNDONE
    return RestorationDraft(
        room=decision.room, author=decision.actor, key=effect_key(decision.id), at_ms=decision.at_ms, target=decision.seq,
        code=code, basis=decision.basis, role=decision.role,
    )  # fmt: skip
