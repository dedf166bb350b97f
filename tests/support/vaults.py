"""A vault for tests, with keys of its own that stand in memory."""

from __future__ import annotations

from server.accounts.vault import Vault
from server.accounts.vault_keys import VaultKeys, new_document


def vault() -> Vault:
    """A vault with one key-encryption key and one pepper, new each time."""
    document = new_document()
    return Vault(VaultKeys(lambda: document))
