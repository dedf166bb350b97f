"""The rights of people over their data: notice, consent and its withdrawal, export, erasure (duty P5(2)).

Everything follows from the table in :mod:`server.accounts.fields`. What is stored of an account is brought in line with its
standing by one function, :func:`sweep`: after a withdrawal, after an erasure, when a hold ends, and by the daily purge for
whatever was left. While a hold covers the account nothing is deleted; the account is closed, and its data are locked, all the same.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from server.accounts import appeals, events, holds, measures, sessions, tables
from server.accounts.book import Transaction, read_entries
from server.accounts.events import Consented, ConsentWithdrawn, Erased, PublicStep, Signed, VerificationWithdrawn, Verified
from server.accounts.fields import FIELDS, PURPOSE, PURPOSES, TERM, Field, Purpose, vault_fields
from server.accounts.standing import Standing
from server.accounts.vault import Vault
from server.errors import Refusal
from server.settings import Settings

DOCUMENT: Final = "privacy"
EDITION: Final = "2026-11"
"""The edition of the fixed sentences. The version of a notice adds the hash of its words: a change of a setting makes a new one."""
LANGUAGES: Final = ("zh-CN", "en")

_CLAIMS: Final = {"third_party_login": ("oidc",)}
"""Kinds of claims that are given up when the consent to a purpose ends. The irreversible mark of an identity number stays with the
account, as the notice says: by it nobody registers twice."""
_METHODS: Final = {"identity_document": ("id_number",), "third_party_login": ("oidc",)}
"""Methods of verification that rest on a purpose."""


class Text(msgspec.Struct, frozen=True):
    """The notice in one language. ``source`` are its words as lines; its UTF-8 bytes have the SHA-256 ``sha256``."""

    language: str
    source: str
    sha256: str


class Notice(msgspec.Struct, frozen=True):
    """One version of the notice in all languages."""

    version: str
    sha256: str
    texts: dict[str, Text]


def notice(settings: Settings) -> Notice:
    """The notice in force, written from the table and the settings."""
    texts = {}
    for language in LANGUAGES:
        source = "\n".join(_lines(settings, language)) + "\n"
        texts[language] = Text(language, source, hashlib.sha256(source.encode()).hexdigest())
    digest = hashlib.sha256("".join(f"{each.language} {each.sha256}\n" for each in texts.values()).encode()).hexdigest()
    return Notice(f"{EDITION}.{digest[:8]}", digest, texts)


def establish(tx: Transaction, current: Notice) -> bool:
    """Record the version, its texts and the moment it came into force. Returns whether it is new."""
    rows = tables.documents.c
    known = select(rows.sha256).where(rows.document == DOCUMENT, rows.version == current.version)
    if tx.sql.execute(known).first() is not None:
        return False
    key = {"document": DOCUMENT, "version": current.version}
    tx.sql.execute(insert(tables.documents).values(**key, sha256=current.sha256, from_ms=tx.now_ms))
    for text in current.texts.values():
        row = {**key, "language": text.language, "sha256": text.sha256, "text": text.source}
        tx.sql.execute(insert(tables.document_texts).values(**row))
    return True


def term(field: Field, settings: Settings, language: str) -> str:
    """How long a field is kept, in words."""
    found = TERM[field.term]
    return found.words.of(language).format(days=found.days(settings))


def purposes_of_notice() -> list[tuple[Purpose, list[Field]]]:
    """The purposes with the fields that are stored for each, in the order of the table."""
    return [(purpose, [field for field in FIELDS if field.purpose == purpose.name]) for purpose in PURPOSES]


def acknowledge(tx: Transaction, account: str, current: Notice, sha256: str, language: str) -> bool:
    """Record that the notice was shown and read. Returns False when this version was acknowledged before.

    Raises Refusal ``account_not_found``, ``account_closed``, ``bad_message`` (not this text).
    """
    standing = _open(tx, account)
    text = current.texts.get(language)
    if text is None or text.sha256 != sha256:
        raise Refusal("bad_message", "language, sha256: not those of a text of this version")
    if standing.privacy == current.version:
        return False
    signed = Signed(document=DOCUMENT, version=current.version, sha256=sha256, language=language)
    tx.append(account, signed, actor=account, role="person")
    return True


# -- consent


def consent(tx: Transaction, account: str, purpose: str, current: Notice, *, guardian: bool = False) -> bool:
    """Record consent to a purpose that asks for it. Returns False when it was given before.

    Raises Refusal ``account_not_found``, ``account_closed``, ``bad_message`` (no such purpose, or one that asks for no consent).
    """
    standing = _open(tx, account)
    _asks(purpose)
    if purpose in standing.consents:
        return False
    actor = f"guardian:{account}" if guardian else account
    given = Consented(purpose=purpose, version=current.version, guardian=guardian)
    tx.append(account, given, actor=actor, role="guardian" if guardian else "person")
    return True


def require(standing: Standing, purpose: str) -> None:
    """Whoever stores something for a purpose asks here first. Raises Refusal ``consent_required``."""
    if PURPOSE[purpose].consent and purpose not in standing.consents:
        raise Refusal("consent_required", purpose)


def withdraw(tx: Transaction, vault: Vault, account: str, purpose: str) -> bool:
    """End a purpose: what was stored for it alone is deleted, a verification that rests on it ends. Returns False when there was no
    consent. Raises Refusal ``account_not_found``, ``account_closed``, ``bad_message``."""
    standing = _open(tx, account)
    _asks(purpose)
    if purpose not in standing.consents:
        return False
    tx.append(account, ConsentWithdrawn(purpose=purpose), actor=account, role="person")
    if standing.verified in _METHODS.get(purpose, ()):
        kinds = tables.claims.c.account == account, tables.claims.c.kind == "phone"
        by_phone = tx.sql.execute(select(tables.claims.c.kind).where(*kinds)).first() is not None
        left = Verified(method="phone", strength=1) if by_phone else VerificationWithdrawn(reason="consent withdrawn")
        tx.append(account, left, actor="system", role="system")
    sweep(tx, vault, account)
    return True


# -- export and erasure


def export(connection: Connection, vault: Vault, account: str) -> dict[str, Any]:
    """Everything of ``accounts.db`` that is about an account, in a form that machines read: ``{account, vault, nicknames, ledger,
    verifications, sessions, measures, appeals, letters, public_account}``. Raises Refusal ``account_not_found``, VaultError."""
    row = connection.execute(select(tables.accounts).where(tables.accounts.c.id == account)).mappings().first()
    if row is None:
        raise Refusal("account_not_found")
    kept = {"id", "kind", "origin", "nickname", "created_ms", "erased_ms"}
    ledger = [
        {"at_ms": entry.at_ms, "role": entry.role, **msgspec.json.decode(events.encode(entry.event))}
        for entry in read_entries(connection, account)
    ]
    letters = _rows(connection, tables.letters, account, ("at_ms", "kind", "data", "read_ms"))
    for letter in letters:
        letter["data"] = msgspec.json.decode(letter["data"])
    return {
        "account": {str(name): row[name] for name in row if name in kept},
        "vault": {field: vault.read(connection, account, field) for field in vault.fields(connection, account)},
        "nicknames": _rows(connection, tables.nicknames, account, ("nickname", "from_ms", "until_ms")),
        "ledger": ledger,
        "verifications": _rows(connection, tables.verifications, account, ("method", "at_ms", "result", "strength")),
        "sessions": _sessions(connection, account),
        "measures": _rows(connection, tables.measures, account, _MEASURE),
        "appeals": _rows(
            connection, tables.appeals, account, ("measure", "at_ms", "words", "decided_ms", "upheld", "code", "basis")
        ),
        "letters": letters,
        "public_account": _rows(connection, tables.public_accounts, account, ("state", "category", "name", "label", "purpose")),
    }


_MEASURE: Final = (
    "id",
    "rung",
    "code",
    "basis",
    "clause",
    "functions",
    "room",
    "seq",
    "at_ms",
    "until_ms",
    "ended_ms",
    "ended_how",
)


def erase(tx: Transaction, vault: Vault, account: str, *, actor: str, role: str) -> bool:
    """Close an account for good and delete what is stored of the person; afterwards nothing of the vault can be decrypted.

    What stays: the ledger, which names nobody; marks of the blacklist while their measure lasts, a suspension and a closing too
    (:func:`server.accounts.measures.keep_out`); records of connections for their term. Returns False
    when a hold covers the account: it is closed and locked at once, and deleted when the hold ends. Follow the commit by
    :func:`server.accounts.vault.scrub`. Raises Refusal ``account_not_found``, ``account_closed``.
    """
    standing = _open(tx, account)
    if standing.public not in ("", "rejected", "revoked"):
        tx.append(account, PublicStep(state="revoked", basis="erased"), actor=actor, role=role)
        tx.sql.execute(
            update(tables.public_accounts).where(tables.public_accounts.c.account == account).values(state="revoked")
        )
    tx.append(account, Erased(), actor=actor, role=role)
    tx.sql.execute(update(tables.accounts).where(tables.accounts.c.id == account).values(erased_ms=tx.now_ms))
    sessions.end_all(tx, account)
    return sweep(tx, vault, account)


def sweep(tx: Transaction, vault: Vault, account: str) -> bool:
    """Bring what is stored of an account in line with its standing. Does nothing while a hold covers the account (False)."""
    if holds.covers(tx.sql, account):
        return False
    standing = tx.standing(account)
    if standing.erased:
        _delete(tx, vault, account)
        return True
    for purpose in PURPOSES:
        if purpose.consent and purpose.name not in standing.consents:
            for field in vault_fields(purpose.name):
                vault.remove(tx, account, field)
            kinds = _CLAIMS.get(purpose.name, ())
            tx.sql.execute(delete(tables.claims).where(tables.claims.c.account == account, tables.claims.c.kind.in_(kinds)))
    return True


def _delete(tx: Transaction, vault: Vault, account: str) -> None:
    """Everything of an erased account that is about the person."""
    vault.destroy(tx, account)
    measures.keep_out(tx, account)
    vault.release(tx, account)
    appeals.forget(tx, account)
    accounts, nicknames = tables.accounts, tables.nicknames
    tx.sql.execute(update(accounts).where(accounts.c.id == account).values(nickname="", nickname_key=None))
    tx.sql.execute(update(nicknames).where(nicknames.c.account == account).values(nickname="", nickname_key=""))
    for table in (tables.letters, tables.verifications):
        tx.sql.execute(delete(table).where(table.c.account == account))
    public = tables.public_accounts
    tx.sql.execute(update(public).where(public.c.account == account).values(name="", label="", purpose=""))


# -- comments of erased accounts


def withdraw_comments(tx: Transaction, account: str) -> None:
    """Have an account's comments removed, from the first on; see :mod:`server.custody`."""
    tx.sql.execute(insert(tables.withdrawals).prefix_with("OR IGNORE").values(account=account, asked_ms=tx.now_ms))


