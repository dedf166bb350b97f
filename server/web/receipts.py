"""Receipt numbers of reports: hard to guess, easy to read out, with a check character that catches slips of the pen."""

from __future__ import annotations

import re
import secrets
from typing import Final

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # no I, L, O, U: they are misread
_MISREAD: Final = str.maketrans("ILO", "110")
_RANDOM: Final = 15  # characters of 5 bits
_FORM: Final = re.compile(rf"R-[{_ALPHABET}]{{4}}(?:-[{_ALPHABET}]{{4}}){{3}}")


def new_receipt() -> str:
    """A new number such as ``R-7K3M-9QXP-4T2W-80CZ``."""
    body = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    digits = body + _check(body)
    return "R-" + "-".join(digits[start : start + 4] for start in range(0, len(digits), 4))


def is_receipt(text: str) -> bool:
    """Whether ``text`` has the form of a number and its check character is right."""
    if _FORM.fullmatch(text) is None:
        return False
    digits = text[2:].replace("-", "")
    return digits[-1] == _check(digits[:-1])


def read_receipt(text: str) -> str:
    """The number that somebody typed: capitals, hyphens and the letters that are misread are put right. Empty: it is none."""
    digits = "".join(text.split()).upper().replace("-", "").translate(_MISREAD)
    if len(digits) == _RANDOM + 2:
        digits = digits.removeprefix("R")
    receipt = "R-" + "-".join(digits[start : start + 4] for start in range(0, len(digits), 4))
    return receipt if is_receipt(receipt) else ""


def _check(body: str) -> str:
    """Odd weights, so that any one wrong character changes the sum."""
    return _ALPHABET[sum((2 * place + 1) * _ALPHABET.index(digit) for place, digit in enumerate(body)) % len(_ALPHABET)]
