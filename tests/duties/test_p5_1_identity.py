"""Duties P5(1), T6 and P9: a real person behind, a nickname of one's own choice in front, one person with one account."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from server.accounts import measures, nicknames, privacy, tables, vault_access
from server.accounts.book import Accounts, Transaction, read_standing
from server.accounts.signup import NicknameWanted, SignedIn, SignUp
from server.accounts.vault import Vault, scrub
from server.accounts.vault_keys import VaultError
from server.accounts.verify import Adapter
from server.accounts.verify.client import SignedClient
from server.accounts.verify.idcard import IdNumber
from server.accounts.verify.netid import NetworkIdentity
from server.errors import Refusal
from server.settings import Settings
from tests.support.accounts import START_MS, Clock, book
from tests.support.identity_service import IdentityService, identity_service
from tests.support.phones import Phones, accept

NAME, NUMBER, PHONE, OTHER = "欧阳小麻子", "11010519491231002X", "13912345678", "13800000000"
TOKEN, SUBJECT = "network-token-7f3a", "network-subject-91c2"


class Place:
    """A site with a phone gateway and verification services, as a server has them."""

    def __init__(self, accounts: Accounts, clock: Clock, folder: Path, service: IdentityService) -> None:
        self.settings = Settings(data_dir=folder / "keys")
        self.book, self.clock, self.phones = accounts, clock, Phones()
        self.vault = Vault.open(self.settings)
        adapters: list[Adapter] = [
            IdNumber(SignedClient("id_number", service.config("/match"), lambda: START_MS)),
            NetworkIdentity(SignedClient("network_identity", service.config("/network"), lambda: START_MS)),
        ]
        self.signup = SignUp(accounts, self.vault, self.settings, accept, clock, sms=self.phones, adapters=adapters)
        self.notice = privacy.notice(self.settings)

    async def come(self, phone: str, nickname: str) -> SignedIn | NicknameWanted:
        """By phone code."""
        started = await self.signup.start_phone(phone)
        return await self.signup.confirm_phone(started.ticket, self.phones.code, nickname=nickname)

    async def verify(self, account: str) -> int:
        """By name and identity number, with consent."""
        await self.book.write(lambda tx: privacy.consent(tx, account, "identity_document", self.notice))
        return await self.signup.verify(account, "id_number", {"name": NAME, "number": NUMBER})


@pytest.fixture(scope="module")
def service() -> Iterator[IdentityService]:
    with identity_service(START_MS) as found:
        found.people = {NUMBER: NAME}
        found.tokens = {TOKEN: {"valid": True, "subject": SUBJECT}}
        yield found


@pytest.fixture
async def place(tmp_path: Path, service: IdentityService) -> AsyncIterator[Place]:
    clock = Clock()
    with book(tmp_path, clock) as accounts:
        found = Place(accounts, clock, tmp_path, service)
        yield found
        await found.signup.aclose()
        await accounts.drain()


async def _account(place: Place, phone: str, nickname: str) -> str:
    found = await place.come(phone, nickname)
    assert isinstance(found, SignedIn)
    return found.account


def _on_disk(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


async def test_duty_p5_1_a_verified_person_behind_a_nickname_of_their_choice(place: Place, tmp_path: Path) -> None:
    """By phone, by identity number and by network identity people are verified for good reason, under any free nickname; of name,
    numbers and tokens nothing stands in a log, an answer or a file but ciphertext and keyed hashes."""
    with capture_logs() as logs:
        account = await _account(place, PHONE, "夜猫子")
        standing = place.book.read_now(lambda connection: read_standing(connection, account))
        assert (standing.verified, standing.strength) == ("phone", 1)
        assert await place.verify(account) == 2
        assert await place.signup.verify(account, "network_identity", {"token": TOKEN}) == 3
        with pytest.raises(Refusal) as refused:
            await place.signup.verify(account, "id_number", {"name": "别人", "number": NUMBER})
    assert refused.value.code.name == "identity_refused"
    standing = place.book.read_now(lambda connection: read_standing(connection, account))
    assert (standing.verified, standing.strength) == ("network_identity", 3)
    assert place.book.read_now(lambda connection: nicknames.current(connection, account)) == "夜猫子"
    assert place.book.read_now(lambda connection: place.vault.fields(connection, account)) == [
        "id_number",
        "phone",
        "real_name",
    ]
    stored, said = _on_disk(tmp_path), str(logs) + str(refused.value)
    assert "夜猫子".encode() in stored  # the search would find what is there
    for value in (NAME, NUMBER, PHONE, TOKEN, SUBJECT):
        assert value.encode() not in stored
        assert value not in said


async def test_duty_p5_1_a_look_into_the_vault_takes_two_people_and_a_reason(place: Place) -> None:
    """Nobody of the staff reads an identity alone: role, reason, somebody else's consent; once; and each step is on record."""
    account = await _account(place, PHONE, "夜猫子")
    await place.verify(account)

    def ask(tx: Transaction, role: str, reason: str) -> str:
        return vault_access.request_access(tx, account, ["real_name"], reason=reason, actor="staff:an", role=role)

    for role, reason in (("reviewer", "case 7"), ("privacy", "")):
        with pytest.raises(Refusal):
            await place.book.write(lambda tx, role=role, reason=reason: ask(tx, role, reason))  # type: ignore[misc]
    request = await place.book.write(lambda tx: ask(tx, "privacy", "case 7"))

    def decide(tx: Transaction, actor: str) -> None:
        vault_access.decide_access(tx, request, granted=True, actor=actor, role="privacy")

    def read(tx: Transaction) -> dict[str, str | None]:
        return vault_access.read_granted(tx, place.vault, request, actor="staff:an", role="privacy")

    for work in (read, lambda tx: decide(tx, "staff:an")):
        with pytest.raises(Refusal) as refused:
            await place.book.write(work)
        assert refused.value.code.name == "second_person_required"
    await place.book.write(lambda tx: decide(tx, "staff:bo"))
    assert await place.book.write(read) == {"real_name": NAME}
    with pytest.raises(Refusal):
        await place.book.write(read)
    log = tables.access_log.c
    rows = place.book.read_now(lambda connection: connection.execute(select(log.actor, log.action, log.subject)).all())
    assert [tuple(row) for row in rows] == [
        ("staff:an", "vault.request", account),
        ("staff:bo", "vault.grant", account),
        ("staff:an", "vault.read", account),
    ]


