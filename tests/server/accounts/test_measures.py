"""server/accounts/measures.py"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import select

from server.accounts import appeals, measures, privacy, tables
from server.accounts.book import Accounts, Transaction, read_entries
from server.accounts.credit import weight
from server.accounts.events import Counted, Discounted, Erased, Lifted, Measured, Rung
from server.accounts.measures import DAY_MS, LADDER, LIFTERS, MINUTE_MS, Record
from server.accounts.permit import Permit
from server.accounts.vault import Vault
from server.errors import Refusal
from server.reasons import REMOVAL_CODES
from tests.support.accounts import HOUR_MS, Clock, add_person, book, letters, person, standing
from tests.support.vaults import vault

ROLES = ("system", "uploader", "reviewer", "senior", "operator", "inspector", "person", "")
SHORT: dict[str, dict[str, Any]] = {
    "restrict": {"functions": ("color",), "duration_ms": HOUR_MS}, "suspend": {"duration_ms": HOUR_MS},
}  # fmt: skip
"""What the rungs with a term need at least."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock) -> Iterator[Accounts]:
    with book(tmp_path, clock) as found:
        add_person(found)
        yield found


def take(accounts: Accounts, rung: Rung = "warn", account: str = "a-1", **fields: Any) -> str:
    """Take a measure as an operator, with a lawful default for everything."""
    given: dict[str, Any] = {"code": "L8", "basis": "house rule 3", "actor": "staff:ann", "role": "operator"}
    given |= SHORT.get(rung, {}) | fields
    code, basis = given.pop("code"), given.pop("basis")
    return accounts.write_now(lambda tx: measures.take(tx, account, rung, code, basis, **given))


def lift(accounts: Accounts, measure: str, **fields: Any) -> Record:
    given: dict[str, Any] = {"code": "R1", "basis": "a mistake", "actor": "staff:bob", "role": "senior", **fields}
    code, basis = given.pop("code"), given.pop("basis")
    return accounts.write_now(lambda tx: measures.lift(tx, measure, code, basis, **given))


def found(accounts: Accounts, measure: str) -> Record:
    result = accounts.read_now(lambda connection: measures.find(connection, measure))
    assert result is not None
    return result


class Token(NamedTuple):
    """What a token of this site says: nothing that counts."""

    verified: bool = False
    agreed: str = ""


def claim(accounts: Accounts, vault: Vault, account: str, *values: tuple[str, str]) -> None:
    """Record identities as the account's, as verification does."""

    def work(tx: Transaction) -> None:
        for kind, value in values:
            vault.claim(tx, account, kind, value)

    accounts.write_now(work)


def listed_black(accounts: Accounts, vault: Vault, clock: Clock, *values: tuple[str, str]) -> list[bool]:
    """Which of these identities are on the blacklist now."""
    return accounts.read_now(
        lambda connection: [vault.blacklisted(connection, kind, value, clock.now_ms) for kind, value in values]
    )


# Taking


def test_a_measure_carries_everything_that_the_law_asks_for(accounts: Accounts, clock: Clock) -> None:
    """Code, basis, clause, functions, term, role, actor and comment stand in the event, in the row and in the letter."""
    measure = take(accounts, "restrict", functions=("color", "link"), duration_ms=3 * DAY_MS, room="demo", seq=7)
    record = found(accounts, measure)
    assert record == Record(
        id=measure, account="a-1", rung="restrict", code="L8", basis="house rule 3", clause="citizens_rights",
        functions=("color", "link"), room="demo", seq=7, at_ms=clock.now_ms, until_ms=clock.now_ms + 3 * DAY_MS, ended_ms=0,
        ended_how="", actor="staff:ann", role="operator", automated=False,
    )  # fmt: skip
    entry, counted = accounts.read_now(lambda connection: read_entries(connection, "a-1"))[-2:]
    assert (entry.actor, entry.role) == ("staff:ann", "operator")
    assert entry.event == Measured(
        measure=measure, rung="restrict", code="L8", basis="house rule 3", clause="citizens_rights", functions=("color", "link"),
        until_ms=record.until_ms, automated=False, room="demo", seq=7,
    )  # fmt: skip
    assert counted.event == Counted(what="measure.restrict", ref=measure)
    ((kind, told),) = letters(accounts, "a-1")
    assert kind == "measure"
    assert told == {
        "measure": measure, "rung": "restrict", "code": "L8", "basis": "house rule 3", "clause": "citizens_rights",
        "functions": ["color", "link"], "at_ms": clock.now_ms, "until_ms": record.until_ms, "automated": False, "room": "demo",
        "seq": 7,
    }  # fmt: skip
    assert "staff" not in str(told)  # people are told by which rule, not by whom


