"""Codes by an HTTP gateway, or on the terminal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from server.accounts.verify.config import SmsConfig
from server.accounts.verify.sms import HttpGateway, Terminal
from server.errors import Refusal
from tests.support.accounts import START_MS
from tests.support.identity_service import IdentityService, identity_service

PHONE = "+8613912345678"


@pytest.fixture(scope="module")
def running() -> Iterator[IdentityService]:
    with identity_service(START_MS) as found:
        yield found


def _config(service: IdentityService, **fields: str) -> SmsConfig:
    return SmsConfig(
        url=service.url + "/sms",
        body={"to": "{phone}", "n": 1, "params": [{"code": "{code}", "minutes": "{minutes}", "text": "{number}: {code}"}]},
        headers={"Authorization": "Bearer key"},
        expect=fields,
    )


async def test_the_gateway_gets_the_filled_template(running: IdentityService) -> None:
    """Placeholders are filled in at any depth, headers are sent, other values stay."""
    running.fault = ""
    gateway = HttpGateway(_config(running, Code="OK"))
    await gateway.send(PHONE, "012345", 5)
    assert running.messages[-1] == {
        "to": PHONE, "n": 1, "params": [{"code": "012345", "minutes": "5", "text": "13912345678: 012345"}],
    }  # fmt: skip
    assert running.headers[-1]["Authorization"] == "Bearer key"
    await gateway.aclose()


@pytest.mark.parametrize("fault", ["status", "refuse", "text"])
async def test_a_gateway_that_does_not_take_it_is_unavailable(running: IdentityService, fault: str) -> None:
    """A bad status or an answer other than expected is a refusal, once, and neither number nor code is in the log."""
    running.fault, running.asked = fault, 0
    gateway = HttpGateway(_config(running, Code="OK"))
    with capture_logs() as logs, pytest.raises(Refusal) as caught:
        await gateway.send(PHONE, "012345", 5)
    assert caught.value.code.name == "verification_unavailable"
    assert running.asked == 1
    assert "12345" not in str(logs)
    assert len(logs) == 1
    await gateway.aclose()


async def test_the_status_alone_is_enough_where_nothing_is_expected(running: IdentityService) -> None:
    """Without ``expect`` any answer with status 2xx is good."""
    running.fault = "text"
    gateway = HttpGateway(_config(running))
    await gateway.send(PHONE, "012345", 5)
    await gateway.aclose()


async def test_the_terminal_shows_the_code_and_two_digits() -> None:
    """The demo's terminal has the code, and of the number its end."""
    lines: list[str] = []
    terminal = Terminal(lines.append)
    await terminal.send(PHONE, "012345", 5)
    await terminal.aclose()
    assert "012345" in lines[0]
    assert "…78" in lines[0]
    assert "5678" not in lines[0]
