"""Duties P8, T8: the ladder of measures, each with record, reason, notice, term or reversal, and appeal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from server.accounts import appeals, measures
from server.accounts.book import Accounts, read_entries
from server.accounts.events import Lifted, Measured, Rung
from server.accounts.measures import LADDER
from server.accounts.permit import Permit
from server.errors import Refusal
from tests.support.accounts import HOUR_MS, Clock, add_person, book, letters, standing

NEEDED: dict[str, dict[str, Any]] = {
    "restrict": {"functions": ("post",), "duration_ms": HOUR_MS}, "suspend": {"duration_ms": HOUR_MS},
    "blacklist": {"duration_ms": HOUR_MS},
}  # fmt: skip


class Token(NamedTuple):
    """What a token of this site says: nothing that counts."""

    verified: bool = False
    agreed: str = ""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock) -> Iterator[Accounts]:
    with book(tmp_path, clock) as found:
        add_person(found)
        yield found


def take(accounts: Accounts, rung: Rung) -> str:
    given = NEEDED.get(rung, {})
    return accounts.write_now(
        lambda tx: measures.take(tx, "a-1", rung, "L8", "house rule 3", actor="staff:ann", role="operator", **given)
    )


def barred(accounts: Accounts, clock: Clock) -> str:
    """By which code the account may post nothing now; empty: it may."""
    refusal = Permit(standing(accounts, "a-1"), Token(), "1", clock.now_ms).barred
    return refusal.code.name if refusal else ""


def test_duty_p8_the_ladder_has_all_rungs_of_the_law() -> None:
    """Warn, refuse, delete, restrict, suspend, close, blacklist: mildest first; programs take the mild ones only."""
    assert list(LADDER) == ["warn", "refuse", "delete", "restrict", "suspend", "close", "blacklist"]
    assert [rung for rung, step in LADDER.items() if "system" in step.most_ms] == ["warn", "refuse", "delete", "restrict"]


@pytest.mark.parametrize("rung", list(LADDER))
def test_duty_p8_each_measure_has_record_reason_notice_and_appeal(accounts: Accounts, clock: Clock, rung: Rung) -> None:
    """The record says code, basis, clause, term, role and automation; the person is told the same, appeals, and is answered by
    somebody else; upheld, the measure is gone, and all of it stays on record."""
    before = standing(accounts, "a-1")
    measure = take(accounts, rung)
    entries = accounts.read_now(lambda connection: read_entries(connection, "a-1"))
    (event,) = [each.event for each in entries if isinstance(each.event, Measured)]
    assert all((event.code, event.basis, event.clause))
    assert not event.automated
    ((kind, letter),) = letters(accounts, "a-1")
    assert kind == "measure"
    for name in ("measure", "rung", "code", "basis", "clause", "until_ms", "automated"):
        assert letter[name] == getattr(event, name)
    assert bool(barred(accounts, clock)) == (rung in ("restrict", "suspend", "close", "blacklist"))
    appeal = accounts.write_now(lambda tx: appeals.file(tx, "a-1", measure, "It was a quotation."))
    with pytest.raises(Refusal, match="second_person_required"):
        accounts.write_now(lambda tx: appeals.decide(tx, appeal, True, "R2", "b", actor="staff:ann", role="operator"))
    accounts.write_now(lambda tx: appeals.decide(tx, appeal, True, "R2", "a quotation", actor="staff:bob", role="senior"))
    after = standing(accounts, "a-1")
    assert (after.measures, after.marks, barred(accounts, clock)) == ((), before.marks, "")
    assert [kind for kind, _ in letters(accounts, "a-1")] == ["measure", "appeal_filed", "measure_lifted", "appeal_decided"]
    entries = accounts.read_now(lambda connection: read_entries(connection, "a-1"))
    assert {type(each.event) for each in entries} >= {Measured, Lifted}


@pytest.mark.parametrize("rung", sorted(NEEDED))
def test_duty_p8_a_term_ends_by_itself_across_a_restart(tmp_path: Path, clock: Clock, rung: Rung) -> None:
    """The measure holds up to its end and not longer, also when the server was stopped in between."""
    with book(tmp_path, clock) as first:
        add_person(first)
        take(first, rung)
        assert barred(first, clock)
    clock.forward(hours=1, ms=-1)
    with book(tmp_path, clock) as second:
        assert barred(second, clock)
        clock.forward(ms=1)
        assert barred(second, clock) == ""


def test_duty_p8_a_reversal_works_across_a_restart_and_only_once(tmp_path: Path, clock: Clock) -> None:
    """A closed account is opened again with code and basis, the person is told, and nothing is lifted twice."""
    with book(tmp_path, clock) as first:
        add_person(first)
        measure = take(first, "close")
        assert barred(first, clock) == "account_closed"
    clock.forward(days=100)
    with book(tmp_path, clock) as second:
        assert barred(second, clock) == "account_closed"
        second.write_now(lambda tx: measures.lift(tx, measure, "R1", "a mistake", actor="staff:bob", role="senior"))
        assert barred(second, clock) == ""
        assert letters(second, "a-1")[-1][0] == "measure_lifted"
        with pytest.raises(Refusal, match="measure_not_found"):
            second.write_now(lambda tx: measures.lift(tx, measure, "R1", "again", actor="staff:bob", role="senior"))
