"""server/accounts/passkeys.py"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.accounts import passkeys, staff
from server.accounts.book import Accounts
from server.accounts.passkeys import CHALLENGE_MS, Challenges, Passkey, Site
from server.accounts.staff import Member
from server.accounts.vault import Vault
from server.errors import Refusal
from server.settings import Settings
from tests.support.accounts import START_MS, Clock, book
from tests.support.staff import Authenticator, enrol

SITE = Site("localhost", "https://localhost:8080", "Barrage")


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    with book(tmp_path, Clock()) as found:
        vault = Vault.open(Settings(data_dir=tmp_path))
        enrol(found, vault, "ann", "admin")
        enrol(found, vault, "bob", "admin")
        yield found


def member(accounts: Accounts, name: str = "ann") -> Member:
    found = accounts.read_now(lambda c: staff.find(c, name))
    assert found is not None
    return found


def register(accounts: Accounts, key: Authenticator, name: str = "ann", label: str = "laptop", **options: Any) -> Passkey:
    challenge = b"c" * 32
    made = key.create(accounts.read_now(lambda c: passkeys.registration_options(c, member(accounts, name), SITE, challenge)))
    made.update(options)
    return accounts.write_now(lambda tx: passkeys.register(tx, member(accounts, name), SITE, challenge, made, label))


def sign_in(accounts: Accounts, key: Authenticator, challenge: bytes = b"d" * 32, **options: Any) -> Member:
    given = key.get(passkeys.sign_in_options(SITE, b"d" * 32))
    return accounts.write_now(lambda tx: passkeys.sign_in(tx, SITE, challenge, given, **options))


def test_a_registered_passkey_signs_in(accounts: Accounts) -> None:
    """The authenticator answers a challenge; whose key it is says who is there."""
    key = Authenticator(SITE.origin)
    made = register(accounts, key, label="  my\tlaptop ")
    assert made.label == "my laptop"
    assert sign_in(accounts, key).name == "ann"
    assert sign_in(accounts, key, name="ann").name == "ann"
    assert accounts.read_now(lambda c: passkeys.listed(c, "ann")) == [made]
    options = accounts.read_now(lambda c: passkeys.registration_options(c, member(accounts), SITE, b"c" * 32))
    assert [each["id"] for each in options["excludeCredentials"]] == [made.id]
    assert options["authenticatorSelection"]["userVerification"] == "required"


def refused(work: Any) -> str:
    with pytest.raises(Refusal) as found:
        work()
    return found.value.code.name


def test_a_passkey_that_does_not_verify_its_holder_is_refused(accounts: Accounts) -> None:
    """Holding it is one factor only; both at registration and at sign-in the holder is verified."""
    assert refused(lambda: register(accounts, Authenticator(SITE.origin, verifies=False))) == "login_failed"
    key = Authenticator(SITE.origin)
    register(accounts, key)
    key.verifies = False
    assert refused(lambda: sign_in(accounts, key)) == "login_failed"


def test_a_passkey_of_another_site_is_refused(accounts: Accounts) -> None:
    """The browser says where the ceremony took place."""
    assert refused(lambda: register(accounts, Authenticator("https://evil.example"))) == "login_failed"
    key = Authenticator(SITE.origin)
    register(accounts, key)
    key.origin = "https://evil.example"
    assert refused(lambda: sign_in(accounts, key)) == "login_failed"


def test_an_answer_to_another_challenge_is_refused(accounts: Accounts) -> None:
    """An answer that was recorded is worth nothing later."""
    key = Authenticator(SITE.origin)
    register(accounts, key)
    assert refused(lambda: sign_in(accounts, key, b"e" * 32)) == "login_failed"


def test_a_count_that_does_not_go_up_is_a_copied_key(accounts: Accounts) -> None:
    """It is refused; an authenticator that does not count is let."""
    key = Authenticator(SITE.origin)
    register(accounts, key)
    sign_in(accounts, key)
    key.count -= 1
    assert refused(lambda: sign_in(accounts, key)) == "login_failed"
    quiet = Authenticator(SITE.origin, counts=False)
    register(accounts, quiet, label="phone")
    assert sign_in(accounts, quiet).name == "ann"
    assert sign_in(accounts, quiet).name == "ann"


def test_unknown_removed_and_foreign_passkeys_are_refused_alike(accounts: Accounts) -> None:
    """So are those of disabled members, and answers of another form."""
    key = Authenticator(SITE.origin)
    assert refused(lambda: sign_in(accounts, key)) == "login_failed"
    made = register(accounts, key)
    assert refused(lambda: sign_in(accounts, key, name="bob")) == "login_failed"
    for junk in ({}, {"id": 7}, {"id": made.id}, {"id": made.id, "rawId": made.id, "response": {}, "type": "public-key"}):
        work = lambda tx, junk=junk: passkeys.sign_in(tx, SITE, b"d" * 32, junk)  # noqa: E731
        assert refused(lambda work=work: accounts.write_now(work)) == "login_failed"
    assert refused(lambda: accounts.write_now(lambda tx: passkeys.remove(tx, member(accounts, "bob"), made.id))) == "not_found"
    accounts.write_now(lambda tx: staff.disable(tx, "ann", actor="operator:root", role="operator"))
    assert refused(lambda: sign_in(accounts, key)) == "login_failed"
    accounts.write_now(lambda tx: passkeys.remove(tx, member(accounts), made.id))
    assert accounts.read_now(lambda c: passkeys.listed(c, "ann")) == []


def test_bad_registrations_are_refused(accounts: Accounts) -> None:
    """A known key, a label that cannot be shown, damaged answers, too many."""
    key = Authenticator(SITE.origin)
    register(accounts, key)
    assert refused(lambda: register(accounts, key, "bob")) == "login_failed"
    assert refused(lambda: register(accounts, Authenticator(SITE.origin), label="a\u202eb")) == "bad_message"
    assert refused(lambda: register(accounts, Authenticator(SITE.origin), response={})) == "login_failed"
    other = base64.urlsafe_b64encode(b"other").decode().rstrip("=")
    assert refused(lambda: register(accounts, Authenticator(SITE.origin), rawId=other)) == "login_failed"
    for number in range(passkeys.PASSKEYS_MAX - 1):
        register(accounts, Authenticator(SITE.origin), label=f"key {number}")
    assert refused(lambda: register(accounts, Authenticator(SITE.origin))) == "bad_message"


def test_a_challenge_is_good_once_for_its_holder_and_for_a_short_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is used up by the first attempt, whoever makes it."""
    found = Challenges()
    key, challenge = found.begin("staff:ann", START_MS)
    assert found.take(key, "staff:ann", START_MS + CHALLENGE_MS - 1) == challenge
    assert refused(lambda: found.take(key, "staff:ann", START_MS)) == "login_failed"
    for holder, at_ms in (("staff:bob", START_MS), ("", START_MS), ("staff:ann", START_MS + CHALLENGE_MS)):
        key, _ = found.begin("staff:ann", START_MS)
        assert refused(lambda key=key, holder=holder, at_ms=at_ms: found.take(key, holder, at_ms)) == "login_failed"
    monkeypatch.setattr(passkeys, "CHALLENGES_MAX", 2)
    keys = [found.begin("", START_MS)[0] for _ in range(3)]
    assert refused(lambda: found.take(keys[0], "", START_MS)) == "login_failed"
    assert found.take(keys[2], "", START_MS)
