"""server/accounts/appeals.py"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.accounts import appeals, measures
from server.accounts.appeals import DUE_MS, WORDS_MAX_CHARS, Appeal
from server.accounts.book import Accounts, read_entries
from server.accounts.events import AppealDecided, Appealed, Lifted
from server.accounts.measures import Record
from server.errors import Refusal
from tests.support.accounts import Clock, add_person, book, letters, standing

DAY_MS = 86_400_000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock) -> Iterator[Accounts]:
    with book(tmp_path, clock) as found:
        add_person(found)
        add_person(found, "a-2")
        yield found


def suspend(accounts: Accounts, account: str = "a-1", actor: str = "staff:ann", role: str = "senior") -> str:
    return accounts.write_now(
        lambda tx: measures.take(tx, account, "suspend", "L8", "b", actor=actor, role=role, duration_ms=DAY_MS)
    )


def file(accounts: Accounts, measure: str, words: str = "It was a quotation.", account: str = "a-1") -> str:
    return accounts.write_now(lambda tx: appeals.file(tx, account, measure, words))


def decide(accounts: Accounts, appeal: str, upheld: bool, **fields: Any) -> Record:
    given: dict[str, Any] = {"actor": "staff:bob", "role": "senior", "code": "R2" if upheld else "L8", "basis": "looked again"}
    given |= fields
    code, basis = given.pop("code"), given.pop("basis")
    return accounts.write_now(lambda tx: appeals.decide(tx, appeal, upheld, code, basis, **given))


def of_account(accounts: Accounts, account: str = "a-1") -> list[Appeal]:
    return accounts.read_now(lambda connection: appeals.of_account(connection, account))


def test_an_appeal_is_received(accounts: Accounts, clock: Clock) -> None:
    """It waits with its words, its measure and the day by which it is answered; the ledger has no words."""
    measure = suspend(accounts)
    appeal = file(accounts, measure, "  First line.\r\nSecond line.  ")
    (found,) = accounts.read_now(appeals.open_list)
    assert (found.id, found.account, found.measure.id, found.decided_ms) == (appeal, "a-1", measure, 0)
    assert found.words == "First line.\nSecond line."
    assert found.due_ms == clock.now_ms + DUE_MS == clock.now_ms + 7 * DAY_MS
    assert letters(accounts, "a-1")[-1] == ("appeal_filed", {"appeal": appeal, "measure": measure, "due_ms": found.due_ms})
    entry = accounts.read_now(lambda connection: read_entries(connection, "a-1"))[-1]
    assert entry.event == Appealed(appeal=appeal, measure=measure)
    assert standing(accounts, "a-1").in_force(clock.now_ms) != ()  # until it is decided, the measure holds


def test_words_are_bounded(accounts: Accounts) -> None:
    """Nothing, too much, and control characters are refused."""
    measure = suspend(accounts)
    for words in ("", " \n ", "x" * (WORDS_MAX_CHARS + 1), "a\x00b", "a\x1b[31m"):
        with pytest.raises(Refusal, match="bad_message: words"):
            file(accounts, measure, words)
    file(accounts, measure, "x" * WORDS_MAX_CHARS)


def test_only_ones_own_measure(accounts: Accounts) -> None:
    """Somebody else's measure looks like one that is not there."""
    measure = suspend(accounts)
    for account, asked in (("a-2", measure), ("a-1", "m-none"), ("nobody", measure)):
        with pytest.raises(Refusal, match="measure_not_found"):
            file(accounts, asked, account=account)


def test_one_appeal_for_each_measure(accounts: Accounts) -> None:
    """A second one is refused, also after the first was decided; against another measure there may be one."""
    measure = suspend(accounts)
    appeal = file(accounts, measure)
    with pytest.raises(Refusal, match="appeal_exists"):
        file(accounts, measure)
    decide(accounts, appeal, False)
    with pytest.raises(Refusal, match="appeal_exists"):
        file(accounts, measure)
    file(accounts, suspend(accounts))


def test_a_lifted_measure_needs_no_appeal(accounts: Accounts) -> None:
    """What is taken back is not there to be appealed; what has run out is."""
    measure = suspend(accounts)
    accounts.write_now(lambda tx: measures.lift(tx, measure, "R1", "b", actor="x", role="senior"))
    with pytest.raises(Refusal, match="measure_not_found"):
        file(accounts, measure)


def test_an_upheld_appeal_lifts_the_measure(accounts: Accounts, clock: Clock) -> None:
    """The measure ends as by appeal, credit is restored, the person is told, and the caller learns what it was."""
    before = standing(accounts, "a-1")
    measure = suspend(accounts)
    appeal = file(accounts, measure)
    clock.forward(hours=5)
    record = decide(accounts, appeal, True)
    assert (record.id, record.rung) == (measure, "suspend")
    after = standing(accounts, "a-1")
    assert (after.marks, after.measures) == (before.marks, ())
    entries = accounts.read_now(lambda connection: read_entries(connection, "a-1"))
    assert [each.event.how for each in entries if isinstance(each.event, Lifted)] == ["appeal"]
    assert [each.event for each in entries if isinstance(each.event, AppealDecided)] == [
        AppealDecided(appeal=appeal, measure=measure, upheld=True, code="R2", basis="looked again")
    ]
    assert [kind for kind, _ in letters(accounts, "a-1")][-2:] == ["measure_lifted", "appeal_decided"]
    assert "staff" not in str(letters(accounts, "a-1"))
    (found,) = of_account(accounts)
    assert (found.upheld, found.decided_ms, found.decided_by, found.measure.ended_how) == (
        True,
        clock.now_ms,
        "staff:bob",
        "appeal",
    )


