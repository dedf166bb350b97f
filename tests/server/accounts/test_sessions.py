"""server/accounts/sessions.py"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from server.accounts import sessions, tables
from server.accounts.book import Accounts, Transaction
from server.accounts.sessions import Policy, Session
from server.settings import Settings
from tests.support.accounts import Clock, book

POLICY = Policy(idle_ms=1000, absolute_ms=5000, most=3)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock) -> Iterator[Accounts]:
    with book(tmp_path, clock) as found:
        yield found


def begin(accounts: Accounts, holder: str = "a-1", previous: str = "") -> str:
    return accounts.write_now(lambda tx: sessions.begin(tx, holder, POLICY, previous=previous))


def find(accounts: Accounts, cookie: str, clock: Clock) -> Session | None:
    return accounts.read_now(lambda connection: sessions.find(connection, cookie, clock()))


def found(accounts: Accounts, cookie: str, clock: Clock) -> Session:
    session = find(accounts, cookie, clock)
    assert session is not None
    return session


def holders(accounts: Accounts, holder: str, clock: Clock) -> list[Session]:
    return accounts.read_now(lambda connection: sessions.listed(connection, holder, clock()))


def test_a_session_is_found_by_its_cookie_alone(accounts: Accounts, clock: Clock) -> None:
    """The cookie opens the session; its id, which the database holds, and other values do not; no cookie is in the database."""
    cookie = begin(accounts)
    session = found(accounts, cookie, clock)
    assert (session.holder, session.created_ms, session.stepped_up_ms) == ("a-1", clock(), 0)
    for other in ("", session.id, cookie[:-1], cookie + "A", cookie.swapcase(), "ü" * 43, sessions.new_cookie()):
        assert find(accounts, other, clock) is None
    stored = accounts.read_now(lambda connection: connection.execute(select(tables.sessions)).mappings().one())
    assert cookie not in map(str, stored.values())


def test_cookies_are_256_random_bits() -> None:
    """No two values are alike, and each has 32 bytes."""
    made = {sessions.new_cookie() for _ in range(100)}
    assert len(made) == 100
    assert all(len(value) == 43 and sessions.is_cookie(value) for value in made)


def test_a_session_ends_when_it_is_not_used(accounts: Accounts, clock: Clock) -> None:
    """It ends at the end of the idle time, to the millisecond."""
    cookie = begin(accounts)
    clock.forward(ms=999)
    assert find(accounts, cookie, clock)
    clock.forward(ms=1)
    assert find(accounts, cookie, clock) is None


def test_use_keeps_a_session_until_its_absolute_time(accounts: Accounts, clock: Clock) -> None:
    """Each use gives it the idle time anew; after the absolute time no use helps."""
    cookie = begin(accounts)
    lived = 0
    while (session := find(accounts, cookie, clock)) is not None:
        accounts.write_now(lambda tx, session=session: sessions.touch(tx, session, POLICY))  # type: ignore[misc]
        clock.forward(ms=900)
        lived += 900
    assert lived == 5400
    assert found_times(accounts) == [5000]


def found_times(accounts: Accounts) -> list[int]:
    rows = accounts.read_now(lambda connection: connection.execute(select(tables.sessions)).mappings().all())
    return [row["expires_ms"] - row["created_ms"] for row in rows]


def test_a_use_that_comes_late_revives_nothing(accounts: Accounts, clock: Clock) -> None:
    """A session that was found before it ended, or before it was ended, is not brought back by its touch."""
    cookie = begin(accounts)
    session = found(accounts, cookie, clock)
    clock.forward(ms=1000)
    accounts.write_now(lambda tx: sessions.touch(tx, session, POLICY))
    assert find(accounts, cookie, clock) is None
    other = begin(accounts)
    signed_out = found(accounts, other, clock)
    accounts.write_now(lambda tx: sessions.end(tx, "a-1", signed_out.id))
    accounts.write_now(lambda tx: sessions.touch(tx, signed_out, POLICY))
    assert find(accounts, other, clock) is None


def test_the_last_use_is_written_once_a_minute() -> None:
    """A touch is due a minute after the last one, not with each request."""
    session = Session(id="x", holder="a-1", created_ms=0, seen_ms=1000, expires_ms=10**9, stepped_up_ms=0)
    assert not sessions.is_stale(session, 60_999)
    assert sessions.is_stale(session, 61_000)


def test_signing_in_never_keeps_the_value_that_the_browser_came_with(accounts: Accounts, clock: Clock) -> None:
    """No fixation: the session of the earlier value ends, whoever's it was, and a planted value becomes nobody's."""
    strangers = begin(accounts, "a-2")
    mine = begin(accounts, "a-1", previous=strangers)
    assert mine != strangers
    assert find(accounts, strangers, clock) is None
    planted = sessions.new_cookie()
    again = begin(accounts, "a-1", previous=planted)
    assert again != planted
    assert find(accounts, planted, clock) is None


def test_a_rise_of_privilege_changes_the_value(accounts: Accounts, clock: Clock) -> None:
    """After renewing, the old value is worth nothing, the moment of the proof is known, and the absolute time goes on."""
    cookie = begin(accounts)
    clock.forward(ms=500)
    renewed = accounts.write_now(lambda tx: sessions.renew(tx, cookie, POLICY, stepped_up=True))
    assert renewed is not None
    assert renewed != cookie
    assert find(accounts, cookie, clock) is None
    session = found(accounts, renewed, clock)
    assert (session.stepped_up_ms, session.created_ms) == (clock(), clock() - 500)
    proved = clock()
    clock.forward(ms=500)
    again = accounts.write_now(lambda tx: sessions.renew(tx, renewed, POLICY))
    assert again is not None
    assert found(accounts, again, clock).stepped_up_ms == proved


def test_what_has_ended_cannot_be_renewed(accounts: Accounts, clock: Clock) -> None:
    """An expired value, and one that never was, give no new one."""
    cookie = begin(accounts)
    clock.forward(ms=1000)
    for value in (cookie, sessions.new_cookie(), "x"):
        assert accounts.write_now(lambda tx, value=value: sessions.renew(tx, value, POLICY)) is None  # type: ignore[misc]


def test_a_holder_has_a_bounded_number(accounts: Accounts, clock: Clock) -> None:
    """A fourth session ends the one that was unused longest, and nobody else's."""
    strangers = begin(accounts, "a-2")
    made = []
    for _ in range(3):
        made.append(begin(accounts))
        clock.forward(ms=10)
    first = found(accounts, made[0], clock)
    accounts.write_now(lambda tx: sessions.touch(tx, first, POLICY))
    made.append(begin(accounts))
    assert [find(accounts, cookie, clock) is not None for cookie in made] == [True, False, True, True]
    assert find(accounts, strangers, clock)


