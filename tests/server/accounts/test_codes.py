"""One-time codes: limits, single use, comparison, and what the database holds of them."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from server.accounts import codes as module
from server.accounts import tables
from server.accounts.book import Accounts
from server.accounts.codes import Asked, Codes, Limits
from server.errors import Refusal
from server.settings import Settings
from tests.support.accounts import Clock, book
from tests.support.vaults import vault

PHONE = "+8613912345678"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock) -> Iterator[Accounts]:
    with book(tmp_path, clock) as found:
        yield found


@pytest.fixture
def codes() -> Codes:
    return Codes(vault())


def _ask(accounts: Accounts, codes: Codes, target: str = PHONE, address: str = "") -> Asked:
    return accounts.write_now(lambda tx: codes.ask(tx, "sign_in", target, address))


def _check(accounts: Accounts, codes: Codes, identity: str, code: str, purpose: str = "sign_in") -> bool:
    return accounts.write_now(lambda tx: codes.check(tx, identity, purpose, code))


def _wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


def _wait_ms(accounts: Accounts, codes: Codes, target: str = PHONE, address: str = "") -> int:
    with pytest.raises(Refusal) as caught:
        _ask(accounts, codes, target, address)
    assert caught.value.code.name == "too_many_attempts"
    return caught.value.retry_after_ms


def test_the_right_code_works_once(accounts: Accounts, codes: Codes) -> None:
    """Six digits; the right one is accepted once, with spaces too, and never again."""
    asked = _ask(accounts, codes)
    assert re.fullmatch("[0-9]{6}", asked.code)
    assert asked.code not in repr(asked)
    assert _check(accounts, codes, asked.id, f" {asked.code[:3]} {asked.code[3:]} ")
    assert not _check(accounts, codes, asked.id, asked.code)


def test_five_attempts_and_no_more(accounts: Accounts, codes: Codes) -> None:
    """Wrong codes count; after five of them the right one is refused as well, and four leave it good."""
    asked = _ask(accounts, codes)
    for _ in range(5):
        assert not _check(accounts, codes, asked.id, _wrong(asked.code))
    assert not _check(accounts, codes, asked.id, asked.code)
    other = _ask(accounts, codes, "+8613900000000")
    for _ in range(4):
        assert not _check(accounts, codes, other.id, _wrong(other.code))
    assert _check(accounts, codes, other.id, other.code)


def test_a_code_ends_after_five_minutes(accounts: Accounts, codes: Codes, clock: Clock) -> None:
    """In time to the millisecond, and not after."""
    asked = _ask(accounts, codes)
    clock.forward(ms=asked.expires_ms - clock.now_ms)
    assert not _check(accounts, codes, asked.id, asked.code)
    other = _ask(accounts, codes, "+8613900000000")
    clock.forward(ms=other.expires_ms - clock.now_ms - 1)
    assert _check(accounts, codes, other.id, other.code)


def test_a_code_is_for_its_purpose_and_its_own_row(accounts: Accounts, codes: Codes) -> None:
    """Another purpose, another's row, a row that does not exist: all refused alike."""
    first, second = _ask(accounts, codes), _ask(accounts, codes, "+8613900000000")
    assert not _check(accounts, codes, first.id, first.code, "guardian")
    assert first.code == second.code or not _check(accounts, codes, second.id, first.code)
    assert not _check(accounts, codes, "c-unknown", first.code)
    for text in ("", "x" * 10_000, "令牌", "\ud800", "１２３４５６"):
        assert not _check(accounts, codes, second.id, text)


def test_a_code_that_was_not_sent_is_good_for_nothing(accounts: Accounts, codes: Codes) -> None:
    """Spoilt codes are refused, and go on to count for the limits."""
    asked = _ask(accounts, codes)
    accounts.write_now(lambda tx: codes.spoil(tx, asked.id))
    assert not _check(accounts, codes, asked.id, asked.code)
    assert _wait_ms(accounts, codes) == 60_000


