"""server/http/demo.py"""

from __future__ import annotations

from pathlib import Path

import pytest

from server.http import demo
from server.settings import Settings
from tests.support.services import FakeServices
from tests.support.web import application, browsing

DEMO = Settings(demo=True, demo_tokens_per_s=1, demo_tokens_burst=2, demo_token_ttl_s=60)


@pytest.fixture
def services(tmp_path: Path) -> FakeServices:
    return FakeServices(tmp_path, DEMO)


async def test_anyone_gets_an_account_of_their_own(services: FakeServices) -> None:
    """A nickname gives a token of a verified account, another one each time, for a limited time."""
    async with browsing(application(services, demo.routes)) as client:
        answers = [await client.post("/demo/token", json={"nickname": " 小明 "}) for _ in range(2)]
    found = [services.tokens.verify(answer.json()["token"], services.clock_ms) for answer in answers]
    assert {identity.nickname for identity in found} == {"小明"} == {answer.json()["nickname"] for answer in answers}
    assert all(identity.verified and not identity.role for identity in found)
    assert all(identity.expires_ms == services.clock_ms + 60_000 for identity in found)
    assert len({identity.subject for identity in found}) == 2
    assert answers[0].headers["cache-control"] == "no-store"


async def test_outside_the_demo_there_is_nothing(tmp_path: Path) -> None:
    """A server that is no demo hands out no tokens, to any method."""
    async with browsing(application(FakeServices(tmp_path), demo.routes)) as client:
        answer = await client.post("/demo/token", json={"nickname": "x"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_tokens_are_limited_per_address(services: FakeServices) -> None:
    """After its burst an address waits; another address does not; IPv6 neighbours count as one."""
    app = application(services, demo.routes)
    async with browsing(app, "2001:db8::1") as one, browsing(app, "2001:db8::2") as two, browsing(app, "2001:db9::1") as other:
        assert (await one.post("/demo/token", json={"nickname": "a"})).status_code == 200
        assert (await two.post("/demo/token", json={"nickname": "b"})).status_code == 200
        answer = await one.post("/demo/token", json={"nickname": "c"})
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (429, "too_many_requests", "1")
        assert (await other.post("/demo/token", json={"nickname": "d"})).status_code == 200
        services.uptime_ms += 1000
        assert (await one.post("/demo/token", json={"nickname": "e"})).status_code == 200


@pytest.mark.parametrize("step_ms", [-3_600_000, 3_600_000])
async def test_a_clock_that_is_set_changes_no_limit(services: FakeServices, step_ms: int) -> None:
    """When the wall clock jumps an address neither waits longer nor gets more."""
    async with browsing(application(services, demo.routes)) as client:
        for status in (200, 200, 429):
            assert (await client.post("/demo/token", json={"nickname": "a"})).status_code == status
        services.clock_ms += step_ms
        answer = await client.post("/demo/token", json={"nickname": "a"})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")


@pytest.mark.parametrize(
    "body", [{"nickname": ""}, {"nickname": "x" * 25}, {"nickname": "a\u202eb"}, {"nickname": 7}, {}, [], "x"]
)
async def test_a_bad_nickname_is_a_bad_message(tmp_path: Path, body: object) -> None:
    """What is wrong with the wish is told; nobody is asked for a token that they never had."""
    async with browsing(application(FakeServices(tmp_path, DEMO), demo.routes)) as client:
        answer = await client.post("/demo/token", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_message")


async def test_a_form_of_another_site_gets_nothing(services: FakeServices) -> None:
    """Only JSON is taken, which another site's page cannot send unasked."""
    async with browsing(application(services, demo.routes)) as client:
        answer = await client.post("/demo/token", data={"nickname": "x"})
    assert (answer.status_code, answer.json()["detail"]) == (400, "Content-Type: application/json")