def test_signing_out_ends_one_or_all_of_ones_own(accounts: Accounts, clock: Clock) -> None:
    """One by its id, all but the present one, or all; never another holder's."""
    mine = [begin(accounts) for _ in range(3)]
    strangers = begin(accounts, "a-2")
    ids = [found(accounts, cookie, clock).id for cookie in mine]
    other = found(accounts, strangers, clock).id
    assert not accounts.write_now(lambda tx: sessions.end(tx, "a-1", other))
    assert accounts.write_now(lambda tx: sessions.end(tx, "a-1", ids[0]))
    assert not accounts.write_now(lambda tx: sessions.end(tx, "a-1", ids[0]))
    assert {session.id for session in holders(accounts, "a-1", clock)} == set(ids[1:])
    assert accounts.write_now(lambda tx: sessions.end_all(tx, "a-1", keep=ids[1])) == 1
    assert [session.id for session in holders(accounts, "a-1", clock)] == [ids[1]]
    assert accounts.write_now(lambda tx: sessions.end_all(tx, "a-1")) == 1
    assert find(accounts, strangers, clock)


def test_the_list_has_the_last_used_first(accounts: Accounts, clock: Clock) -> None:
    """Sessions that go on, newest use first; those that ended are left out and swept."""
    begin(accounts)
    clock.forward(ms=600)
    second, third = begin(accounts), begin(accounts)
    session = found(accounts, second, clock)
    clock.forward(ms=500)
    accounts.write_now(lambda tx: sessions.touch(tx, session, POLICY))
    assert [one.id for one in holders(accounts, "a-1", clock)] == [session.id, found(accounts, third, clock).id]
    assert accounts.write_now(sessions.sweep) == 1


