"""The way in: phone, OpenID, nickname, account; guardians; surer verification; one person, one account."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Literal

import pytest
from sqlalchemy import insert, select
from structlog.testing import capture_logs

from filters.verdict import Action, Verdict
from server.accounts import holds, measures, nicknames, privacy, tables, verifications
from server.accounts.book import Accounts, Transaction, read_standing
from server.accounts.events import Consented, VerificationWithdrawn
from server.accounts.identity import Identity
from server.accounts.signup import NicknameWanted, Person, SignedIn, SignUp, Started, see_host
from server.accounts.standing import Standing
from server.accounts.vault import Vault
from server.accounts.verify import Answer, Question, Refused
from server.errors import Refusal
from server.settings import Settings
from tests.support.accounts import DAY_MS, Clock, add_person, book
from tests.support.phones import Phones
from tests.support.vaults import vault

PHONE, OTHER = "13912345678", "13800000000"
NUMBER = "11010519491231002X"


class Desk:
    """An adapter that answers as told: evidence ``number`` and ``age``; ``answer`` overrides."""

    def __init__(self, method: str = "id_number", purpose: str = "identity_document") -> None:
        self.method = method
        self.strength = 2
        self.purpose = purpose
        self.asked = 0
        self.answer: Answer | Refusal | None = None
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        self.closed = False

    def prepare(self, evidence: Mapping[str, str], now_ms: int) -> Question:
        if "number" not in evidence:
            raise Refused("number")
        return Question(values=evidence, under_14=evidence.get("age") == "13")

    async def check(self, question: Question) -> Answer:
        self.asked += 1
        if self.meanwhile is not None:
            await self.meanwhile()
        if isinstance(self.answer, Refusal):
            raise self.answer
        number = question.values["number"]
        return self.answer or Answer(passed=True, claim=("person", number), fields={"id_number": number}, reference="r-1")

    async def aclose(self) -> None:
        self.closed = True


class Site:
    """A book with its way in, and shortcuts through it."""

    def __init__(self, accounts: Accounts, clock: Clock, folder: Path) -> None:
        self.book = accounts
        self.clock = clock
        self.settings = Settings(data_dir=folder, site_name="Night Barrage", codes_per_address=100)
        self.vault: Vault = vault()
        self.phones = Phones()
        self.desk = Desk()
        self.netid = Desk("network_identity", "account")
        self.signup = SignUp(
            accounts, self.vault, self.settings, _screen, clock, sms=self.phones, adapters=[self.desk, self.netid]
        )

    async def come(self, phone: str = PHONE, nickname: str = "小明") -> SignedIn | NicknameWanted:
        """Ask for a code and give it back."""
        started = await self.signup.start_phone(phone)
        return await self.signup.confirm_phone(started.ticket, self.phones.code, nickname=nickname)

    async def person(self, phone: str = PHONE, nickname: str = "小明") -> str:
        """A new account by phone."""
        found = await self.come(phone, nickname)
        assert isinstance(found, SignedIn)
        return found.account

    def standing(self, account: str) -> Standing:
        return self.book.read_now(lambda connection: read_standing(connection, account))

    def kept(self, account: str, field: str) -> str | None:
        return self.book.read_now(lambda connection: self.vault.read(connection, account, field))

    async def consent(self, account: str, purpose: str = "identity_document") -> None:
        notice = privacy.notice(self.settings)
        await self.book.write(lambda tx: privacy.consent(tx, account, purpose, notice))

    async def blacklist(self, kind: str, value: str, until_ms: int = 0) -> None:
        mark, pepper = self.vault.mark(kind, value)
        row = {"kind": kind, "value": mark, "pepper": pepper, "measure": "m-1", "since_ms": 1, "until_ms": until_ms}

        def work(tx: Transaction) -> None:
            tx.sql.execute(insert(tables.blacklist).values(**row))

        await self.book.write(work)

    async def erase(self, account: str) -> None:
        await self.book.write(lambda tx: privacy.erase(tx, self.vault, account, actor=account, role="person"))

    async def end(self, what: str, account: str) -> None:
        """Erase the account, or withdraw its consent."""
        if what == "erase":
            await self.erase(account)
        else:
            await self.book.write(lambda tx: privacy.withdraw(tx, self.vault, account, "identity_document") and None)

    def results(self, account: str) -> list[str]:
        query = select(tables.verifications.c.result).where(tables.verifications.c.account == account)
        return list(self.book.read_now(lambda connection: connection.execute(query).scalars().all()))


def _screen(text: str) -> Verdict:
    action = {"坏": Action.REFUSE, "疑": Action.HOLD, "遮": Action.MASK}.get(text[:1], Action.ACCEPT)
    return Verdict(action=action, text=text, rules="")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    clock = Clock()
    with book(tmp_path, clock) as accounts:
        found = Site(accounts, clock, tmp_path)
        yield found
        await accounts.drain()


async def _refused(work: Awaitable[object]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await work
    return caught.value


# -- by phone


async def test_phone_code_nickname_account(site: Site) -> None:
    """With the right code and a free nickname there is an account: verified, named, its number in the vault and claimed."""
    account = await site.person("139 1234 5678", " 小明 ")
    standing = site.standing(account)
    assert (standing.kind, standing.origin, standing.verified, standing.strength) == ("private", "local", "phone", 1)
    assert site.kept(account, "phone") == "+8613912345678"
    assert site.book.read_now(lambda connection: nicknames.current(connection, account)) == "小明"
    assert site.book.read_now(lambda connection: site.vault.holder(connection, "phone", "+8613912345678")) == account
    assert site.results(account) == ["passed"]


async def test_the_same_phone_leads_to_the_same_account(site: Site) -> None:
    """Signing in again, under whatever nickname, makes no second account and changes no name."""
    account = await site.person()
    assert await site.come(nickname="别名") == SignedIn(account=account, new=False)
    assert site.book.read_now(lambda connection: nicknames.current(connection, account)) == "小明"
    assert site.results(account) == ["passed"]


async def test_asking_tells_nothing(site: Site) -> None:
    """For a known, an unknown and a blacklisted number the answer has the same form and the same times, and a code is sent."""
    await site.person()
    await site.blacklist("phone", "+8613700000000")
    answers: list[Started] = [await site.signup.start_phone(phone) for phone in (PHONE, OTHER, "13700000000")]
    assert len(site.phones.sent) == 4
    assert {(each.expires_ms, each.again_ms, len(each.ticket)) for each in answers} == {
        (site.clock.now_ms + 300_000, site.clock.now_ms + 60_000, len(answers[0].ticket))
    }
    assert not any("139" in each.ticket or "137" in each.hint for each in answers)
    assert len(answers[0].ticket) <= 400


async def test_a_nickname_can_be_chosen_after_the_code(site: Site) -> None:
    """Without a usable nickname the answer is a proof, with the reason; the code is not asked for again."""
    await site.person(OTHER, "小红")
    started = await site.signup.start_phone(PHONE)
    for number, (nickname, code) in enumerate(
        [
            ("", None),
            ("小 红", "nickname_taken"),
            ("坏蛋", "nickname_refused"),
            ("官方", "nickname_refused"),
            ("\u200b", "nickname_refused"),
        ]
    ):
        if number:
            site.clock.forward(hours=1)
            started = await site.signup.start_phone(PHONE)
        found = await site.signup.confirm_phone(started.ticket, site.phones.code, nickname=nickname)
        assert isinstance(found, NicknameWanted)
        assert (found.refusal.code.name if found.refusal else None) == code
        assert found.expires_ms == site.clock.now_ms + 900_000
    assert isinstance(found, NicknameWanted)
    assert (await _refused(site.signup.register(found.proof, "小红"))).code.name == "nickname_taken"
    assert (await _refused(site.signup.register(found.proof, "Night  Barrage"))).code.name == "nickname_refused"
    done = await site.signup.register(found.proof, "小明")
    assert done.new
    assert (await _refused(site.signup.register(found.proof, "别名"))).code.name == "identity_taken"


async def test_a_proof_ends(site: Site) -> None:
    """After a quarter of an hour, or changed, or in place of a ticket, a proof is worth nothing."""
    found = await site.come(nickname="")
    assert isinstance(found, NicknameWanted)
    for text in ("", "x" * 3000, "令牌", found.proof[:-4] + "AAAA", found.proof[5:]):
        assert (await _refused(site.signup.register(text, "小明"))).code.name == "form_expired"
        assert (await _refused(site.signup.confirm_phone(text, "000000"))).code.name == "form_expired"
    assert (await _refused(site.signup.confirm_phone(found.proof, "000000"))).code.name == "form_expired"
    site.clock.forward(ms=900_000)
    assert (await _refused(site.signup.register(found.proof, "小明"))).code.name == "form_expired"


async def test_a_wrong_code_counts_and_opens_nothing(site: Site) -> None:
    """Five wrong codes spoil it: the attempts are committed although each was refused."""
    started = await site.signup.start_phone(PHONE)
    wrong = f"{(int(site.phones.code) + 1) % 10**6:06}"
    for _ in range(5):
        assert (await _refused(site.signup.confirm_phone(started.ticket, wrong, nickname="小明"))).code.name == "code_wrong"
    assert (await _refused(site.signup.confirm_phone(started.ticket, site.phones.code))).code.name == "code_wrong"
    assert site.book.read_now(lambda connection: connection.execute(select(tables.accounts)).all()) == []


async def test_codes_are_limited(site: Site) -> None:
    """A second code at once is refused, with the time to wait."""
    await site.signup.start_phone(PHONE, address="192.0.2.1")
    refusal = await _refused(site.signup.start_phone(f"+86 {PHONE}", address="192.0.2.2"))
    assert (refusal.code.name, refusal.retry_after_ms) == ("too_many_attempts", 60_000)
    assert (await _refused(site.signup.start_phone("123"))).code.name == "identity_refused"


async def test_a_code_that_could_not_be_sent_is_worth_nothing(site: Site) -> None:
    """When the gateway fails, the refusal is its own, and a code that arrived after all does not work."""
    site.phones.fault = Refusal("verification_unavailable")
    assert (await _refused(site.signup.start_phone(PHONE))).code.name == "verification_unavailable"
    row = site.book.read_now(lambda connection: connection.execute(select(tables.codes)).mappings().one())
    assert row["attempts"] == 5


async def test_where_nothing_is_configured_nothing_is_offered(site: Site) -> None:
    """Without gateway and services every method is refused, none is named; closing is harmless."""
    bare = SignUp(site.book, site.vault, site.settings, _screen, site.clock, sms=None)
    assert bare.methods == ()
    assert (await _refused(bare.start_phone(PHONE))).code.name == "verification_unavailable"
    assert (await _refused(bare.verify("a-1", "id_number", {}))).code.name == "verification_unavailable"
    await bare.aclose()
    assert site.signup.methods == ("phone", "id_number", "network_identity")
    await site.signup.aclose()
    assert site.phones.closed
    assert site.desk.closed


async def test_a_blacklisted_number_opens_no_account(site: Site) -> None:
    """Not under another nickname and not after erasure, until the entry has expired; the code shows first that it is one's own."""
    account = await site.person()
    await site.blacklist("phone", "+8613912345678", site.clock.now_ms + 86_400_000)
    assert await site.come() == SignedIn(account=account, new=False)  # the notice and the appeal are inside
    await site.erase(account)
    assert (await _refused(site.come(nickname="别名"))).code.name == "blacklisted"
    site.clock.forward(days=1)
    found = await site.come(nickname="别名")
    assert isinstance(found, SignedIn)
    assert found.new
    assert found.account != account