def test_an_appeal_that_fails_leaves_the_measure(accounts: Accounts, clock: Clock) -> None:
    """The decision names the code that stands and its basis, and the person is told."""
    appeal = file(accounts, suspend(accounts))
    decide(accounts, appeal, False, basis="the quotation was none")
    assert standing(accounts, "a-1").in_force(clock.now_ms) != ()
    kind, told = letters(accounts, "a-1")[-1]
    assert (kind, told["upheld"], told["code"], told["basis"]) == ("appeal_decided", False, "L8", "the quotation was none")
    assert accounts.read_now(appeals.open_list) == []


def test_somebody_else_decides(accounts: Accounts, clock: Clock) -> None:
    """Whoever took the measure, and the person, do not decide on it; nothing changes when they try."""
    appeal = file(accounts, suspend(accounts))
    for actor in ("staff:ann", "a-1"):
        for upheld in (True, False):
            with pytest.raises(Refusal, match="second_person_required"):
                decide(accounts, appeal, upheld, actor=actor)
    assert standing(accounts, "a-1").in_force(clock.now_ms) != ()
    assert len(accounts.read_now(appeals.open_list)) == 1


def test_who_may_decide(accounts: Accounts) -> None:
    """Only seniors and operators decide."""
    appeal = file(accounts, suspend(accounts))
    for role in ("reviewer", "system", "uploader", "person", ""):
        with pytest.raises(Refusal, match="forbidden"):
            decide(accounts, appeal, True, role=role)
    decide(accounts, appeal, True, role="operator")


def test_an_appeal_is_decided_once(accounts: Accounts) -> None:
    """The second decision is refused; so is one on an appeal that is not there."""
    appeal = file(accounts, suspend(accounts))
    decide(accounts, appeal, False)
    with pytest.raises(Refusal, match="appeal_decided"):
        decide(accounts, appeal, True)
    with pytest.raises(Refusal, match="measure_not_found"):
        decide(accounts, "p-none", True)


def test_a_decision_needs_code_and_basis(accounts: Accounts) -> None:
    """Upheld: a code of family R; otherwise a reason code that stands; always a basis."""
    appeal = file(accounts, suspend(accounts))
    for upheld, wrong in ((True, {"code": "L8"}), (False, {"code": "R2"}), (True, {"basis": ""}), (False, {"basis": " "})):
        with pytest.raises(Refusal, match="bad_code"):
            decide(accounts, appeal, upheld, **wrong)


def test_what_waits_for_too_long(accounts: Accounts, clock: Clock) -> None:
    """Appeals are listed oldest first; after seven days they are overdue until they are decided."""
    first = file(accounts, suspend(accounts))
    clock.forward(days=3)
    second = file(accounts, suspend(accounts, "a-2"), account="a-2")

    def overdue() -> list[str]:
        return [each.id for each in accounts.read_now(lambda connection: appeals.overdue(connection, clock.now_ms))]

    assert [each.id for each in accounts.read_now(appeals.open_list)] == [first, second]
    assert [each.id for each in accounts.read_now(lambda connection: appeals.open_list(connection, 1))] == [first]
    clock.forward(days=4)
    assert overdue() == []
    clock.forward(ms=1)
    assert overdue() == [first]
    clock.forward(days=4)
    assert overdue() == [first, second]
    decide(accounts, first, False)
    assert overdue() == [second]


def test_a_deletion_that_is_appealed_names_its_comment(accounts: Accounts) -> None:
    """Whoever decides for the author gets room and number, to put the comment back."""
    measure = accounts.write_now(
        lambda tx: measures.count_removal(tx, "a-1", "demo", 9, "L6", "rumour", actor="staff:ann", role="reviewer")
    )
    record = decide(accounts, file(accounts, measure), True, code="R3")
    assert (record.rung, record.room, record.seq) == ("delete", "demo", 9)
    assert standing(accounts, "a-1").marks == ()


def test_erasure_empties_the_words(accounts: Accounts) -> None:
    """What the person wrote goes; that there was an appeal, and its outcome, stay."""
    decide(accounts, file(accounts, suspend(accounts)), True)
    other = file(accounts, suspend(accounts, "a-2"), "mine", account="a-2")
    accounts.write_now(lambda tx: appeals.forget(tx, "a-1"))
    (found,) = of_account(accounts)
    assert (found.words, found.upheld) == ("", True)
    (kept,) = of_account(accounts, "a-2")
    assert (kept.id, kept.words) == (other, "mine")
