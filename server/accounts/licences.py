"""The registry of licences, of the provider and of accounts, with the features that lapse with them (duties T2, T4).

A feature of :data:`FEATURES` is on while a licence that carries it is in force, and off otherwise: time alone ends it, no task has to
run. What a licence of an account carries stands in the account's ledger, so in its standing; the provider's are read into a
:class:`Provider`. :func:`look_after` warns before an end and tells the end itself.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec
from sqlalchemy import Connection, RowMapping, insert, select, update

from server.accounts import tables
from server.accounts.book import Transaction, new_id
from server.accounts.events import LicenceChanged
from server.accounts.standing import Held, Standing
from server.errors import Refusal

PROVIDER: Final = "provider"
"""The holder of the provider's own licences; every other holder is an account."""
DAY_MS: Final = 86_400_000
WARN_DAYS: Final = (30, 7, 1)
LAPSED: Final = -1
"""What stands as ``warned`` once the end itself was told."""
TEXT_MAX_CHARS: Final = 120


class Feature(NamedTuple):
    """What is on only while a licence carries it; ``basis`` is the rule that asks for one."""

    name: str
    en: str
    zh: str
    basis: str


FEATURES: Final[dict[str, Feature]] = {
    feature.name: feature
    for feature in (
        Feature("public_accounts", "public accounts", "公众账号信息服务", "即时通信工具公众信息服务发展管理暂行规定 第四条"),
        Feature("news", "political and current news", "互联网新闻信息服务", "互联网新闻信息服务管理规定 第五条"),
    )
}


class Licence(msgspec.Struct, frozen=True, kw_only=True):
    """One licence. ``state`` is as of the moment of reading: ``coming``, ``active``, ``lapsed`` or ``revoked``."""

    id: str
    holder: str
    kind: str
    number: str
    issuer: str
    features: tuple[str, ...]
    valid_from_ms: int
    valid_until_ms: int
    revoked_ms: int
    state: str


class Due(NamedTuple):
    """A licence whose end is near or past: ``days`` left at most, or :data:`LAPSED`."""

    licence: Licence
    days: int


def in_force(licences: tuple[Held, ...], feature: str, now_ms: int) -> bool:
    """Whether one of these carries the feature at this moment."""
    return any(feature in each.features and each.from_ms <= now_ms < each.until_ms for each in licences)


def licensed(standing: Standing, feature: str, now_ms: int) -> bool:
    """Whether the account itself holds a licence for the feature at this moment."""
    return in_force(standing.licences, feature, now_ms)


class Provider(msgspec.Struct, frozen=True):
    """The provider's licences, read once and asked often. Without any, every feature of the table is off."""

    licences: tuple[Held, ...] = ()

    def active(self, feature: str, now_ms: int) -> bool:
        """Whether the feature is on at this moment."""
        return in_force(self.licences, feature, now_ms)


def read_provider(connection: Connection) -> Provider:
    """The provider's licences as they are now; to be read again after each change."""
    return Provider(_held(connection, PROVIDER))


def active(connection: Connection, holder: str, feature: str, now_ms: int) -> bool:
    """Whether the holder has a licence for the feature at this moment, by the table."""
    return in_force(_held(connection, holder), feature, now_ms)


def require(tx: Transaction, feature: str) -> None:
    """The provider may run the feature now. Raises Refusal ``licence_lapsed``."""
    if not active(tx.sql, PROVIDER, feature, tx.now_ms):
        raise Refusal("licence_lapsed", FEATURES[feature].en)


def listed(connection: Connection, now_ms: int, holder: str = "") -> list[Licence]:
    """All licences, or those of a holder: the provider's first, then by end."""
    table = tables.licences.c
    query = select(tables.licences).order_by(table.holder != PROVIDER, table.holder, table.valid_until_ms)
    if holder:
        query = query.where(table.holder == holder)
    return [_licence(row, now_ms) for row in connection.execute(query).mappings()]


def record(
    tx: Transaction,
    *,
    holder: str,
    kind: str,
    number: str,
    issuer: str,
    features: tuple[str, ...],
    valid_from_ms: int,
    valid_until_ms: int,
    actor: str,
    role: str,
) -> str:
    """Enter a licence; its features are on from its begin. Returns its id. Raises Refusal ``bad_message``, ``account_not_found``."""
    for name, text in (("kind", kind), ("number", number), ("issuer", issuer)):
        if not text.strip() or len(text) > TEXT_MAX_CHARS or not text.isprintable():
            raise Refusal("bad_message", f"{name}: 1 to {TEXT_MAX_CHARS} printable characters")
    unknown = [feature for feature in features if feature not in FEATURES]
    if unknown or not features:
        raise Refusal("bad_message", f"features: of {', '.join(FEATURES)}")
    if not 0 <= valid_from_ms < valid_until_ms:
        raise Refusal("bad_message", "valid_until: after valid_from")
    if holder != PROVIDER and not _is_account(tx, holder):
        raise Refusal("account_not_found")
    licence = new_id("l")
    names = tuple(dict.fromkeys(features))
    tx.sql.execute(
        insert(tables.licences).values(
            id=licence, holder=holder, kind=kind.strip(), number=number.strip(), issuer=issuer.strip(),
            features=" ".join(names), valid_from_ms=valid_from_ms, valid_until_ms=valid_until_ms,
        )
    )  # fmt: skip
    tx.log_access(actor, role, "licence.record", holder, licence)
    if holder != PROVIDER:
        event = LicenceChanged(licence=licence, features=names, from_ms=valid_from_ms, until_ms=valid_until_ms)
        tx.append(holder, event, actor=actor, role=role)
        tx.tell(holder, "licence.recorded", {"features": list(names), "until_ms": valid_until_ms})
    return licence