@pytest.mark.parametrize("rung", ["suspend", "close"])
async def test_erasing_does_not_end_a_suspension_or_a_closing(site: Site, rung: Literal["suspend", "close"]) -> None:
    """Who erases the account meanwhile signs up anew when the measure has ended or is lifted, and not before."""
    account = await site.person()
    days = 30 if rung == "suspend" else 0
    measure = await site.book.write(
        lambda tx: measures.take(
            tx, account, rung, "L5", "rule 3", actor="staff:an", role="operator", duration_ms=days * DAY_MS
        )
    )
    await site.erase(account)
    assert (await _refused(site.come(nickname="别名"))).code.name == "blacklisted"
    if days:
        site.clock.forward(days=days)
    else:
        site.clock.forward(days=1000)
        assert (await _refused(site.come(nickname="别名"))).code.name == "blacklisted"
        await site.book.write(lambda tx: measures.lift(tx, measure, "R1", "a mistake", actor="staff:bo", role="senior"))
        site.clock.forward(hours=1)
    found = await site.come(nickname="别名")
    assert isinstance(found, SignedIn)
    assert found.new


async def test_a_proof_does_not_outrun_the_blacklist(site: Site) -> None:
    """Somebody who is blacklisted between code and nickname gets no account."""
    found = await site.come(nickname="")
    assert isinstance(found, NicknameWanted)
    await site.blacklist("phone", "+8613912345678")
    assert (await _refused(site.signup.register(found.proof, "小明"))).code.name == "blacklisted"
    assert site.book.read_now(lambda connection: connection.execute(select(tables.accounts)).all()) == []


