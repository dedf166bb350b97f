"""server/account_operations.py: every operation, here and through the operator interface."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from server.account_operations import _WORK, AccountOperations, LocalAccountOperations, site_address
from server.account_requests import (
    AccountRequest,
    AddStaff,
    ApprovePublic,
    ClassifyPublic,
    DecideAppeal,
    EnrolStaff,
    EraseAccount,
    ExportPublic,
    FilePublic,
    FindAccounts,
    LiftMeasure,
    ListAppeals,
    ListHolds,
    ListLicences,
    ListPublic,
    ListStaff,
    PlaceHold,
    Purge,
    ReadAccessLog,
    RecordLicence,
    ReleaseHold,
    RevokeLicence,
    RotateVault,
    SetStaffRoles,
    ShowAccount,
    StepPublic,
    SwitchStaff,
    TakeMeasure,
    Who,
    WithdrawVerification,
)
from server.accounts import appeals, public, tables
from server.accounts.book import Transaction
from server.errors import Refusal, StoreUnavailable, StoreUnknown
from server.moderation import outbox
from server.moderation.outbox import Evidence
from server.settings import Settings
from tests.support.accounts import DAY_MS, person
from tests.support.services import FakeServices
from tests.support.web import operator_client

WHO = Who(account="a-1")
NOW_MS = int(time.time() * 1000)
"""The client signs its requests by the clock of the machine, so a test's services stand at the moment of the test; this one, of the
module's import, lies a little before."""


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[FakeServices]:
    """A room with one comment of the account a-1, which is verified."""
    found = FakeServices(tmp_path)
    found.clock_ms = int(time.time() * 1000)
    found.add_room("demo")
    found.say("demo", "hello", author="a-1")
    await found.people.book.write(person)
    yield found
    await found.end()


@pytest.fixture(params=["here", "over HTTP"])
async def desk(request: pytest.FixtureRequest, services: FakeServices) -> AsyncIterator[AccountOperations]:
    if request.param == "here":
        yield LocalAccountOperations(services, "alice")
    else:
        async with operator_client(services) as remote:
            yield remote


async def refused(desk: AccountOperations, request: AccountRequest) -> str:
    with pytest.raises(Refusal) as found:
        await desk.account(request)
    return found.value.code.name


async def test_an_account_is_found_by_id_nickname_and_comment(desk: AccountOperations, services: FakeServices) -> None:
    """Exactly one of the three says who is meant; whoever looks is recorded."""
    await services.people.book.write(lambda tx: tx.sql.execute(update(tables.accounts).values(nickname="小明")))
    for who in (WHO, Who(nickname="小明"), Who(room="demo", seq=1)):
        shown = await desk.account(ShowAccount(who=who))
        assert (shown["account"], shown["nickname"], shown["standing"]["verified"]) == ("a-1", "小明", "phone")
        assert [entry["kind"] for entry in shown["ledger"]] == ["opened", "verified", "signed"]
    for request in (FindAccounts(), FindAccounts(text="小"), FindAccounts(text="a-1")):
        assert [row["id"] for row in await desk.account(request)] == ["a-1"]
    assert await desk.account(FindAccounts(text="%")) == []
    log = await desk.account(ReadAccessLog(subject="a-1"))
    assert [(line["actor"], line["action"]) for line in log] == [("operator:alice", "account.view")] * 3
    older = await desk.account(ReadAccessLog(before=log[0]["id"], limit=1))
    assert [line["id"] for line in older] == [log[1]["id"]]


async def test_who_is_not_there_is_said_so(desk: AccountOperations) -> None:
    """Unknown accounts, nicknames and comments, and who is not named in one way."""
    assert await refused(desk, ShowAccount(who=Who(account="a-9"))) == "account_not_found"
    assert await refused(desk, ShowAccount(who=Who(nickname="nobody"))) == "account_not_found"
    assert await refused(desk, ShowAccount(who=Who(room="demo", seq=9))) == "comment_not_found"
    for who in (Who(), Who(account="a-1", nickname="x"), Who(room="demo"), Who(account="a-1", seq=1)):
        assert await refused(desk, ShowAccount(who=who)) == "bad_message"


