"""The first tables of accounts.db."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = (
    "appeals", "withdrawals", "verifications", "vault_requests", "vault_keys", "vault_items", "public_accounts",
    "passkeys", "nicknames", "measures", "letters", "ledger", "claims", "staff", "sessions", "logins", "licences",
    "holds", "followed", "documents", "document_texts", "codes", "blacklist", "accounts", "access_log",
)  # fmt: skip
"""In an order in which they can be dropped."""
_APPEND_ONLY = ("ledger", "access_log")


def upgrade() -> None:
    """Make all tables, and the triggers that keep two of them append-only."""
    _people()
    _ledger()
    _measures()
    _vault()
    _signing_in()
    _institutions()
    _staff()
    for table in _APPEND_ONLY:
        _guard(table)


def downgrade() -> None:
    """Drop all tables, with everything in them."""
    for table in _TABLES:
        op.drop_table(table)


def _text(name: str, *extra: Any, default: str | None = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text(), *extra, nullable=False, server_default=default)


def _int(name: str, default: str | None = "0") -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False, server_default=default)


def _guard(table: str) -> None:
    said = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    for verb in ("UPDATE", "DELETE"):
        op.execute(f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} {said}")
    # REPLACE deletes rows without asking triggers of DELETE.
    there = f"EXISTS (SELECT 1 FROM {table} WHERE id = NEW.id)"  # noqa: S608 - names of this file
    op.execute(f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {there} {said}")


def _people() -> None:
    op.create_table(
        "accounts",
        _text("id", default=None),
        _text("kind", sa.CheckConstraint("kind IN ('private', 'public')", name=op.f("ck_accounts_kind")), default="private"),
        _text("origin", sa.CheckConstraint("origin IN ('local', 'host')", name=op.f("ck_accounts_origin")), default="local"),
        _text("nickname"),
        sa.Column("nickname_key", sa.Text(), nullable=True),
        _int("created_ms", default=None),
        _int("erased_ms"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("nickname_key", name=op.f("uq_accounts_nickname_key")),
        sqlite_strict=True,
    )
    op.create_table(
        "nicknames",
        _int("id", default=None),
        _text("account", default=None),
        _text("nickname"),
        _int("from_ms", default=None),
        _int("until_ms"),
        _text("nickname_key"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nicknames")),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_nicknames_account")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_nicknames_account"), "nicknames", ["account"])
    op.create_index(op.f("ix_nicknames_nickname_key"), "nicknames", ["nickname_key"])
    op.create_table(
        "claims",
        _text("kind", default=None),
        _text("value", default=None),
        _int("pepper", default=None),
        _text("account", default=None),
        _int("at_ms", default=None),
        sa.PrimaryKeyConstraint("kind", "value", name=op.f("pk_claims")),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_claims_account")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_claims_account"), "claims", ["account"])
    op.create_table(
        "verifications",
        _text("id", default=None),
        _text("account", default=None),
        _text("method", default=None),
        _int("at_ms", default=None),
        _text(
            "result",
            sa.CheckConstraint("result IN ('passed', 'failed', 'unavailable')", name=op.f("ck_verifications_result")),
            default=None,
        ),
        _int("strength"),
        _text("reference"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verifications")),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_verifications_account")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_verifications_account"), "verifications", ["account"])
    op.create_table(
        "holds",
        _text("id", default=None),
        _text("scope", default=None),
        _text("reason", default=None),
        _text("case_number", default=None),
        _text("by", default=None),
        _int("at_ms", default=None),
        _int("released_ms"),
        _text("released_by"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_holds")),
        sqlite_strict=True,
    )
    op.create_table(
        "documents",
        _text("document", default=None),
        _text("version", default=None),
        _text("sha256", default=None),
        _int("from_ms", default=None),
        sa.PrimaryKeyConstraint("document", "version", name=op.f("pk_documents")),
        sqlite_strict=True,
    )
    op.create_table(
        "document_texts",
        _text("document", default=None),
        _text("version", default=None),
        _text("language", default=None),
        _text("sha256", default=None),
        _text("text", default=None),
        sa.PrimaryKeyConstraint("document", "version", "language", name=op.f("pk_document_texts")),
        sqlite_strict=True,
    )


def _ledger() -> None:
    op.create_table(
        "ledger",
        _int("id", default=None),
        _text("account", default=None),
        _int("at_ms", default=None),
        _text("actor", default=None),
        _text("role", default=None),
        _text("kind", default=None),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger")),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_ledger_account")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_ledger_account"), "ledger", ["account", "id"])
    op.create_index(op.f("ix_ledger_kind"), "ledger", ["kind", "id"])
    op.create_table(
        "letters",
        _int("id", default=None),
        _text("account", default=None),
        _int("at_ms", default=None),
        _text("kind", default=None),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        _int("read_ms"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_letters")),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_letters_account")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_letters_account"), "letters", ["account", "id"])
    op.create_table(
        "access_log",
        _int("id", default=None),
        _int("at_ms", default=None),
        _text("actor", default=None),
        _text("role", default=None),
        _text("action", default=None),
        _text("subject"),
        _text("detail"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_log")),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_access_log_subject"), "access_log", ["subject", "id"])
    op.create_table(
        "followed",
        _text("room", default=None),
        _int("seq", default=None),
        sa.PrimaryKeyConstraint("room", name=op.f("pk_followed")),
        sqlite_strict=True,
    )
    op.create_table(
        "withdrawals",
        _text("account", default=None),
        _int("asked_ms", default=None),
        _int("after"),
        _int("done_ms"),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_withdrawals")),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_withdrawals_account")),
        sqlite_strict=True,
    )


def _measures() -> None:
    op.create_table(
        "measures",
        _text("id", default=None),
        _text("account", default=None),
        _text("rung", default=None),
        _text("code", default=None),
        _text("basis", default=None),
        _text("clause"),
        _text("functions"),
        _text("room"),
        _int("seq"),
        _int("at_ms", default=None),
        _int("until_ms"),
        _int("ended_ms"),
        _text("ended_how"),
        _text("actor", default=None),
        _text("role", default=None),
        _int("automated"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_measures")),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_measures_account")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_measures_account"), "measures", ["account", "at_ms"])
    op.create_table(
        "appeals",
        _text("id", default=None),
        _text("measure", default=None),
        _text("account", default=None),
        _int("at_ms", default=None),
        _text("words"),
        _int("due_ms", default=None),
        _int("decided_ms"),
        _text("decided_by"),
        _int("upheld"),
        _text("code"),
        _text("basis"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appeals")),
        sa.UniqueConstraint("measure", name=op.f("uq_appeals_measure")),
        sa.ForeignKeyConstraint(["measure"], ["measures.id"], name=op.f("fk_appeals_measure")),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_appeals_account")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_appeals_decided_ms"), "appeals", ["decided_ms", "at_ms"])
    op.create_table(
        "blacklist",
        _text("kind", default=None),
        _text("value", default=None),
        _int("pepper", default=None),
        _text("measure", default=None),
        _int("since_ms", default=None),
        _int("until_ms"),
        sa.PrimaryKeyConstraint("kind", "value", name=op.f("pk_blacklist")),
        sqlite_strict=True,
    )


def _vault() -> None:
    op.create_table(
        "vault_keys",
        _text("account", default=None),
        _text("kek", default=None),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        _int("created_ms", default=None),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_vault_keys")),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_vault_keys_account")),
        sqlite_strict=True,
    )
    op.create_table(
        "vault_items",
        _text("account", default=None),
        _text("field", default=None),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        _int("at_ms", default=None),
        sa.PrimaryKeyConstraint("account", "field", name=op.f("pk_vault_items")),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_vault_items_account")),
        sqlite_strict=True,
    )
    op.create_table(
        "vault_requests",
        _text("id", default=None),
        _text("account", default=None),
        _text("fields", default=None),
        _text("reason", default=None),
        _text("asked_by", default=None),
        _int("asked_ms", default=None),
        _text("decided_by"),
        _int("decided_ms"),
        _int("granted"),
        _int("read_ms"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vault_requests")),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_vault_requests_account")),
        sqlite_strict=True,
    )


def _signing_in() -> None:
    op.create_table(
        "codes",
        _text("id", default=None),
        _text("purpose", default=None),
        _text("target", default=None),
        _text("code", default=None),
        _int("created_ms", default=None),
        _int("expires_ms", default=None),
        _int("attempts"),
        _int("used_ms"),
        _text("address"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_codes")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_codes_created_ms"), "codes", ["created_ms"])
    op.create_index(op.f("ix_codes_target"), "codes", ["target", "created_ms"])
    op.create_table(
        "sessions",
        _text("id", default=None),
        _text("holder", default=None),
        _int("created_ms", default=None),
        _int("seen_ms", default=None),
        _int("expires_ms", default=None),
        _int("stepped_up_ms"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_sessions_expires_ms"), "sessions", ["expires_ms"])
    op.create_index(op.f("ix_sessions_holder"), "sessions", ["holder"])
    op.create_table(
        "logins",
        _text("state", default=None),
        _text("provider", default=None),
        _text("nonce", default=None),
        _text("verifier", default=None),
        _text("return_to"),
        _int("created_ms", default=None),
        _int("expires_ms", default=None),
        sa.PrimaryKeyConstraint("state", name=op.f("pk_logins")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_logins_expires_ms"), "logins", ["expires_ms"])


def _institutions() -> None:
    op.create_table(
        "public_accounts",
        _text("account", default=None),
        _text("state", default=None),
        _text("category"),
        _text("name", default=None),
        _text("label"),
        _text("purpose"),
        _text("filing_number"),
        _text("licence"),
        _int("applied_ms", default=None),
        _int("changed_ms", default=None),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_public_accounts")),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_public_accounts_account")),
        sqlite_strict=True,
    )
    op.create_table(
        "licences",
        _text("id", default=None),
        _text("holder", default=None),
        _text("kind", default=None),
        _text("number", default=None),
        _text("issuer", default=None),
        _text("features"),
        _int("valid_from_ms", default=None),
        _int("valid_until_ms", default=None),
        _int("revoked_ms"),
        _int("warned"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_licences")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_licences_holder"), "licences", ["holder"])


def _staff() -> None:
    op.create_table(
        "staff",
        _text("name", default=None),
        _text("password"),
        sa.Column("totp", sa.LargeBinary(), nullable=True),
        _int("totp_used"),
        _text("roles"),
        _int("created_ms", default=None),
        _int("disabled_ms"),
        _int("failures"),
        _int("locked_until_ms"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_staff")),
        sqlite_strict=True,
    )
    op.create_table(
        "passkeys",
        _text("id", default=None),
        _text("staff", default=None),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        _int("sign_count"),
        _text("label"),
        _int("created_ms", default=None),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkeys")),
        sa.ForeignKeyConstraint(["staff"], ["staff.name"], name=op.f("fk_passkeys_staff")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_passkeys_staff"), "passkeys", ["staff"])
