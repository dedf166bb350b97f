"""server/accounts/privacy.py, holds.py, retention.py"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import func, insert, select, update

from server.accounts import holds, measures, privacy, retention, sessions, tables
from server.accounts.book import Accounts, Transaction
from server.accounts.events import Verified
from server.accounts.fields import FIELDS, vault_fields
from server.accounts.standing import Standing
from server.accounts.vault import Vault
from server.accounts.vault_keys import VaultError
from server.errors import Refusal
from server.settings import Settings
from tests.support.accounts import Clock, book, person, standing
from tests.support.vaults import vault

PHONE = "+8613800138000"
NUMBER = "11010519491231002X"
POLICY = sessions.Policy(idle_ms=86_400_000, absolute_ms=86_400_000 * 9, most=3)
SETTINGS = Settings(operator_name="弹幕有限公司", privacy_contact="privacy@example.com")


class World(NamedTuple):
    """A book with a vault, and one person with everything in it."""

    accounts: Accounts
    vault: Vault
    clock: Clock

    def do(self, work: Any) -> Any:
        """Run in a transaction."""
        return self.accounts.write_now(work)

    def standing(self, account: str = "a-1") -> Standing:
        """From the ledger."""
        return standing(self.accounts, account)

    def kept(self, account: str = "a-1") -> list[str]:
        """Names of the fields in the vault."""
        return self.accounts.read_now(lambda connection: self.vault.fields(connection, account))

    def count(self, table: Any) -> int:
        """Rows of a table."""
        return self.accounts.read_now(
            lambda connection: connection.execute(select(func.count()).select_from(table)).scalar_one()
        )


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """One person with phone, identity document and consent."""
    clock = Clock()
    with book(tmp_path, clock) as accounts:
        found = World(accounts, vault(), clock)

        def fill(tx: Transaction) -> None:
            person(tx)
            named = {"nickname": "小明", "nickname_key": "小明"}
            tx.sql.execute(update(tables.accounts).where(tables.accounts.c.id == "a-1").values(**named))
            tx.sql.execute(insert(tables.nicknames).values(account="a-1", from_ms=tx.now_ms, **named))
            found.vault.put(tx, "a-1", "phone", PHONE)
            found.vault.claim(tx, "a-1", "phone", PHONE)
            privacy.consent(tx, "a-1", "identity_document", privacy.notice(SETTINGS))
            found.vault.put(tx, "a-1", "real_name", "张三")
            found.vault.put(tx, "a-1", "id_number", NUMBER)
            found.vault.claim(tx, "a-1", "person", NUMBER)
            tx.append("a-1", Verified(method="id_number", strength=2), actor="system", role="verifier")
            sessions.begin(tx, "a-1", POLICY)
            tx.tell("a-1", "agreement_signed", {"version": "1"})

        found.do(fill)
        yield found


def refused(world: World, code: str, work: Any) -> str:
    """Assert that a work is refused with a code; the detail."""
    with pytest.raises(Refusal) as caught:
        world.do(work)
    assert caught.value.code.name == code
    return caught.value.detail


# -- the notice


def test_the_notice_names_every_field_with_purpose_method_scope_and_term() -> None:
    """duty P5(2): the published notice is made from the table that also drives deletion."""
    notice = privacy.notice(SETTINGS)
    for language in privacy.LANGUAGES:
        source = notice.texts[language].source
        for field in FIELDS:
            line = next(line for line in source.splitlines() if line.startswith(f"- {field.name.of(language)}"))
            assert field.method.of(language) in line
            assert field.shown.of(language) in line
            assert privacy.term(field, SETTINGS, language) in line
        assert "privacy@example.com" in source
        assert "弹幕有限公司" in source
        assert "190" in source


def test_a_changed_term_is_another_version() -> None:
    """Version and hash follow the words, in whatever way they change."""
    one, two = privacy.notice(SETTINGS), privacy.notice(Settings(operator_name="弹幕有限公司", records_days=365))
    assert one.version != two.version
    assert one.version == privacy.notice(SETTINGS).version


def test_each_version_is_recorded_once_with_its_words(world: World) -> None:
    """What people read can be read years later."""
    notice = privacy.notice(SETTINGS)
    assert world.do(lambda tx: privacy.establish(tx, notice))
    assert not world.do(lambda tx: privacy.establish(tx, notice))
    texts = tables.document_texts.c
    query = select(texts.text).where(texts.document == "privacy", texts.language == "en")
    assert world.accounts.read_now(lambda c: c.execute(query).scalars().all()) == [notice.texts["en"].source]


def test_reading_the_notice_is_recorded_by_its_hash(world: World) -> None:
    """An acknowledgement names version and words; another text is none."""
    notice = privacy.notice(SETTINGS)
    text = notice.texts["zh-CN"]
    assert world.do(lambda tx: privacy.acknowledge(tx, "a-1", notice, text.sha256, "zh-CN"))
    assert not world.do(lambda tx: privacy.acknowledge(tx, "a-1", notice, text.sha256, "zh-CN"))
    assert world.standing().privacy == notice.version
    refused(world, "bad_message", lambda tx: privacy.acknowledge(tx, "a-1", notice, text.sha256, "en"))
    refused(world, "account_not_found", lambda tx: privacy.acknowledge(tx, "a-9", notice, text.sha256, "zh-CN"))


# -- consent


def test_withdrawal_deletes_what_rested_on_it(world: World) -> None:
    """Name and number are gone, and the verification falls back to the phone; the mark by which nobody registers twice stays."""
    assert set(vault_fields("identity_document")) & set(world.kept()) == {"real_name", "id_number"}
    assert world.do(lambda tx: privacy.withdraw(tx, world.vault, "a-1", "identity_document"))
    assert world.kept() == ["phone"]
    assert (world.standing().verified, world.standing().strength) == ("phone", 1)
    assert world.accounts.read_now(lambda c: world.vault.holder(c, "person", NUMBER)) == "a-1"
    assert world.accounts.read_now(lambda c: world.vault.holder(c, "phone", PHONE)) == "a-1"
    assert not world.do(lambda tx: privacy.withdraw(tx, world.vault, "a-1", "identity_document"))
    with pytest.raises(Refusal, match="consent_required"):
        privacy.require(world.standing(), "identity_document")


def test_withdrawing_the_login_of_another_service_ends_that_login(world: World) -> None:
    """The identifier there is deleted and its claim given up: it signs nobody in any more."""

    def login(tx: Transaction) -> None:
        privacy.consent(tx, "a-1", "third_party_login", privacy.notice(SETTINGS))
        world.vault.put(tx, "a-1", "oidc_subject", "https://id.example 17")
        world.vault.claim(tx, "a-1", "oidc", "https://id.example 17")

    world.do(login)
    world.do(lambda tx: privacy.withdraw(tx, world.vault, "a-1", "third_party_login"))
    assert "oidc_subject" not in world.kept()
    assert world.accounts.read_now(lambda c: world.vault.holder(c, "oidc", "https://id.example 17")) is None
    assert world.standing().verified == "id_number"


def test_a_verification_without_anything_else_ends_with_its_consent(world: World) -> None:
    """Who was known by the document alone is not verified any more, and cannot post."""
    world.do(lambda tx: tx.sql.execute(tables.claims.delete().where(tables.claims.c.kind == "phone")))
    world.do(lambda tx: privacy.withdraw(tx, world.vault, "a-1", "identity_document"))
    assert world.standing().verified == ""


def test_consent_is_asked_for_by_purpose(world: World) -> None:
    """Consent to what needs none, or to nothing, is refused; given twice, it is recorded once."""
    notice = privacy.notice(SETTINGS)
    privacy.require(world.standing(), "account")
    assert not world.do(lambda tx: privacy.consent(tx, "a-1", "identity_document", notice))
    assert world.do(lambda tx: privacy.consent(tx, "a-1", "guardian", notice, guardian=True))
    assert world.standing().consents == ("identity_document", "guardian")
    assert "identity_document" in refused(world, "bad_message", lambda tx: privacy.consent(tx, "a-1", "account", notice))
    refused(world, "bad_message", lambda tx: privacy.withdraw(tx, world.vault, "a-1", "nothing"))


# -- export and erasure


def test_the_export_holds_all_that_is_stored(world: World) -> None:
    """duty P5(2): one's own data, readable by machines, in clear."""
    found = world.accounts.read_now(lambda c: privacy.export(c, world.vault, "a-1"))
    assert found["vault"] == {"phone": PHONE, "real_name": "张三", "id_number": NUMBER}
    assert found["account"]["nickname"] == "小明"
    assert [each["kind"] for each in found["ledger"]][:2] == ["opened", "verified"]
    assert found["letters"][0]["data"] == {"version": "1"}
    assert len(found["sessions"]) == 1
    assert len(found["nicknames"]) == 1
    with pytest.raises(Refusal, match="account_not_found"):
        world.accounts.read_now(lambda c: privacy.export(c, world.vault, "a-9"))


