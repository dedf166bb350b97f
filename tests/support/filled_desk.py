"""The review desk with something of everything on it, and the addresses of all its pages, taken from the table of staff's routes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Final, get_args

import httpx

from server.accounts import appeals, measures
from server.accounts.book import Transaction as AccountsTransaction
from server.accounts.staff import StaffRole
from server.core.raids import Raid
from server.http.staff import RULES
from server.moderation import deciding, training
from server.moderation.book import Transaction
from server.moderation.scoped import PARTS
from tests.support import review
from tests.support.guest import member
from tests.support.services import FakeServices
from tests.support.staff import Desk

WORDS: Final = "\"><b>夜</b> &amp; 'x' <!-- --> ]]>"
"""What people write who want to break pages."""
NO_PAGES: Final = frozenset({"/staff/desk/events", "/staff/patrol/stream"})
"""Streams, which do not end."""
DATA: Final = frozenset({"/staff/figures.json", "/staff/team.json", "/staff/public/filing.csv"})
"""Routes that answer with data."""
_SIGNING_IN: Final = frozenset({"/staff/enrol"})
"""Opened by a link that is good once."""
_CASE: Final = {
    "kind": "rectification",
    "source": "authority",
    "title": WORDS,
    "facts": WORDS,
    "due": "2026-10-01",
    "reference": "3",
}
_FINDING: Final = {
    "authority": "authority", "title": WORDS, "summary": WORDS, "code": "L5", "basis": WORDS, "comments": "demo#1", "accounts": "a-1",
}  # fmt: skip
_INSPECTION: Final = {
    "case_number": WORDS[:40], "reason": WORDS, "inspectors": "ida", "rooms": "demo", "since": "2026-09-01", "until": "2027-10-01",
    "days": "7",
}  # fmt: skip

Filling = Mapping[str, list[str]]


async def fill(services: FakeServices, desk: Desk) -> Filling:
    """Put something on each page; gives the values of the parameters of their addresses. The desk's browser is that of a member with
    all roles then."""
    services.add_room("demo", WORDS)
    services.say("demo", WORDS, author="a-1", name='"><img src=x>')
    book = services.moderation.book
    waiting = [
        review.put(book, queue=queue, source=f"s:{number}", room="demo", account="a-1", author_name=WORDS[:20], text=WORDS)
        for number, queue in enumerate(("held", "news", "second"))
    ]
    waiting.append(review.report(book, 1, room="demo", text=WORDS, author="a-1"))

    def judge(tx: Transaction) -> tuple[int, int]:
        done = deciding.remove(tx, "demo", 1, "a-1", "L8", WORDS, actor="staff:ben", role="senior")
        number = training.begin_set(tx, WORDS, actor="staff:ben", role="senior")
        for code in (training.KEEP, "S1", "L8"):
            training.add_question(tx, number, f"{WORDS} {code}", code, WORDS)
        training.publish(tx, number, actor="staff:ben", role="senior")
        return done.id, number

    def complain(tx: AccountsTransaction) -> str:
        member(tx)
        measure = measures.count_removal(tx, "a-1", "demo", 1, "L8", WORDS, actor="staff:ben", role="senior")
        appeals.file(tx, "a-1", measure, WORDS)
        return measure

    decision, number = await book.write(judge)
    await services.people.book.write(complain)
    await desk.enter("carl", "compliance", "operator")
    case = await _made(desk, "/staff/cases", _CASE)
    finding = await _made(desk, "/staff/outbox", _FINDING)
    inspection = await _made(desk, "/staff/inspections", _INSPECTION)
    await desk.enter("ann", *get_args(StaffRole))
    approved = await desk.post(f"{inspection}/decide", outcome="approve", basis="in order")
    began = await desk.post("/staff/training/begin", training=str(number))
    assert (approved.status_code, began.status_code) == (303, 303), began.text
    services.raids = [Raid("demo", services.clock_ms, 80, 90, 0.55)]
    return {
        "account": ["a-1"], "case": [_last(case)], "finding": [_last(finding)], "inspection": [_last(inspection)],
        "part": list(PARTS), "room": ["demo"], "item": [str(item.id) for item in waiting], "decision": [str(decision)],
        "attempt": [_last(began.headers["location"])], "training": [str(number)],
    }  # fmt: skip


async def _made(desk: Desk, path: str, form: Mapping[str, str]) -> str:
    answer: httpx.Response = await desk.post(path, **form)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def _last(path: str) -> str:
    return path.rpartition("/")[2].partition("?")[0]


def pages(filling: Filling) -> Iterator[str]:
    """The addresses of all pages of staff. Raises KeyError for a parameter that nothing was made for: the page is new."""
    for rule in RULES:
        if rule.method == "GET" and rule.path not in NO_PAGES | DATA | _SIGNING_IN:
            names = re.findall(r"\{(\w+)\}", rule.path)
            for values in itertools.product(*(filling[name] for name in names)):
                yield rule.path.format(**dict(zip(names, values, strict=True)))
