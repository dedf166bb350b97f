"""server/accounts/followed.py"""

from __future__ import annotations

from pathlib import Path

import pytest

from server.accounts import followed, privacy
from server.accounts.book import Accounts, Transaction
from server.accounts.events import Erased
from server.errors import Refusal
from server.wire import Event
from tests.support.accounts import book, letters, standing


def removal(seq: int, target: int = 1, code: str = "L5", role: str = "reviewer") -> Event:
    """A removal as it stands in the log."""
    return Event(seq=seq, kind="removal", at_ms=1, target=target, code=code, basis="rule 3", role=role)


def restoration(seq: int, target: int = 1) -> Event:
    """A restoration as it stands in the log."""
    return Event(seq=seq, kind="restoration", at_ms=1, target=target, code="R1", basis="appeal", role="operator")


def count(accounts: Accounts, event: Event, author: str = "ann") -> None:
    """Count a decision of room ``a``."""
    accounts.write_now(lambda tx: followed.count(tx, "a", event, author, "staff:rev"))


def points(accounts: Accounts, account: str = "ann") -> int:
    """What the account's marks add up to."""
    return sum(sum_ for _, sum_ in standing(accounts, account).marks)


def test_following_begins_once(tmp_path: Path) -> None:
    """The rooms that are there begin at their heads, once; one that comes later begins at its first event."""
    with book(tmp_path) as accounts:
        accounts.write_now(lambda tx: followed.begin(tx, {"a": 7, "b": 0}))
        accounts.write_now(lambda tx: followed.begin(tx, {"a": 9, "c": 3}))
        assert accounts.read_now(followed.places) == {"a": 7, "b": 0}


def test_a_place_never_goes_back(tmp_path: Path) -> None:
    """Moving to where one is, or was, does nothing."""
    with book(tmp_path) as accounts:
        moved = [accounts.write_now(lambda tx, seq=seq: followed.move(tx, "a", seq)) for seq in (3, 3, 2, 5)]  # type: ignore[misc]
        assert moved == [True, False, False, True]
        assert accounts.read_now(followed.places) == {"a": 5}


def test_places_beyond_the_logs_are_brought_back(tmp_path: Path) -> None:
    """After a backup of the logs was put back, what is decided under numbers that were read before counts, and comments of erased
    accounts are to be removed again; logs that have gone on change nothing."""
    with book(tmp_path) as accounts:
        accounts.write_now(lambda tx: followed.begin(tx, {"a": 7, "b": 3, "gone": 2}))
        accounts.write_now(lambda tx: tx.open("ann"))
        accounts.write_now(lambda tx: privacy.withdraw_comments(tx, "ann"))
        accounts.write_now(lambda tx: privacy.withdrawal_done(tx, "ann"))
        assert accounts.write_now(lambda tx: followed.fit(tx, {"a": 7, "b": 9, "gone": 2})) == []
        assert accounts.read_now(privacy.open_withdrawals) == []
        assert sorted(accounts.write_now(lambda tx: followed.fit(tx, {"a": 4, "b": 9}))) == ["a", "gone"]
        assert accounts.read_now(followed.places) == {"a": 4, "b": 3}
        assert accounts.read_now(privacy.open_withdrawals) == [("ann", 0)]
        count(accounts, removal(5))
        assert points(accounts) == -40


def test_a_removal_counts_once_and_is_told(tmp_path: Path) -> None:
    """Credit, letter and place change together; said again, nothing happens."""
    with book(tmp_path) as accounts:
        for _ in range(2):
            count(accounts, removal(4))
        assert points(accounts) == -40
        ((kind, data),) = letters(accounts, "ann")
        assert (kind, data["rung"], data["code"], data["basis"], data["room"], data["seq"]) == (
            "measure", "delete", "L5", "rule 3", "a", 1,
        )  # fmt: skip
        assert data["measure"], "the letter names what an appeal is made against"
        assert accounts.read_now(followed.places) == {"a": 4}


def test_a_restoration_takes_it_back(tmp_path: Path) -> None:
    """The removal counts no more, also when both are said again; removed again, it counts again."""
    with book(tmp_path) as accounts:
        for _ in range(2):
            count(accounts, removal(4))
            count(accounts, restoration(5))
            assert points(accounts) == 0
        assert len(letters(accounts, "ann")) == 2
        count(accounts, removal(6))
        assert points(accounts) == -40


@pytest.mark.parametrize(
    ("event", "author"), [(removal(4, role="author", code="U1"), "ann"), (removal(4), ""), (restoration(4), "ann")]
)
def test_what_is_no_measure_moves_the_place_alone(tmp_path: Path, event: Event, author: str) -> None:
    """An author's own recall, a comment without an account, a restoration of what never counted."""
    with book(tmp_path) as accounts:
        count(accounts, event, author)
        assert standing(accounts, "ann").marks == ()
        assert letters(accounts, "ann") == []
        assert accounts.read_now(followed.places) == {"a": 4}


def test_a_refused_measure_changes_nothing(tmp_path: Path) -> None:
    """No place without what it stands for: the caller decides what becomes of such an event."""
    with book(tmp_path) as accounts:

        def erased(tx: Transaction) -> None:
            tx.open("ann", origin="host", actor="host", role="host")

            tx.append("ann", Erased(), actor="ann", role="person")

        accounts.write_now(erased)
        with pytest.raises(Refusal, match="bad_measure"):
            count(accounts, removal(4))
        assert accounts.read_now(followed.places) == {}
