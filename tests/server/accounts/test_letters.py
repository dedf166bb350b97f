"""server/accounts/letters.py"""

from __future__ import annotations

from pathlib import Path

from server.accounts.book import Transaction
from server.accounts.letters import Stored, listed, mark_read
from tests.support.accounts import Clock, book, person


def test_letters_are_listed_newest_first_in_pieces(tmp_path: Path) -> None:
    """At most as many as asked for; the next piece goes on before the last id; nobody sees another's."""
    clock = Clock()

    def tell(tx: Transaction) -> None:
        person(tx, "a-1")
        person(tx, "a-2")
        for number in range(5):
            tx.tell("a-1", "note", {"n": number})
        tx.tell("a-2", "note", {"n": 9})

    with book(tmp_path, clock) as accounts:
        accounts.write_now(tell)

        def piece(before: int = 0) -> list[Stored]:
            return accounts.read_now(lambda connection: listed(connection, "a-1", limit=3, before=before))

        first = piece()
        rest = piece(first[-1].id)
        assert [letter.data["n"] for letter in first + rest] == [4, 3, 2, 1, 0]
        assert all((letter.at_ms, letter.read_ms) == (clock(), 0) for letter in first)


def test_a_letter_is_seen_once(tmp_path: Path) -> None:
    """Those up to an id become seen, at that moment; those seen before keep theirs, later and others' stay new."""
    clock = Clock()

    def tell(tx: Transaction) -> None:
        for account in ("a-1", "a-2", "a-1"):
            person(tx, account)
            tx.tell(account, "note", {})

    with book(tmp_path, clock) as accounts:
        accounts.write_now(tell)
        newest, oldest = accounts.read_now(lambda connection: listed(connection, "a-1", limit=9))
        assert accounts.write_now(lambda tx: mark_read(tx, "a-1", oldest.id)) == 1
        first_ms = clock()
        clock.forward(seconds=1)
        assert accounts.write_now(lambda tx: mark_read(tx, "a-1", newest.id)) == 1
        assert accounts.write_now(lambda tx: mark_read(tx, "a-1", newest.id)) == 0
        seen = accounts.read_now(lambda connection: listed(connection, "a-1", limit=9))
        assert [letter.read_ms for letter in seen] == [clock(), first_ms]
        (other,) = accounts.read_now(lambda connection: listed(connection, "a-2", limit=9))
        assert other.read_ms == 0
