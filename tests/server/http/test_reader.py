"""server/http/reader.py, and posting from the room's page without script."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.errors import CODES, Refusal
from server.http.reader import comment_of
from server.store.base import Committed, Recorded
from tests.support.guest import Guest, guest, member


@pytest.fixture
async def ann(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Guest]:
    async with guest(tmp_path, monkeypatch) as made:
        await made.people.book.write(lambda tx: member(tx))
        await made.sign_in()
        yield made


async def test_duty_p5_4_a_comment_can_be_posted_without_script(ann: Guest) -> None:
    """The form's kind, colour and size count; the answer leads to the new row; sent twice, the form posts once."""
    answer = await ann.get("/rooms/demo")
    assert answer.headers["cache-control"] == "private, no-store"
    before = ann.page
    for _ in range(2):
        ann.page = before
        await ann.send("/rooms/demo/comment", text=" 大家好 ", mode="top", color="#ffd54a", size="36")
        assert ann.path == "/rooms/demo?said=1"
        assert ">Sent.<" in ann.page
    (event,) = ann.services.events("demo")
    assert (event.text, event.mode, event.color, event.size, event.author_name) == ("大家好", "top", "#ffd54a", 36, "小明")


async def test_a_refused_comment_comes_back_with_its_reason(ann: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the one path refuses is told above the field, with the way to mend it; the text is kept, markup is not believed."""
    await ann.get("/rooms/demo")

    async def post(*_: object) -> Committed:
        raise Refusal("level_too_low", "links")

    monkeypatch.setattr(ann.services, "post", post)
    await ann.send("/rooms/demo/comment", text='<b>"x"</b>')
    assert ann.status == 403
    assert ann.problem.startswith(CODES["level_too_low"].en)
    assert 'href="/account/credit?return=/rooms/demo"' in ann.page
    assert 'value="&lt;b&gt;&#34;x&#34;&lt;/b&gt;"' in ann.page

    async def slow(*_: object) -> Committed:
        raise Refusal("too_fast", retry_after_ms=2100)

    monkeypatch.setattr(ann.services, "post", slow)
    await ann.send("/rooms/demo/comment", text="x")
    assert ann.problem == f"{CODES['too_fast'].en} (3 s)"


async def test_a_held_comment_is_said_to_wait(ann: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held: the page says so. What an earlier try of the same form was refused for is told again."""
    await ann.get("/rooms/demo")
    outcomes = [
        Recorded(action="held", code="held_for_review", fresh=True),
        Recorded(action="refused", code="banned_content", fresh=False),
    ]

    async def post(*_: object) -> Recorded:
        return outcomes.pop(0)

    monkeypatch.setattr(ann.services, "post", post)
    await ann.send("/rooms/demo/comment", text="x")
    assert ann.path == "/rooms/demo?said=held"
    assert "Waiting for review." in ann.page
    await ann.send("/rooms/demo/comment", text="x")
    assert (ann.status, ann.problem) == (422, CODES["banned_content"].en)


async def test_whoever_is_not_signed_in_keeps_the_text(ann: Guest) -> None:
    """The session ended meanwhile: the way to sign in, and the text in the field."""
    await ann.get("/rooms/demo")
    ann.client.cookies.delete("barrage_session")
    await ann.get("/account/sign-in")
    await ann.post("/rooms/demo/comment", form_token=ann.form_token(), text="kept")
    assert ann.status == 401
    assert 'value="kept"' in ann.page
    assert 'href="/account/sign-in?return=/rooms/demo"' in ann.page


async def test_forms_of_other_sites_post_nothing(ann: Guest) -> None:
    """No token, or one of another session: refused."""
    await ann.get("/rooms/demo")
    token = ann.form_token()
    await ann.sign_in()
    for fields in ({"text": "x"}, {"text": "x", "form_token": token}):
        assert (await ann.post("/rooms/demo/comment", **fields)).status_code == 403
    assert ann.services.events("demo") == []


async def test_the_page_offers_what_is_possible(ann: Guest) -> None:
    """The form is there for whoever may post; others find their next step; a room that is closed has none."""
    await ann.get("/rooms/demo")
    assert 'id="say" method="post" action="/rooms/demo/comment" autocomplete="off">' in ann.page
    await ann.people.book.write(lambda tx: member(tx, "a-2", "Momo", agreement=""))
    await ann.sign_in("a-2")
    await ann.get("/rooms/demo")
    assert 'autocomplete="off" hidden>' in ann.page
    assert 'href="/account/agreement?return=/rooms/demo"' in ann.page
    assert (await ann.get("/rooms/nowhere")).status_code == 404
    assert (await ann.post("/rooms/nowhere/comment")).status_code == 404


@pytest.mark.parametrize("fields", [{"mode": "up"}, {"size": "x"}, {"size": "²"}, {"pos_ms": "-1"}])
def test_a_form_of_ones_own_making_is_looked_at(fields: dict[str, str]) -> None:
    """What no form of ours can hold is refused."""
    with pytest.raises(Refusal, match="bad_message"):
        comment_of("demo", fields)


def test_the_position_in_a_video_may_be_given() -> None:
    """A script that fills it in may; without one it is left to the room."""
    assert comment_of("demo", {"pos_ms": "1500"}).pos_ms == 1500
    assert comment_of("demo", {}).pos_ms is None
