"""server/moderation/retention.py"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import insert, update

from filters.swarm import Evidence
from server.accounts import holds
from server.moderation import deciding, retention, swarms, tables
from server.moderation.book import ReviewBook
from server.moderation.retention import Cutoffs, Retention
from server.settings import Settings, rows
from tests.support.accounts import START_MS, Clock
from tests.support.accounts import book as accounts
from tests.support.review import ANN, at, book, effects, hold, receipts, report


def old(desk: ReviewBook, clock: Clock) -> tuple[int, int]:
    """A published comment of ann and a reported one that stays, decided; a year and more passes. The numbers of their items."""
    held = hold(desk, 1, text="a held text")
    desk.write_now(lambda tx: deciding.decide_item(tx, held.id, held.version, "publish", "K1", "fine", **ANN))
    desk.write_now(lambda tx: tx.sql.execute(update(tables.effects).values(done_ms=tx.now_ms, seq=1)))
    reported = report(desk, 1, 7, account="zoe")
    desk.write_now(lambda tx: deciding.decide_item(tx, reported.id, reported.version, "keep", "K2", "fine", **ANN))
    desk.write_now(lambda tx: swarms.note(tx, "comments", [Evidence("yan", ("ann",), 3, 2, 0)]))
    clock.forward(days=1096)
    return held.id, reported.id


def gone(counts: dict[str, int]) -> dict[str, int]:
    """What was deleted, without the tables that lost nothing."""
    return {table: count for table, count in counts.items() if count}


def cut(clock: Clock, *held: str) -> Cutoffs:
    return retention.cutoffs(list(held), clock.now_ms, Settings())


def test_every_table_of_the_desk_has_a_purpose_and_a_term() -> None:
    """No table is kept without saying what for; the settings of the terms are there; no table is named twice."""
    known = (*retention.TABLES, *retention.OTHERS)
    assert {each.table for each in known} == set(tables.metadata.tables)
    assert len(known) == len({each.table for each in known})
    settings = {row.name for row in rows()}
    for each in known:
        assert each.purpose
        assert not each.term or each.term in settings
        assert bool(each.term) == bool(each.goes)


def test_texts_go_when_their_term_is_over_and_decisions_stay(tmp_path: Path) -> None:
    """The decision and its code are there for good; text, names, verdict and draft are not, nor is the receipt."""
    clock = Clock()
    with book(tmp_path, clock) as desk:
        held, reported = old(desk, clock)
        waits = hold(desk, 2, text="waits still")
        assert gone(desk.write_now(lambda tx: retention.purge(tx, cut(clock)))) == {
            "items": 2, "effects": 1, "receipts": 1, "swarm_members": 1,
        }  # fmt: skip
        for item in (at(desk, held), at(desk, reported)):
            assert (item.text, item.author_name, item.author_id, item.digest) == ("", "", "", "")
            assert (item.draft, item.verdict) == (b"", b"")
            assert item.decision
        assert receipts(desk) == {}
        assert effects(desk)[0]["draft"] == {}
        assert at(desk, waits.id).text == "waits still"
        assert set(desk.write_now(lambda tx: retention.purge(tx, cut(clock))).values()) == {0}


def test_nothing_goes_before_its_term(tmp_path: Path) -> None:
    """One day earlier everything is there, but for who acted in a group."""
    clock = Clock()
    with book(tmp_path, clock) as desk:
        old(desk, clock)
        clock.forward(days=-2)
        found = desk.write_now(lambda tx: retention.purge(tx, cut(clock)))
        assert gone(found) == {"swarm_members": 1}


def test_duty_p12_what_is_under_a_hold_is_not_purged(tmp_path: Path) -> None:
    """What an account is held for stays whole, of others it goes; a hold on everything keeps everything."""
    clock = Clock()
    with book(tmp_path, clock) as desk:
        held, _ = old(desk, clock)
        assert desk.write_now(lambda tx: retention.purge(tx, cut(clock, holds.EVERYTHING))) == {}
        found = desk.write_now(lambda tx: retention.purge(tx, cut(clock, "ann", "zoe")))
        assert gone(found) == {"swarm_members": 1}
        assert at(desk, held).text == "a held text"
        assert sum(desk.write_now(lambda tx: retention.purge(tx, cut(clock, "zoe"))).values()) == 3


async def test_holds_are_asked_for_before_each_batch(tmp_path: Path) -> None:
    """A hold that is placed is respected from the next batch on; without one all is purged, batch by batch."""
    clock = Clock()
    with book(tmp_path, clock) as desk, accounts(tmp_path, clock) as people:
        old(desk, clock)
        work = Retention(Settings(), desk, people, clock)
        hold_id = people.write_now(
            lambda tx: holds.place(tx, holds.EVERYTHING, "a case", "2026-1", actor="x", role="compliance")
        )
        assert await work.purge() == {}
        people.write_now(lambda tx: holds.release(tx, hold_id, actor="x", role="compliance"))
        assert gone(await work.purge()) == {"items": 2, "effects": 1, "receipts": 1, "swarm_members": 1}


def test_more_than_a_batch_takes_more_than_one_transaction(tmp_path: Path) -> None:
    """Nobody waits for a long one."""
    clock = Clock()
    with book(tmp_path, clock) as desk:
        row = {"queue": "held", "room": "a", "text": "x", "state": "decided", "decided_ms": START_MS, "at_ms": START_MS}
        many = [{**row, "source": f"s:{each}"} for each in range(retention.BATCH + 1)]
        desk.write_now(lambda tx: tx.sql.execute(insert(tables.items), many))
        clock.forward(days=1096)
        assert desk.write_now(lambda tx: retention.purge(tx, cut(clock)))["items"] == retention.BATCH
        assert desk.write_now(lambda tx: retention.purge(tx, cut(clock)))["items"] == 1