async def test_coming_back_makes_up_for_a_withdrawn_verification(site: Site) -> None:
    """Who shows again to own the number is verified again."""
    account = await site.person()
    event = VerificationWithdrawn(reason="number changed hands")
    await site.book.write(lambda tx: tx.append(account, event, actor="staff:an", role="reviewer"))
    assert not site.standing(account).verified
    site.clock.forward(hours=1)
    await site.come()
    assert site.standing(account).verified == "phone"


async def test_an_erased_account_on_hold_lets_nobody_in(site: Site) -> None:
    """While a hold keeps what is stored, the number neither leads to the closed account nor opens another one."""
    account = await site.person()
    await site.book.write(
        lambda tx: holds.place(tx, account, reason="case", case_number="2026-7", actor="staff:an", role="privacy")
    )
    await site.erase(account)
    assert site.kept(account, "phone") is not None
    assert (await _refused(site.come(nickname="别名"))).code.name == "account_closed"
    assert site.standing(account).erased
    assert not site.standing(account).verified


# -- by an OpenID provider


async def test_an_openid_account_is_one_account(site: Site) -> None:
    """The first time a nickname is wanted, then it leads to the same account; the consent is recorded, the subject in the vault."""
    found = await site.signup.enter_oidc("https://id.example", "sub-1", strength=0)
    assert isinstance(found, NicknameWanted)
    account = (await site.signup.register(found.proof, "小明")).account
    assert await site.signup.enter_oidc("https://id.example", "sub-1", strength=0) == SignedIn(account=account, new=False)
    assert site.standing(account).verified == ""
    assert site.standing(account).consents == ("third_party_login",)
    assert site.kept(account, "oidc_subject") == "https://id.example sub-1"
    other = await site.signup.enter_oidc("https://other.example", "sub-1", strength=1, nickname="小红")
    assert isinstance(other, SignedIn)
    assert site.standing(other.account).verified == "oidc"
    await site.blacklist("oidc", "https://id.example sub-2")
    refusal = await _refused(site.signup.enter_oidc("https://id.example", "sub-2", strength=1, nickname="小王"))
    assert refusal.code.name == "blacklisted"


