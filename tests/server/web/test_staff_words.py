"""server/web/staff_words.py"""

from __future__ import annotations

from server.accounts.fields import VAULT
from server.web import staff_words


def test_every_field_of_the_vault_has_words() -> None:
    """Whoever asks for one, grants it or hands it over reads what it is; a field that is added fails here until it has words."""
    assert set(staff_words.VAULT_FIELDS) == set(VAULT)
