"""Who guesses: answers that tell nothing, the same steps for what is and what is not there, few attempts, also many at once."""

from __future__ import annotations

import asyncio
import base64
import hmac
import re
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pyotp
import pytest
from argon2 import PasswordHasher
from sqlalchemy import insert, select

from server.accounts import measures, sessions, staff, tables
from server.accounts.book import Transaction
from server.accounts.signup import NicknameWanted
from server.errors import Refusal
from server.http.account_sign_in import Flow
from tests.support.attack import PHONE, SITE, Site, Way, site
from tests.support.staff import CHEAP, PASSWORD, enrol

SIGN_IN, CODE, WELCOME = Way("POST", "/account/sign-in"), Way("POST", "/account/code"), Way("POST", "/account/welcome")
STAFF_SIGN_IN, CONFIRM = Way("POST", "/staff/sign-in"), Way("POST", "/staff/confirm")
MANY = 50


@pytest.fixture
async def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    async with site(tmp_path, monkeypatch) as found:
        yield found


async def form(here: Site, way: Way, cookies: dict[str, str], **fields: str) -> httpx.Response:
    """A form of ours from a browser with these cookies, ``barrage_form`` among them where nobody is signed in."""
    jar = next(name for name in ("barrage_staff", "barrage_session", "barrage_form") if name in cookies)
    token = sessions.form_token(here.people.form_key, cookies[jar])
    return await here.ask(way, cookies, {"Origin": SITE}, data={"form_token": token, **fields})


def somebody() -> dict[str, str]:
    """A browser in which nobody is signed in."""
    return {"barrage_form": sessions.new_cookie()}


def flow(**fields: str) -> str:
    """The cookie between two steps, as anybody may write it."""
    return base64.urlsafe_b64encode(msgspec.json.encode(Flow(**fields))).decode()  # type: ignore[arg-type] # texts alone


def told(answer: httpx.Response, *typed: str) -> tuple[Any, ...]:
    """All that an answer tells: what is drawn at random for each request is left out, and what the asker typed."""
    text = re.sub(r'form_token" value="[^"]+|data-token="[^"]+', "", answer.text)
    for each in typed:
        text = text.replace(each, "")
    headers = {name: re.sub(r"=[^;]+(;|$)", lambda found: f"={len(found[0])};", value, count=1) if name == "set-cookie" else value
               for name, value in answer.headers.items()}  # fmt: skip
    return answer.status_code, headers, text


# -- answers that tell nothing


async def test_asking_for_a_code_tells_nothing_of_a_number(here: Site) -> None:
    """The same answer, and the same page after it, for a number with an account, without, and on the blacklist."""
    known, unknown, listed = "13900000001", "13900000002", "13900000003"
    mark, pepper = here.people.vault.mark("phone", f"+86{listed}")
    row = {"kind": "phone", "value": mark, "pepper": pepper, "measure": "m-1", "since_ms": 1, "until_ms": 0}

    def prepare(tx: Transaction) -> None:
        here.people.vault.claim(tx, "a-1", "phone", f"+86{known}")
        tx.sql.execute(insert(tables.blacklist).values(**row))

    await here.people.book.write(prepare)
    seen = []
    for phone in (known, unknown, listed):
        cookies = somebody()
        answer = await form(here, SIGN_IN, cookies, phone=phone)
        cookies["barrage_flow"] = answer.headers["set-cookie"].split(";")[0].partition("=")[2]
        after = await here.ask(Way("GET", "/account/code"), cookies, {})
        wrong = await form(here, CODE, cookies, code="000000x")
        again = await form(here, SIGN_IN, somebody(), phone=phone)
        seen.append([told(each, phone, phone[-2:]) for each in (answer, after, wrong, again)])
    assert seen[0] == seen[1] == seen[2]
    assert [each[0] for each in seen[0]] == [303, 200, 422, 429]


async def test_signing_in_tells_nothing_of_staff(here: Site) -> None:
    """A member, somebody disabled, somebody who has not enrolled and nobody get the same answers, attempt by attempt."""
    book, vault = here.people.book, here.people.vault
    for name in ("ann", "out"):
        enrol(book, vault, name, "senior")
    await book.write(lambda tx: staff.disable(tx, "out", actor="staff:eve", role="admin"))
    seen = []
    for name in ("ann", "out", "eve", "zoe"):
        answers = [
            await form(here, STAFF_SIGN_IN, somebody(), name=name, password=password, code="000000")
            for password in (PASSWORD, "wrong", "", "x" * 300, "wrong", "wrong", PASSWORD)
        ]
        seen.append([told(each, f'value="{name}"') for each in answers])
    assert seen[0] == seen[1] == seen[2] == seen[3]
    assert [each[0] for each in seen[0]] == [401] * 5 + [429] * 2