async def test_measures_are_taken_lifted_and_appealed(desk: AccountOperations, services: FakeServices) -> None:
    """The whole way; the acting person stands in the record."""
    taken = await desk.account(TakeMeasure(who=WHO, rung="suspend", code="S1", basis="agreement 4", duration_ms=DAY_MS))
    lifted = await desk.account(LiftMeasure(measure=taken["measure"], code="R1", basis="by mistake"))
    assert lifted == {**taken}
    second = await desk.account(
        TakeMeasure(who=WHO, rung="restrict", code="S1", basis="b", functions=("color",), duration_ms=DAY_MS)
    )
    await services.people.book.write(lambda tx: appeals.file(tx, "a-1", second["measure"], "please look"))
    [waiting] = await desk.account(ListAppeals())
    assert waiting["words"] == "please look"
    decide = DecideAppeal(appeal=waiting["id"], upheld=False, code="S1", basis="it stands")
    assert await refused(desk, decide) == "second_person_required"
    other = LocalAccountOperations(services, "bob")
    assert (await other.account(decide))["upheld"] is False
    shown = await desk.account(ShowAccount(who=WHO))
    assert {(each["rung"], each["state"], each["actor"]) for each in shown["measures"]} == {
        ("suspend", "lifted", "operator:alice"), ("restrict", "in_force", "operator:alice"),
    }  # fmt: skip
    assert [each["upheld"] for each in shown["appeals"]] == [False]


async def test_a_verification_is_withdrawn_once(desk: AccountOperations, services: FakeServices) -> None:
    """The standing in memory follows at once."""
    assert await desk.account(WithdrawVerification(who=WHO, reason="number given up")) == {"account": "a-1"}
    assert (await services.people.standing("a-1")).verified == ""
    assert await refused(desk, WithdrawVerification(who=WHO, reason="again")) == "not_verified"


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ({"public_url": "https://b.example/"}, "https://b.example"),
        ({"port": 9000}, "http://localhost:9000"),
        ({"host": "::"}, "http://localhost:8080"),
        ({"host": "fd00::7"}, "http://[fd00::7]:8080"),
        ({"port": 0}, ""),
    ],
)
def test_links_lead_to_the_site(given: dict[str, Any], address: str) -> None:
    """A link can be opened as it is printed: at the public address, else on this machine, by a name that passkeys can be made for."""
    assert site_address(Settings(**given)) == address


async def test_staff_are_added_changed_and_switched(desk: AccountOperations) -> None:
    """The link of an enrolment is in the answer, and nowhere else."""
    added = await desk.account(AddStaff(name="ann", roles=("admin", "reviewer")))
    assert added["link"].startswith("http://localhost:8080/staff/enrol?name=ann&secret=")
    again = await desk.account(EnrolStaff(name="ann"))
    assert again["link"] != added["link"]
    await desk.account(AddStaff(name="bob", roles=("admin",)))
    assert await desk.account(SetStaffRoles(name="ann", roles=("reviewer",))) == {"name": "ann", "roles": ["reviewer"]}
    await desk.account(SwitchStaff(name="ann", enabled=False))
    assert [(row["name"], row["disabled_ms"] > 0) for row in await desk.account(ListStaff())] == [("ann", True), ("bob", False)]
    assert await desk.account(SwitchStaff(name="ann", enabled=True)) == {"name": "ann", "enabled": True}
    assert await refused(desk, SwitchStaff(name="bob", enabled=False)) == "bad_step"


def licence(**fields: Any) -> RecordLicence:
    values: dict[str, Any] = {
        "holder": "provider", "kind": "k", "number": "1", "issuer": "i", "features": ("public_accounts", "news"),
        "valid_from_ms": NOW_MS, "valid_until_ms": NOW_MS + DAY_MS, **fields,
    }  # fmt: skip
    return RecordLicence(**values)


async def test_a_licence_is_in_force_at_once_and_until_it_is_revoked(desk: AccountOperations, services: FakeServices) -> None:
    """The running server follows without a restart."""
    assert not services.people.provider.active("news", services.clock_ms)
    made = await desk.account(licence())
    assert services.people.provider.active("news", services.clock_ms)
    assert [row["state"] for row in await desk.account(ListLicences(holder="provider"))] == ["active"]
    await desk.account(RevokeLicence(licence=made["licence"], basis="given back"))
    assert not services.people.provider.active("news", services.clock_ms)


async def test_a_public_account_goes_its_way(desk: AccountOperations, services: FakeServices) -> None:
    """Review, classification by somebody else, filing, activation, approval, end."""
    await desk.account(licence())

    def apply_(tx: Transaction) -> None:
        public.apply_for(tx, "a-1", name="某大学", purpose="Courses", category="institution")

    await services.people.book.write(apply_)
    assert [row["state"] for row in await desk.account(ListPublic(state="applied"))] == ["applied"]
    await desk.account(StepPublic(who=WHO, step="review", basis="papers"))
    classify = ClassifyPublic(who=WHO, category="institution", basis="charter")
    assert await refused(desk, classify) == "second_person_required"
    await LocalAccountOperations(services, "bob").account(classify)
    assert [row["label"] for row in await desk.account(ExportPublic())] == ["某大学"]
    await desk.account(FilePublic(who=WHO, number="F-1"))
    done = await desk.account(StepPublic(who=WHO, step="activate", basis="filed"))
    assert done == {"account": "a-1", "state": "active", "category": "institution", "label": "某大学"}
    approve = ApprovePublic(who=WHO, action="post", topic="politics", basis="letter 1", until_ms=NOW_MS + DAY_MS)
    await desk.account(approve)
    standing = await services.people.standing("a-1")
    assert public.permits(standing, "post", "politics", NOW_MS, services.people.provider)
    assert (await desk.account(ShowAccount(who=WHO)))["label"] == "某大学"


