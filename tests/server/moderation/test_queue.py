"""server/moderation/queue.py"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import ClauseElement, Connection, Index, or_
from sqlalchemy.sql.compiler import SQLCompiler

from server.errors import Refusal
from server.moderation import queue, tables
from server.moderation.book import ReviewBook, Transaction
from server.moderation.queue import EVERYTHING, LEASE_MS, Count, Filters, Item
from tests.support.accounts import START_MS, Clock
from tests.support.review import at, book, put


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desk(tmp_path: Path, clock: Clock) -> Iterator[ReviewBook]:
    with book(tmp_path, clock) as found:
        yield found


def refused(desk: ReviewBook, work: Callable[[Transaction], Any]) -> tuple[str, str]:
    """Code and detail of the refusal that the work ends in."""
    with pytest.raises(Refusal) as caught:
        desk.write_now(work)
    return caught.value.code.name, caught.value.detail


def listed(desk: ReviewBook, now_ms: int = START_MS, **filters: Any) -> list[int]:
    return [each.id for each in desk.read_now(lambda c: queue.listed(c, "held", Filters(**filters), now_ms, 100))]


def claim(desk: ReviewBook, item: Item | int, actor: str = "staff:ann") -> Item:
    number = item if isinstance(item, int) else item.id
    return desk.write_now(lambda tx: queue.claim(tx, number, actor))


def claim_next(desk: ReviewBook, actor: str = "staff:ann", number: int = 1, filters: Filters = EVERYTHING) -> list[int]:
    return [each.id for each in desk.write_now(lambda tx: queue.claim_next(tx, "held", actor, filters, number))]


def test_what_matters_most_comes_first(desk: ReviewBook) -> None:
    """Severity, reach and the reporters' weight decide; of equals, the older is first. A list goes on after any item."""
    mild = put(desk, source="s:1", severity=40).id
    first = put(desk, source="s:2", severity=90).id
    second = put(desk, source="s:3", severity=90).id
    far = put(desk, source="s:4", severity=90, reach=10_000).id
    assert listed(desk) == [far, first, second, mild]
    rest = desk.read_now(lambda c: queue.listed(c, "held", EVERYTHING, START_MS, 2, after=first))
    assert [each.id for each in rest] == [second, mild]
    assert queue.priority_of(90, 0, 1.0) < queue.priority_of(40, 10**9, 1.0), "what is seen by very many may come before"
    assert queue.severity_of("L8") > queue.severity_of("S1") > 0
    assert queue.severity_of("") == queue.severity_of("unknown") == queue.COMMON


def test_filters_choose(desk: ReviewBook) -> None:
    """By room, code, gravity, waiting time and author; each alone and together."""
    a = put(desk, source="s:1", room="a", code="too_new", severity=90, at_ms=START_MS - 5000, author_id="p-1").id
    b = put(desk, source="s:2", room="b", code="banned", severity=40, at_ms=START_MS, author_id="p-2").id
    assert listed(desk, room="a") == listed(desk, code="too_new") == listed(desk, severity=50) == [a]
    assert listed(desk, older_ms=4000) == listed(desk, author_id="p-1") == [a]
    assert listed(desk, room="b", code="banned") == [b]
    assert listed(desk, room="b", code="too_new") == []


def plan(connection: Connection, query: ClauseElement) -> list[str]:
    """How the database goes about it, with the parameters that it is asked with."""
    compiled = query.compile(connection.engine)
    given = tuple(compiled.params[name] for name in cast(SQLCompiler, compiled).positiontup or ())
    return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", given)]


def test_no_filter_looks_through_the_queue(desk: ReviewBook) -> None:
    """Each way of asking has an index in the order of the queue, which has all that the other filters ask for as well: nothing is
    sorted, and rows that are left out are not read. So for claims, and for lists that go on."""
    given: dict[str, Any] = {"room": "demo", "code": "S1", "author_id": "p-1", "severity": 80, "older_ms": 60_000}
    waits = [index for index in tables.items.indexes if {"severity", "at_ms"} <= columns(index)]
    assert len(waits) == 4
    assert all(set(given) - {"older_ms"} <= columns(index) for index in waits)
    put(desk)

    def steps(connection: Connection, filters: Filters) -> str:
        ordered = queue._ordered("held", filters, START_MS)
        free = ordered.where(tables.items.c.lease_until_ms + 0 <= START_MS, tables.items.c.barred != "staff:ann")
        on = ordered.where(tables.items.c.priority <= 9.0, or_(tables.items.c.priority < 9.0, tables.items.c.id > 1))
        found = [step for query in (ordered, free, on) for step in plan(connection, query.limit(26))]
        assert len(found) == 3, found
        assert all(re.match(r"SEARCH items USING INDEX ix_items_(next|of_\w+) \(queue=\?", step) for step in found), found
        return found[0]

    def work(connection: Connection) -> None:
        assert "ix_items_next" in steps(connection, EVERYTHING)
        for name, value in given.items():
            step = steps(connection, Filters(**{name: value}))
            assert name not in ("room", "code", "author_id") or f"{name}=?" in step
        for number in range(2, len(given) + 1):
            for names in itertools.combinations(given, number):
                steps(connection, Filters(**{name: given[name] for name in names}))
        counting = plan(connection, queue._counting("held", START_MS))
        assert [step for step in counting if "items" in step and not step.startswith("SEARCH items USING")] == []

    desk.read_now(work)