@pytest.mark.parametrize("rung", list(LADDER))
def test_which_role_may_take_which_rung(accounts: Accounts, rung: Rung) -> None:
    """The whole table: programs up to a short restriction, reviewers up to a week, seniors suspend, operators everything."""
    allowed = {
        "warn": {"system", "reviewer", "senior", "operator"}, "refuse": {"system", "reviewer", "senior", "operator"},
        "delete": {"system", "uploader", "reviewer", "senior", "operator"},
        "restrict": {"system", "reviewer", "senior", "operator"},
        "suspend": {"senior", "operator"}, "close": {"operator"}, "blacklist": {"operator"},
    }  # fmt: skip
    for role in ROLES:
        account = add_person(accounts, f"a-{role}").account
        if role in allowed[rung]:
            measure = take(accounts, rung, account, role=role, automated=role == "system")
            assert found(accounts, measure).automated == (role == "system")
        else:
            with pytest.raises(Refusal, match="forbidden"):
                take(accounts, rung, account, role=role, automated=role == "system")
            assert letters(accounts, account) == []


@pytest.mark.parametrize(
    ("rung", "role", "most"),
    [
        ("restrict", "system", DAY_MS), ("restrict", "reviewer", 7 * DAY_MS), ("restrict", "senior", 180 * DAY_MS),
        ("suspend", "senior", 180 * DAY_MS), ("suspend", "operator", 180 * DAY_MS), ("blacklist", "operator", 1_830 * DAY_MS),
    ],
)  # fmt: skip
def test_terms_are_bounded(accounts: Accounts, rung: Rung, role: str, most: int) -> None:
    """Each role has its longest term, the shortest is a minute, and only the blacklist may be left open."""
    fields: dict[str, Any] = {"role": role, "automated": role == "system"}
    for wrong in (most + 1, MINUTE_MS - 1, -1, *(() if rung == "blacklist" else (0,))):
        with pytest.raises(Refusal, match="bad_measure: duration_ms"):
            take(accounts, rung, duration_ms=wrong, **fields)
    take(accounts, rung, duration_ms=MINUTE_MS, **fields)
    add_person(accounts, "a-2")
    measure = take(accounts, rung, "a-2", duration_ms=most, **fields)
    assert found(accounts, measure).until_ms == found(accounts, measure).at_ms + most


@pytest.mark.parametrize("rung", ["warn", "refuse", "delete", "close"])
def test_some_rungs_have_no_term(accounts: Accounts, rung: Rung) -> None:
    """What is told and done has no duration, nor has closing."""
    with pytest.raises(Refusal, match=f"bad_measure: duration_ms: a {rung} has no term"):
        take(accounts, rung, duration_ms=HOUR_MS)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"rung": "shadow"}, "bad_measure: rung: one of warn, refuse"),
        ({"code": "X9"}, "bad_code"), ({"code": "R1"}, "bad_code"), ({"code": "U1"}, "bad_code"), ({"basis": "  "}, "bad_code"),
        ({"code": "U2"}, "bad_measure: code"), ({"basis": "x" * 301}, "bad_code"), ({"basis": "a\nb"}, "bad_code"),
        ({"functions": ("color",)}, "bad_measure: functions"), ({"rung": "restrict", "functions": ()}, "bad_measure: functions"),
        ({"rung": "restrict", "functions": ("read",)}, "bad_measure: functions"),
        ({"account": "nobody"}, "account_not_found"), ({"automated": True}, "bad_measure: automated"),
        ({"role": "system"}, "bad_measure: automated"),
        ({"room": "demo"}, "bad_measure: room, seq"), ({"seq": 3}, "bad_measure: room"),
    ],
)  # fmt: skip
def test_what_a_measure_must_not_lack(accounts: Accounts, fields: dict[str, Any], said: str) -> None:
    """Without a code of the table, a basis, an account, fitting functions and an honest mark of automation nothing happens."""
    before = standing(accounts, "a-1")
    with pytest.raises(Refusal, match=said):
        take(accounts, **fields)
    assert standing(accounts, "a-1") == before
    assert letters(accounts, "a-1") == []