async def test_duty_p5_1_after_erasure_nothing_can_be_decrypted(place: Place, tmp_path: Path) -> None:
    """The person's key is destroyed: even a copy of the ciphertext with all keys of the server is worth nothing."""
    account = await _account(place, PHONE, "夜猫子")
    await place.verify(account)
    items = tables.vault_items
    copies = place.book.read_now(lambda connection: connection.execute(select(items)).mappings().all())
    wrapped = place.book.read_now(lambda connection: connection.execute(select(tables.vault_keys.c.wrapped)).scalar_one())
    await place.book.write(lambda tx: privacy.erase(tx, place.vault, account, actor=account, role="person"))
    assert await place.book.read(scrub)
    assert wrapped not in _on_disk(tmp_path)

    def put_back(tx: Transaction) -> None:
        tx.sql.execute(items.insert(), [dict(row) for row in copies])

    await place.book.write(put_back)
    for row in copies:
        with pytest.raises(VaultError):
            place.book.read_now(lambda connection, row=row: place.vault.read(connection, account, row["field"]))  # type: ignore[misc]


async def test_duty_p9_one_person_has_one_account(place: Place) -> None:
    """The same phone leads to the same account under whatever nickname; the same identity under another phone and nickname is
    refused; blacklisted, it is refused after erasure and under a new pepper as well."""
    account = await _account(place, PHONE, "夜猫子")
    await place.verify(account)
    assert await place.come(f"+86 {PHONE}", "别名") == SignedIn(account=account, new=False)
    second = await _account(place, OTHER, "早起鸟")

    async def refused(work: object) -> str:
        with pytest.raises(Refusal) as caught:
            await work  # type: ignore[misc]
        return caught.value.code.name

    assert await refused(place.verify(second)) == "identity_taken"

    def blacklist(tx: Transaction) -> None:
        measures.take(tx, account, "blacklist", "S3", "paid posting", actor="staff:an", role="operator")

    await place.book.write(blacklist)
    place.vault.keys.add_pepper()
    await place.book.write(lambda tx: privacy.erase(tx, place.vault, account, actor=account, role="person"))
    place.clock.forward(hours=2)
    assert await refused(place.come(PHONE, "第三人")) == "blacklisted"
    assert await refused(place.verify(second)) == "blacklisted"


async def test_duty_p5_1_nobody_borrows_the_name_of_another_or_of_the_site(place: Place) -> None:
    """A nickname is free to choose, but for names that look like another person's or like the site's own voice."""
    await _account(place, PHONE, "Billy 小明")
    for nickname, code in (("BiIIy小 明", "nickname_taken"), ("管理員", "nickname_refused"), ("0fficial", "nickname_refused")):
        place.clock.forward(hours=2)
        found = await place.come(OTHER, nickname)
        assert isinstance(found, NicknameWanted)
        assert found.refusal is not None
        assert found.refusal.code.name == code
