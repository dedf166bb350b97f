"""Nicknames: one's own, never somebody else's or the site's voice, with a history."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from server.accounts import nicknames, privacy, tables
from server.accounts.book import Accounts, Transaction
from server.accounts.events import Measured, NicknameChanged, Rung
from server.errors import Refusal
from tests.support.accounts import Clock, add_person, book
from tests.support.vaults import vault

WEEK_MS = 7 * 86_400_000
KEEPER = vault()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock) -> Iterator[Accounts]:
    with book(tmp_path, clock) as found:
        add_person(found, "a-1")
        add_person(found, "a-2")
        yield found


def _take(accounts: Accounts, account: str, name: str, interval_ms: int = 0, reserved: tuple[str, ...] = ()) -> None:
    accounts.write_now(lambda tx: nicknames.take(tx, account, name, interval_ms=interval_ms, reserved=reserved))


def _refused(accounts: Accounts, account: str, name: str) -> str:
    with pytest.raises(Refusal) as caught:
        _take(accounts, account, name)
    return caught.value.code.name


def _current(accounts: Accounts, account: str) -> str:
    return accounts.read_now(lambda connection: nicknames.current(connection, account))


@pytest.mark.parametrize(("text", "name"), [("小明", "小明"), ("  a   b ", "a b"), ("x" * 24, "x" * 24), ("👨‍👩‍👧", "👨‍👩‍👧")])
def test_free_choice_of_1_to_24_characters(text: str, name: str) -> None:
    """Any script, any pictures; white space is evened out."""
    assert nicknames.clean(text) == name


@pytest.mark.parametrize("text", ["", "  ", "x" * 25, "a\u200bb", "a\u202eb", "\x00", "x" * 10_000])
def test_invisible_and_overlong_names_are_refused(text: str) -> None:
    """With the code of nicknames, not of tokens."""
    with pytest.raises(Refusal) as caught:
        nicknames.clean(text)
    assert caught.value.code.name == "nickname_refused"


def test_a_name_is_one_persons_alone(accounts: Accounts) -> None:
    """The same name, and one that looks like it, is taken for everybody else; its owner may write it otherwise."""
    _take(accounts, "a-1", "Billy")
    for name in ("Billy", "BILLY", "BiIly", "Вilly", "b.illy", "Ｂｉｌｌｙ"):
        assert _refused(accounts, "a-2", name) == "nickname_taken"
    _take(accounts, "a-1", "BILLY")
    _take(accounts, "a-1", "BILLY")
    assert _current(accounts, "a-1") == "BILLY"
    assert _current(accounts, "a-9") == ""


@pytest.mark.parametrize(
    "name",
    ["admin", "Аdmin", "ADM1N", "0fficial", "官方", "宫方客服", "弹幕官方账号", "管理員", "管 理 员", "系统", "Admin小明",
     "super-admin-7",
     "TheModerator", "客服小王", "匿名用户", "Night Barrage", "an", "AN"],
)  # fmt: skip
def test_the_voice_of_the_site_is_reserved(accounts: Accounts, name: str) -> None:
    """Names of the site, its offices and its staff, however they are written, are nobody's nickname."""
    accounts.write_now(lambda tx: _row(tx, insert(tables.staff).values(name="an", created_ms=1)))
    with pytest.raises(Refusal) as caught:
        _take(accounts, "a-1", name, reserved=("Night Barrage",))
    assert caught.value.code.name == "nickname_refused"


@pytest.mark.parametrize("name", ["badminton", "小方", "系统之外", "manager", "Anna", "弹幕小能手", "Supporter"])
def test_ordinary_names_are_not(accounts: Accounts, name: str) -> None:
    """A reserved word inside another word does no harm."""
    accounts.write_now(lambda tx: _row(tx, insert(tables.staff).values(name="an", created_ms=1)))
    _take(accounts, "a-1", name)
    assert _current(accounts, "a-1") == name


def _row(tx: Transaction, statement: object) -> None:
    tx.sql.execute(statement)  # type: ignore[call-overload]