def columns(index: Index) -> set[str]:
    """The names of an index's columns."""
    return {getattr(each, "name", str(each)) for each in index.expressions}


def test_a_source_waits_once(desk: ReviewBook) -> None:
    """The same thing added again is the item that waits; in another queue it is another one."""
    first = put(desk, source="c:a:1", queue="report")
    assert put(desk, source="c:a:1", queue="report").id == first.id
    assert put(desk, source="c:a:1", queue="swarm").id != first.id
    assert desk.read_now(lambda c: queue.is_open(c, "report", "c:a:1"))
    desk.write_now(lambda tx: queue.withdraw(tx, [first.id]))
    assert not desk.read_now(lambda c: queue.is_open(c, "report", "c:a:1"))
    assert put(desk, source="c:a:1", queue="report").id != first.id


def test_a_claim_is_alone_until_its_lease_ends(desk: ReviewBook, clock: Clock) -> None:
    """Another person is told who has it; when the lease has run out it is theirs, and the version tells."""
    item = put(desk)
    mine = claim(desk, item)
    assert (mine.claimed_by, mine.lease_until_ms, mine.version) == ("staff:ann", START_MS + LEASE_MS, item.version + 1)
    assert refused(desk, lambda tx: queue.claim(tx, item.id, "staff:ben")) == ("item_taken", "staff:ann")
    clock.forward(ms=LEASE_MS - 1)
    assert claim_next(desk, "staff:ben") == []
    clock.forward(ms=1)
    assert mine.holder(clock.now_ms) == ""
    theirs = claim(desk, item, "staff:ben")
    assert (theirs.claimed_by, theirs.version) == ("staff:ben", mine.version + 1)
    assert (
        refused(desk, lambda tx: queue.check_version(at(desk, item.id), mine.version, "staff:ann", tx.now_ms))[0]
        == "item_taken"
    )


def test_who_has_an_item_goes_on_having_it(desk: ReviewBook, clock: Clock) -> None:
    """Claiming again, and renewing, moves the lease on and leaves the version; what is not one's own is not renewed."""
    item, other = put(desk, source="s:1"), put(desk, source="s:2")
    mine = claim(desk, item)
    clock.forward(ms=1000)
    again = claim(desk, item)
    assert (again.version, again.lease_until_ms) == (mine.version, mine.lease_until_ms + 1000)
    clock.forward(ms=1000)
    assert desk.write_now(lambda tx: queue.renew(tx, [item.id, other.id], "staff:ann")) == [item.id]
    assert at(desk, item.id).lease_until_ms == mine.lease_until_ms + 2000
    clock.forward(ms=LEASE_MS)
    assert desk.write_now(lambda tx: queue.renew(tx, [item.id], "staff:ann")) == []


def test_the_next_item_is_the_best_free_one(desk: ReviewBook) -> None:
    """Two people never get the same; one's own come first; what is barred to somebody goes to another."""
    low = put(desk, source="s:1", severity=10).id
    high = put(desk, source="s:2", severity=90).id
    barred = put(desk, source="s:3", severity=95, barred="staff:ann").id
    assert claim_next(desk) == [high]
    assert claim_next(desk, "staff:ben") == [barred]
    assert claim_next(desk, number=2) == [high, low]
    assert claim_next(desk, number=2) == [high, low], "asked again it is the same"
    assert claim_next(desk, "staff:cat") == []
    assert refused(desk, lambda tx: queue.claim(tx, barred, "staff:ann"))[0] == "second_person_required"


