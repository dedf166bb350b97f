"""Duty P9: credit from recorded events, service by credit, the blacklist, no second registration."""

from __future__ import annotations

import random
from pathlib import Path
from typing import NamedTuple

import pytest

from server.accounts import measures, privacy
from server.accounts.book import Transaction, read_entries
from server.accounts.credit import DAY_MS, WEIGHTS
from server.accounts.events import Counted, Discounted, Verified
from server.accounts.permit import Permit
from server.accounts.signup import Person, open_account
from server.accounts.standing import fold
from server.errors import Refusal
from server.settings import Settings
from server.wire import Say
from tests.support.accounts import Clock, add_person, book, standing
from tests.support.vaults import vault


class Token(NamedTuple):
    """What a token of this site says: nothing that counts."""

    verified: bool = False
    agreed: str = ""


def test_duty_p9_replaying_the_events_gives_the_same_credit(tmp_path: Path) -> None:
    """The ledger, read anew after a restart, gives each account the points and the level that it had while the server ran."""
    rng = random.Random(11)
    clock = Clock()
    names = [f"a-{number}" for number in range(40)]

    def decisions(tx: Transaction) -> None:
        for name in names:
            what = rng.choice(sorted(WEIGHTS))
            entry = tx.append(name, Counted(what=what, ref="r"), actor="staff:a", role="reviewer")
            if rng.random() < 0.3:
                back = Discounted(what=what, ref="r", counted_ms=entry.at_ms)
                tx.append(name, back, actor="staff:b", role="senior")

    with book(tmp_path, clock) as running:
        running.write_now(lambda tx: [tx.open(name) for name in names])
        for _ in range(6):
            clock.forward(days=11)
            running.write_now(decisions)
        had = {name: running.standings.get(name) for name in names}
    with book(tmp_path, clock) as again:
        for name in names:
            replayed = fold(name, again.read_now(lambda connection, name=name: read_entries(connection, name)))  # type: ignore[misc]
            assert replayed == had[name]
    assert len({found.level(clock.now_ms) for found in had.values() if found}) > 2


def test_duty_p9_how_much_somebody_writes_never_counts() -> None:
    """No event says that somebody wrote something, and no weight counts it: what counts is a decision, a report or a lesson."""
    kinds = {name.split(".")[0] for name in WEIGHTS}
    assert kinds == {"removal", "refused_on_review", "measure", "report", "lesson"}


def test_duty_p9_the_scope_of_service_follows_credit(tmp_path: Path) -> None:
    """An account whose comments were removed rightly loses links and colours and is reviewed first; reversals give all of it back."""
    clock = Clock()
    with book(tmp_path, clock) as accounts:
        add_person(accounts)

        def permit() -> Permit:
            return Permit(standing(accounts, "a-1"), Token(), "1", clock.now_ms)

        colored = Say(room="demo", key="k", text="hello", color="#ff0000")
        permit().check(colored)
        assert not permit().rule.reviewed

        def remove(tx: Transaction) -> str:
            return measures.count_removal(tx, "a-1", "demo", 3, "L8", "insult", actor="staff:ann", role="reviewer")

        accounts.write_now(remove)
        assert permit().level == 0
        assert permit().rule.reviewed
        with pytest.raises(Refusal, match="level_too_low"):
            permit().check(colored)
        accounts.write_now(
            lambda tx: measures.discount_removal(tx, "a-1", "demo", 3, "R1", "a mistake", actor="staff:bob", role="senior")
        )
        permit().check(colored)


def test_duty_p9_the_blacklist_refuses_a_second_registration(tmp_path: Path) -> None:
    """The same person under another nickname is refused, also after the first account was erased; others register; after the term,
    or a reversal, the person may come back."""
    clock, keys = Clock(), vault()
    notice = privacy.notice(Settings(data_dir=tmp_path))
    phone = Person(kind="phone", value="+8613800000001", field="phone", purpose="account", method="phone", strength=1)
    other = Person(kind="phone", value="+8613800000002", field="phone", purpose="account", method="phone", strength=1)

    def register(tx: Transaction, person: Person, name: str) -> str:
        account = open_account(tx, keys, person, name, notice)
        assert any(isinstance(each.event, Verified) for each in tx.entries_of(account))
        return account

    with book(tmp_path, clock) as accounts:
        first = accounts.write_now(lambda tx: register(tx, phone, "甲甲甲"))
        with pytest.raises(Refusal, match="identity_taken"):
            accounts.write_now(lambda tx: register(tx, phone, "乙乙乙"))
        measure = accounts.write_now(
            lambda tx: measures.take(
                tx, first, "blacklist", "S3", "paid posting", actor="staff:ann", role="operator", duration_ms=365 * DAY_MS
            )
        )
        accounts.write_now(lambda tx: privacy.erase(tx, keys, first, actor=first, role="person"))
    clock.forward(days=200)
    with book(tmp_path, clock) as accounts:
        with pytest.raises(Refusal, match="blacklisted"):
            accounts.write_now(lambda tx: register(tx, phone, "丙丙丙"))
        accounts.write_now(lambda tx: register(tx, other, "丁丁丁"))
        accounts.write_now(lambda tx: measures.lift(tx, measure, "R2", "appeal", actor="staff:bob", role="senior"))
        assert accounts.write_now(lambda tx: register(tx, phone, "戊戊戊"))
