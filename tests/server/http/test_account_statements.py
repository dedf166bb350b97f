"""server/http/account_statements.py"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from server.accounts import measures, sessions
from server.accounts.book import Transaction
from server.http import account_statements
from server.moderation import deciding, records
from tests.support import review
from tests.support.services import FakeServices
from tests.support.web import application, browsing


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[FakeServices]:
    found = FakeServices(tmp_path)
    found.add_room("demo")
    yield found
    await found.end()


async def test_duty_p7_the_author_reads_why(services: FakeServices) -> None:
    """Of one's own removed comment: what, why, by which clause, how it was found and by whom in which role; of others' nothing, and
    who is not signed in is led to sign in."""
    people = services.people
    await services.moderation.write(
        lambda tx: deciding.remove(tx, "demo", 3, "ann", "S1", "an <advertisement>", actor="staff:bob", role="reviewer")
    )

    def work(tx: Transaction) -> tuple[str, str, str]:
        for name in ("ann", "eve"):
            tx.open(name, origin="local", actor="test", role="system")
        taken = measures.count_removal(
            tx, "ann", "demo", 3, "S1", "an <advertisement>", actor="staff:bob", role="reviewer"
        )  # fmt: skip
        return taken, sessions.begin(tx, "ann", people.session_policy), sessions.begin(tx, "eve", people.session_policy)

    measure, ann, eve = await people.book.write(work)
    path = f"/account/statements/{measure}"
    async with browsing(application(services, account_statements.routes)) as client:
        assert (await client.get(path)).headers["location"].startswith("/account/sign-in")
        client.cookies["barrage_session"] = eve
        assert (await client.get(path)).status_code == 404
        client.cookies["barrage_session"] = ann
        page = (await client.get(path, params={"lang": "en"})).text
        for words in ("an &lt;advertisement&gt;", "the service agreement", "reviewer</dd>", "decision 1", "Appeal"):
            assert words in page, words
        assert "bob" not in page
        assert (await client.get("/account/statements/m-none")).status_code == 404


@pytest.mark.parametrize("held", [True, False])
async def test_the_author_reads_which_comment_it_was(services: FakeServices, held: bool) -> None:
    """Of a refused one from the item that was decided, of a removed one from the room's log; what somebody else wrote is not."""
    words, book, people = "buy <b>this</b>", services.moderation.book, services.people
    seq = services.say("demo", words, author="ann").seq
    foreign = services.say("demo", "<i>mine</i>", author="eve").seq
    if held:
        item = review.put(book, room="demo", account="ann", text=words)
        made = await services.moderation.write(
            lambda tx: deciding.decide_item(
                tx, item.id, item.version, "refuse", "S1", "no ads", actor="staff:bob", role="reviewer"
            )
        )

    def work(tx: Transaction) -> tuple[str, str, str]:
        told: Any = {"actor": "staff:bob", "role": "reviewer"}
        for name in ("ann", "eve"):
            tx.open(name, origin="local", actor="test", role="system")
        if held:
            measure = f"{records.REVIEWED}{made.id}"
            taken = measures.refused_on_review(tx, "ann", "1", "S1", "no ads", measure=measure, **told)
        else:
            taken = measures.count_removal(tx, "ann", "demo", seq, "S1", "no ads", **told)
        wrong = measures.count_removal(tx, "ann", "demo", foreign, "S1", "no ads", **told)
        return taken, wrong, sessions.begin(tx, "ann", people.session_policy)

    taken, wrong, ann = await people.book.write(work)
    async with browsing(application(services, account_statements.routes)) as client:
        client.cookies["barrage_session"] = ann
        assert "buy &lt;b&gt;this&lt;/b&gt;" in (await client.get(f"/account/statements/{taken}")).text
        other = (await client.get(f"/account/statements/{wrong}")).text
        assert "mine" not in other
        assert "blockquote" not in other
