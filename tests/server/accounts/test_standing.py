"""server/accounts/standing.py"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.accounts import events
from server.accounts.credit import WEIGHTS
from server.accounts.events import (
    AccountEvent,
    AppealDecided,
    Appealed,
    Consented,
    ConsentWithdrawn,
    Counted,
    Discounted,
    Entry,
    Erased,
    LessonTaken,
    LicenceChanged,
    Lifted,
    Measured,
    NicknameChanged,
    Opened,
    PublicApproval,
    PublicStep,
    Rung,
    Signed,
    VerificationWithdrawn,
    Verified,
)
from server.accounts.standing import Standing, apply, fold
from tests.filters.timing import best_of, bound
from tests.support.accounts import DAY_MS, HOUR_MS, START_MS

RUNGS: Final[tuple[Rung, ...]] = ("warn", "refuse", "delete", "restrict", "suspend", "close", "blacklist")


def entries(*found: AccountEvent, step_ms: int = 1_000) -> list[Entry]:
    """A ledger of one account, a moment between the entries."""
    return [
        Entry(id=number * 3, account="a", at_ms=START_MS + number * step_ms, actor="a", role="person", event=event)
        for number, event in enumerate(found, 1)
    ]


def of(*found: AccountEvent) -> Standing:
    return fold("a", entries(*found))


def measured(measure: str = "m-1", rung: Rung = "suspend", until_ms: int = 0, **fields: Any) -> Measured:
    return Measured(measure=measure, rung=rung, code="L8", basis="b", until_ms=until_ms, **fields)


IDS = st.sampled_from(["m-1", "m-2", "m-3"])
TEXTS = st.sampled_from(["1", "2", "x"])
MOMENTS = st.integers(0, 50).map(lambda hours: START_MS + hours * HOUR_MS)
EVENTS: st.SearchStrategy[AccountEvent] = st.one_of(
    st.just(Opened()), st.just(Opened(account_kind="public", origin="host")), st.just(VerificationWithdrawn(reason="r")),
    st.builds(Verified, method=TEXTS, strength=st.integers(1, 3)),
    st.builds(Signed, document=st.sampled_from(["agreement", "privacy"]), version=TEXTS, sha256=TEXTS, language=TEXTS),
    st.builds(LessonTaken, version=TEXTS), st.builds(Consented, purpose=TEXTS, version=TEXTS),
    st.builds(ConsentWithdrawn, purpose=TEXTS),
    st.builds(Counted, what=st.sampled_from(sorted(WEIGHTS)), ref=TEXTS),
    st.builds(Discounted, what=st.sampled_from(sorted(WEIGHTS)), ref=TEXTS, counted_ms=MOMENTS),
    st.builds(measured, IDS, st.sampled_from(RUNGS), st.one_of(st.just(0), MOMENTS), functions=st.just(("color",))),
    st.builds(Lifted, measure=IDS, how=st.just("reversed"), code=st.just("R1"), basis=TEXTS),
    st.builds(Appealed, appeal=TEXTS, measure=IDS), st.just(NicknameChanged()), st.just(Erased()),
    st.builds(AppealDecided, appeal=TEXTS, measure=IDS, upheld=st.booleans(), code=TEXTS, basis=TEXTS),
    st.builds(PublicStep, state=st.sampled_from(["applied", "active"]), category=st.sampled_from(["", "media"])),
    st.builds(PublicApproval, action=st.sampled_from(["post", "repost"]), topic=st.just("politics"), granted=st.booleans()),
    st.builds(LicenceChanged, licence=IDS, features=st.just(("news",)), until_ms=MOMENTS, revoked=st.booleans()),
)  # fmt: skip
LEDGERS = st.lists(EVENTS, max_size=40).map(lambda found: entries(*found, step_ms=HOUR_MS))


@given(LEDGERS, st.integers(0, 40), st.integers(0, 40))
def test_a_ledger_folded_in_pieces_gives_the_same(ledger: list[Entry], first: int, second: int) -> None:
    """Wherever the fold pauses and goes on, the standing is the same: what is in memory follows the ledger entry by entry."""
    first, second = sorted((first, second))
    whole = fold("a", ledger)
    part = fold("a", ledger[:first])
    part = fold("a", ledger[first:second], part)
    assert fold("a", ledger[second:], part) == whole


@given(LEDGERS, st.integers(0, 40))
def test_applying_an_entry_again_changes_nothing(ledger: list[Entry], back: int) -> None:
    """Entries that a standing holds already are passed over, however many come once more."""
    whole = fold("a", ledger)
    assert fold("a", ledger[-back:] if back else [], whole) == whole
    assert all(apply(whole, entry) is whole for entry in ledger)


@given(LEDGERS, MOMENTS)
def test_a_standing_does_not_depend_on_when_it_is_read(ledger: list[Entry], now_ms: int) -> None:
    """Of the measures in memory those in force at a moment are those that the ledger says were taken, not lifted, and last."""
    found = {each.id for each in fold("a", ledger).in_force(START_MS + 100 * HOUR_MS)}
    wanted: dict[str, int] = {}
    for entry in ledger:
        match entry.event:
            case Measured(measure=measure, rung="restrict" | "suspend" | "close" | "blacklist", until_ms=until_ms):
                wanted[measure] = until_ms
            case Measured(measure=measure) | Lifted(measure=measure):
                wanted.pop(measure, None)
    assert found == {measure for measure, until_ms in wanted.items() if not until_ms}


def test_a_standing_by_its_events() -> None:
    """Each kind of event sets what it says, and the newest one holds."""
    found = of(
        Opened(account_kind="public", origin="local"), Verified(method="id_number", strength=2),
        Signed(document="agreement", version="1", sha256="h", language="en"),
        Signed(document="agreement", version="2", sha256="h", language="en"),
        Signed(document="privacy", version="7", sha256="h", language="en"),
        Consented(purpose="region", version="7"), Consented(purpose="mail", version="7"), Consented(purpose="region", version="7"),
        NicknameChanged(), PublicStep(state="applied", category="media"), PublicStep(state="active"),
        PublicApproval(action="post", topic="politics", granted=True, until_ms=5), LessonTaken(version="1"),
        LicenceChanged(licence="l-1", features=("news",), until_ms=9), LicenceChanged(licence="l-2", until_ms=9),
    )  # fmt: skip
    assert (found.kind, found.origin, found.opened_ms, found.last) == ("public", "local", START_MS + 1_000, 45)
    assert (found.verified, found.strength, found.agreement, found.privacy) == ("id_number", 2, "2", "7")
    assert found.consents == ("mail", "region")
    assert (found.public, found.category) == ("active", "media")
    assert [(each.action, each.topic, each.until_ms) for each in found.approvals] == [("post", "politics", 5)]
    assert (found.lesson, found.lesson_due, found.lesson_wanted) == ("1", False, False)
    assert [(each.licence, each.until_ms) for each in found.licences] == [("l-1", 9), ("l-2", 9)]
    later = fold("a", entries(*[NicknameChanged()] * 15, VerificationWithdrawn(reason="r"), ConsentWithdrawn(purpose="mail"),
                              PublicApproval(action="post", topic="politics", granted=False),
                              LicenceChanged(licence="l-1", revoked=True)), found)  # fmt: skip
    assert [each.licence for each in later.licences] == ["l-2"]
    assert (later.verified, later.strength, later.consents, later.approvals) == ("", 0, ("region",), ())


def test_an_erased_account_is_nobody() -> None:
    """After erasure no identity and no consent is left; measures are."""
    found = of(Opened(), Verified(method="phone"), Consented(purpose="p", version="1"), measured(rung="blacklist"), Erased())
    assert (found.erased, found.verified, found.strength, found.consents) == (True, "", 0, ())
    assert [each.rung for each in found.in_force(START_MS + DAY_MS)] == ["blacklist"]


@pytest.mark.parametrize("rung", RUNGS)
def test_which_measures_go_on(rung: Rung) -> None:
    """A warning, a refusal and a deletion are told and done; the others are in force until their term or their lifting."""
    lasting = rung in ("restrict", "suspend", "close", "blacklist")
    found = of(Opened(), measured(rung=rung))
    assert bool(found.in_force(START_MS + 5_000 * DAY_MS)) == lasting
    assert found.lesson_due
    assert of(Opened(), measured(rung=rung), Lifted(measure="m-1", how="reversed", code="R1", basis="b")).measures == ()


def test_a_term_ends_by_itself() -> None:
    """A measure is in force up to its last millisecond, without any event at its end."""
    until = START_MS + HOUR_MS
    found = of(Opened(), measured(until_ms=until), measured("m-2", "restrict", until, functions=("color", "link")))
    assert [each.id for each in found.in_force(until - 1)] == ["m-1", "m-2"]
    assert found.in_force(until) == ()


def test_reports_count_by_how_often_they_were_right() -> None:
    """Trust in somebody's reports begins at one half, goes up with right ones and down with wrong ones; a reversal undoes it."""
    assert of(Opened()).report_weight == 0.5
    right = [Counted(what="report.upheld", ref=f"r{n}") for n in range(8)]
    wrong = [Counted(what="report.malicious", ref=f"w{n}") for n in range(8)]
    unfounded = [Counted(what="report.unfounded", ref=f"u{n}") for n in range(8)]
    assert of(Opened(), *right).report_weight == 0.9
    assert of(Opened(), *wrong).report_weight == of(Opened(), *unfounded).report_weight == 0.1
    assert of(Opened(), *right, *wrong).report_weight == 0.5
    undone = of(
        Opened(), *wrong, *(Discounted(what="report.malicious", ref=f"w{n}", counted_ms=START_MS + 2_000) for n in range(8))
    )
    assert undone.report_weight == 0.5


