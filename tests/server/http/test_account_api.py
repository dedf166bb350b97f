"""server/http/account_api.py: the account as JSON, for tokens and for sessions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.accounts import measures, sessions
from tests.support.guest import SITE, Guest, guest, member
from tests.support.openapi import conforms


@pytest.fixture
async def ann(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Guest]:
    async with guest(tmp_path, monkeypatch) as made:
        await made.people.book.write(lambda tx: member(tx))
        yield made


async def ask(ann: Guest, method: str, path: str, token: str = "", **options: Any) -> httpx.Response:
    """A request, by a token or by the page's session and form token; the answer must be one that the description has."""
    headers = {"Authorization": f"Bearer {token}"} if token else {"Origin": SITE}
    if not token and method != "GET" and "barrage_session" in ann.client.cookies:
        headers["X-Barrage-Form-Token"] = ann.form_token()
    answer = await ann.client.request(method, f"/api/v1{path}", headers={**headers, **options.pop("headers", {})}, **options)
    conforms(method, f"/api/v1{path}", answer)
    return answer


async def sign_in(ann: Guest) -> None:
    await ann.sign_in()
    await ann.get("/account")


def host_token(ann: Guest, subject: str = "h-1", nickname: str = "Hana", verified: bool = True) -> str:
    return ann.services.tokens.issue(subject, nickname, 600, verified=verified, now_ms=ann.services.clock_ms)


async def test_the_page_gets_a_token_for_its_player(ann: Guest) -> None:
    """From the session: short-lived, under the account and its nickname, as verified as the account is."""
    await sign_in(ann)
    answer = await ask(ann, "POST", "/session/token")
    body = answer.json()
    identity = ann.services.tokens.verify(body["token"], ann.services.clock_ms)
    assert (identity.subject, identity.nickname, identity.verified) == ("a-1", "小明", True)
    assert identity.expires_ms == body["expires_ms"]
    assert body["expires_ms"] - body["now_ms"] <= ann.services.settings.session_token_ttl_s * 1000
    assert answer.headers["cache-control"] == "no-store"


async def test_a_token_counts_no_longer_than_its_session(ann: Guest) -> None:
    """It names the session, ends with it at the latest, and opens the interface no more once the session was ended."""
    await sign_in(ann)
    body = (await ask(ann, "POST", "/session/token")).json()
    token = body["token"]
    assert (await ask(ann, "GET", "/account/standing", token)).json()["nickname"] == "小明"
    await ann.people.book.write(lambda tx: sessions.end_all(tx, "a-1"))
    answer = await ask(ann, "GET", "/account/standing", token)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_expired")
    await sign_in(ann)
    policy = ann.people.session_policy
    ann.services.clock_ms += policy.idle_ms - 60_500
    body = (await ask(ann, "POST", "/session/token")).json()
    assert body["expires_ms"] - body["now_ms"] <= 60_500


