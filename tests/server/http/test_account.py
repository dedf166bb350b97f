"""server/http/account.py: one's own account, and the rules of credit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.accounts import appeals, credit, letters, measures
from server.accounts.book import Transaction, read_entries
from server.errors import CODES, StoreUnavailable
from server.http.account import sheet
from server.web import account_words as words
from tests.support.guest import Guest, guest, member


@pytest.fixture
async def ann(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Guest]:
    async with guest(tmp_path, monkeypatch) as made:
        await made.people.book.write(lambda tx: member(tx))
        await made.sign_in()
        yield made


def warn(tx: Transaction, account: str = "a-1") -> str:
    return measures.take(tx, account, "warn", "S1", "rule <7>", actor="staff:bob", role="reviewer")


async def test_the_level_is_shown_with_its_reasons(ann: Guest) -> None:
    """Level, points, and each thing that was counted with its weight; the sum is that of the standing."""
    await ann.people.book.write(warn)
    ann.services.clock_ms += 30 * credit.DAY_MS
    await ann.sign_in()
    await ann.get("/account")
    standing = await ann.standing()
    now_ms = ann.people.clock_ms()
    found = sheet(standing, ann.people.book.read_now(lambda c: read_entries(c, "a-1")), now_ms)
    assert (found.start, found.earned, found.next_at) == (50, 10, 60)
    assert [(mark.what, mark.points, mark.left) for mark in found.marks] == [("measure.warn", -5, -4)]
    assert abs(found.start + found.earned + sum(mark.left for mark in found.marks) - found.points) <= 1
    assert found.level == standing.level(now_ms)
    for text in ("Level 1", f"{found.points} points", "A warning", "-5"):
        assert text in ann.page, text


async def test_what_was_taken_back_counts_no_more(ann: Guest) -> None:
    """A lifted measure leaves the sheet."""
    measure = await ann.people.book.write(warn)
    await ann.people.book.write(lambda tx: measures.lift(tx, measure, "R1", "mistake", actor="staff:eve", role="senior"))
    found = sheet(await ann.standing(), ann.people.book.read_now(lambda c: read_entries(c, "a-1")), ann.people.clock_ms())
    assert (found.marks, found.points) == ([], 50)
    await ann.get("/account")
    assert "taken back" in ann.page
    assert 'name="words"' not in ann.page, "there is nothing to appeal against"


async def test_duty_p8_a_measure_is_told_and_appealed_against(ann: Guest) -> None:
    """Reason, basis, clause, role and number; the form for an appeal; then that it is being looked at, and the outcome."""
    measure = await ann.people.book.write(warn)
    await ann.get("/account")
    for text in ("Warning", "rule &lt;7&gt;", "#clause-no_spam", "4.2 No flooding, no paid posting", "a reviewer", measure):
        assert text in ann.page, text
    assert "staff:bob" not in ann.page
    await ann.send("/account/appeals", words=" ")
    assert (ann.status, ann.problem) == (400, CODES["bad_message"].en)
    await ann.send("/account/appeals", words="It was a joke.\r\nReally.")
    assert ann.path == "/account"
    assert "Your appeal is being looked at" in ann.page
    await ann.post("/account/appeals", form_token=ann.form_token(), measure=measure, words="again")
    assert (ann.status, ann.problem) == (409, CODES["appeal_exists"].en)
    (waiting,) = ann.people.book.read_now(appeals.open_list)
    assert waiting.words == "It was a joke.\nReally."
    await ann.people.book.write(
        lambda tx: appeals.decide(tx, waiting.id, False, "S1", "no joke", actor="staff:eve", role="senior")
    )
    await ann.get("/account")
    assert "Your appeal was refused: no joke" in ann.page
    await ann.people.book.write(lambda tx: member(tx, "a-2", "Momo"))
    theirs = await ann.people.book.write(lambda tx: warn(tx, "a-2"))
    await ann.post("/account/appeals", form_token=ann.form_token(), measure=theirs, words="mine")
    assert ann.status == 404


async def test_letters_are_new_once(ann: Guest) -> None:
    """What the person has not seen is marked, and counts as seen when the page was opened."""
    await ann.people.book.write(warn)
    await ann.people.book.write(lambda tx: tx.tell("a-1", "something_new", {}))
    await ann.get("/account")
    assert ann.page.count("New:") == 2
    assert "A measure was taken: Warning" in ann.page.replace("</span> ", "")
    assert "A message about your account" in ann.page
    await ann.get("/account")
    assert "New:" not in ann.page
    found = ann.people.book.read_now(lambda c: letters.listed(c, "a-1", limit=10))
    assert [letter.kind for letter in found] == ["something_new", "measure"]


async def test_the_nickname_can_be_changed(ann: Guest) -> None:
    """Another name, if it is free; what is refused is told beside the field, and kept in it."""
    await ann.people.book.write(lambda tx: member(tx, "a-2", "Momo"))
    await ann.get("/account")
    await ann.send("/account/nickname", nickname="Momo")
    assert (ann.status, ann.problem) == (409, CODES["nickname_taken"].en)
    assert 'value="Momo"' in ann.page
    ann.services.clock_ms += 400 * credit.DAY_MS
    await ann.sign_in()
    await ann.get("/account")
    await ann.send("/account/nickname", nickname="小红")
    assert '<h1><span dir="auto">小红</span></h1>' in ann.page


async def test_what_is_missing_is_said(ann: Guest) -> None:
    """The account's page leads to the next step."""
    await ann.people.book.write(lambda tx: member(tx, "a-2", "Momo", verified="", agreement=""))
    await ann.sign_in("a-2")
    await ann.get("/account")
    assert "Not verified yet" in ann.page
    assert 'class="note">One step is missing before you can post. <a href="/account/verify"' in ann.page