def test_asking_again_takes_longer_each_time(accounts: Accounts, codes: Codes, clock: Clock) -> None:
    """A minute, two, four, up to an hour; ten codes within a day; other targets are not concerned."""
    for gap_s in (60, 120, 240, 480, 960, 1920, 3600, 3600, 3600):
        asked = _ask(accounts, codes)
        assert asked.again_ms == clock.now_ms + gap_s * 1000
        assert _wait_ms(accounts, codes) == gap_s * 1000
        clock.forward(seconds=gap_s - 0.001)
        assert _wait_ms(accounts, codes) == 1
        clock.forward(ms=1)
    _ask(accounts, codes)
    clock.forward(hours=2)
    assert _wait_ms(accounts, codes) > 3_600_000
    _ask(accounts, codes, "+8613900000000")
    clock.forward(days=1)
    _ask(accounts, codes)


def test_codes_that_were_used_call_for_no_wait(accounts: Accounts, codes: Codes) -> None:
    """Whoever signs in often is not held up, but by the number of a day."""
    for _ in range(10):
        asked = _ask(accounts, codes)
        assert _check(accounts, codes, asked.id, asked.code)
    assert _wait_ms(accounts, codes) == 86_400_000


def test_earlier_codes_stay_good(accounts: Accounts, codes: Codes, clock: Clock) -> None:
    """Asking for a code in somebody's name does not spoil the one that the person has."""
    first = _ask(accounts, codes)
    clock.forward(seconds=60)
    _ask(accounts, codes)
    assert _check(accounts, codes, first.id, first.code)


def test_an_address_asks_for_so_many_codes_an_hour(accounts: Accounts, clock: Clock) -> None:
    """The bound is a setting; without an address nothing is counted."""
    codes = Codes.open(vault(), Settings(codes_per_address=2))
    for number in range(2):
        _ask(accounts, codes, f"+861390000000{number}", "192.0.2.1")
        clock.forward(seconds=60)
    assert _wait_ms(accounts, codes, "+8613900000009", "192.0.2.1") == 3_480_000
    _ask(accounts, codes, "+8613900000008", "192.0.2.2")
    _ask(accounts, codes, "+8613900000007")
    clock.forward(hours=1)
    _ask(accounts, codes, "+8613900000006", "192.0.2.1")


def test_the_database_holds_keyed_hmacs_only(accounts: Accounts, codes: Codes, tmp_path: Path) -> None:
    """Neither code nor number nor address is in a row, and rows go after two days."""
    asked = _ask(accounts, codes, PHONE, "192.0.2.1")
    rows = accounts.read_now(lambda connection: connection.execute(select(tables.codes)).mappings().all())
    assert len(rows) == 1
    text = str(dict(rows[0])).replace(asked.id, "")
    assert PHONE[3:] not in text
    assert "192.0.2.1" not in text
    assert not re.search(rf"\b{asked.code}\b", text)
    for file in tmp_path.iterdir():
        assert PHONE.encode() not in file.read_bytes()


def test_old_rows_are_deleted(accounts: Accounts, codes: Codes, clock: Clock) -> None:
    """What no limit needs any more is not kept."""
    _ask(accounts, codes)
    clock.forward(days=2, ms=1)
    _ask(accounts, codes, "+8613900000000")
    rows = accounts.read_now(lambda connection: connection.execute(select(tables.codes.c.id)).all())
    assert len(rows) == 1


def test_codes_are_compared_in_constant_time(accounts: Accounts, codes: Codes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every check, of codes that exist and of those that do not, is one comparison of equal length that does not stop early."""
    seen: list[tuple[int, int]] = []

    def spy(one: bytes, other: bytes) -> bool:
        seen.append((len(one), len(other)))
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(module, "compare_digest", spy)
    asked = _ask(accounts, codes)
    for identity, code in ((asked.id, _wrong(asked.code)), ("c-unknown", "123456"), (asked.id, asked.code)):
        _check(accounts, codes, identity, code)
    assert seen == [(64, 64)] * 3


def test_limits_can_be_given(accounts: Accounts, clock: Clock) -> None:
    """Other limits are other numbers in the same places."""
    codes = Codes(vault(), Limits(life_ms=1000, attempts=1, gap_ms=10))
    asked = _ask(accounts, codes)
    assert asked.expires_ms == clock.now_ms + 1000
    assert not _check(accounts, codes, asked.id, _wrong(asked.code))
    assert not _check(accounts, codes, asked.id, asked.code)