def test_erasure_leaves_nothing_of_the_person(world: World) -> None:
    """The key is gone, nicknames are empty, sessions have ended; the ledger stays and names nobody."""
    before = len(world.accounts.read_now(lambda c: privacy.export(c, world.vault, "a-1"))["ledger"])
    assert world.do(lambda tx: privacy.erase(tx, world.vault, "a-1", actor="a-1", role="person"))
    assert world.standing().erased
    assert world.kept() == []
    assert world.count(tables.vault_keys) == world.count(tables.claims) == world.count(tables.sessions) == 0
    after = world.accounts.read_now(lambda c: privacy.export(c, world.vault, "a-1"))
    assert len(after["ledger"]) == before + 1
    assert after["account"]["nickname"] == ""
    assert {row["nickname"] for row in after["nicknames"]} == {""}
    assert after["letters"] == []
    refused(world, "account_closed", lambda tx: privacy.erase(tx, world.vault, "a-1", actor="a-1", role="person"))


def test_a_copy_of_the_items_is_of_no_use_after_erasure(world: World) -> None:
    """Ciphertext that a backup kept cannot be read once the key is destroyed."""
    items = world.accounts.read_now(lambda c: [dict(row) for row in c.execute(select(tables.vault_items)).mappings()])
    world.do(lambda tx: privacy.erase(tx, world.vault, "a-1", actor="a-1", role="person"))
    world.do(lambda tx: tx.sql.execute(insert(tables.vault_items), items))
    with pytest.raises(VaultError, match="destroyed"):
        world.accounts.read_now(lambda c: world.vault.read(c, "a-1", "phone"))