async def test_whose_rooms_they_are_finds_the_way_to_them(ann: Guest) -> None:
    """The account's page leads to the rooms of its own; to who has none it says nothing of rooms."""
    ann.services.add_room("mine")
    await ann.get("/account")
    assert "/account/rooms" not in ann.page
    await ann.services.set_owner("mine", "a-1")
    await ann.get("/account")
    assert '<a href="/account/rooms">1 room of yours' in ann.page


async def test_forms_need_an_account(ann: Guest) -> None:
    """Without a session they lead to signing in, with the wrong token they do nothing."""
    assert (await ann.post("/account/nickname", nickname="x")).status_code == 403
    ann.client.cookies.clear()
    for path in ("/account/nickname", "/account/appeals"):
        assert (await ann.post(path, nickname="x")).status_code == 401


async def test_the_rules_of_credit_are_public(ann: Guest) -> None:
    """Every level and weight stands there, for anyone; with one's own level when signed in."""
    await ann.get("/account/credit")
    assert "Your level: 1" in ann.page
    ann.client.cookies.clear()
    await ann.get("/account/credit")
    assert "Your level" not in ann.page
    assert ann.page.count('<th scope="row">') == len(credit.LEVELS) + len(credit.WEIGHTS)


async def test_while_accounts_cannot_be_read_the_page_says_so(ann: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of the book is a page that asks to try again; the room can be read all the same."""

    async def broken(work: object) -> None:
        raise StoreUnavailable("the disk is gone")

    await ann.get("/account")
    token = ann.form_token()
    monkeypatch.setattr(ann.people.book, "read", broken)
    answer = await ann.get("/account")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "the disk is gone" not in ann.page
    await ann.get("/rooms/demo")
    assert ann.status == 200
    monkeypatch.undo()
    monkeypatch.setattr(ann.people.book, "write", broken)
    assert (await ann.post("/account/sessions", form_token=token, session="x")).status_code == 503


def test_everything_that_is_recorded_has_words() -> None:
    """What credit counts, and each rung and function of measures."""
    assert set(words.COUNTED) == set(credit.WEIGHTS)
    assert set(words.RUNGS) == set(measures.LADDER)
    assert set(words.FUNCTIONS) == set(measures.FUNCTIONS)
