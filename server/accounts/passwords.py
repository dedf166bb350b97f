"""Passwords of staff: which are good enough, and how they are kept (Argon2id).

Each takes some 50 ms on purpose: call it in a thread.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from typing import Final, NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from server.errors import Refusal

LEAST_CHARS: Final = 12
MOST_CHARS: Final = 128
LEAST_DIFFERENT: Final = 6

_WORDS: Final = frozenset(
    """
    aa abc abcd abcde abcdef admin administrator asdfghjkl barrage baseball changeme danmaku default dragon football
    guest hello iloveyou letmein login master mima monkey p@ssw0rd p@ssword passw0rd password passwort princess
    qwerty qwertyuiop root secret starwars sunshine superman test trustno welcome whatever woaini woaini1314 zxcvbnm
    """.split()  # noqa: SIM905 - easier to read
)
_ROWS: Final = ("01234567890123456789", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm", "1qaz2wsx3edc4rfv5tgb6yhn")


_AS_LETTERS: Final = str.maketrans("@$01357", "asolest")


class Checked(NamedTuple):
    """``rehashed``: the password fits, and is to be kept like this from now on, since the costs have changed; else empty."""

    matches: bool
    rehashed: str = ""


class Passwords:
    """Hashes and checks; safe in threads."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._nobody = ""

    def keep(self, password: str, name: str) -> str:
        """How a new password of ``name`` is kept. Raises Refusal ``bad_message`` for a weak one."""
        text = _normal(password)
        if not LEAST_CHARS <= len(text) <= MOST_CHARS:
            raise Refusal("bad_message", f"password: {LEAST_CHARS} to {MOST_CHARS} characters")
        if is_trivial(text, name):
            raise Refusal("bad_message", "password: too easy to guess; take several words that do not belong together")
        return self._hasher.hash(text)

    def check(self, kept: str, password: str) -> Checked:
        """Whether the password fits; takes as long when ``kept`` is empty, where it never does."""
        text = _normal(password[: 2 * MOST_CHARS])
        # Checked where there is no such member, so that the answer takes as long. Made by the first check, whoever it is for.
        self._nobody = self._nobody or self._hasher.hash(secrets.token_hex(16))
        try:
            matches = self._hasher.verify(kept or self._nobody, text)
        except (VerificationError, InvalidHashError):
            return Checked(False)
        if not kept:
            return Checked(False)
        return Checked(matches, self._hasher.hash(text) if self._hasher.check_needs_rehash(kept) else "")


def is_trivial(password: str, name: str) -> bool:
    """Whether the password is one of the first that anybody would try: few different characters, a row of the keyboard or of the
    alphabet, a common word or the own name with digits and signs around it, or such a thing twice."""
    text = password.casefold()
    if len(set(text)) < LEAST_DIFFERENT:
        return True
    half = text[: len(text) // 2]
    if half * 2 == text:
        return True
    if any(_pieces(text, row) for row in _ROWS):
        return True
    left = text.replace(name.casefold(), "") if name else text
    plain = re.sub(r"[^a-z]+$", "", left).translate(_AS_LETTERS)
    return text.isascii() and any(
        all(len(word) < 3 or word in _WORDS for word in re.split(r"[^a-z]+", each)) for each in (left, plain)
    )


def _pieces(text: str, row: str) -> bool:
    """Whether most of the text is runs of four and more along the row, in either direction."""
    covered = index = 0
    both = (row, row[::-1])
    while index <= len(text) - 4:
        length = 4
        if not any(text[index : index + length] in each for each in both):
            index += 1
            continue
        while index + length < len(text) and any(text[index : index + length + 1] in each for each in both):
            length += 1
        covered += length
        index += length
    return covered * 4 >= len(text) * 3


def _normal(password: str) -> str:
    """As keyboards and systems differ in how they make the same characters."""
    return unicodedata.normalize("NFKC", password)