@pytest.mark.parametrize("rung", ["suspend", "close", "blacklist"])
def test_some_measures_end_posting(accounts: Accounts, rung: Rung) -> None:
    """Suspended, closed and blacklisted accounts are barred; closing and the blacklist are not doubled."""
    take(accounts, rung)
    barred = Permit(standing(accounts, "a-1"), Token(), "", Clock().now_ms).barred
    assert barred is not None
    assert barred.code.name == ("account_suspended" if rung == "suspend" else "account_closed")
    if rung == "suspend":
        take(accounts, rung)
    else:
        with pytest.raises(Refusal, match="in force already"):
            take(accounts, rung)


def test_an_erased_account_can_be_closed_for_the_record_only(accounts: Accounts) -> None:
    """After erasure there is nobody to warn; closing and the blacklist are still possible."""
    accounts.write_now(lambda tx: tx.append("a-1", Erased(), actor="a-1", role="person"))
    with pytest.raises(Refusal, match="bad_measure: account: it is erased"):
        take(accounts, "warn")
    take(accounts, "close")


def test_a_clause_of_the_room_can_be_named(accounts: Accounts) -> None:
    """The clause follows from the code unless one is given."""
    assert found(accounts, take(accounts, code="S2")).clause == "no_spam"
    assert found(accounts, take(accounts, code="S2", clause="room_rules")).clause == "room_rules"
    clauses = {found(accounts, take(accounts, "delete", code=code)).clause for code in REMOVAL_CODES - {"U1"}}
    assert "" not in clauses


def test_measures_are_listed_newest_first(accounts: Accounts, clock: Clock) -> None:
    """The list of an account has its measures alone, each with its state at a moment."""
    add_person(accounts, "a-2")
    first = take(accounts, "suspend")
    take(accounts, "warn", "a-2")
    clock.forward(seconds=5)
    second = take(accounts, "warn")
    clock.forward(hours=2)
    third = take(accounts, "close")
    listed = accounts.read_now(lambda connection: measures.listed(connection, "a-1"))
    assert [each.id for each in listed] == [third, second, first]
    assert [each.state(clock.now_ms) for each in listed] == ["in_force", "done", "ended"]
    lift(accounts, third)
    assert found(accounts, third).state(clock.now_ms) == "lifted"
    assert accounts.read_now(lambda connection: measures.find(connection, "m-none")) is None


# Ending


def test_a_term_ends_across_a_restart(tmp_path: Path, clock: Clock) -> None:
    """A measure runs out while no server runs, and holds to its last millisecond after a restart."""
    with book(tmp_path, clock) as accounts:
        add_person(accounts)
        take(accounts, "suspend", duration_ms=3 * DAY_MS)
    clock.forward(days=3, ms=-1)
    with book(tmp_path, clock) as accounts:
        assert standing(accounts, "a-1").in_force(clock.now_ms) != ()
    clock.forward(ms=1)
    with book(tmp_path, clock) as accounts:
        assert standing(accounts, "a-1").in_force(clock.now_ms) == ()