async def test_what_is_on_hold_is_kept_until_the_hold_ends(desk: AccountOperations, services: FakeServices) -> None:
    """An account that is erased under a hold is closed at once, and its data go with the hold."""
    services.people.book.write_now(lambda tx: services.people.vault.put(tx, "a-1", "phone", "+8613800000000"))
    hold = await desk.account(PlaceHold(scope="a-1", reason="request of a court", case_number="7"))
    assert [row["scope"] for row in await desk.account(ListHolds())] == ["a-1"]
    assert await desk.account(EraseAccount(who=WHO)) == {"account": "a-1", "erased": False}
    released = await desk.account(ReleaseHold(hold=hold["hold"]))
    assert released["deleted"]["erased"] == 1
    assert await desk.account(ListHolds()) == []
    assert services.people.book.read_now(lambda c: services.people.vault.fields(c, "a-1")) == []
    assert set((await desk.account(Purge()))["deleted"].values()) <= {0}


async def test_the_vaults_keys_are_rotated(desk: AccountOperations, services: FakeServices) -> None:
    """A new key is made, or only what is under older ones is wrapped; codes of staff go on to work."""
    added = await desk.account(AddStaff(name="ann", roles=("admin",)))
    first = services.people.vault.keys.kek
    assert await desk.account(RotateVault(new_key=False)) == {"key": first, "dropped": 0}
    rotated = await desk.account(RotateVault())
    assert rotated["key"] == services.people.vault.keys.kek != first
    assert added["hours"] == 24
    again = await desk.account(RotateVault(new_key=False, new_pepper=True, drop_old=True))
    assert again == {"key": rotated["key"], "dropped": 2}  # the first key, and the first pepper, which marked nobody yet
    assert services.people.vault.keys.keks == (rotated["key"],)


async def test_findings_that_wait_are_read_after_the_old_keys_are_gone(
    desk: AccountOperations, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their personal data are sealed anew first; while that cannot be written no key is dropped. What was changed stays as it is."""
    box, book = services.moderation.outbox, services.moderation.book

    async def full() -> int:
        raise StoreUnavailable("full")

    names = [outbox.new_name() for _ in range(3)]
    for number, name in enumerate(names):
        sealed = b"changed" if number == 1 else box.seal(name, {"phone": "+8613800000000"})
        book.write_now(lambda tx, name=name, sealed=sealed: outbox.file(  # type: ignore[misc] # mypy knows no such default
            tx, "authority", "title", "summary", "L5", "basis", Evidence(comments=("demo#1",)), acknowledge_ms=1, way="print",
            name=name, sealed=sealed, actor="staff:carl", role="compliance",
        ))  # fmt: skip
    book.write_now(lambda tx: outbox.withdraw(tx, names[2], "a mistake", actor="staff:carl", role="compliance"))
    await desk.account(RotateVault())
    with monkeypatch.context() as faulty:
        faulty.setattr(box, "reseal", full)
        assert await refused(desk, RotateVault(drop_old=True)) == "storage_unavailable"
    assert len(set(services.people.vault.keys.keks)) == 3
    await desk.account(RotateVault(drop_old=True))
    assert len(set(services.people.vault.keys.keks)) == 1
    assert b"+8613800000000" in (await box.document(names[0]))[1]
    assert [book.read_now(lambda c, name=name: outbox.need(c, name)).sealed for name in names[1:]] == [b"changed", b""]  # type: ignore[misc]


async def test_keys_that_are_not_in_a_file_are_left_alone(services: FakeServices, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they come from the environment, the refusal says what to do."""
    monkeypatch.setattr(services.people.vault.keys, "_path", None)
    with pytest.raises(Refusal, match="environment"):
        await LocalAccountOperations(services, "alice").account(RotateVault())


async def test_trouble_of_the_database_is_a_refusal(services: FakeServices, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not done, and what may have been done, are told apart."""
    local = LocalAccountOperations(services, "alice")
    for error, code in ((StoreUnavailable("full"), "storage_unavailable"), (StoreUnknown("?"), "outcome_unknown")):

        async def broken(work: Any, error: Exception = error) -> Any:
            raise error

        monkeypatch.setattr(services.people.book, "write", broken)
        assert await refused(local, ShowAccount(who=WHO)) == code


def test_every_request_has_its_work() -> None:
    """No request is taken that nothing is done for."""
    assert set(_WORK) == set(AccountRequest.__args__)
