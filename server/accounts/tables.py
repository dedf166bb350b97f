"""The tables of ``accounts.db``, as the newest migration leaves them; a test compares the two.

Personal data stand in ``vault_items`` only, encrypted with the person's own key (:mod:`server.accounts.vault`); whatever
must be found by
value stands as a keyed HMAC (``claims``, ``blacklist``, ``codes``). The nickname is public by its nature and its owner's choice.
Times are Unix milliseconds, 0 for "not (yet)"; ids are random texts, but those of ``ledger`` count up.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

REVISION: Final = "0001"
"""The newest migration of ``accounts.db``."""

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)


def _text(name: str, *extra: Any, default: str | None = "", **options: Any) -> Column[str]:
    return Column(name, Text, *extra, nullable=False, server_default=default, **options)


def _int(name: str, default: str | None = "0", **options: Any) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default=default, **options)


def _account() -> Column[str]:
    return Column("account", Text, ForeignKey("accounts.id"), nullable=False)


accounts: Final = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    _text("kind", CheckConstraint("kind IN ('private', 'public')", name="kind"), default="private"),
    _text("origin", CheckConstraint("origin IN ('local', 'host')", name="origin"), default="local"),
    _text("nickname"),
    # What two names that look alike have in common; NULL once the account is erased, or where the host platform keeps names.
    Column("nickname_key", Text, unique=True),
    _int("created_ms", None),
    _int("erased_ms"),
    sqlite_strict=True,
)

nicknames: Final = Table(
    "nicknames",
    metadata,
    Column("id", Integer, primary_key=True),
    _account(),
    _text("nickname"),
    _int("from_ms", None),
    _int("until_ms"),
    _text("nickname_key"),  # as that of accounts: a name given up is not free at once
    Index(None, "account"),
    Index(None, "nickname_key"),
    sqlite_strict=True,
)

# Append-only: triggers refuse every change. ``data`` is an event of events.py.
ledger: Final = Table(
    "ledger",
    metadata,
    Column("id", Integer, primary_key=True),
    _account(),
    _int("at_ms", None),
    _text("actor", default=None),
    _text("role", default=None),
    _text("kind", default=None),
    Column("data", LargeBinary, nullable=False),
    Index(None, "account", "id"),
    Index(None, "kind", "id"),
    sqlite_autoincrement=True,
    sqlite_strict=True,
)

# One person, one claim: ``kind`` is person, phone, oidc, netid; ``value`` the HMAC under pepper ``pepper``.
claims: Final = Table(
    "claims",
    metadata,
    _text("kind", default=None),
    _text("value", default=None),
    _int("pepper", None),
    _account(),
    _int("at_ms", None),
    PrimaryKeyConstraint("kind", "value"),
    Index(None, "account"),
    sqlite_strict=True,
)

blacklist: Final = Table(
    "blacklist",
    metadata,
    _text("kind", default=None),
    _text("value", default=None),
    _int("pepper", None),
    _text("measure", default=None),
    _int("since_ms", None),
    _int("until_ms"),
    PrimaryKeyConstraint("kind", "value"),
    sqlite_strict=True,
)

vault_keys: Final = Table(
    "vault_keys",
    metadata,
    Column("account", Text, ForeignKey("accounts.id"), primary_key=True),
    _text("kek", default=None),
    Column("wrapped", LargeBinary, nullable=False),
    _int("created_ms", None),
    sqlite_strict=True,
)

vault_items: Final = Table(
    "vault_items",
    metadata,
    _account(),
    _text("field", default=None),
    Column("data", LargeBinary, nullable=False),
    _int("at_ms", None),
    PrimaryKeyConstraint("account", "field"),
    sqlite_strict=True,
)

vault_requests: Final = Table(
    "vault_requests",
    metadata,
    Column("id", Text, primary_key=True),
    _account(),
    _text("fields", default=None),
    _text("reason", default=None),
    _text("asked_by", default=None),
    _int("asked_ms", None),
    _text("decided_by"),
    _int("decided_ms"),
    _int("granted"),
    _int("read_ms"),
    sqlite_strict=True,
)

verifications: Final = Table(
    "verifications",
    metadata,
    Column("id", Text, primary_key=True),
    _account(),
    _text("method", default=None),
    _int("at_ms", None),
    _text("result", CheckConstraint("result IN ('passed', 'failed', 'unavailable')", name="result"), default=None),
    _int("strength"),
    _text("reference"),
    Index(None, "account"),
    sqlite_strict=True,
)

codes: Final = Table(
    "codes",
    metadata,
    Column("id", Text, primary_key=True),
    _text("purpose", default=None),
    _text("target", default=None),
    _text("code", default=None),
    _int("created_ms", None),
    _int("expires_ms", None),
    _int("attempts"),
    _int("used_ms"),
    _text("address"),  # HMAC of the address that asked
    Index(None, "target", "created_ms"),
    Index(None, "created_ms"),
    sqlite_strict=True,
)

sessions: Final = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),  # SHA-256 of the cookie's value
    _text("holder", default=None),  # an account, or staff:NAME
    _int("created_ms", None),
    _int("seen_ms", None),
    _int("expires_ms", None),
    _int("stepped_up_ms"),
    Index(None, "holder"),
    Index(None, "expires_ms"),
    sqlite_strict=True,
)

logins: Final = Table(
    "logins",
    metadata,
    Column("state", Text, primary_key=True),  # SHA-256 of the state parameter
    _text("provider", default=None),
    _text("nonce", default=None),
    _text("verifier", default=None),
    _text("return_to"),
    _int("created_ms", None),
    _int("expires_ms", None),
    Index(None, "expires_ms"),
    sqlite_strict=True,
)

measures: Final = Table(
    "measures",
    metadata,
    Column("id", Text, primary_key=True),
    _account(),
    _text("rung", default=None),
    _text("code", default=None),
    _text("basis", default=None),
    _text("clause"),
    _text("functions"),
    _text("room"),
    _int("seq"),
    _int("at_ms", None),
    _int("until_ms"),
    _int("ended_ms"),
    _text("ended_how"),
    _text("actor", default=None),
    _text("role", default=None),
    _int("automated"),
    Index(None, "account", "at_ms"),
    sqlite_strict=True,
)

appeals: Final = Table(
    "appeals",
    metadata,
    Column("id", Text, primary_key=True),
    Column("measure", Text, ForeignKey("measures.id"), nullable=False),
    _account(),
    _int("at_ms", None),
    _text("words"),
    _int("due_ms", None),
    _int("decided_ms"),
    _text("decided_by"),
    _int("upheld"),
    _text("code"),
    _text("basis"),
    UniqueConstraint("measure"),
    Index(None, "decided_ms", "at_ms"),
    sqlite_strict=True,
)

# What a person is told: shown in the account's screen, and sent over live connections.
letters: Final = Table(
    "letters",
    metadata,
    Column("id", Integer, primary_key=True),
    _account(),
    _int("at_ms", None),
    _text("kind", default=None),
    Column("data", LargeBinary, nullable=False),
    _int("read_ms"),
    Index(None, "account", "id"),
    sqlite_autoincrement=True,
    sqlite_strict=True,
)

documents: Final = Table(
    "documents",
    metadata,
    _text("document", default=None),
    _text("version", default=None),
    _text("sha256", default=None),
    _int("from_ms", None),
    PrimaryKeyConstraint("document", "version"),
    sqlite_strict=True,
)

# The exact texts that people signed: a signature is read by its hash, whatever is in force by now.
document_texts: Final = Table(
    "document_texts",
    metadata,
    _text("document", default=None),
    _text("version", default=None),
    _text("language", default=None),
    _text("sha256", default=None),
    _text("text", default=None),
    PrimaryKeyConstraint("document", "version", "language"),
    sqlite_strict=True,
)

holds: Final = Table(
    "holds",
    metadata,
    Column("id", Text, primary_key=True),
    _text("scope", default=None),  # an account, or * for everything
    _text("reason", default=None),
    _text("case_number", default=None),
    _text("by", default=None),
    _int("at_ms", None),
    _int("released_ms"),
    _text("released_by"),
    sqlite_strict=True,
)

# Whose comments are being removed after the account was erased: ``after`` is the id of the last one that is.
withdrawals: Final = Table(
    "withdrawals",
    metadata,
    Column("account", Text, ForeignKey("accounts.id"), primary_key=True),
    _int("asked_ms", None),
    _int("after"),
    _int("done_ms"),
    sqlite_strict=True,
)

public_accounts: Final = Table(
    "public_accounts",
    metadata,
    Column("account", Text, ForeignKey("accounts.id"), primary_key=True),
    _text("state", default=None),
    _text("category"),
    _text("name", default=None),  # of the institution; public
    _text("label"),
    _text("purpose"),
    _text("filing_number"),
    _text("licence"),
    _int("applied_ms", None),
    _int("changed_ms", None),
    sqlite_strict=True,
)

licences: Final = Table(
    "licences",
    metadata,
    Column("id", Text, primary_key=True),
    _text("holder", default=None),  # an account, or provider
    _text("kind", default=None),
    _text("number", default=None),
    _text("issuer", default=None),
    _text("features"),  # what lapses with it, separated by spaces
    _int("valid_from_ms", None),
    _int("valid_until_ms", None),
    _int("revoked_ms"),
    _int("warned"),  # days before the end that were warned of last; -1: the end itself was told
    Index(None, "holder"),
    sqlite_strict=True,
)

staff: Final = Table(
    "staff",
    metadata,
    Column("name", Text, primary_key=True),
    _text("password"),  # Argon2id
    Column("totp", LargeBinary),  # encrypted with the vault's key-encryption key
    _int("totp_used"),
    _text("roles"),
    _int("created_ms", None),
    _int("disabled_ms"),
    _int("failures"),
    _int("locked_until_ms"),
    sqlite_strict=True,
)

passkeys: Final = Table(
    "passkeys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("staff", Text, ForeignKey("staff.name"), nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    _int("sign_count"),
    _text("label"),
    _int("created_ms", None),
    Index(None, "staff"),
    sqlite_strict=True,
)

# Up to which event each room's log was read for decisions; the row without a room says that following has begun.
followed: Final = Table(
    "followed",
    metadata,
    Column("room", Text, primary_key=True),
    _int("seq", None),
    sqlite_strict=True,
)

# Who looked at or did what, where the ledger does not say it: append-only, like the ledger.
access_log: Final = Table(
    "access_log",
    metadata,
    Column("id", Integer, primary_key=True),
    _int("at_ms", None),
    _text("actor", default=None),
    _text("role", default=None),
    _text("action", default=None),
    _text("subject"),
    _text("detail"),
    Index(None, "subject", "id"),
    sqlite_autoincrement=True,
    sqlite_strict=True,
)

APPEND_ONLY: Final = ("ledger", "access_log")
