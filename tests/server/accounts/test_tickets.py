"""Tickets and proofs: what a browser holds between two steps, unreadable and unchangeable."""

from __future__ import annotations

import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.accounts.tickets import Proof, Ticket, seal, unseal
from server.errors import Refusal
from tests.support.vaults import vault

KEEPER = vault()
TICKET = Ticket(id="c-1", phone="+8613912345678")
PROOF = Proof(kind="phone", value="+8613912345678", field="phone", purpose="account", method="phone", strength=1, expires_ms=5)


def test_what_is_sealed_is_unsealed() -> None:
    """Both kinds come back as they were; their text is plain ASCII, each time another, and shows nothing."""
    text = seal(KEEPER, TICKET)
    assert unseal(KEEPER, text, Ticket) == TICKET
    assert unseal(KEEPER, seal(KEEPER, PROOF), Proof) == PROOF
    assert text.replace("-", "").replace("_", "").isalnum()
    assert seal(KEEPER, TICKET) != text
    assert b"139" not in base64.urlsafe_b64decode(text + "==")
    assert "139" not in repr(TICKET) + repr(PROOF)


@given(st.integers(0, 200), st.integers(1, 63))
def test_a_changed_ticket_is_refused(index: int, by: int) -> None:
    """Whichever character is another, the form has expired. (The last one has bits that mean nothing.)"""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    text = seal(KEEPER, TICKET)
    index %= len(text) - 1
    changed = text[:index] + alphabet[(alphabet.index(text[index]) + by) % 64] + text[index + 1 :]
    with pytest.raises(Refusal) as caught:
        unseal(KEEPER, changed, Ticket)
    assert caught.value.code.name == "form_expired"


def test_one_kind_is_not_the_other() -> None:
    """A ticket is no proof, nothing else sealed by the vault is a ticket, and another server's is not ours."""
    foreign = base64.urlsafe_b64encode(KEEPER.seal("totp:an", msgspec.json.encode(TICKET))).decode()
    odd = base64.urlsafe_b64encode(KEEPER.seal("sign-up Ticket", b"{}")).decode()
    for text in (seal(KEEPER, PROOF), foreign, odd, seal(vault(), TICKET), "", "?", "x" * 3000, "\ud800", "令牌"):
        with pytest.raises(Refusal):
            unseal(KEEPER, text, Ticket)
    with pytest.raises(Refusal):
        unseal(KEEPER, seal(KEEPER, TICKET), Proof)
