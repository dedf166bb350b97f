"""server/web/receipts.py"""

from __future__ import annotations

from server.web.receipts import _ALPHABET, is_receipt, new_receipt


def test_new_numbers_are_valid_and_differ() -> None:
    """Each number passes its own check, and no two are the same."""
    made = {new_receipt() for _ in range(500)}
    assert len(made) == 500
    assert all(is_receipt(receipt) for receipt in made)


def test_any_one_wrong_character_is_noticed() -> None:
    """A number with one character changed is not a number of ours."""
    receipt = new_receipt()
    for place, right in enumerate(receipt):
        if right not in "R-" or place > 1:
            for wrong in _ALPHABET:
                if right not in ("-", wrong):
                    assert not is_receipt(receipt[:place] + wrong + receipt[place + 1 :])


def test_other_texts_are_no_numbers() -> None:
    """Form and alphabet are checked."""
    for text in ("", "R-", "r-0000-0000-0000-0000", "R-0000-0000-0000-000", "R-0000-0000-0000-0000\n", "R-O000-0000-0000-0000"):
        assert not is_receipt(text)
