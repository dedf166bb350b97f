"""Guardians of people under 14: whose consent it takes, shown by a code to the guardian's own phone (duty P5(2), minors)."""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import Connection

from server.accounts import privacy
from server.accounts.book import Transaction, read_standing
from server.accounts.events import Consented
from server.accounts.privacy import Notice
from server.accounts.vault import Vault
from server.accounts.verify.numbers import Refused
from server.errors import Refusal

PURPOSE: Final = "guardian"
CONSENTS: Final = ("guardian", "identity_document")
"""What a guardian consents to: that the account is used and the guardian can be reached, and that an identity number is kept."""


class Guardian(msgspec.Struct, frozen=True, kw_only=True):
    """Name and number of a guardian, in their one form."""

    name: str
    phone: str

    def __repr__(self) -> str:
        return "Guardian(...)"


def check(connection: Connection, vault: Vault, account: str, phone: str) -> None:
    """Whether a number can be that of an account's guardian. Raises Refusal ``account_not_found``, ``identity_refused``: a person
    cannot be one's own guardian."""
    standing = read_standing(connection, account)
    if not standing.opened_ms or standing.erased:
        raise Refusal("account_not_found")
    if vault.holder(connection, "phone", phone) == account:
        raise Refused("phone: the number of the account itself")


def consent(tx: Transaction, vault: Vault, account: str, guardian: Guardian, notice: Notice) -> None:
    """Record that the guardian, who has answered with the code, consents. Raises Refusal as :func:`check`, and ``account_closed``."""
    check(tx.sql, vault, account, guardian.phone)
    for purpose in CONSENTS:
        if not privacy.consent(tx, account, purpose, notice, guardian=True):  # given before, maybe by the child alone
            given = Consented(purpose=purpose, version=notice.version, guardian=True)
            tx.append(account, given, actor=f"guardian:{account}", role="guardian")
    vault.put(tx, account, "guardian_name", guardian.name)
    vault.put(tx, account, "guardian_phone", guardian.phone)