@pytest.mark.parametrize("rung", list(LADDER))
def test_a_reversal_undoes_a_measure_wholly(tmp_path: Path, clock: Clock, rung: Rung) -> None:
    """Lifted after a restart: the measure ends, credit is as before, the person is told, and both decisions stay on record."""
    with book(tmp_path, clock) as accounts:
        add_person(accounts)
        before = standing(accounts, "a-1")
        measure = take(accounts, rung)
    clock.forward(days=10)
    with book(tmp_path, clock) as accounts:
        assert lift(accounts, measure).rung == rung
        after = standing(accounts, "a-1")
        assert (after.marks, after.measures) == (before.marks, ())
        entries = accounts.read_now(lambda connection: read_entries(connection, "a-1"))
        assert [each.role for each in entries if isinstance(each.event, Lifted)] == ["senior"]
        assert sum(isinstance(each.event, Counted) for each in entries) == sum(
            isinstance(each.event, Discounted) for each in entries
        )
        kind, told = letters(accounts, "a-1")[-1]
        assert (kind, told["measure"], told["code"], told["how"]) == ("measure_lifted", measure, "R1", "reversed")
        record = found(accounts, measure)
        assert (record.ended_ms, record.ended_how, record.state(clock.now_ms)) == (clock.now_ms, "reversed", "lifted")


def test_nothing_is_lifted_twice(accounts: Accounts) -> None:
    """The second lifting is refused and discounts nothing; so is one of a measure that never was."""
    measure = take(accounts, "suspend")
    lift(accounts, measure)
    after = standing(accounts, "a-1")
    for each in (measure, "m-none"):
        with pytest.raises(Refusal, match="measure_not_found"):
            lift(accounts, each)
    assert standing(accounts, "a-1") == after


def test_a_measure_whose_term_is_over_can_still_be_reversed(accounts: Accounts, clock: Clock) -> None:
    """What was wrong does not cost credit for half a year because its term was short."""
    before = standing(accounts, "a-1").marks
    measure = take(accounts, "suspend")
    clock.forward(days=5)
    assert standing(accounts, "a-1").marks != before
    lift(accounts, measure)
    assert standing(accounts, "a-1").marks == before


def test_who_may_lift(accounts: Accounts) -> None:
    """Seniors and operators lift everything, others what they themselves took, nobody else anything."""
    for role in ROLES:
        measure = take(accounts, "suspend")
        if role in LIFTERS:
            lift(accounts, measure, role=role)
        else:
            with pytest.raises(Refusal, match="forbidden"):
                lift(accounts, measure, role=role)
    own = take(accounts, "warn", role="reviewer", actor="staff:rev")
    with pytest.raises(Refusal, match="forbidden"):
        lift(accounts, own, role="reviewer", actor="staff:other")
    lift(accounts, own, role="reviewer", actor="staff:rev")


def test_lifting_needs_code_and_basis(accounts: Accounts) -> None:
    """A reversal says why, with a code of family R."""
    measure = take(accounts)
    for wrong in ({"code": "L8"}, {"basis": ""}):
        with pytest.raises(Refusal, match="bad_code"):
            lift(accounts, measure, **wrong)


def test_lifting_decides_an_appeal_that_waits(accounts: Accounts) -> None:
    """Whoever takes a measure back has answered the appeal against it: it does not wait for ever."""
    measure = take(accounts)
    accounts.write_now(lambda tx: appeals.file(tx, "a-1", measure, "please"))
    lift(accounts, measure, basis="looked again")
    (appeal,) = accounts.read_now(lambda connection: appeals.of_account(connection, "a-1"))
    assert (appeal.upheld, appeal.decided_by, appeal.basis) == (True, "staff:bob", "looked again")
    assert accounts.read_now(appeals.open_list) == []


# The blacklist

PHONE, OTHER, THIRD = ("phone", "+8613800000001"), ("phone", "+8613800000002"), ("phone", "+8613800000003")
PERSON = ("person", "11010519491231002X")