async def test_what_belongs_to_others_is_as_if_it_were_not(here: Site) -> None:
    """A measure and a session of another account are answered like ones that never were."""
    measure = await here.people.book.write(
        lambda tx: measures.take(tx, "a-2", "warn", "A2", "house rule", actor="staff:eve", role="senior")
    )
    other = sessions.id_of(await here.session("a-2"))
    token = here.services.tokens.issue("a-1", "小明", 60, now_ms=here.services.clock_ms)
    headers = {"Authorization": f"Bearer {token}"}
    appeals = [
        await here.ask(Way("POST", "/api/v1/account/appeals"), {}, headers, json={"measure": each, "words": "please"})
        for each in (measure, "m-none")
    ]
    ended = [await here.ask(Way("DELETE", f"/api/v1/account/sessions/{each}"), {}, headers) for each in (other, "0" * 64, "x")]
    assert told(appeals[0], measure) == told(appeals[1], "m-none")
    assert appeals[0].status_code == 404
    assert told(ended[0]) == told(ended[1]) == told(ended[2])
    cookies = {"barrage_session": await here.session("a-1")}
    pages = [await form(here, Way("POST", "/account/sessions"), cookies, session=each) for each in (other, "0" * 64)]
    assert told(pages[0]) == told(pages[1])
    pages = [
        await form(here, Way("POST", "/account/appeals"), cookies, measure=each, words="x") for each in (measure, "m-none")
    ]
    assert told(pages[0], measure) == told(pages[1], "m-none")
    assert sessions.id_of(cookies["barrage_session"]) != other


# -- the same steps


