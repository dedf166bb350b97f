"""Asking services over real HTTP: signed both ways, bounded, closed on every failure, silent in the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from structlog.testing import capture_logs

from server.accounts.verify.client import Client, SignedClient
from server.errors import Refusal
from tests.support.accounts import START_MS
from tests.support.identity_service import IdentityService, identity_service

MARKED = "11010519491231002X"
QUESTION = {"name": "王小明", "number": MARKED}


@pytest.fixture(scope="module")
def running() -> Iterator[IdentityService]:
    with identity_service(START_MS) as found:
        yield found


@pytest.fixture
def service(running: IdentityService) -> IdentityService:
    running.fault, running.people, running.asked, running.most_at_once = "", {MARKED: "王小明"}, 0, 0
    return running


@pytest.fixture
async def client(service: IdentityService) -> AsyncIterator[SignedClient]:
    found = SignedClient("match", service.config("/match", timeout_s=5), lambda: START_MS)
    yield found
    await found.aclose()


async def test_a_signed_answer_is_read(client: SignedClient) -> None:
    """The service accepts our signature, and we accept its answer, one connection after the other."""
    assert await client.ask(QUESTION) == {"match": True, "reference": "ref-1"}
    assert (await client.ask({**QUESTION, "name": "x"}))["match"] is False


@pytest.mark.parametrize("fault", ["status", "unsigned", "replayed", "list", "text", "large"])
async def test_everything_else_has_confirmed_nobody(client: SignedClient, service: IdentityService, fault: str) -> None:
    """A bad status, signature, form or size is one refusal that can be tried again; nothing personal is in it or in the log."""
    service.fault = fault
    with capture_logs() as logs, pytest.raises(Refusal) as caught:
        await client.ask(QUESTION)
    assert caught.value.code.name == "verification_unavailable"
    assert caught.value.retry_after_ms > 0
    assert service.asked == 1  # no second attempt
    assert [each["service"] for each in logs] == ["match"]
    assert MARKED not in str(logs) + str(caught.value)
    assert "王小明" not in str(logs) + str(caught.value)


async def test_another_secret_is_refused_by_the_service(service: IdentityService) -> None:
    """The reference service answers nobody who does not sign."""
    config = service.config("/match")
    client = SignedClient("match", type(config)(url=config.url, secret="x" * 32), lambda: START_MS)
    with pytest.raises(Refusal):
        await client.ask(QUESTION)
    await client.aclose()


async def test_the_time_is_bounded(service: IdentityService) -> None:
    """A service that does not answer in time has confirmed nobody."""
    service.fault = "slow"
    client = SignedClient("match", service.config("/match", timeout_s=0.05), lambda: START_MS)
    with pytest.raises(Refusal) as caught:
        await client.ask(QUESTION)
    assert caught.value.code.name == "verification_unavailable"
    await client.aclose()


async def test_so_many_questions_are_under_way_and_no_more(service: IdentityService) -> None:
    """Beyond the bound questions wait for their turn."""
    while service.at_once:  # noqa: ASYNC110 - a question that an earlier test gave up is still being answered
        await asyncio.sleep(0.01)
    service.fault, service.most_at_once = "slow", 0
    client = SignedClient("match", service.config("/match", timeout_s=30, concurrency=2), lambda: START_MS)
    answers = await asyncio.gather(*(client.ask(QUESTION) for _ in range(4)))
    assert service.most_at_once <= 2
    assert all(isinstance(each, dict) for each in answers)
    await client.aclose()


async def test_who_waits_for_too_long_is_refused(service: IdentityService) -> None:
    """The time of a question counts from when it is asked, waiting included."""
    service.fault = "slow"
    client = SignedClient("match", service.config("/match", timeout_s=0.4, concurrency=1), lambda: START_MS)
    answers = await asyncio.gather(*(client.ask(QUESTION) for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(each, Refusal) for each in answers) >= 2
    await client.aclose()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://\x00/"])
async def test_nobody_there_is_a_refusal_too(url: str) -> None:
    """A service that cannot be reached, or an address that is none, is the same refusal."""
    client = Client("sms", url, 1, 1)
    with pytest.raises(Refusal):
        await client.post({}, b"{}")
    await client.aclose()
    await client.aclose()