def test_a_lesson_is_wanted_at_first_and_after_a_measure() -> None:
    """Taking it once is enough until the next measure."""
    assert of(Opened()).lesson_wanted
    assert not of(Opened(), LessonTaken(version="1")).lesson_wanted
    assert of(Opened(), LessonTaken(version="1"), measured(rung="warn")).lesson_wanted
    assert not of(Opened(), measured(rung="warn"), LessonTaken(version="1")).lesson_wanted


def long_ledger(count: int) -> list[Entry]:
    """A life full of decisions: removals, reversals, measures with terms, over years."""
    found: list[AccountEvent] = [Opened(), Verified(method="phone")]
    while len(found) < count:
        number = len(found)
        at = START_MS + number * 6 * HOUR_MS
        found += [
            Counted(what="removal.S", ref=f"m-{number}"), measured(f"m-{number}", "suspend", at + DAY_MS),
            Consented(purpose=f"p{number % 5}", version="1"), Discounted(what="removal.S", ref=f"m-{number}", counted_ms=at),
            Lifted(measure=f"m-{number - 10}", how="reversed", code="R1", basis="b"),
        ]  # fmt: skip
    return entries(*found[:count], step_ms=6 * HOUR_MS)


def test_a_standing_stays_small() -> None:
    """After 10,000 entries over years a standing is a few kilobytes: terms that are over and faded marks are left out."""
    found = fold("a", long_ledger(10_000))
    assert found.last == 30_000
    assert len(found.measures) <= 2
    assert len(found.marks) <= 180
    assert len(msgspec.json.encode(found)) < 4_096


def test_folding_is_quick() -> None:
    """100 entries, from bytes to a standing, take well under a millisecond of a free processor (the bound leaves room)."""
    ledger = long_ledger(100)
    rows = [(entry, events.encode(entry.event)) for entry in ledger]

    def work() -> None:
        fold("a", [msgspec.structs.replace(entry, event=events.decode(data)) for entry, data in rows])

    assert best_of(20, work, bound(0.005)) < bound(0.005)