async def test_the_same_steps_for_somebody_and_nobody(here: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sign-in of staff hashes one password, unseals one secret, compares three codes and writes one transaction, whether there is
    such a name or not; while a name waits as well. Counted, since clocks of tests tell nothing."""
    book = here.people.book
    enrol(book, here.people.vault, "ann", "senior")
    CHEAP.check("", "made once")
    counts: Counter[str] = Counter()
    count(monkeypatch, counts, PasswordHasher, "verify")
    count(monkeypatch, counts, PasswordHasher, "hash")
    count(monkeypatch, counts, type(here.people.vault), "unseal")
    count(monkeypatch, counts, pyotp.TOTP, "at")
    compare = hmac.compare_digest

    def compared(a: Any, b: Any) -> bool:
        counts["compare"] += len(a) == 6
        return compare(a, b)

    monkeypatch.setattr(staff.hmac, "compare_digest", compared)  # type: ignore[attr-defined] # the module's own name
    steps: dict[str, list[dict[str, int]]] = {"ann": [], "nobody": []}
    for _ in range(7):  # the last two wait
        for name, seen in steps.items():
            counts.clear()
            await form(here, STAFF_SIGN_IN, somebody(), name=name, password="wrong", code="000000")
            seen.append(dict(counts))
    assert steps["ann"] == steps["nobody"]
    assert steps["ann"][0] == {"verify": 1, "unseal": 1, "at": 3, "compare": 3}


async def test_a_failure_of_nobody_writes_as_one_of_somebody(here: Site) -> None:
    """Both change the database, so that both wait for the disk; nothing stays of nobody's."""
    enrol(here.people.book, here.people.vault, "ann", "senior")
    before, changes = here.stored(), []
    with closing(sqlite3.connect(here.services.pages_dir / "accounts.db")) as looking:
        for name in ("nobody", "ann"):
            assert here.stored() == before
            start = looking.execute("PRAGMA data_version").fetchone()
            await form(here, STAFF_SIGN_IN, somebody(), name=name, password="wrong", code="000000")
            changes.append(looking.execute("PRAGMA data_version").fetchone() != start)
    assert changes == [True, True]


def count(monkeypatch: pytest.MonkeyPatch, counts: Counter[str], owner: Any, name: str) -> None:
    """Count the calls of a method."""
    kept = getattr(owner, name)

    def counted(*args: Any, **kwargs: Any) -> Any:
        counts[name] += 1
        return kept(*args, **kwargs)

    monkeypatch.setattr(owner, name, counted)


# -- few attempts


async def at_once(work: Callable[[int], Awaitable[httpx.Response]], count: int = MANY) -> list[int]:
    """The statuses of many requests that run at the same time."""
    return [answer.status_code for answer in await asyncio.gather(*map(work, range(count)))]


async def test_many_guesses_at_once_are_five(here: Site) -> None:
    """Fifty guesses of a code at the same time are five attempts: the code is spent, and right no more."""
    started = await here.people.signup.start_phone(PHONE)
    right = here.phones.code
    wrong = [f"{(int(right) + 1 + index) % 10**6:06}" for index in range(MANY)]
    cookies = {**somebody(), "barrage_flow": flow(ticket=started.ticket)}
    assert await at_once(lambda index: form(here, CODE, cookies, code=wrong[index])) == [422] * MANY
    query = select(tables.codes.c.attempts).where(tables.codes.c.purpose == "sign_in")
    assert here.people.book.read_now(lambda connection: connection.execute(query).scalars().all()) == [5]
    assert (await form(here, CODE, cookies, code=right)).status_code == 422


async def test_a_code_signs_in_once_however_often_it_comes(here: Site) -> None:
    """The right code ten times at once: one session."""
    await here.people.book.write(lambda tx: here.people.vault.claim(tx, "a-1", "phone", f"+86{PHONE}"))
    started = await here.people.signup.start_phone(PHONE)
    cookies = {**somebody(), "barrage_flow": flow(ticket=started.ticket)}
    statuses = await at_once(lambda _: form(here, CODE, cookies, code=here.phones.code), 10)
    assert Counter(statuses) == {303: 1, 422: 9}
    now_ms = here.people.clock_ms()
    assert len(here.people.book.read_now(lambda connection: sessions.listed(connection, "a-1", now_ms))) == 1


async def test_one_phone_is_one_account_however_many_register(here: Site) -> None:
    """Several proofs of one number, used at the same time under several names, and again afterwards, make one account."""
    proofs = []
    for _ in range(4):
        started = await here.people.signup.start_phone(PHONE)
        found = await here.people.signup.confirm_phone(started.ticket, here.phones.code)
        assert isinstance(found, NicknameWanted)
        proofs.append(found.proof)
    text = here.people.notice.texts["en"]
    fields = {"noticed": "1", "notice": text.sha256, "language": "en"}

    async def register(index: int) -> httpx.Response:
        cookies = {**somebody(), "barrage_flow": flow(proof=proofs[index % 4])}
        return await form(here, WELCOME, cookies, nickname=f"Lena {index}", **fields)

    assert Counter(await at_once(register, 8)) == {303: 1, 409: 7}
    assert Counter(await at_once(register, 4)) == {409: 4}
    holders = here.people.book.read_now(lambda connection: connection.execute(select(tables.claims.c.account)).scalars().all())
    assert len(list(holders)) == 1


async def test_tickets_and_proofs_are_whole_and_ones_own(here: Site) -> None:
    """Changed in any place, cut, exchanged between the steps or between persons, or used again, what a browser holds is refused."""
    signup = here.people.signup
    mine = (await signup.start_phone(PHONE)).ticket
    my_code = here.phones.code
    theirs = (await signup.start_phone("13900139000")).ticket
    their_code = here.phones.code
    bad = [mine[:-2], mine + "A", mine[::-1], theirs[:40] + mine[40:], "", "A" * len(mine), mine * 20]
    bad += [mine[:place] + ("A" if mine[place] != "A" else "B") + mine[place + 1 :] for place in range(0, len(mine) - 2, 7)]
    for ticket in bad:
        answer = await form(here, CODE, {**somebody(), "barrage_flow": flow(ticket=ticket)}, code=my_code)
        assert answer.status_code == 403, ticket
    if their_code != my_code:
        answer = await form(here, CODE, {**somebody(), "barrage_flow": flow(ticket=mine)}, code=their_code)
        assert answer.status_code == 422
    found = await signup.confirm_phone(mine, my_code)
    assert isinstance(found, NicknameWanted)
    for proof in (mine, found.proof[:-2], found.proof + "A"):
        with pytest.raises(Refusal, match="form_expired"):
            await signup.register(proof, "Lena")
    with pytest.raises(Refusal, match="form_expired"):
        await signup.confirm_phone(found.proof, my_code)
    with pytest.raises(Refusal, match="code_wrong"):
        await signup.confirm_phone(mine, my_code)
    account = (await signup.register(found.proof, "Lena")).account
    with pytest.raises(Refusal, match="identity_taken"):
        await signup.register(found.proof, "Lena 2")
    guardian = await signup.start_guardian("a-1", "李雷", "13700137000")
    with pytest.raises(Refusal, match="code_wrong"):
        await signup.confirm_phone(guardian.ticket, here.phones.code)
    with pytest.raises(Refusal, match="form_expired"):
        await signup.confirm_guardian(account, guardian.ticket, here.phones.code, "李雷", here.people.notice)


async def test_codes_are_bounded_by_number_and_by_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when they are asked for at once: one for a number, so many for an address, each refusal with the time to wait."""
    async with site(tmp_path, monkeypatch, codes_per_address=3) as here:
        assert Counter(await at_once(lambda _: form(here, SIGN_IN, somebody(), phone=PHONE), 10)) == {303: 1, 429: 9}
        statuses = await at_once(lambda index: form(here, SIGN_IN, somebody(), phone=f"1390000{index:04}"), 10)
        assert Counter(statuses) == {303: 2, 429: 8}
        assert len(here.phones.sent) == 3


# -- staff


async def test_many_guesses_at_once_at_staffs_door_are_five(here: Site) -> None:
    """Fifty at the same time are five attempts, and then a wait; nobody's name is no other. The member comes in past the strangers
    from a client of their own, and from anywhere after a quarter of an hour at the most."""
    app = enrol(here.people.book, here.people.vault, "ann", "senior")
    known = {**somebody(), "barrage_staff_client": here.people.desk.devices.issue("ann")}
    for name in ("ann", "nobody"):
        statuses = await at_once(lambda _, who=name: form(here, STAFF_SIGN_IN, somebody(), name=who, password="x", code="0"))  # type: ignore[misc]
        assert Counter(statuses) == {401: 5, 429: MANY - 5}

    async def come_in(cookies: dict[str, str]) -> int:
        code = app.at(here.services.clock_ms // 1000)
        return (await form(here, STAFF_SIGN_IN, cookies, name="ann", password=PASSWORD, code=code)).status_code

    assert await come_in(somebody()) == 429
    assert await come_in(known) == 303
    for _ in range(8):  # strangers who go on and on
        here.services.clock_ms += staff.LONGEST_WAIT_MS
        await form(here, STAFF_SIGN_IN, somebody(), name="ann", password="x", code="0")
    assert await come_in(known) == 303
    here.services.clock_ms += staff.LONGEST_WAIT_MS
    assert await come_in(somebody()) == 303


async def test_a_stolen_client_guesses_no_more_than_strangers(here: Site) -> None:
    """With the cookie of a member's client, fifty guesses at once are five beyond the strangers' five."""
    enrol(here.people.book, here.people.vault, "ann", "senior")
    cookies = {**somebody(), "barrage_staff_client": here.people.desk.devices.issue("ann")}
    statuses = await at_once(lambda _: form(here, STAFF_SIGN_IN, cookies, name="ann", password="x", code="0"))
    assert Counter(statuses) == {401: 10, 429: MANY - 10}


async def test_a_stolen_session_guesses_no_fresh_factor(here: Site) -> None:
    """Five codes, at once or one by one; then the session has ended. Strangers who fail to sign in stop nobody from confirming."""
    app = enrol(here.people.book, here.people.vault, "ann", "senior")
    for _ in range(6):
        await form(here, STAFF_SIGN_IN, somebody(), name="ann", password="x", code="0")
    cookies = {"barrage_staff": await here.session("staff:ann")}
    code = app.at(here.services.clock_ms // 1000)
    assert (await form(here, CONFIRM, cookies, code=code)).headers["location"] == "/staff"
    cookies = {"barrage_staff": await here.session("staff:ann")}
    statuses = Counter(await at_once(lambda _: form(here, CONFIRM, cookies, code="000000"), 20))
    assert statuses[422] == 5
    assert (await here.ask(Way("GET", "/staff/keys"), cookies, {})).status_code == 303


async def test_a_one_time_code_of_staff_is_good_once_at_once(here: Site) -> None:
    """The right password and code ten times at the same time: one session."""
    app = enrol(here.people.book, here.people.vault, "ann", "senior")
    code = app.at(here.services.clock_ms // 1000)
    fields = {"name": "ann", "password": PASSWORD, "code": code}
    statuses = Counter(await at_once(lambda _: form(here, STAFF_SIGN_IN, somebody(), **fields), 10))
    assert statuses[303] == 1