def test_names_of_public_accounts_are_theirs(accounts: Accounts) -> None:
    """Neither the name nor the label of a public account, nor a name that contains it, is free for others; once it is rejected it
    is (duty T7)."""
    add_person(accounts, "p-1")
    row = {"account": "p-1", "state": "active", "name": "人民晚报", "label": "晚报", "applied_ms": 1, "changed_ms": 1}
    accounts.write_now(lambda tx: _row(tx, insert(tables.public_accounts).values(**row)))
    for name in ("人民晚报", "人民 晚報", "人民晚报小编", "晚报"):
        assert _refused(accounts, "a-1", name) == "nickname_refused"
    _take(accounts, "a-1", "今日晚报迷")
    _take(accounts, "p-1", "人民晚报")
    accounts.write_now(lambda tx: _row(tx, tables.public_accounts.update().values(state="rejected")))
    _take(accounts, "a-2", "人民晚报小编")


def test_a_change_is_kept_in_the_history(accounts: Accounts, clock: Clock) -> None:
    """Each name with its time; the ledger says that it changed, and not to what."""
    _take(accounts, "a-1", "one")
    clock.forward(days=1)
    _take(accounts, "a-1", "two")
    first, second = accounts.read_now(lambda connection: nicknames.history(connection, "a-1"))
    assert (first.nickname, first.until_ms) == ("one", clock.now_ms)
    assert (second.nickname, second.from_ms, second.until_ms) == ("two", clock.now_ms, 0)
    entries = accounts.write_now(lambda tx: tx.entries_of("a-1"))
    assert [entry for entry in entries if isinstance(entry.event, NicknameChanged)] == [entries[-1]]


def test_changes_lie_apart(accounts: Accounts, clock: Clock) -> None:
    """The first change is free at once, the next one after the interval; the refusal says how long."""
    _take(accounts, "a-1", "one", WEEK_MS)
    _take(accounts, "a-1", "two", WEEK_MS)
    with pytest.raises(Refusal) as caught:
        _take(accounts, "a-1", "three", WEEK_MS)
    assert (caught.value.code.name, caught.value.retry_after_ms) == ("too_many_attempts", WEEK_MS)
    clock.forward(ms=WEEK_MS)
    _take(accounts, "a-1", "three", WEEK_MS)


def test_a_name_given_up_is_held_for_a_while(accounts: Accounts, clock: Clock) -> None:
    """Nobody else steps into it at once; its former owner may come back to it."""
    _take(accounts, "a-1", "one")
    _take(accounts, "a-1", "two")
    assert _refused(accounts, "a-2", "0ne") == "nickname_taken"
    _take(accounts, "a-1", "one")
    _take(accounts, "a-1", "three")
    clock.forward(ms=nicknames.HELD_MS)
    _take(accounts, "a-2", "one")


@pytest.mark.parametrize(
    ("rung", "functions", "refused"),
    [("restrict", ("nickname",), True), ("restrict", ("post",), False), ("suspend", (), True), ("close", (), True)],
)
def test_a_measure_can_forbid_changes(accounts: Accounts, rung: Rung, functions: tuple[str, ...], refused: bool) -> None:
    """A restriction of nicknames, and whatever is graver, forbids changing; another restriction does not."""
    _take(accounts, "a-1", "one")
    event = Measured(measure="m-1", rung=rung, code="A1", basis="art. 8", functions=functions)  # type: ignore[arg-type]
    accounts.write_now(lambda tx: tx.append("a-1", event, actor="staff:an", role="reviewer"))
    if refused:
        assert _refused(accounts, "a-1", "two") == "function_restricted"
    else:
        _take(accounts, "a-1", "two")


def test_erasure_empties_names_and_history(accounts: Accounts) -> None:
    """No name stays in a row; each is free for others at once, and the emptied ones are in nobody's way."""
    for account, names in (("a-1", ("one", "two")), ("a-2", ("three", "four"))):
        for name in names:
            _take(accounts, account, name)
        accounts.write_now(lambda tx, account=account: privacy.erase(tx, KEEPER, account, actor=account, role="person"))  # type: ignore[misc]
    history = accounts.read_now(lambda connection: nicknames.history(connection, "a-1"))
    assert {former.nickname for former in history} == {""}
    rows = accounts.read_now(lambda connection: connection.execute(select(tables.accounts)).mappings().all())
    assert {(row["nickname"], row["nickname_key"]) for row in rows} == {("", None)}
    add_person(accounts, "a-3")
    for name in ("one", "two"):
        _take(accounts, "a-3", name)
