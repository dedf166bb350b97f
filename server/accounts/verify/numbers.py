"""Phone numbers and identity numbers: their one form, and what can be told from them alone. No message holds a value."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from server.errors import Refusal

HOME: Final = "+86"
_HOME_MOBILE: Final = re.compile(r"\+861[3-9][0-9]{9}")
_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_SEPARATORS: Final = re.compile(r"[\s().\-\u00b7\u2010-\u2015]+")
_ID_NUMBER: Final = re.compile(r"[1-9][0-9]{16}[0-9X]")
_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK_DIGITS: Final = "10X98765432"
_CHINA: Final = dt.timezone(dt.timedelta(hours=8))
EARLIEST_BIRTH: Final = dt.date(1900, 1, 1)
ADULT_CONSENT_AGE: Final = 14
NAME_MAX_CHARS: Final = 50


class Refused(Refusal):
    """The evidence cannot be right; ``detail`` says which part, never its value."""

    def __init__(self, detail: str) -> None:
        super().__init__("identity_refused", detail)


def phone(text: str, prefixes: Sequence[str] = (HOME,)) -> str:
    """The number in E.164: ``+`` and digits. One without a country is a Chinese one. Raises Refusal ``identity_refused`` for what is
    no number, and for countries that get no codes (``prefixes``; codes to dear numbers are a known fraud)."""
    digits = _SEPARATORS.sub("", unicodedata.normalize("NFKC", text[:64]))
    if digits.startswith("00"):
        digits = "+" + digits[2:]
    elif not digits.startswith("+"):
        digits = HOME + digits.removeprefix("86") if len(digits) == 13 else HOME + digits
    if _E164.fullmatch(digits) is None or (digits.startswith(HOME) and _HOME_MOBILE.fullmatch(digits) is None):
        raise Refused("phone: not a mobile number")
    if not digits.startswith(tuple(prefixes)):
        raise Refused("phone: numbers of this country get no codes")
    return digits


def hint(number: str) -> str:
    """What may be shown of a phone number: its last two digits."""
    return f"…{number[-2:]}"


def id_number(text: str) -> str:
    """An identity number of 18 characters (GB 11643) whose check digit fits and whose birth date exists. Raises Refusal
    ``identity_refused``."""
    number = "".join(unicodedata.normalize("NFKC", text[:64]).split()).upper()
    if _ID_NUMBER.fullmatch(number) is None:
        raise Refused("number: 18 characters")
    if check_digit(number) != number[17]:
        raise Refused("number: the check digit does not fit")
    try:
        born = _birth(number)
    except ValueError:
        raise Refused("number: no such date of birth") from None
    if born < EARLIEST_BIRTH:
        raise Refused("number: no such date of birth")
    return number


def check_digit(number: str) -> str:
    """The last character that the first 17 digits call for (ISO 7064, mod 11-2)."""
    return _CHECK_DIGITS[sum(int(digit) * weight for digit, weight in zip(number, _WEIGHTS, strict=False)) % 11]


def age(number: str, now_ms: int) -> int:
    """Completed years at a moment, by the calendar of China, of the holder of a number that :func:`id_number` gave. Raises Refusal
    ``identity_refused`` for somebody who is not born yet."""
    today = dt.datetime.fromtimestamp(now_ms / 1000, _CHINA).date()
    born = _birth(number)
    if born > today:
        raise Refused("number: no such date of birth")
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def name(text: str) -> str:
    """A real name as it is compared: NFKC, one form of the middle dot, 1 to 50 characters. Raises Refusal ``identity_refused``."""
    found = " ".join(unicodedata.normalize("NFKC", text[:200]).split()).translate(_DOTS)
    if not 1 <= len(found) <= NAME_MAX_CHARS or any(unicodedata.category(char)[0] in "CNS" for char in found):
        raise Refused(f"name: 1 to {NAME_MAX_CHARS} letters")
    return found


_DOTS: Final = {ord(dot): "·" for dot in "•‧∙・․●"}


def _birth(number: str) -> dt.date:
    return dt.date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
