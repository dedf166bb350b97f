"""What a browser holds between two steps of signing up: encrypted by the vault, so the server keeps nothing and trusts nothing."""

from __future__ import annotations

import base64
import binascii
from typing import Final, TypeVar

import msgspec

from server.accounts.vault import Vault
from server.accounts.vault_keys import VaultError
from server.errors import Refusal

MAX_CHARS: Final = 2048


class Ticket(msgspec.Struct, frozen=True, kw_only=True, tag="ticket"):
    """Code ``id`` was sent to ``phone``; how long it is good stands beside the code. ``account``: the only one that it serves,
    empty where it serves to sign in."""

    id: str
    phone: str
    account: str = ""

    def __repr__(self) -> str:
        return "Ticket(...)"


class Proof(msgspec.Struct, frozen=True, kw_only=True, tag="proof"):
    """The holder has shown to own what :class:`server.accounts.signup.Person` describes, and may open an account with it."""

    kind: str
    value: str
    field: str
    purpose: str
    method: str
    strength: int
    expires_ms: int

    def __repr__(self) -> str:
        return "Proof(...)"


_T = TypeVar("_T", Ticket, Proof)


def seal(vault: Vault, holding: Ticket | Proof) -> str:
    """The text for the browser: letters, digits, hyphen and underscore."""
    return base64.urlsafe_b64encode(vault.seal(_purpose(type(holding)), msgspec.json.encode(holding))).decode().rstrip("=")


def unseal(vault: Vault, text: str, kind: type[_T]) -> _T:
    """What :func:`seal` was given. Raises Refusal ``form_expired`` for anything else."""
    try:
        if len(text) > MAX_CHARS:
            raise ValueError
        blob = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(vault.unseal(_purpose(kind), blob), type=kind)
    except (VaultError, ValueError, binascii.Error):
        raise Refusal("form_expired") from None


def _purpose(kind: type[Ticket | Proof]) -> str:
    return f"sign-up {kind.__name__}"
