"""server/accounts/licences.py"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.accounts import licences
from server.accounts.book import Accounts, Transaction
from server.accounts.licences import LAPSED, PROVIDER, Due
from server.errors import Refusal
from tests.support.accounts import DAY_MS, START_MS, Clock, add_person, book, letters, standing

WHO: Any = {"actor": "staff:ann", "role": "compliance"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock) -> Iterator[Accounts]:
    with book(tmp_path, clock) as found:
        yield found


def record(accounts: Accounts, holder: str = PROVIDER, *, days: float = 100, begins_ms: int = START_MS, **fields: Any) -> str:
    values: dict[str, Any] = {
        "kind": "互联网新闻信息服务许可证", "number": "1012026001", "issuer": "网信办", "features": ("news",),
        "valid_from_ms": begins_ms, "valid_until_ms": begins_ms + round(days * DAY_MS), **fields,
    }  # fmt: skip
    return accounts.write_now(lambda tx: licences.record(tx, holder=holder, **values, **WHO))


def on(accounts: Accounts, holder: str, now_ms: int, feature: str = "news") -> bool:
    return accounts.read_now(lambda connection: licences.active(connection, holder, feature, now_ms))


def code_of(accounts: Accounts, work: Any) -> str:
    with pytest.raises(Refusal) as refused:
        accounts.write_now(work)
    return refused.value.code.name


def look_after(accounts: Accounts) -> list[Due]:
    return accounts.write_now(licences.look_after)


def test_duty_t4_a_lapsed_licence_switches_the_feature_off(accounts: Accounts, clock: Clock) -> None:
    """Without a licence a feature is off; with one it is on from its begin up to its end, to the millisecond, without any task."""
    assert not on(accounts, PROVIDER, clock.now_ms)
    record(accounts, days=10, begins_ms=START_MS + DAY_MS)
    provider = accounts.read_now(licences.read_provider)
    for at_ms, expected in ((START_MS, False), (START_MS + DAY_MS, True), (START_MS + 11 * DAY_MS - 1, True),
                            (START_MS + 11 * DAY_MS, False)):  # fmt: skip
        assert on(accounts, PROVIDER, at_ms) is expected
        assert provider.active("news", at_ms) is expected
    assert not on(accounts, PROVIDER, START_MS + 2 * DAY_MS, "public_accounts")


def test_the_licence_of_an_account_is_in_its_standing(accounts: Accounts, clock: Clock) -> None:
    """What an account's licence carries is an event, so that the standing alone tells whether it is on."""
    add_person(accounts)
    licence = record(accounts, "a-1", days=5)
    found = standing(accounts, "a-1")
    assert licences.licensed(found, "news", START_MS)
    assert not licences.licensed(found, "news", START_MS + 5 * DAY_MS)
    assert not on(accounts, PROVIDER, START_MS)
    accounts.write_now(lambda tx: licences.revoke(tx, licence, "withdrawn by the authority", **WHO))
    assert not licences.licensed(standing(accounts, "a-1"), "news", START_MS)
    assert [kind for kind, _ in letters(accounts, "a-1")] == ["licence.recorded", "licence.revoked"]


def test_a_revoked_licence_is_off_at_once(accounts: Accounts) -> None:
    """A licence is revoked once, with a basis, and carries nothing from then on."""
    licence = record(accounts)
    assert code_of(accounts, lambda tx: licences.revoke(tx, licence, " ", **WHO)) == "bad_message"
    found = accounts.write_now(lambda tx: licences.revoke(tx, licence, "withdrawn", **WHO))
    assert found.state == "revoked"
    assert not on(accounts, PROVIDER, START_MS + 1)
    assert code_of(accounts, lambda tx: licences.revoke(tx, licence, "again", **WHO)) == "bad_step"
    assert code_of(accounts, lambda tx: licences.revoke(tx, "l-none", "again", **WHO)) == "not_found"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"kind": ""}, "bad_message"), ({"number": "x" * 121}, "bad_message"), ({"issuer": "a\nb"}, "bad_message"),
        ({"features": ()}, "bad_message"), ({"features": ("flying",)}, "bad_message"),
        ({"valid_until_ms": START_MS}, "bad_message"), ({"holder": "a-none"}, "account_not_found"),
    ],
)  # fmt: skip
def test_bad_licences_are_refused(accounts: Accounts, fields: dict[str, Any], code: str) -> None:
    """Every field is checked, and nothing is entered."""
    with pytest.raises(Refusal) as refused:
        record(accounts, **fields)
    assert refused.value.code.name == code
    assert accounts.read_now(lambda connection: licences.listed(connection, START_MS)) == []


def test_warnings_come_thirty_seven_and_one_day_before_the_end_and_at_it(accounts: Accounts, clock: Clock) -> None:
    """Each warning is given once, to the account by letter and to the operator, however often somebody looks."""
    add_person(accounts)
    record(accounts, "a-1", days=40)
    told = []
    for _ in range(45 * 4):
        told += [(due.days, clock.now_ms - START_MS) for due in look_after(accounts)]
        clock.forward(hours=6)
    assert told == [(30, 10 * DAY_MS), (7, 33 * DAY_MS), (1, 39 * DAY_MS), (LAPSED, 40 * DAY_MS)]
    kinds = [kind for kind, _ in letters(accounts, "a-1")]
    assert kinds == ["licence.recorded", "licence.ends", "licence.ends", "licence.ends", "licence.lapsed"]


def test_who_looks_late_is_told_the_nearest_warning_only(accounts: Accounts, clock: Clock) -> None:
    """After a long stop there is one warning, not three."""
    record(accounts, days=40)
    clock.forward(days=39, hours=1)
    assert [due.days for due in look_after(accounts)] == [1]
    assert look_after(accounts) == []


def test_a_renewed_licence_warns_nobody(accounts: Accounts, clock: Clock) -> None:
    """When another licence carries the features on, the end of the first is no news."""
    record(accounts, days=20)
    record(accounts, days=400, begins_ms=START_MS + 15 * DAY_MS)
    assert look_after(accounts) == []
    clock.forward(days=21)
    assert look_after(accounts) == []
    assert on(accounts, PROVIDER, clock.now_ms)


def test_licences_are_listed_with_their_state(accounts: Accounts) -> None:
    """The list tells which are to come, in force, over and revoked; the provider's come first."""
    add_person(accounts)
    record(accounts, "a-1", days=3)
    revoked = record(accounts, days=1)
    record(accounts, days=2)
    record(accounts, days=9, begins_ms=START_MS + 2 * DAY_MS)
    accounts.write_now(lambda tx: licences.revoke(tx, revoked, "withdrawn", **WHO))

    def states(now_ms: int, holder: str = "") -> list[tuple[str, str]]:
        found = accounts.read_now(lambda connection: licences.listed(connection, now_ms, holder))
        return [(each.holder, each.state) for each in found]

    assert states(START_MS) == [(PROVIDER, "revoked"), (PROVIDER, "active"), (PROVIDER, "coming"), ("a-1", "active")]
    assert states(START_MS + 3 * DAY_MS, "a-1") == [("a-1", "lapsed")]


def test_a_feature_of_the_provider_is_asked_for(accounts: Accounts) -> None:
    """Work that needs a licence is refused without one."""

    def work(tx: Transaction) -> None:
        licences.require(tx, "news")

    assert code_of(accounts, work) == "licence_lapsed"
    record(accounts)
    accounts.write_now(work)