async def test_a_phone_is_added_later(site: Site) -> None:
    """It verifies the account; somebody else's is refused; another one takes its place and frees the first."""
    found = await site.signup.enter_oidc("https://id.example", "sub-1", strength=0, nickname="小明")
    assert isinstance(found, SignedIn)
    account = found.account
    other = await site.person(OTHER, "小红")
    started = await site.signup.start_phone(PHONE)
    assert (await _refused(site.signup.add_phone(account, started.ticket, "x"))).code.name == "code_wrong"
    await site.signup.add_phone(account, started.ticket, site.phones.code)
    assert site.standing(account).verified == "phone"
    started = await site.signup.start_phone(OTHER)
    refusal = await _refused(site.signup.add_phone(account, started.ticket, site.phones.code))
    assert refusal.code.name == "identity_taken"
    assert (await _refused(site.signup.add_phone(account, started.ticket, site.phones.code))).code.name == "code_wrong"
    started = await site.signup.start_phone("13700000000")
    await site.signup.add_phone(account, started.ticket, site.phones.code)
    assert site.kept(account, "phone") == "+8613700000000"
    assert isinstance(await site.come(PHONE, "第三人"), SignedIn)
    assert other != account


# -- surer verification


async def test_an_identity_number_makes_it_surer(site: Site) -> None:
    """With consent the number is checked, kept and claimed, the strength rises, and never falls again."""
    account = await site.person()
    refusal = await _refused(site.signup.verify(account, "id_number", {"number": NUMBER}))
    assert (refusal.code.name, site.desk.asked) == ("consent_required", 0)
    await site.consent(account)
    assert await site.signup.verify(account, "id_number", {"number": NUMBER}) == 2
    assert site.standing(account).strength == 2
    assert site.kept(account, "id_number") == NUMBER
    site.clock.forward(hours=1)
    await site.come()
    assert site.standing(account).strength == 2
    assert site.results(account) == ["passed", "passed"]


