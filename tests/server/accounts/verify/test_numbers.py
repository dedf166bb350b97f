"""Phone and identity numbers: one form, checks, ages; and no value in any message."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.accounts.verify import numbers
from server.errors import Refusal

NOW_MS = int(dt.datetime(2026, 11, 22, 0, 30, tzinfo=dt.UTC).timestamp() * 1000)
GOOD = "11010519491231002X"


def _number(birth: str, order: str = "001") -> str:
    body = f"110105{birth}{order}"
    return body + numbers.check_digit(body)


@pytest.mark.parametrize(
    "text",
    [
        "13912345678",
        "139 1234 5678",
        "+86 139-1234-5678",
        "0086 13912345678",
        "8613912345678",
        "１３９１２３４５６７８",
        "(139)1234·5678",
    ],
)
def test_spellings_of_one_number(text: str) -> None:
    """However somebody writes it, it is one number in E.164."""
    assert numbers.phone(text) == "+8613912345678"


@pytest.mark.parametrize(
    "text",
    ["", "1391234567", "139123456789", "12345678901", "23912345678", "+", "letters", "+86139123456x8", "9" * 100, "٠" * 11],
)
def test_what_is_no_number_is_refused(text: str) -> None:
    """Anything else is refused, and the refusal does not say what it was."""
    with pytest.raises(Refusal) as caught:
        numbers.phone(text)
    assert caught.value.code.name == "identity_refused"
    assert not text or text not in str(caught.value)


def test_only_the_countries_of_the_setting_get_codes() -> None:
    """Numbers of other countries are refused, and taken where the setting names them."""
    with pytest.raises(Refusal, match="country"):
        numbers.phone("+44 7911 123456")
    assert numbers.phone("+44 7911 123456", ("+86", "+44")) == "+447911123456"
    assert numbers.phone("+8613912345678", ("+86",)) == "+8613912345678"


def test_a_hint_shows_two_digits() -> None:
    """Of a number its last two digits may be shown."""
    assert numbers.hint("+8613912345678") == "…78"


@pytest.mark.parametrize(
    "text", [GOOD, GOOD.lower(), f" {GOOD[:6]} {GOOD[6:14]} {GOOD[14:]} ", "１１０１０５１９４９１２３１００２Ｘ"]
)
def test_spellings_of_an_identity_number(text: str) -> None:
    """Case, spaces and width do not matter."""
    assert numbers.id_number(text) == GOOD


@given(st.integers(0, 16), st.integers(1, 9))
def test_any_wrong_digit_is_noticed(index: int, by: int) -> None:
    """The check digit finds each single wrong digit."""
    wrong = GOOD[:index] + str((int(GOOD[index]) + by) % 10) + GOOD[index + 1 :]
    with pytest.raises(Refusal, match="number"):
        numbers.id_number(wrong)


@pytest.mark.parametrize(
    "text", ["", "1" * 17, "1" * 19, "110105194912310021", "X" * 18, _number("20230229"), _number("18991231")]
)
def test_impossible_identity_numbers_are_refused(text: str) -> None:
    """Wrong length, letters, check digit, or a date that does not exist."""
    with pytest.raises(Refusal) as caught:
        numbers.id_number(text)
    assert caught.value.code.name == "identity_refused"
    assert not text or text not in str(caught.value)


def test_age_turns_on_the_birthday_in_china() -> None:
    """Completed years by the calendar of China, which is eight hours ahead."""
    born = _number("20121122")
    assert numbers.age(born, NOW_MS) == 14
    assert numbers.age(born, NOW_MS - 8 * 3_600_000 - 3_600_000) == 13
    with pytest.raises(Refusal, match="birth"):
        numbers.age(_number("20261123"), NOW_MS)


def test_names_have_one_form() -> None:
    """Middle dots of all kinds are one, spaces at the ends go; digits, controls and empty names are refused."""
    assert numbers.name(" 阿依古丽•买买提 ") == numbers.name("阿依古丽·买买提") == "阿依古丽·买买提"
    for text in ("", " ", "王1", "王\u200b", "王😀", "字" * 51):
        with pytest.raises(Refusal, match="name"):
            numbers.name(text)