def test_the_blacklist_keeps_an_identity_out_until_its_term(accounts: Accounts, clock: Clock) -> None:
    """Each mark of the person's identity counts; erasing the account and its claims changes nothing."""
    keys = vault()
    claim(accounts, keys, "a-1", PHONE, PERSON)
    assert listed_black(accounts, keys, clock, PHONE, PERSON) == [False, False]
    take(accounts, "blacklist", duration_ms=30 * DAY_MS)
    accounts.write_now(lambda tx: privacy.erase(tx, keys, "a-1", actor="a-1", role="person"))
    assert accounts.read_now(lambda connection: connection.execute(select(tables.claims)).all()) == []
    assert listed_black(accounts, keys, clock, PHONE, PERSON, OTHER) == [True, True, False]
    for identity in (PHONE, PERSON):
        with pytest.raises(Refusal, match="blacklisted"):
            claim(accounts, keys, add_person(accounts, "a-2").account, identity)
    clock.forward(days=30, ms=-1)
    assert listed_black(accounts, keys, clock, PHONE, PERSON) == [True, True]
    clock.forward(ms=1)
    assert listed_black(accounts, keys, clock, PHONE, PERSON) == [False, False]
    claim(accounts, keys, "a-2", PHONE)


def test_a_reversal_takes_the_marks_out_of_the_blacklist(accounts: Accounts, clock: Clock) -> None:
    """Those of this measure alone."""
    keys = vault()
    add_person(accounts, "a-2")
    claim(accounts, keys, "a-1", PHONE, PERSON)
    claim(accounts, keys, "a-2", THIRD)
    measure = take(accounts, "blacklist")
    take(accounts, "blacklist", "a-2")
    clock.forward(days=10_000)
    assert listed_black(accounts, keys, clock, PHONE, PERSON, THIRD) == [True, True, True]
    lift(accounts, measure)
    assert listed_black(accounts, keys, clock, PHONE, PERSON, THIRD) == [False, False, True]


def test_an_identity_can_come_onto_the_blacklist_again(accounts: Accounts, clock: Clock) -> None:
    """After the first term a new measure writes the same marks anew, and its own reversal takes them out."""
    keys = vault()
    claim(accounts, keys, "a-1", PHONE)
    first = take(accounts, "blacklist", duration_ms=DAY_MS)
    clock.forward(days=2)
    second = take(accounts, "blacklist", duration_ms=DAY_MS)
    assert listed_black(accounts, keys, clock, PHONE) == [True]
    lift(accounts, first)
    assert listed_black(accounts, keys, clock, PHONE) == [True]
    lift(accounts, second)
    assert accounts.read_now(lambda connection: connection.execute(select(tables.blacklist)).all()) == []


# What the removal path and the review tell


def removal(accounts: Accounts, account: str = "a-1", code: str = "L8", **fields: Any) -> str:
    given: dict[str, Any] = {"actor": "staff:ann", "role": "operator"} | fields
    return accounts.write_now(lambda tx: measures.count_removal(tx, account, "demo", 7, code, "house rule 3", **given))


def restoration(accounts: Accounts, **fields: Any) -> bool:
    given: dict[str, Any] = {"actor": "operator", "role": "operator"} | fields
    return accounts.write_now(lambda tx: measures.discount_removal(tx, "a-1", "demo", 7, "R1", "a mistake", **given))


