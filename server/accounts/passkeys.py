"""Passkeys of staff (WebAuthn): registration and sign-in, with user verification required, so a passkey is two factors in one.

A sign-in names nobody: the authenticator offers what it holds for this site. Challenges are good once, for a short time, in memory.
"""

from __future__ import annotations

import json
import secrets
from collections import OrderedDict
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, delete, insert, select, update
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from server.accounts import staff, tables
from server.accounts.book import Transaction
from server.accounts.staff import Member
from server.errors import Refusal

CHALLENGE_MS: Final = 5 * 60 * 1000
CHALLENGES_MAX: Final = 10_000
PASSKEYS_MAX: Final = 10
LABEL_MAX_CHARS: Final = 40


class Site(NamedTuple):
    """The relying party: ``rp_id`` is the host's name, ``origin`` the address that browsers show, ``name`` for people."""

    rp_id: str
    origin: str
    name: str


class Passkey(msgspec.Struct, frozen=True, kw_only=True):
    """A passkey as its owner sees it."""

    id: str
    label: str
    created_ms: int


class Challenges:
    """Open ceremonies, each for one holder (empty: a sign-in). The oldest is forgotten when there are too many."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, tuple[str, bytes, int]] = OrderedDict()

    def begin(self, holder: str, now_ms: int) -> tuple[str, bytes]:
        """An id, and the challenge."""
        key, challenge = secrets.token_urlsafe(16), secrets.token_bytes(32)
        self._open[key] = (holder, challenge, now_ms + CHALLENGE_MS)
        if len(self._open) > CHALLENGES_MAX:
            self._open.popitem(last=False)
        return key, challenge

    def take(self, key: str, holder: str, now_ms: int) -> bytes:
        """The challenge, once. Raises Refusal ``login_failed``."""
        found_holder, challenge, until_ms = self._open.pop(key, ("", b"", 0))
        if not challenge or found_holder != holder or now_ms >= until_ms:
            raise Refusal("login_failed", "the ceremony is over; begin again")
        return challenge


def registration_options(connection: Connection, member: Member, site: Site, challenge: bytes) -> dict[str, Any]:
    """What ``navigator.credentials.create`` is called with, in its JSON form."""
    options = generate_registration_options(
        rp_id=site.rp_id, rp_name=site.name, user_name=member.name, user_id=member.holder.encode(), challenge=challenge,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[
            PublicKeyCredentialDescriptor(id=base64url_to_bytes(each.id)) for each in listed(connection, member.name)
        ],
    )  # fmt: skip
    found: dict[str, Any] = json.loads(options_to_json(options))
    return found


def register(tx: Transaction, member: Member, site: Site, challenge: bytes, credential: dict[str, Any], label: str) -> Passkey:
    """Take in what the authenticator made. Raises Refusal ``login_failed``, ``bad_message``."""
    name = " ".join(label.split())[:LABEL_MAX_CHARS] or "passkey"
    if not name.isprintable():
        raise Refusal("bad_message", "label: printable characters")
    if len(listed(tx.sql, member.name)) >= PASSKEYS_MAX:
        raise Refusal("bad_message", f"at most {PASSKEYS_MAX} passkeys")
    try:
        made = verify_registration_response(
            credential=credential, expected_challenge=challenge, expected_rp_id=site.rp_id, expected_origin=site.origin,
            require_user_verification=True,
        )  # fmt: skip
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise Refusal("login_failed", f"the passkey was not made ({type(error).__name__})") from None
    key = bytes_to_base64url(made.credential_id)
    if tx.sql.execute(select(tables.passkeys.c.id).where(tables.passkeys.c.id == key)).first() is not None:
        raise Refusal("login_failed", "this passkey is known already")
    tx.sql.execute(
        insert(tables.passkeys).values(
            id=key, staff=member.name, public_key=made.credential_public_key, sign_count=made.sign_count, label=name,
            created_ms=tx.now_ms,
        )
    )  # fmt: skip
    tx.log_access(member.holder, "", "staff.passkey_add", member.holder, name)
    return Passkey(id=key, label=name, created_ms=tx.now_ms)


def sign_in_options(site: Site, challenge: bytes) -> dict[str, Any]:
    """What ``navigator.credentials.get`` is called with, in its JSON form; the same for everybody."""
    options = generate_authentication_options(
        rp_id=site.rp_id, challenge=challenge, user_verification=UserVerificationRequirement.REQUIRED
    )
    found: dict[str, Any] = json.loads(options_to_json(options))
    return found


def sign_in(tx: Transaction, site: Site, challenge: bytes, credential: dict[str, Any], name: str = "") -> Member:
    """The member whose passkey answered; ``name``: only that one will do. Raises Refusal ``login_failed``.

    A count of signatures that does not go up is a copied key: it is refused.
    """
    key = credential.get("id")
    row = (
        tx.sql.execute(select(tables.passkeys).where(tables.passkeys.c.id == key)).mappings().first()
        if isinstance(key, str)
        else None
    )
    member = staff.find(tx.sql, row["staff"]) if row is not None else None
    if row is None or member is None or member.disabled_ms or (name and member.name != name):
        raise Refusal("login_failed")
    try:
        found = verify_authentication_response(
            credential=credential, expected_challenge=challenge, expected_rp_id=site.rp_id, expected_origin=site.origin,
            credential_public_key=row["public_key"], credential_current_sign_count=row["sign_count"],
            require_user_verification=True,
        )  # fmt: skip
    except (WebAuthnException, ValueError, KeyError, TypeError):
        raise Refusal("login_failed") from None
    tx.sql.execute(update(tables.passkeys).where(tables.passkeys.c.id == key).values(sign_count=found.new_sign_count))
    tx.log_access(member.holder, "", "staff.sign_in", member.holder, "passkey")
    return member


def listed(connection: Connection, name: str) -> list[Passkey]:
    """The member's passkeys, oldest first."""
    table = tables.passkeys.c
    query = select(table.id, table.label, table.created_ms).where(table.staff == name).order_by(table.created_ms, table.id)
    return [Passkey(id=row[0], label=row[1], created_ms=row[2]) for row in connection.execute(query)]


def remove(tx: Transaction, member: Member, key: str) -> None:
    """Forget one of the member's own passkeys. Raises Refusal ``not_found``."""
    table = tables.passkeys.c
    if not tx.sql.execute(delete(tables.passkeys).where(table.id == key, table.staff == member.name)).rowcount:
        raise Refusal("not_found", "no such passkey")
    tx.log_access(member.holder, "", "staff.passkey_remove", member.holder)