def revoke(tx: Transaction, licence: str, basis: str, *, actor: str, role: str) -> Licence:
    """End a licence now: what it carries is off from here on. Raises Refusal ``not_found``, ``bad_step``, ``bad_message``."""
    table = tables.licences
    row = tx.sql.execute(select(table).where(table.c.id == licence)).mappings().first()
    if row is None:
        raise Refusal("not_found", "no such licence")
    if row["revoked_ms"]:
        raise Refusal("bad_step", "it is revoked already")
    if not basis.strip() or len(basis) > 300 or not basis.isprintable():
        raise Refusal("bad_message", "basis: 1 to 300 printable characters")
    tx.sql.execute(update(table).where(table.c.id == licence).values(revoked_ms=tx.now_ms))
    found = _licence(row, tx.now_ms)
    tx.log_access(actor, role, "licence.revoke", found.holder, f"{licence}: {basis.strip()}")
    if found.holder != PROVIDER:
        tx.append(found.holder, LicenceChanged(licence=licence, revoked=True), actor=actor, role=role)
        tx.tell(found.holder, "licence.revoked", {"features": list(found.features), "basis": basis.strip()})
    return msgspec.structs.replace(found, revoked_ms=tx.now_ms, state="revoked")


def look_after(tx: Transaction) -> list[Due]:
    """Warn of licences that end within 30, 7 and 1 days, and tell those that have ended, each once; to be called daily at least.

    A licence whose features others of the same holder carry for longer is passed over. Accounts get letters; all that is due is
    returned, for the provider's alarm.
    """
    table = tables.licences.c
    soonest = tx.now_ms + WARN_DAYS[0] * DAY_MS
    query = select(tables.licences).where(table.revoked_ms == 0, table.warned != LAPSED, table.valid_until_ms <= soonest)
    due = []
    for row in tx.sql.execute(query.order_by(table.valid_until_ms)).mappings().all():
        days = _threshold(row["valid_until_ms"] - tx.now_ms)
        if row["warned"] and days >= row["warned"]:
            continue
        tx.sql.execute(update(tables.licences).where(table.id == row["id"]).values(warned=days))
        licence = _licence(row, tx.now_ms)
        if _carried_on(tx.sql, licence, max(tx.now_ms, licence.valid_until_ms)):
            continue
        due.append(Due(licence, days))
        if licence.holder != PROVIDER:
            kind = "licence.lapsed" if days == LAPSED else "licence.ends"
            tx.tell(licence.holder, kind, {"features": list(licence.features), "until_ms": licence.valid_until_ms})
    return due


def _threshold(left_ms: int) -> int:
    """The least of the warnings that is due with so much time left."""
    return LAPSED if left_ms <= 0 else min(days for days in WARN_DAYS if left_ms <= days * DAY_MS)


def _carried_on(connection: Connection, licence: Licence, at_ms: int) -> bool:
    others = tuple(each for each in _held(connection, licence.holder) if each.licence != licence.id)
    return all(in_force(others, feature, at_ms) for feature in licence.features)


def _held(connection: Connection, holder: str) -> tuple[Held, ...]:
    table = tables.licences.c
    query = select(tables.licences).where(table.holder == holder, table.revoked_ms == 0).order_by(table.valid_until_ms)
    return tuple(
        Held(row["id"], tuple(row["features"].split()), row["valid_from_ms"], row["valid_until_ms"])
        for row in connection.execute(query).mappings()
    )


def _is_account(tx: Transaction, holder: str) -> bool:
    query = select(tables.accounts.c.id).where(tables.accounts.c.id == holder, tables.accounts.c.erased_ms == 0)
    return tx.sql.execute(query).first() is not None


def _licence(row: RowMapping, now_ms: int) -> Licence:
    if row["revoked_ms"]:
        state = "revoked"
    elif now_ms >= row["valid_until_ms"]:
        state = "lapsed"
    else:
        state = "active" if now_ms >= row["valid_from_ms"] else "coming"
    return Licence(
        id=row["id"], holder=row["holder"], kind=row["kind"], number=row["number"], issuer=row["issuer"],
        features=tuple(row["features"].split()), valid_from_ms=row["valid_from_ms"], valid_until_ms=row["valid_until_ms"],
        revoked_ms=row["revoked_ms"], state=state,
    )  # fmt: skip