def test_the_blacklist_outlasts_erasure(world: World) -> None:
    """duty P9: who was put on the blacklist does not come back by erasing the account first."""
    world.do(lambda tx: measures.take(tx, "a-1", "blacklist", "L2", "art. 15", actor="staff:x", role="operator"))
    world.do(lambda tx: privacy.erase(tx, world.vault, "a-1", actor="a-1", role="person"))
    world.do(lambda tx: tx.open("a-2"))
    refused(world, "blacklisted", lambda tx: world.vault.claim(tx, "a-2", "phone", PHONE))
    refused(world, "blacklisted", lambda tx: world.vault.claim(tx, "a-2", "person", NUMBER))


# -- holds and purging


def test_duty_p12_a_hold_keeps_what_is_to_be_erased_until_it_ends(world: World) -> None:
    """duty P12: closed and locked at once, deleted when the hold ends."""
    hold = world.do(lambda tx: holds.place(tx, "a-1", "inquiry", "2026-17", actor="staff:x", role="compliance"))
    assert not world.do(lambda tx: privacy.erase(tx, world.vault, "a-1", actor="a-1", role="person"))
    assert world.standing().erased
    assert world.count(tables.sessions) == 0
    assert set(world.kept()) == {"phone", "real_name", "id_number"}
    assert world.do(lambda tx: retention.sweep_erased(tx, world.vault)) == 0
    world.do(lambda tx: holds.release(tx, hold, actor="staff:y", role="compliance"))
    assert world.do(lambda tx: retention.sweep_erased(tx, world.vault)) == 1
    assert world.kept() == []
    assert world.do(lambda tx: retention.sweep_erased(tx, world.vault)) == 0


