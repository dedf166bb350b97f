"""server/http/account_agreement.py: reading, signing, and the lesson (duty P6)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.accounts import measures
from server.errors import CODES
from tests.support.guest import Guest, guest, member


@pytest.fixture
async def ann(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Guest]:
    async with guest(tmp_path, monkeypatch) as made:
        await made.people.book.write(lambda tx: member(tx, agreement=""))
        yield made


async def test_anyone_may_read_the_agreement(ann: Guest) -> None:
    """In the reader's language, each clause with an address of its own and the text's hash; no form, but the way to sign in."""
    await ann.get("/account/agreement")
    text = ann.people.agreements.current().text("en")
    assert all(f'id="clause-{name}"' in ann.page for name in text.clauses)
    assert text.sha256 in ann.page
    assert 'href="/account/sign-in"' in ann.page
    assert 'name="agree"' not in ann.page
    await ann.get("/account/agreement?lang=zh-CN")
    assert "七条底线" in ann.page


async def test_duty_p6_the_text_that_was_shown_is_signed(ann: Guest) -> None:
    """One tick and one press; the signature names version, language and hash. Without the tick nothing is signed."""
    await ann.sign_in()
    await ann.get("/account/agreement?return=/rooms/demo")
    await ann.send("/account/agreement")
    assert (ann.status, ann.problem) == (403, CODES["agreement_required"].en)
    assert (await ann.standing()).agreement == ""
    await ann.send("/account/agreement", agree="1")
    assert ann.path == "/account/lesson?return=/rooms/demo"
    assert (await ann.standing()).agreement == "1"
    await ann.get("/account/agreement")
    assert "You have signed this version" in ann.page
    assert 'name="agree"' not in ann.page


async def test_another_text_is_not_signed(ann: Guest) -> None:
    """A hash that is none of this version, or an older version: the present text is shown again, and asked for."""
    await ann.sign_in()
    await ann.get("/account/agreement")
    await ann.send("/account/agreement", agree="1", version="0")
    assert (ann.status, ann.problem) == (403, CODES["agreement_required"].en)
    await ann.send("/account/agreement", agree="1", sha256="0" * 64)
    assert ann.status == 400
    assert (await ann.standing()).agreement == ""


async def test_signing_needs_an_account(ann: Guest) -> None:
    """Without a session: the way to sign in."""
    for path in ("/account/agreement", "/account/lesson"):
        assert (await ann.post(path, agree="1")).status_code == 401
    await ann.get("/account/lesson")
    assert ann.path == "/account/sign-in?return=/account/lesson"


async def test_the_lesson_explains_what_was_wrong(ann: Guest) -> None:
    """A wrong answer is explained and may be given again, right ones stay; with all of them right it is taken."""
    await ann.sign_in()
    lesson = ann.people.agreements.lesson("en")
    await ann.get("/account/lesson?return=/rooms/demo")
    assert all(card.title in ann.page for card in lesson.cards)
    await ann.send("/account/lesson", q0="0", q1="0")
    assert "Nearly there" in ann.page
    assert ann.page.count(' class="why"') == 2
    assert ann.page.count(" required checked") == 1
    assert (await ann.standing()).lesson_wanted
    await ann.send("/account/lesson", q0="1", q1="0", q2="2")
    assert ann.path == "/rooms/demo"
    assert not (await ann.standing()).lesson_wanted


async def test_the_lesson_comes_again_after_a_measure(ann: Guest) -> None:
    """A measure asks for it, the account's page says so, and taking it earns credit."""
    await ann.sign_in()
    await ann.people.book.write(
        lambda tx: measures.take(tx, "a-1", "warn", "S1", "clause 4.2", actor="staff:ann", role="reviewer")
    )
    await ann.get("/account/lesson")
    assert "earns some credit back" in ann.page
    await ann.send("/account/lesson", q0="1", q1="0", q2="2")
    assert ann.path == "/account"
    assert "The lesson, taken after a measure" in ann.page


async def test_a_changed_agreement_is_asked_for_again(ann: Guest) -> None:
    """Whoever signed an older version is told that it has changed, and cannot post before signing."""
    await ann.people.book.write(lambda tx: member(tx, "a-2", "Momo", agreement="0"))
    await ann.sign_in("a-2")
    await ann.get("/account/agreement")
    assert "has changed since you signed it" in ann.page
    await ann.get("/rooms/demo")
    assert 'href="/account/agreement?return=/rooms/demo"' in ann.page
