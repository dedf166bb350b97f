"""Looking into the vault takes a role, a reason and a second person, and leaves a record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from server.accounts import tables
from server.accounts import vault_access as access
from server.accounts.book import Accounts
from server.errors import Refusal
from tests.support.accounts import Clock, add_person, book
from tests.support.vaults import vault

KEEPER = vault()
AN, BO = "staff:an", "staff:bo"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock) -> Iterator[Accounts]:
    with book(tmp_path, clock) as found:
        add_person(found, "a-1")
        found.write_now(lambda tx: KEEPER.put(tx, "a-1", "phone", "+8613912345678"))
        yield found


def _ask(accounts: Accounts, reason: str = "police request 2026-7", role: str = "privacy", account: str = "a-1") -> str:
    return accounts.write_now(
        lambda tx: access.request_access(tx, account, ["phone", "real_name", "phone"], reason=reason, actor=AN, role=role)
    )


def _decide(accounts: Accounts, request: str, actor: str = BO, *, granted: bool = True, role: str = "privacy") -> None:
    accounts.write_now(lambda tx: access.decide_access(tx, request, granted, actor=actor, role=role))


def _read(accounts: Accounts, request: str, actor: str = AN, role: str = "privacy") -> dict[str, str | None]:
    return accounts.write_now(lambda tx: access.read_granted(tx, KEEPER, request, actor=actor, role=role))


def _log(accounts: Accounts) -> list[tuple[str, str, str, str]]:
    log = tables.access_log.c
    query = select(log.actor, log.role, log.action, log.subject).order_by(log.id)
    return [tuple(row) for row in accounts.read_now(lambda connection: connection.execute(query).all())]


def _refused(work: Callable[[], object]) -> str:
    with pytest.raises(Refusal) as caught:
        work()
    return caught.value.code.name


def test_two_people_open_the_vault_once(accounts: Accounts) -> None:
    """One asks, another grants, the first reads once; each step is in the access log, without any value or reason."""
    request = _ask(accounts)
    waiting = accounts.read_now(lambda connection: access.open_requests(connection, Clock().now_ms))
    assert [(each.id, each.account, each.fields, each.reason) for each in waiting] == [
        (request, "a-1", ("phone", "real_name"), "police request 2026-7")
    ]
    _decide(accounts, request)
    assert _read(accounts, request) == {"phone": "+8613912345678", "real_name": None}
    assert _refused(lambda: _read(accounts, request)) == "bad_step"
    assert _log(accounts) == [
        (AN, "privacy", "vault.request", "a-1"),
        (BO, "privacy", "vault.grant", "a-1"),
        (AN, "privacy", "vault.read", "a-1"),
    ]
    details = accounts.read_now(lambda connection: connection.execute(select(tables.access_log.c.detail)).scalars().all())
    assert not any("+86" in each or "police" in each for each in details)
    assert accounts.read_now(lambda connection: access.open_requests(connection, 0)) == []


def test_nobody_grants_to_oneself(accounts: Accounts) -> None:
    """Who asks cannot decide, and nobody reads before somebody else has granted it, nor after a denial."""
    request = _ask(accounts)
    assert _refused(lambda: _decide(accounts, request, AN)) == "second_person_required"
    assert _refused(lambda: _read(accounts, request)) == "second_person_required"
    _decide(accounts, request, granted=False)
    assert _refused(lambda: _read(accounts, request)) == "second_person_required"
    assert _refused(lambda: _decide(accounts, request)) == "bad_step"
    assert _log(accounts)[-1][2] == "vault.deny"


def test_who_asked_reads(accounts: Accounts) -> None:
    """A grant is for the person who gave the reason, not for who granted it."""
    request = _ask(accounts)
    _decide(accounts, request)
    assert _refused(lambda: _read(accounts, request, BO)) == "forbidden"
    assert _read(accounts, request)


def test_what_can_still_be_read_is_listed_for_who_asked(accounts: Accounts, clock: Clock) -> None:
    """From the grant until it is read or too late, and for nobody else."""

    def listed(actor: str = AN) -> list[str]:
        return [each.id for each in accounts.read_now(lambda connection: access.readable(connection, actor, clock.now_ms))]

    first, second, _ = _ask(accounts), _ask(accounts), _ask(accounts)
    assert listed() == []
    for request in (first, second):
        _decide(accounts, request)
    assert sorted(listed()) == sorted([first, second])
    assert listed(BO) == []
    _read(accounts, first)
    assert listed() == [second]
    clock.forward(ms=access.GRANT_MS)
    assert listed() == []


def test_a_role_and_a_reason_are_needed(accounts: Accounts) -> None:
    """Without the role nothing goes, without a reason nothing is asked for, and not of nobody."""
    assert _refused(lambda: _ask(accounts, role="reviewer")) == "forbidden"
    assert _refused(lambda: _ask(accounts, reason="  ")) == "bad_message"
    assert _refused(lambda: _ask(accounts, reason="x" * 501)) == "bad_message"
    assert _refused(lambda: _ask(accounts, account="a-9")) == "account_not_found"
    request = _ask(accounts)
    assert _refused(lambda: _decide(accounts, request, role="reviewer")) == "forbidden"
    _decide(accounts, request)
    assert _refused(lambda: _read(accounts, request, role="")) == "forbidden"
    assert _refused(lambda: _read(accounts, "v-0")) == "not_found"
    for fields in ([], ["Phone"]):
        assert (
            _refused(
                lambda fields=fields: accounts.write_now(  # type: ignore[misc]
                    lambda tx: access.request_access(tx, "a-1", fields, reason="r", actor=AN, role="privacy")
                )
            )
            == "bad_message"
        )


def test_a_grant_is_good_for_a_bounded_time(accounts: Accounts, clock: Clock) -> None:
    """A request not decided within a day is void, and a grant not used within half an hour as well."""
    late = _ask(accounts)
    clock.forward(ms=access.DECIDE_MS)
    assert _refused(lambda: _decide(accounts, late)) == "bad_step"
    assert accounts.read_now(lambda connection: access.open_requests(connection, clock.now_ms)) == []
    request = _ask(accounts)
    _decide(accounts, request)
    clock.forward(ms=access.GRANT_MS)
    assert _refused(lambda: _read(accounts, request)) == "bad_step"