def test_form_tokens_belong_to_one_cookie_and_key() -> None:
    """A token fits its cookie under its key alone, whatever is sent in its place."""
    cookie = sessions.new_cookie()
    token = sessions.form_token(b"k" * 32, cookie)
    assert sessions.is_form_token(b"k" * 32, cookie, token)
    assert cookie not in token
    assert not sessions.is_form_token(b"K" * 32, cookie, token)
    for wrong in ("", token[:-1], token + "=", cookie, "ü\ud800", sessions.form_token(b"k" * 32, sessions.new_cookie())):
        assert not sessions.is_form_token(b"k" * 32, cookie, wrong)


def test_the_key_is_kept(tmp_path: Path) -> None:
    """Forms that were open before a restart are taken after it."""
    settings = Settings(data_dir=tmp_path)
    assert sessions.open_key(settings) == sessions.open_key(settings)


async def test_every_end_of_a_session_is_told(tmp_path: Path, clock: Clock) -> None:
    """Whatever ends sessions, listeners hear of it after the commit, with their holder and ids; of what was undone they do not."""
    told: list[tuple[str, set[str]]] = []
    with book(tmp_path, clock) as accounts:
        accounts.listen_ends(lambda holder, ids: told.append((holder, ids)))

        def used(tx: Transaction, cookie: str) -> None:
            session = sessions.find(tx.sql, cookie, tx.now_ms)
            assert session is not None
            sessions.touch(tx, session, POLICY)

        async def begin(holder: str, previous: str = "") -> str:
            return await accounts.write(lambda tx: sessions.begin(tx, holder, POLICY, previous=previous))

        one = await begin("a-1")
        await begin("a-2", previous=one)
        assert told.pop() == ("a-1", {sessions.id_of(one)})
        many = [await begin("a-3") for _ in range(POLICY.most)]
        clock.forward(ms=1)
        for cookie in many[1:]:
            await accounts.write(functools.partial(used, cookie=cookie))
        await begin("a-3")
        assert told.pop() == ("a-3", {sessions.id_of(many[0])})
        fresh = await accounts.write(lambda tx: sessions.renew(tx, many[1], POLICY))
        assert fresh is not None
        assert told.pop() == ("a-3", {sessions.id_of(many[1])})
        await accounts.write(lambda tx: sessions.end(tx, "a-3", sessions.id_of(fresh)))
        assert told.pop() == ("a-3", {sessions.id_of(fresh)})
        with pytest.raises(ZeroDivisionError):
            await accounts.write(lambda tx: sessions.end_all(tx, "a-3") / 0)
        assert told == []
        await accounts.write(lambda tx: sessions.end_all(tx, "a-3"))
        assert told.pop()[0] == "a-3"
        clock.forward(ms=5000)
        await accounts.write(sessions.sweep)
        assert [holder for holder, _ in told] == ["a-2"]


def test_a_session_goes_on_for_its_holder_until_its_end(accounts: Accounts, clock: Clock) -> None:
    """By its id; not for somebody else, and not from the millisecond of its end on."""
    session = found(accounts, begin(accounts), clock)

    def goes_on(holder: str) -> bool:
        return accounts.read_now(lambda connection: sessions.goes_on(connection, holder, session.id, clock()))

    assert goes_on("a-1")
    assert not goes_on("a-2")
    clock.forward(ms=999)
    assert goes_on("a-1")
    clock.forward(ms=1)
    assert not goes_on("a-1")