def open_withdrawals(connection: Connection) -> list[tuple[str, int]]:
    """Accounts whose comments are still to be removed, with the id of the last one that is."""
    rows = tables.withdrawals.c
    query = select(rows.account, rows.after).where(rows.done_ms == 0).order_by(rows.asked_ms, rows.account)
    return [(account, after) for account, after in connection.execute(query)]


def withdrawn_up_to(tx: Transaction, account: str, after: int) -> None:
    """The comments with ids up to ``after`` are removed."""
    rows = tables.withdrawals
    tx.sql.execute(update(rows).where(rows.c.account == account).values(after=after))


def withdrawal_done(tx: Transaction, account: str) -> None:
    """All of them are."""
    rows = tables.withdrawals
    tx.sql.execute(update(rows).where(rows.c.account == account).values(done_ms=tx.now_ms))


# -- parts


def _open(tx: Transaction, account: str) -> Standing:
    standing = tx.standing(account)
    if not standing.last:
        raise Refusal("account_not_found")
    if standing.erased:
        raise Refusal("account_closed")
    return standing


def _asks(purpose: str) -> None:
    found = PURPOSE.get(purpose)
    if found is None or not found.consent:
        names = ", ".join(each.name for each in PURPOSES if each.consent)
        raise Refusal("bad_message", f"purpose: one of {names}")


