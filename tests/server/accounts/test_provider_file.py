"""server/accounts/provider_file.py"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.accounts import appeals, measures
from server.accounts.book import Accounts
from server.accounts.provider_file import compile_file, points
from tests.support.accounts import DAY_MS, START_MS, Clock, add_person, book


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[Accounts, Clock]]:
    """A month of a small site: two people, three measures, one appeal upheld in time, one that nobody decides."""
    clock = Clock()
    with book(tmp_path, clock) as accounts:
        add_person(accounts, "a-1")
        add_person(accounts, "a-2")

        def take(rung: Any, account: str) -> str:
            return accounts.write_now(
                lambda tx: measures.take(
                    tx,
                    account,
                    rung,
                    "S1",
                    "house rule",
                    actor="staff:x",
                    role="senior",
                    duration_ms=DAY_MS if rung == "suspend" else 0,
                )
            )

        warned, suspended = take("warn", "a-1"), take("suspend", "a-1")
        take("warn", "a-2")
        first = accounts.write_now(lambda tx: appeals.file(tx, "a-1", suspended, "why"))
        accounts.write_now(lambda tx: appeals.file(tx, "a-1", warned, "why this"))
        clock.forward(days=1)
        accounts.write_now(lambda tx: appeals.decide(tx, first, True, "R2", "was a mistake", actor="staff:y", role="senior"))
        clock.forward(days=60)
        yield accounts, clock


def compiled(accounts: Accounts, since_ms: int, until_ms: int) -> dict[str, Any]:
    """The file of a period."""
    return accounts.read_now(lambda connection: compile_file(connection, since_ms, until_ms))


def test_duty_p9_2_the_providers_file_is_the_same_from_the_same_records(opened: tuple[Accounts, Clock]) -> None:
    """duty P9(2), T3: numbers by rung, family, outcome; made again it is the same, and what came later changes nothing of it."""
    accounts, clock = opened
    until_ms = clock.now_ms
    found = compiled(accounts, START_MS, until_ms)
    assert found["accounts"] == {"opened": 2, "verified": 2}
    assert found["measures"]["by_rung"] == {"suspend": 1, "warn": 2}
    assert found["measures"]["by_family"] == {"S": 3}
    assert found["measures"]["lifted"] == {"appeal": 1}
    assert found["appeals"] == {"filed": 2, "decided": 1, "upheld": 1, "decided_late": 0, "overdue": 1}
    assert found["points"] == 100 - 3 - 1 == points(found["faults"])
    clock.forward(ms=1)
    add_person(accounts, "a-3")
    assert compiled(accounts, START_MS, until_ms) == found
    assert compiled(accounts, START_MS, clock.now_ms + 1)["records"]["sha256"] != found["records"]["sha256"]


def test_it_names_nobody(opened: tuple[Accounts, Clock]) -> None:
    """No account, no member of staff, no words of an appeal."""
    accounts, clock = opened
    text = str(compiled(accounts, 0, clock.now_ms))
    assert not any(each in text for each in ("a-1", "a-2", "staff:x", "staff:y", "why"))


def test_a_period_holds_what_happened_in_it(opened: tuple[Accounts, Clock]) -> None:
    """The begin is included, the end is not."""
    accounts, _ = opened
    later = compiled(accounts, START_MS + 1, START_MS + 2 * DAY_MS)
    assert later["measures"]["by_rung"] == {}
    assert later["measures"]["lifted"] == {"appeal": 1}
    assert later["appeals"]["decided"] == 1
    assert compiled(accounts, 0, START_MS)["records"]["entries"] == 0


def test_points_end_at_zero() -> None:
    """A file cannot be worse than nothing."""
    assert points({"appeals_overdue": 1000}) == 0
    assert points({}) == 100