async def test_no_other_site_gets_a_token(ann: Guest) -> None:
    """Without a session, without the form token, with a wrong one, from another origin: nothing."""
    assert (await ask(ann, "POST", "/session/token")).json()["code"] == "sign_in_required"
    await sign_in(ann)
    for headers in (
        {"X-Barrage-Form-Token": ""},
        {"X-Barrage-Form-Token": "x" * 43},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        assert (await ask(ann, "POST", "/session/token", headers=headers)).json()["code"] == "form_expired"


async def test_duty_p9_the_standing_says_why(ann: Guest) -> None:
    """Level, points, what was counted, measures, and the step that is missing; the same by session and by token."""
    await ann.people.book.write(lambda tx: measures.take(tx, "a-1", "warn", "S1", "4.2", actor="staff:ann", role="reviewer"))
    await sign_in(ann)
    body = (await ask(ann, "GET", "/account/standing")).json()
    assert (body["nickname"], body["verified"], body["missing"], body["level"], body["points"]) == ("小明", "phone", "", 1, 45)
    assert [(each["what"], each["points"]) for each in body["counted"]] == [("measure.warn", -5)]
    assert [(each["rung"], each["state"], each["clause"]) for each in body["measures"]] == [("warn", "done", "no_spam")]
    assert (await ask(ann, "GET", "/account/standing", host_token(ann))).json()["missing"] == "verify"


async def test_duty_p6_a_host_platforms_account_signs(ann: Guest) -> None:
    """The platform shows the text and signs for its account, which comes into being; another text is refused."""
    token = host_token(ann)
    text = (await ask(ann, "GET", "/agreement/text", params={"language": "en"})).json()
    body = {name: text[name] for name in ("version", "sha256", "language")}
    assert (await ask(ann, "POST", "/account/agreement", token, json=body)).json() == {"version": "1", "new": True}
    assert (await ask(ann, "POST", "/account/agreement", token, json=body)).json()["new"] is False
    for change, code in (
        ({"version": "0"}, "agreement_required"),
        ({"sha256": "0" * 64}, "bad_message"),
        ({"x": 1}, "bad_message"),
    ):
        assert (await ask(ann, "POST", "/account/agreement", token, json={**body, **change})).json()["code"] == code
    standing = await ann.standing("h-1")
    assert (standing.origin, standing.verified, standing.agreement) == ("host", "host", "1")
    state = (await ask(ann, "GET", "/account/standing", token)).json()
    assert (state["nickname"], state["missing"]) == ("Hana", "")
    assert (await ask(ann, "GET", "/agreement/text", params={"language": "fr"})).status_code == 400


async def test_letters_and_appeals(ann: Guest) -> None:
    """A measure's letter, seen once; an appeal, once; in pages."""
    await sign_in(ann)
    measure = await ann.people.book.write(
        lambda tx: measures.take(tx, "a-1", "warn", "S1", "4.2", actor="staff:ann", role="reviewer")
    )
    (letter,) = (await ask(ann, "GET", "/account/letters")).json()["letters"]
    assert (letter["kind"], letter["read_ms"], letter["data"]["measure"]) == ("measure", 0, measure)
    assert (await ask(ann, "POST", "/account/letters/read", json={"through": letter["id"]})).json() == {"changed": 1}
    filed = (await ask(ann, "POST", "/account/appeals", json={"measure": measure, "words": "why?"})).json()
    assert (await ask(ann, "POST", "/account/appeals", json={"measure": measure, "words": "why?"})).status_code == 409
    assert (await ask(ann, "POST", "/account/appeals", json={"measure": "m-0", "words": "why?"})).status_code == 404
    assert (await ask(ann, "POST", "/account/appeals", json={"measure": measure, "words": ""})).status_code == 400
    (appeal,) = (await ask(ann, "GET", "/account/appeals")).json()["appeals"]
    assert (appeal["id"], appeal["measure"], appeal["decided_ms"]) == (filed["appeal"], measure, 0)
    page = (await ask(ann, "GET", "/account/letters", params={"limit": 1})).json()["letters"]
    rest = (await ask(ann, "GET", "/account/letters", params={"before": page[0]["id"]})).json()["letters"]
    assert [each["kind"] for each in page + rest] == ["appeal_filed", "measure"]
    assert (await ask(ann, "GET", "/account/letters", params={"limit": 0})).status_code == 400


async def test_the_nickname(ann: Guest) -> None:
    """One's own, on this site; a host platform's tokens name its accounts."""
    await sign_in(ann)
    ann.services.clock_ms += 1_000_000_000
    assert (await ask(ann, "POST", "/account/nickname", json={"nickname": " 小红 "})).json() == {"nickname": "小红"}
    assert (await ask(ann, "POST", "/account/nickname", json={"nickname": ""})).status_code == 400
    await ann.people.book.write(lambda tx: member(tx, "a-2", "Momo"))
    assert (await ask(ann, "POST", "/account/nickname", json={"nickname": "Momo"})).json()["code"] in (
        "nickname_taken", "too_many_attempts",
    )  # fmt: skip
    assert (await ask(ann, "POST", "/account/nickname", host_token(ann), json={"nickname": "x"})).json()["code"] == "forbidden"


async def test_sessions_are_listed_and_ended(ann: Guest) -> None:
    """One's own; which one is this; nobody else's can be ended."""
    await ann.people.book.write(lambda tx: member(tx, "a-2", "Momo"))
    stranger = await ann.sign_in("a-2")
    other = await ann.sign_in()
    await sign_in(ann)
    found = (await ask(ann, "GET", "/account/sessions")).json()["sessions"]
    assert sorted(each["current"] for each in found) == [False, True]
    assert (await ask(ann, "DELETE", f"/account/sessions/{sessions.id_of(other)}")).json() == {"changed": 1}
    for gone in (other, stranger):
        assert (await ask(ann, "DELETE", f"/account/sessions/{sessions.id_of(gone)}")).status_code == 404


async def test_the_rules_of_credit(ann: Guest) -> None:
    """For anyone: weights and levels, as they are computed."""
    body = (await ask(ann, "GET", "/credit")).json()
    assert (body["start"], [level["points"] for level in body["levels"]]) == (50, [0, 20, 60, 90, 120])
    assert body["levels"][0]["modes"] == ["scroll"]


async def test_whoever_asks_must_say_who_they_are(ann: Guest) -> None:
    """No session and no token, a bad scheme, a bad token, an expired one: refused, for reading and for changing."""
    expired = ann.services.tokens.issue("h-1", "Hana", 60, now_ms=ann.services.clock_ms - 10_000_000)
    for headers, code in (
        ({}, "sign_in_required"),
        ({"Authorization": "Basic eDp5"}, "bad_token"),
        ({"Authorization": "Bearer "}, "bad_token"),
        ({"Authorization": "Bearer x"}, "bad_token"),
        ({"Authorization": f"Bearer {expired}"}, "token_expired"),
    ):
        for method, path in (("GET", "/account/standing"), ("POST", "/account/letters/read")):
            answer = await ask(ann, method, path, headers=headers, json={"through": 1} if method == "POST" else None)
            assert (answer.status_code, answer.json()["code"]) == (401, code)
    assert await ann.standing("h-1") == type(await ann.standing("h-1"))(account="h-1"), "nothing came into being"