async def test_one_person_across_accounts(site: Site) -> None:
    """The same identity number under another phone and nickname is refused, also when blacklisted after erasure."""
    account, other = await site.person(), await site.person(OTHER, "小红")
    await site.consent(account)
    await site.consent(other)
    await site.signup.verify(account, "id_number", {"number": NUMBER})
    assert (await _refused(site.signup.verify(other, "id_number", {"number": NUMBER}))).code.name == "identity_taken"
    await site.blacklist("person", NUMBER)
    await site.erase(account)
    assert (await _refused(site.signup.verify(other, "id_number", {"number": NUMBER}))).code.name == "blacklisted"
    assert site.results(other) == ["passed", "failed", "failed"]
    assert site.kept(other, "id_number") is None


async def test_one_account_is_one_person(site: Site) -> None:
    """Who was verified cannot become somebody else, and keeps nobody from an account of their own; the same number may be shown
    again, not without end."""
    account, other = await site.person(), await site.person(OTHER, "小红")
    await site.consent(account)
    await site.consent(other)
    await site.signup.verify(account, "id_number", {"number": NUMBER})
    refusal = await _refused(site.signup.verify(account, "id_number", {"number": "110101199003070038"}))
    assert (refusal.code.name, refusal.detail) == ("identity_refused", "the account is another person's")
    assert site.kept(account, "id_number") == NUMBER
    assert await site.signup.verify(other, "id_number", {"number": "110101199003070038"}) == 2
    for _ in range(verifications.PASSED_PER_DAY - 2):  # the phone and the number passed before
        await site.signup.verify(account, "id_number", {"number": NUMBER})
    asked = site.desk.asked
    assert (await _refused(site.signup.verify(account, "id_number", {"number": NUMBER}))).code.name == "too_many_attempts"
    assert site.desk.asked == asked


async def test_refused_attempts_are_few(site: Site) -> None:
    """Five a day, so that the service cannot be used for guessing; what cannot be right asks nobody and counts for nothing."""
    account = await site.person()
    await site.consent(account)
    site.desk.answer = Answer(passed=False)
    for _ in range(3):
        assert (await _refused(site.signup.verify(account, "id_number", {}))).code.name == "identity_refused"
    for _ in range(5):
        refusal = await _refused(site.signup.verify(account, "id_number", {"number": NUMBER}))
        assert refusal.code.name == "identity_refused"
    refusal = await _refused(site.signup.verify(account, "id_number", {"number": NUMBER}))
    assert (refusal.code.name, refusal.retry_after_ms) == ("too_many_attempts", 86_400_000)
    assert site.desk.asked == 5
    assert site.standing(account).strength == 1
    site.clock.forward(days=1)
    site.desk.answer = None
    assert await site.signup.verify(account, "id_number", {"number": NUMBER}) == 2


async def test_a_service_that_is_away_confirms_nobody(site: Site) -> None:
    """The refusal can be tried again; even so the questions of a day are bounded."""
    account = await site.person()
    await site.consent(account)
    site.desk.answer = Refusal("verification_unavailable")
    for _ in range(20):
        refusal = await _refused(site.signup.verify(account, "id_number", {"number": NUMBER}))
        assert refusal.code.name == "verification_unavailable"
    assert (await _refused(site.signup.verify(account, "id_number", {"number": NUMBER}))).code.name == "too_many_attempts"
    assert site.standing(account).strength == 1
    assert site.kept(account, "id_number") is None