def test_a_withdrawal_under_a_hold_is_carried_out_when_it_ends(world: World) -> None:
    """The purpose ends at once, the data stay until they may go."""
    hold = world.do(lambda tx: holds.place(tx, holds.EVERYTHING, "inspection", "2026-18", actor="staff:x", role="compliance"))
    world.do(lambda tx: privacy.withdraw(tx, world.vault, "a-1", "identity_document"))
    assert "id_number" in world.kept()
    with pytest.raises(Refusal, match="consent_required"):
        privacy.require(world.standing(), "identity_document")
    world.do(lambda tx: holds.release(tx, hold, actor="staff:x", role="compliance"))
    assert world.do(lambda tx: retention.sweep_withdrawn(tx, world.vault)) == 1
    assert world.kept() == ["phone"]
    assert world.do(lambda tx: retention.sweep_withdrawn(tx, world.vault)) == 0


def test_holds_are_placed_with_a_case_and_released_once(world: World) -> None:
    """Both ends are on record."""
    place = lambda tx: holds.place(tx, "a-1", " an  inquiry ", "2026-17", actor="staff:x", role="compliance")  # noqa: E731
    hold = world.do(place)
    (found,) = world.accounts.read_now(holds.in_force)
    assert (found.id, found.scope, found.reason, found.case_number, found.by) == (
        hold,
        "a-1",
        "an inquiry",
        "2026-17",
        "staff:x",
    )
    assert world.do(lambda tx: holds.release(tx, hold, actor="staff:y", role="compliance")).released_by == "staff:y"
    assert world.accounts.read_now(holds.in_force) == []
    refused(world, "bad_step", lambda tx: holds.release(tx, hold, actor="staff:y", role="compliance"))
    refused(world, "not_found", lambda tx: holds.release(tx, "h-1", actor="staff:y", role="compliance"))
    refused(world, "account_not_found", lambda tx: holds.place(tx, "a-9", "x", "1", actor="staff:x", role="compliance"))
    refused(world, "bad_message", lambda tx: holds.place(tx, "a-1", "x", " ", actor="staff:x", role="compliance"))
    assert world.count(tables.access_log) == 2


def test_purging_deletes_by_the_terms_of_the_notice(world: World) -> None:
    """Nothing before its term, everything after it; what is held stays."""

    def purge(tx: Transaction) -> dict[str, int]:
        return retention.purge(tx, retention.cutoffs(tx, SETTINGS))

    def add(tx: Transaction) -> None:
        person(tx, "a-2")
        tx.tell("a-2", "agreement_signed", {"version": "1"})
        holds.place(tx, "a-2", "inquiry", "7", actor="staff:x", role="compliance")
        code = {"id": "c", "purpose": "p", "target": "t", "code": "c", "created_ms": tx.now_ms, "expires_ms": tx.now_ms + 1}
        tx.sql.execute(insert(tables.codes).values(**code))

    world.do(add)
    assert not any(world.do(purge).values())
    world.clock.forward(days=2)
    assert world.do(purge) == {"codes": 1, "logins": 0, "sessions": 1, "letters": 0, "appeals": 0, "blacklist": 0}
    world.clock.forward(days=1094)
    assert world.do(purge)["letters"] == 1
    assert world.count(tables.letters) == 1
    everything = lambda tx: holds.place(tx, "*", "x", "1", actor="staff:x", role="compliance")  # noqa: E731
    world.do(everything)
    assert "letters" not in world.do(purge)
    found = world.do(lambda tx: retention.cutoffs(tx, SETTINGS))
    assert (found.everything, found.keep) == (True, ("a-2",))
    assert world.clock.now_ms - found.records_ms == 190 * 86_400_000