def test_a_removal_is_a_measure_with_letter_and_credit(accounts: Accounts, clock: Clock) -> None:
    """Removing a comment costs by the family of its code, the author is told, and can appeal; said twice it counts once."""
    measure = removal(accounts)
    assert removal(accounts) == measure
    record = found(accounts, measure)
    assert (record.rung, record.room, record.seq, record.state(clock.now_ms)) == ("delete", "demo", 7, "done")
    assert standing(accounts, "a-1").marks == ((clock.now_ms // DAY_MS, weight("removal.L")),)
    assert [kind for kind, _ in letters(accounts, "a-1")] == ["measure"]


def test_a_restoration_gives_the_credit_back(accounts: Accounts) -> None:
    """Putting a comment back discounts its removal once; removed again, it counts again."""
    first = removal(accounts)
    assert restoration(accounts, role="uploader")
    assert standing(accounts, "a-1").marks == ()
    assert not restoration(accounts)
    second = removal(accounts, code="S1")
    assert second != first
    assert standing(accounts, "a-1").marks[0][1] == weight("removal.S")
    with pytest.raises(Refusal, match="bad_code"):
        accounts.write_now(lambda tx: measures.discount_removal(tx, "a-1", "demo", 7, "L1", "x", actor="x", role="operator"))


def test_what_authors_and_uploaders_remove_costs_nothing(accounts: Accounts) -> None:
    """A recall is no measure at all; an uploader's removal is told and can be appealed, and is no decision of staff."""
    assert removal(accounts, code="U1", role="person") == ""
    assert letters(accounts, "a-1") == []
    for code in ("U2", "L8"):
        measure = removal(accounts, code=code, role="uploader", actor="host")
        assert standing(accounts, "a-1").marks == ()
        lift(accounts, measure)
        assert standing(accounts, "a-1").marks == ()
    assert len(letters(accounts, "a-1")) == 4


def test_a_removal_opens_the_account_of_a_host_platforms_author(accounts: Accounts) -> None:
    """Authors who are known by their token alone have their removals counted from the first one on."""
    removal(accounts, "h-9", automated=True, role="system", actor="system")
    found_standing = standing(accounts, "h-9")
    assert (found_standing.origin, found_standing.marks[0][1]) == ("host", weight("removal.L"))


def test_a_refusal_on_review_is_counted(accounts: Accounts) -> None:
    """A held comment that a reviewer refused costs a little, and reversing that restores it; what a program refuses is free."""
    measure = accounts.write_now(
        lambda tx: measures.refused_on_review(tx, "a-1", "held-3", "S1", "advertising", actor="staff:ann", role="reviewer")
    )
    assert standing(accounts, "a-1").marks[0][1] == weight("refused_on_review")
    lift(accounts, measure)
    assert standing(accounts, "a-1").marks == ()
    take(accounts, "refuse", role="system", automated=True)
    assert standing(accounts, "a-1").marks == ()


@pytest.mark.parametrize(("outcome", "points"), [("upheld", 3), ("unfounded", 0), ("malicious", -10)])
def test_a_decided_report_counts_once(accounts: Accounts, outcome: measures.ReportOutcome, points: int) -> None:
    """The reporter is told, credit follows the outcome, and the same report counts once; said otherwise later, that alone counts."""

    def decide(what: measures.ReportOutcome) -> Callable[[Transaction], bool]:
        return lambda tx: measures.report_decided(tx, "a-1", "r-5", what, actor="staff:ann", role="reviewer")

    other: measures.ReportOutcome = "unfounded" if outcome == "upheld" else "upheld"
    assert accounts.write_now(decide(other))
    assert accounts.write_now(decide(outcome))
    assert not accounts.write_now(decide(outcome))
    after = standing(accounts, "a-1")
    assert sum(sum_ for _, sum_ in after.marks) == points
    assert (after.reports_decided, after.reports_right) == (1, int(outcome == "upheld"))
    told = [("report_decided", {"report": "r-5", "outcome": each}) for each in (other, outcome)]
    assert letters(accounts, "a-1") == told


def test_a_measure_that_fails_leaves_nothing(accounts: Accounts) -> None:
    """Event, row, credit, marks and letter are one transaction: a fault in the letter undoes the rest."""
    claim(accounts, vault(), "a-1", PHONE)

    def work(tx: Transaction) -> None:
        measures.take(tx, "a-1", "blacklist", "L8", "b", actor="staff:ann", role="operator")
        raise Refusal("internal_error")

    before = standing(accounts, "a-1")
    with pytest.raises(Refusal):
        accounts.write_now(work)
    assert standing(accounts, "a-1") == before
    for table in (tables.measures, tables.blacklist, tables.letters):
        assert accounts.read_now(lambda connection, table=table: connection.execute(select(table)).all()) == []  # type: ignore[misc]


def test_other_people_are_not_touched(accounts: Accounts) -> None:
    """A measure on one account leaves the standing of every other as it was."""
    accounts.write_now(lambda tx: person(tx, "a-2"))
    before = standing(accounts, "a-2")
    take(accounts, "close")
    assert standing(accounts, "a-2") == before