async def test_what_changes_while_the_service_answers(site: Site) -> None:
    """Consent withdrawn or account erased meanwhile: nothing is kept."""
    for what, code in (("withdraw", "consent_required"), ("erase", "account_not_found")):
        account = await site.person(f"1390000000{len(what)}", what)
        await site.consent(account)
        site.desk.meanwhile = lambda what=what, account=account: site.end(what, account)
        assert (await _refused(site.signup.verify(account, "id_number", {"number": NUMBER}))).code.name == code
        assert site.kept(account, "id_number") is None
        assert site.results(account)[-1:] in (["failed"], [])
    refusal = await _refused(site.signup.verify("a-unknown", "network_identity", {"number": NUMBER}))
    assert refusal.code.name == "account_not_found"


# -- guardians


async def test_under_14_a_guardian_consents_first(site: Site) -> None:
    """Nobody is asked about a child before the guardian has answered with the code on the guardian's own phone."""
    account = await site.person()
    await site.consent(account)
    child = {"number": NUMBER, "age": "13"}
    assert (await _refused(site.signup.verify(account, "id_number", child))).code.name == "guardian_required"
    assert site.desk.asked == 0
    assert (await _refused(site.signup.start_guardian(account, "王大明", PHONE))).code.name == "identity_refused"
    assert (await _refused(site.signup.start_guardian(account, "", OTHER))).code.name == "identity_refused"
    assert (await _refused(site.signup.start_guardian("a-9", "王大明", OTHER))).code.name == "account_not_found"
    notice = privacy.notice(site.settings)
    started = await site.signup.start_guardian(account, "王大明", OTHER)
    other = await site.person("13700000000", "小红")
    give = site.signup.confirm_guardian
    assert (await _refused(give(other, started.ticket, site.phones.code, "王大明", notice))).code.name == "form_expired"
    started_code = next(code for phone, code in site.phones.sent if phone == f"+86{OTHER}")
    assert (await _refused(give(account, started.ticket, "x", "王大明", notice))).code.name == "code_wrong"
    await give(account, started.ticket, started_code, "王大明", notice)
    assert (site.kept(account, "guardian_name"), site.kept(account, "guardian_phone")) == ("王大明", f"+86{OTHER}")
    assert set(site.standing(account).consents) == {"identity_document", "guardian"}
    assert await site.signup.verify(account, "id_number", child) == 2


async def test_a_childs_own_consent_is_no_guardians(site: Site) -> None:
    """Consent counts as a guardian's only when a guardian gave it, and no more once it is withdrawn."""
    account = await site.person()
    await site.consent(account, "guardian")
    site.netid.answer = Answer(passed=True, claim=("netid", "s-1"), under_14=True)
    evidence = {"number": NUMBER}
    assert (await _refused(site.signup.verify(account, "network_identity", evidence))).code.name == "guardian_required"
    started = await site.signup.start_guardian(account, "王大明", OTHER)
    await site.signup.confirm_guardian(account, started.ticket, site.phones.code, "王大明", privacy.notice(site.settings))
    entries = await site.book.write(lambda tx: tx.entries_of(account))
    assert sum(isinstance(each.event, Consented) and each.event.guardian for each in entries) == 2
    assert await site.signup.verify(account, "network_identity", evidence) == 2
    for purpose in ("guardian", "identity_document"):
        await site.book.write(lambda tx, purpose=purpose: privacy.withdraw(tx, site.vault, account, purpose))  # type: ignore[misc]
    assert (await _refused(site.signup.verify(account, "network_identity", evidence))).code.name == "guardian_required"


# -- nicknames, hosts, settings


async def test_nicknames_change_after_screening(site: Site) -> None:
    """A clean and free name, which the screening accepts as it is; the interval is a setting."""
    account = await site.person()
    for text in ("坏蛋", "疑问", "遮住", "管理员", "x" * 25):
        assert (await _refused(site.signup.change_nickname(account, text))).code.name == "nickname_refused"
    assert await site.signup.change_nickname(account, "  大 明 ") == "大 明"
    refusal = await _refused(site.signup.change_nickname(account, "老明"))
    assert (refusal.code.name, refusal.retry_after_ms) == ("too_many_attempts", 604_800_000)


