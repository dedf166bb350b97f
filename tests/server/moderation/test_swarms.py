"""server/moderation/swarms.py"""

from __future__ import annotations

from pathlib import Path

from filters.swarm import Evidence
from server.moderation import deciding, swarms
from server.moderation.book import ReviewBook
from server.moderation.queue import EVERYTHING, Item, listed
from server.moderation.swarms import Kind
from tests.support.accounts import START_MS, Clock
from tests.support.review import ANN, book


def note(desk: ReviewBook, *names: str, kind: Kind = "comments", texts: int = 3) -> list[int]:
    """The first of ``names`` is found to act with the others."""
    found = [Evidence(names[0], tuple(names[1:]), texts, 2, 0)]
    return desk.write_now(lambda tx: swarms.note(tx, kind, found))


def waiting(desk: ReviewBook) -> list[Item]:
    return desk.read_now(lambda sql: listed(sql, "swarm", EVERYTHING, START_MS, 9))


def test_duty_p7_findings_about_one_group_are_one_item(tmp_path: Path) -> None:
    """Whoever shares somebody with a swarm belongs to it; the item grows with it, and weighs more."""
    with book(tmp_path) as desk:
        assert note(desk, "ann", "ben", "eve") == [1]
        (small,) = waiting(desk)
        assert (small.source, small.code, small.text) == ("w:1", "S3", "1 accounts share up to 3 texts in 2 rooms")
        assert note(desk, "ben", "ann", "eve") == [1]
        assert note(desk, "dan", "ben", texts=5) == [1]
        (item,) = waiting(desk)
        assert item.id == small.id
        assert item.priority > small.priority
        assert item.text == "3 accounts share up to 5 texts in 2 rooms"
        found = desk.read_now(lambda sql: swarms.of_item(sql, item.id))
        assert found is not None
        assert (found.members, found.texts, found.rooms, found.item) == (3, 5, 2, item.id)
        members = desk.read_now(lambda sql: swarms.members(sql, 1))
        assert [each.account for each in members] == ["dan", "ann", "ben"]
        assert members[1].peers == ("ben", "eve")


def test_others_and_later_ones_are_swarms_of_their_own(tmp_path: Path) -> None:
    """Of other people, of another kind, or after the group was silent for a while."""
    clock = Clock()
    with book(tmp_path, clock) as desk:
        assert note(desk, "ann", "ben") == [1]
        assert note(desk, "yan", "zoe") == [2]
        assert note(desk, "ann", "ben", kind="reports") == [3]
        clock.forward(hours=1)
        assert note(desk, "ann", "ben") == [4]
        assert [each.text.split(" in ")[0] for each in waiting(desk)][-1].endswith("texts")
        assert "reported comments" in {each.source: each.text for each in waiting(desk)}["w:3"]


def test_a_swarm_that_goes_on_after_it_was_decided_waits_again(tmp_path: Path) -> None:
    """What was decided stays; a finding after it makes a new item of the same swarm."""
    with book(tmp_path) as desk:
        note(desk, "ann", "ben")
        (item,) = waiting(desk)
        done = desk.write_now(lambda tx: deciding.decide_item(tx, item.id, item.version, "warn", "S3", "paid posting", **ANN))
        assert (done.what, done.code) == ("warn", "S3")
        assert waiting(desk) == []
        note(desk, "ben", "ann")
        (again,) = waiting(desk)
        assert again.source == item.source
        assert again.id != item.id


def test_nothing_is_found_of_what_is_not_there(tmp_path: Path) -> None:
    """No findings, no swarm, no item."""
    with book(tmp_path) as desk:
        assert desk.write_now(lambda tx: swarms.note(tx, "comments", [])) == []
        assert desk.read_now(lambda sql: swarms.find(sql, 1)) is None
        assert desk.read_now(lambda sql: swarms.of_item(sql, 1)) is None
