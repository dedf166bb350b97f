"""The benchmark of the authorisation."""

from __future__ import annotations

import pytest

from loadtest import micro_permit
from loadtest.micro_permit import NOW_MS, Token, check, comments, run, standings
from server.accounts.permit import Permit
from tests.filters.timing import bound


def test_a_check_costs_less_than_five_microseconds() -> None:
    """The promise of the hot path, as a median, for comments that pass and for those that are refused."""
    rows = {name: median for name, median, _ in run(1000, 3)}
    assert set(rows) == {"check, passes", "check, refused", "make a permit"}
    assert rows["check, passes"] < bound(5)
    assert rows["check, refused"] < bound(5)


def test_the_accounts_are_mixed() -> None:
    """All kinds of outcomes are measured, most of them passing."""
    fates = [
        check(Permit(person, Token(), "1", NOW_MS), say) for person, say in zip(standings(600), comments(600), strict=True)
    ]
    assert 0.5 < sum(fates) / len(fates) < 0.9


def test_a_permit_that_does_not_hold_is_no_measurement() -> None:
    """A benchmark that measured stale permits would say nothing."""
    with pytest.raises(AssertionError):
        check(Permit(standings(1)[0], Token(), "2", NOW_MS), comments(1)[0])


def test_it_prints_a_line_for_each_figure(capsys: pytest.CaptureFixture[str]) -> None:
    """A short run gives the table."""
    micro_permit.main(["--accounts", "500", "--rounds", "1"])
    assert [line[:14].strip() for line in capsys.readouterr().out.splitlines()[1:]] == [
        "check, passes", "check, refused", "make a permit",
    ]  # fmt: skip