def test_what_is_given_back_is_free(desk: ReviewBook) -> None:
    """Releasing counts as a change; nobody gives back what is another's."""
    item = put(desk)
    mine = claim(desk, item)
    desk.write_now(lambda tx: queue.release(tx, [item.id], "staff:ben"))
    assert at(desk, item.id) == mine
    desk.write_now(lambda tx: queue.release(tx, [item.id], "staff:ann"))
    free = at(desk, item.id)
    assert (free.claimed_by, free.lease_until_ms, free.version) == ("", 0, mine.version + 1)


def test_nobody_hoards(desk: ReviewBook, clock: Clock) -> None:
    """Beyond the bound the oldest claims are given back; asking for more at once gives no more than that."""
    for number in range(queue.CLAIMS_MAX + 3):
        put(desk, source=f"s:{number}")
    first = claim_next(desk, number=10**6)
    assert len(first) == queue.CLAIMS_MAX
    clock.forward(seconds=1)
    desk.write_now(lambda tx: queue.renew(tx, first[1:], "staff:ann"))
    extra = claim(desk, first[-1] + 1)
    mine = desk.read_now(lambda c: queue.claimed(c, "staff:ann", clock.now_ms))
    assert [each.id for each in mine] == [*first[1:], extra.id]


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("加 V", "加v", True), ("ＡＢＣ", "a b c", True), ("加V", "加W", False), ("", "", False),
        ("x" * 300 + "a", "x" * 300 + "b", False),
    ],
)  # fmt: skip
def test_equal_texts_are_found(desk: ReviewBook, left: str, right: str, same: bool) -> None:
    """Case, width and spaces make no difference; nothing equals an empty text; other queues are other matters."""
    one, two = put(desk, source="s:1", text=left), put(desk, source="s:2", text=right)
    put(desk, source="s:3", text=left, queue="report")
    claim(desk, two, "staff:ben")
    assert [each.id for each in desk.read_now(lambda c: queue.equal(c, one.id))] == ([two.id] if same else [])


def test_counts_tell_how_each_queue_stands(desk: ReviewBook, clock: Clock) -> None:
    """Open, claimed, overdue, and since when; leases that ran out do not count."""
    one = put(desk, source="s:1", at_ms=START_MS - 9, due_ms=START_MS + 5)
    put(desk, source="s:2", at_ms=START_MS)
    claim(desk, one)
    found = desk.read_now(lambda c: queue.counts(c, START_MS))
    assert found["held"] == Count(2, 1, 0, START_MS - 9)
    assert found["news"] == Count(0, 0, 0, 0)
    assert list(found) == list(queue.QUEUES)
    assert desk.read_now(lambda c: queue.counts(c, START_MS + LEASE_MS))["held"] == Count(2, 0, 1, START_MS - 9)


def test_what_is_withdrawn_leaves_no_text(desk: ReviewBook) -> None:
    """It cannot be claimed or decided, and its text, nickname and verdict are gone."""
    item = put(desk, text="secret words", author_name="安", verdict=b"{}")
    desk.write_now(lambda tx: queue.withdraw(tx, [item.id]))
    gone = at(desk, item.id)
    assert (gone.state, gone.text, gone.author_name, gone.verdict, gone.draft, gone.digest) == (
        "withdrawn",
        "",
        "",
        b"",
        b"",
        "",
    )
    assert refused(desk, lambda tx: queue.claim(tx, item.id, "staff:ann")) == ("item_changed", "withdrawn, decision 0")
    assert listed(desk) == []


def test_reports_add_up(desk: ReviewBook) -> None:
    """Each report weighs; the gravest code is the item's."""
    item = put(desk, queue="report", source="c:a:1", weight=0.0, severity=0)
    for code, weight in (("S1", 0.5), ("L8", 0.25), ("A1", 1.0)):
        desk.write_now(lambda tx: queue.reported(tx, item.id, code, weight))  # noqa: B023 - at once
    found = at(desk, item.id)
    assert (found.reports, found.weight, found.code, found.severity) == (3, 1.75, "L8", queue.severity_of("L8"))
    assert found.priority == queue.priority_of(found.severity, 0, 1.75)


def test_what_is_not_there_is_said_so(desk: ReviewBook) -> None:
    """Looking gives None, working with it is refused."""
    assert desk.read_now(lambda c: queue.find(c, 99)) is None
    assert desk.read_now(lambda c: queue.of_source(c, "held", "s:99")) is None
    assert desk.read_now(lambda c: queue.about(c, "a", 0)) == []
    for work in (lambda tx: queue.claim(tx, 99, "staff:ann"), lambda tx: queue.get(tx.sql, 99)):
        assert refused(desk, work)[0] == "item_not_found"