def _rows(connection: Connection, table: Any, account: str, names: tuple[str, ...]) -> list[dict[str, Any]]:
    columns = [table.c[name] for name in names]
    rows = connection.execute(select(*columns).where(table.c.account == account))
    return [dict(zip(names, row, strict=True)) for row in rows]


def _sessions(connection: Connection, account: str) -> list[dict[str, Any]]:
    rows, names = tables.sessions.c, ("created_ms", "seen_ms", "expires_ms")
    query = select(*(rows[name] for name in names)).where(rows.holder == account)
    return [dict(zip(names, row, strict=True)) for row in connection.execute(query)]


def _lines(settings: Settings, language: str) -> list[str]:
    """The notice as lines of text: what the signature of a version stands for."""
    zh = language == "zh-CN"
    who = settings.operator_name or settings.site_name
    lines = [
        "隐私告知" if zh else "Privacy notice",
        f"个人信息处理者：{who}" if zh else f"Who answers for your data: {who}",
        f"联系方式：{settings.privacy_contact}" if zh else f"How to reach us: {settings.privacy_contact}",
        _RIGHTS[0] if zh else _RIGHTS[1],
    ]
    for purpose, fields in purposes_of_notice():
        basis, words = purpose.basis.of(language), purpose.words.of(language)
        lines += ["", f"{purpose.title.of(language)} ({purpose.name})", words, f"依据：{basis}" if zh else f"Basis: {basis}"]
        for field in fields:
            parts = [
                field.name.of(language),
                field.method.of(language),
                field.shown.of(language),
                term(field, settings, language),
            ]
            if field.sensitive:
                parts.append("敏感个人信息" if zh else "sensitive")
            lines.append("- " + ("；" if zh else "; ").join(parts))
    return lines


_RIGHTS: Final = (
    "您可以随时查阅、复制（导出）、更正您的信息，撤回同意，注销账号。阅读弹幕和静态评论页无需账号，也不收集上述信息。",
    "You can look at your data, take a copy, correct it, withdraw consent and erase your account at any time. Reading comments "
    "and the static pages takes no account, and collects none of this.",
)
