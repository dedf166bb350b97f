"""Something to inspect: two rooms with pages, screened comments, reports, decisions and measures; each has a text of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from server.accounts import measures
from server.accounts.book import Transaction as AccountsTransaction
from server.moderation import inspection, tables
from server.moderation.book import ReviewBook, Transaction
from server.moderation.inspecting import Inspections
from server.moderation.inspection import Scope
from server.moderation.scoped import Sources
from server.pages import PageWork
from server.signing import SigningKey
from server.store.base import Draft, Store
from server.store.memory import MemoryStore
from static_mirror import Mirror
from tests.support import accounts, drafts, review
from tests.support.accounts import START_MS, Clock

ASKED: Final[dict[str, Any]] = {"actor": "staff:carl", "role": "compliance"}
APPROVED: Final[dict[str, Any]] = {"actor": "staff:olga", "role": "operator"}
INSPECTOR: Final[dict[str, Any]] = {"actor": "staff:ida", "role": "inspector"}

AUTHORS: Final = ("ann", "bob", "cyd")
COMMENTS: Final = 300
SECOND_MS: Final = 1_000


class World(NamedTuple):
    """What is there. ``texts`` are all texts that were written, with room, account, time and codes of what carries each."""

    data_dir: Path
    clock: Clock
    sources: Sources
    inspections: Inspections
    texts: dict[str, tuple[str, str, int, frozenset[str]]]

    def allow(self, scope: Scope, *inspectors: str) -> str:
        """An inspection in force, asked for by one and approved by another; its id."""

        def work(tx: Transaction) -> str:
            found = inspection.ask(
                tx,
                "网信检〔2026〕7号",
                "order of the authority",
                scope,
                inspectors or ("ida",),
                tx.now_ms + 86_400_000,
                **ASKED,
            )
            inspection.decide(tx, found, True, "the paper is in order", **APPROVED)
            return found

        return self.sources.book.write_now(work)


def span(**fields: Any) -> Scope:
    """A scope over all the time of the world."""
    return Scope(**{"since_ms": START_MS - 1, "until_ms": START_MS + 86_400_000, **fields})


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """Rooms ``a`` (:data:`COMMENTS` comments, some removed, one restored) and ``b``, a second apart, by :data:`AUTHORS` in turn."""
    clock = Clock()
    store = MemoryStore()
    texts: dict[str, tuple[str, str, int, frozenset[str]]] = {}
    with accounts.book(folder, clock) as people, review.book(folder, clock) as book:
        _fill_rooms(store, texts)
        _fill_records(store, people, book, clock, texts)
        mirror = Mirror(folder / "pages", tz="Asia/Shanghai")
        infos = {info.name: info for info in store.rooms()}
        PageWork(mirror, store, infos).repair_all(infos)
        mirror.close()
        sources = Sources(store, people, book)
        found = Inspections(sources, SigningKey.open(folder / "signing.key"), folder, "https://video.example")
        try:
            yield World(folder, clock, sources, found, texts)
        finally:
            found.close()


def _fill_rooms(store: Store, texts: dict[str, tuple[str, str, int, frozenset[str]]]) -> None:
    for room, number in (("a", COMMENTS), ("b", 12)):
        store.create_room(room, f"Room {room}", "live", START_MS)
        batch: list[Draft] = []
        for at in range(number):
            text, author = f"text-{room}-{at + 1}.", AUTHORS[at % 3]
            batch.append(drafts.comment(f"{room}{at}", room=room, author=author, author_id=f"p-{author}", author_name=f"N{author}",
                                        at_ms=START_MS + at * SECOND_MS, text=text))  # fmt: skip
            texts[text] = (room, author, START_MS + at * SECOND_MS, frozenset())
        store.append(batch)
    late = START_MS + 400 * SECOND_MS
    store.append([
        drafts.removal(3, "r1", code="S1", at_ms=late), drafts.removal(7, "r2", code="L5", at_ms=late + 1),
        drafts.restoration(7, "s1", code="R1", at_ms=late + 2), drafts.removal(2, "r3", room="b", code="S1", at_ms=late + 3),
        drafts.announcement("notice-a.", at_ms=late + 4),
    ])  # fmt: skip
    texts["text-a-3."] = ("a", "cyd", START_MS + 2 * SECOND_MS, frozenset({"S1"}))
    texts["text-b-2."] = ("b", "bob", START_MS + SECOND_MS, frozenset({"S1"}))
    texts["notice-a."] = ("a", "", late + 4, frozenset())


def _fill_records(
    store: Store, people: Any, book: ReviewBook, clock: Clock, texts: dict[str, tuple[str, str, int, frozenset[str]]]
) -> None:
    for at, (room, author, code) in enumerate((("a", "ann", "S1"), ("b", "bob", "L8"))):
        text = f"held-{room}-{author}."
        at_ms = START_MS + 500 * SECOND_MS + at
        store.append([drafts.held(f"h{at}", room=room, author=author, code=code, text=text, at_ms=at_ms)])
        texts[text] = (room, author, at_ms, frozenset({code}))
        store.append([drafts.report(f"RECEIPT-{room}", room=room, seq=4, reason=code, text=f"report-{room}.", at_ms=at_ms)])
        texts[f"report-{room}."] = (room, "ann", at_ms, frozenset({code}))

    def decide(tx: Transaction) -> None:
        for room, account, code in (("a", "ann", "S1"), ("b", "bob", "L8")):
            basis = f"decided-{room}."
            tx.decide("refuse", code, basis, actor="staff:rex", role="reviewer", room=room, account=account)
            texts[basis] = (room, account, tx.now_ms, frozenset({code}))
        tx.sql.execute(
            tables.receipts.insert().values(receipt="RECEIPT-a", item=1, at_ms=1, due_ms=2, reason="S1", outcome="upheld")
        )

    def measure(tx: AccountsTransaction) -> None:
        for account, code in (("ann", "S1"), ("bob", "L8")):
            tx.open(account)
            basis = f"measure-{account}."
            measures.take(tx, account, "warn", code, basis, actor="staff:rex", role="reviewer")
            texts[basis] = ("", account, tx.now_ms, frozenset({code}))

    clock.forward(seconds=600)
    book.write_now(decide)
    people.write_now(measure)