def _identity(subject: str, *, verified: bool) -> Identity:
    return Identity(subject=subject, nickname="host", verified=verified, role="", expires_ms=2**53)


async def test_the_hosts_accounts_are_taken_over(site: Site) -> None:
    """A verified claim is strength 1, and ends with the claim; what is known writes nothing, what is surer stays."""
    for verified, expected in ((True, "host"), (True, "host"), (False, ""), (False, ""), (True, "host")):
        await site.signup.host_seen(_identity("h-1", verified=verified))
        assert site.standing("h-1").verified == expected
    assert site.standing("h-1").origin == "host"
    assert len(await site.book.write(lambda tx: tx.entries_of("h-1"))) == 4
    add_person(site.book, "h-2", verified="id_number")
    await site.book.standings.load("h-2")
    await site.signup.host_seen(_identity("h-2", verified=False))
    assert site.standing("h-2").verified == "id_number"
    await site.signup.host_seen(_identity("h-3", verified=False))
    assert site.standing("h-3").opened_ms
    assert not site.standing("h-3").verified
    await site.erase("h-3")
    await site.signup.host_seen(_identity("h-3", verified=True))
    await site.book.write(lambda tx: see_host(tx, _identity("h-3", verified=True)))
    assert not site.standing("h-3").verified


async def test_a_token_makes_nobody_of_this_site_verified(site: Site) -> None:
    """What a token that outlived a withdrawn verification claims of an account of this site counts nothing."""
    account = await site.person()
    event = VerificationWithdrawn(reason="false")
    await site.book.write(lambda tx: tx.append(account, event, actor="staff:x", role="operator"))
    await site.signup.host_seen(_identity(account, verified=True))
    await site.book.write(lambda tx: see_host(tx, _identity(account, verified=True)))
    assert not site.standing(account).verified


async def test_settings_say_what_is_offered(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A demo without a gateway shows codes in the terminal; the file of services offers the others."""
    path = tmp_path / "verification.toml"
    secret = "s" * 32
    services = "".join(
        f'[{name}]\nurl = "https://x.example"\nsecret = "{secret}"\n' for name in ("id_number", "network_identity")
    )
    path.write_text(services)
    path.chmod(0o600)
    settings = Settings(data_dir=tmp_path, demo=True, verification_file=path)
    signup = SignUp.open(site.book, site.vault, settings, _screen, site.clock)
    assert signup.methods == ("phone", "id_number", "network_identity")
    started = await signup.start_phone(PHONE)
    found = re.search(r"…78: ([0-9]{6})", capsys.readouterr().err)
    assert found is not None
    assert isinstance(await signup.confirm_phone(started.ticket, found[1], nickname="小明"), SignedIn)
    await signup.aclose()
    path.write_text('[sms]\nurl = "https://x.example"\nbody = {}\n')
    assert SignUp.open(site.book, site.vault, settings, _screen, site.clock).methods == ("phone",)
    assert SignUp.open(site.book, site.vault, Settings(data_dir=tmp_path), _screen, site.clock).methods == ()


def _on_disk(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


async def test_nothing_personal_is_left_behind(site: Site, tmp_path: Path) -> None:
    """After the whole way, failures included, no number and no name stands in a file, a log line or a representation."""
    with capture_logs() as logs:
        account = await site.person()
        await site.consent(account)
        await site.signup.verify(account, "id_number", {"number": NUMBER})
        found = await site.come("13700000000", "")
        started = await site.signup.start_guardian(account, "王大明", OTHER)
        await site.signup.confirm_guardian(account, started.ticket, site.phones.code, "王大明", privacy.notice(site.settings))
        refusal = await _refused(site.signup.start_phone("13612"))
    person = Person(kind="phone", value=PHONE, field="phone", purpose="account", method="phone", strength=1)
    said = str(logs) + repr(found) + repr(started) + str(refusal) + repr(person)
    stored = _on_disk(tmp_path)
    for value in (PHONE, NUMBER, "王大明", OTHER, "13700000000", "13612"):
        assert value not in said
        assert value.encode() not in stored
