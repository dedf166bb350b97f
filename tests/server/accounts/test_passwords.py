"""server/accounts/passwords.py"""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher

from server.accounts.passwords import Checked, Passwords, is_trivial
from server.errors import Refusal
from tests.support.staff import CHEAP, PASSWORD


def test_a_password_fits_itself_alone() -> None:
    """However its characters were composed."""
    kept = CHEAP.keep("Ein schönes Lied über nichts", "ann")
    assert kept.startswith("$argon2id$")
    assert CHEAP.check(kept, "Ein scho\u0308nes Lied u\u0308ber nichts") == Checked(True)
    assert CHEAP.check(kept, "Ein schones Lied uber nichts") == Checked(False)
    assert CHEAP.check("damaged", PASSWORD) == Checked(False)


def test_nobody_signs_in_where_there_is_no_password() -> None:
    """An empty record costs as much as a full one and fits nothing."""
    assert CHEAP.check("", PASSWORD) == Checked(False)
    assert CHEAP.check("", "x" * 10**6) == Checked(False)
    found = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    found._nobody = found.keep(PASSWORD, "")
    assert found.check("", PASSWORD) == Checked(False)


def test_changed_costs_are_noticed() -> None:
    """A password that fits is hashed anew with the costs of now."""
    dearer = Passwords(PasswordHasher(time_cost=2, memory_cost=8, parallelism=1))
    checked = dearer.check(CHEAP.keep(PASSWORD, "ann"), PASSWORD)
    assert checked.matches
    assert dearer.check(checked.rehashed, PASSWORD) == Checked(True)


@pytest.mark.parametrize("password", ["short", "x" * 200, "password12345", "annannannann"])
def test_weak_passwords_are_refused(password: str) -> None:
    """By length, and as trivial."""
    with pytest.raises(Refusal, match="password"):
        CHEAP.keep(password, "ann")


@pytest.mark.parametrize(
    "password",
    ["aaaaaaaaaaaa", "abababababab", "abcdefabcdef", "123456789012", "abcdefghijkl", "qwertyuiop12", "lkjhgfdsapoiuy",
     "Password2026!", "admin@123456", "Welcome-2026-!", "iloveyou520!!", "ann.weber2026", "P@ssw0rd1234", "1qaz2wsx3edc"],
)  # fmt: skip
def test_trivial_passwords_are_known(password: str) -> None:
    """Repetitions, rows of keys, common words and the own name with digits around them."""
    assert is_trivial(password, "ann.weber")


@pytest.mark.parametrize(
    "password", [PASSWORD, "Tr4il-mix and lakes", "床前明月光疑是地上霜12", "h7#Kq9!vLw2$", "barrage of purple otters"]
)
def test_good_passwords_are_not_trivial(password: str) -> None:
    """Several words, other scripts, or chance."""
    assert not is_trivial(password, "ann")
