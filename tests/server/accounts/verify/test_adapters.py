"""The adapters: identity number with name, and network identity."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

from server.accounts.verify import Adapter, Answer, numbers
from server.accounts.verify.client import SignedClient
from server.accounts.verify.idcard import IdNumber, reference
from server.accounts.verify.netid import NetworkIdentity
from server.errors import Refusal
from tests.support.accounts import START_MS
from tests.support.identity_service import IdentityService, identity_service

NUMBER = "11010519491231002X"


@pytest.fixture(scope="module")
def service() -> Iterator[IdentityService]:
    with identity_service(START_MS) as found:
        found.people = {NUMBER: "王小明"}
        found.tokens = {
            "good": {"valid": True, "subject": "s-1"},
            "young": {"valid": True, "subject": "s-2", "under_14": True},
            "grown": {"valid": True, "subject": "s-3", "under_14": False},
            "nameless": {"valid": True},
            "odd": {"valid": "true", "subject": "s-4"},
        }
        yield found


async def _check(adapter: Adapter, **evidence: str) -> Answer:
    try:
        return await adapter.check(adapter.prepare(evidence, START_MS))
    finally:
        await adapter.aclose()


def _id_number(service: IdentityService) -> IdNumber:
    return IdNumber(SignedClient("id_number", service.config("/match"), lambda: START_MS))


def _netid(service: IdentityService) -> NetworkIdentity:
    return NetworkIdentity(SignedClient("network_identity", service.config("/network"), lambda: START_MS))


async def test_name_and_number_that_fit(service: IdentityService) -> None:
    """A match gives the claim of one person and the two fields of the vault; what is shown of it holds nothing of them."""
    answer = await _check(_id_number(service), name=" 王小明 ", number=NUMBER.lower())
    assert (answer.passed, answer.claim, answer.under_14) == (True, ("person", NUMBER), False)
    assert answer.fields == {"real_name": "王小明", "id_number": NUMBER}
    assert answer.reference == "ref-1"
    question = _id_number(service).prepare({"name": "王小明", "number": NUMBER}, START_MS)
    assert NUMBER not in repr(answer) + repr(question)


async def test_another_name_keeps_nothing(service: IdentityService) -> None:
    """Without a match there is neither claim nor field."""
    answer = await _check(_id_number(service), name="李四", number=NUMBER)
    assert answer == Answer(passed=False, reference="ref-1")


async def test_yes_is_said_in_one_way(service: IdentityService) -> None:
    """Whatever is not plainly true has confirmed nobody."""
    for service.yes in ("true", 1, "yes", [True], None):
        assert not (await _check(_id_number(service), name="王小明", number=NUMBER)).passed
    service.yes = True
    assert (await _check(_id_number(service), name="王小明", number=NUMBER)).passed


async def test_impossible_evidence_asks_nobody(service: IdentityService) -> None:
    """What cannot be right is refused here."""
    asked = service.asked
    for evidence in ({}, {"name": "王小明"}, {"name": "王小明", "number": "1" * 18}, {"name": "", "number": NUMBER}):
        with pytest.raises(Refusal) as caught:
            await _check(_id_number(service), **evidence)
        assert caught.value.code.name == "identity_refused"
    for token in ("", " ", "x" * 9000, "令牌", "a\tb"):
        with pytest.raises(Refusal):
            await _check(_netid(service), token=token)
    assert service.asked == asked


def test_people_under_14_are_seen_by_their_number(service: IdentityService) -> None:
    """The age on the day of asking decides."""
    year = dt.datetime.fromtimestamp(START_MS / 1000, dt.UTC).year
    for years, under in ((13, True), (14, False)):
        body = f"110105{year - years}0101001"
        question = _id_number(service).prepare({"name": "王小明", "number": body + numbers.check_digit(body)}, START_MS)
        assert question.under_14 is under


@pytest.mark.parametrize(
    ("token", "claim", "under_14"),
    [("good", ("netid", "s-1"), False), ("young", ("netid", "s-2"), True), ("grown", ("netid", "s-3"), False)],
)
async def test_of_a_network_identity_only_the_result_is_kept(
    service: IdentityService, token: str, claim: tuple[str, str], under_14: bool
) -> None:
    """A valid token gives a claim, and no field to keep."""
    answer = await _check(_netid(service), token=token)
    assert answer == Answer(passed=True, claim=claim, under_14=under_14)


@pytest.mark.parametrize("token", ["unknown", "nameless", "odd"])
async def test_an_unclear_answer_has_confirmed_nobody(service: IdentityService, token: str) -> None:
    """Not valid, without a subject, or not plainly true: refused."""
    assert await _check(_netid(service), token=token) == Answer(passed=False)


@pytest.mark.parametrize(("given", "kept"), [("a-1", "a-1"), ("x" * 90, "x" * 64), (7, ""), ("王", ""), ("a b", ""), ("", "")])
def test_a_reference_is_plain(given: object, kept: str) -> None:
    """Whatever else a service puts there is not kept."""
    assert reference({"reference": given}) == kept
