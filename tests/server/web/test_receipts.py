"""server/web/receipts.py"""

from __future__ import annotations

from server.web.receipts import _ALPHABET, is_receipt, new_receipt, read_receipt


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


def test_a_number_is_read_as_people_type_it() -> None:
    """Small letters, spaces, missing hyphens and a missing R do not matter, nor do letters that look like digits."""
    receipt = new_receipt()
    bare = receipt[2:].replace("-", "")
    for typed in (receipt, receipt.lower(), f" {bare} ", f"r{bare.lower()}", bare.replace("0", "O").replace("1", "l")):
        assert read_receipt(typed) == receipt


def test_what_is_no_number_is_not_read_as_one() -> None:
    """Too short, too long, or with a wrong check character."""
    receipt = new_receipt()
    wrong = receipt[:-1] + ("0" if receipt[-1] != "0" else "1")
    assert [read_receipt(typed) for typed in ("", "R", wrong, receipt + "0", receipt[:-1])] == [""] * 5
