"""server/http/staff_queue_api.py: the way of a decision by keys, as the page's script asks for it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from server.http import staff_queue_api
from server.moderation import queue
from tests.server.http.test_staff_queue import at, hold
from tests.support import review
from tests.support.services import FakeServices
from tests.support.staff import Desk, staff_desk


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[FakeServices]:
    found = FakeServices(tmp_path)
    found.add_room("demo")
    yield found
    await found.end()


@pytest.fixture
async def desk(services: FakeServices) -> AsyncIterator[Desk]:
    async with staff_desk(services, staff_queue_api.RULES) as found:
        await found.enter("ann", "reviewer")
        yield found


async def test_items_are_claimed_ahead_and_come_as_html(desk: Desk, services: FakeServices) -> None:
    """As many as are wanted beside those at hand, each with the form that the page has; that they were given is recorded."""
    items = [await hold(services, number) for number in range(1, 5)]
    first = (await desk.send("/staff/desk/next", {"queue": "held", "number": 2})).json()["items"]
    assert [each["id"] for each in first] == [items[0].id, items[1].id]
    assert f'action="/staff/queue/{items[0].id}"' in first[0]["html"]
    assert f'name="version" value="{first[0]["version"]}"' in first[0]["html"]
    assert f'name="form_token" value="{desk.token}"' in first[0]["html"]
    have = [each["id"] for each in first]
    more = (await desk.send("/staff/desk/next", {"queue": "held", "number": 9, "have": have})).json()["items"]
    assert [each["id"] for each in more] == [items[2].id, items[3].id]
    assert (await desk.send("/staff/desk/next", {"queue": "held", "have": have + [each["id"] for each in more]})).json() == {
        "items": []
    }
    assert (await desk.send("/staff/desk/next", {"queue": "held", "room": "none"})).json()["items"][0]["id"] == items[0].id
    views = services.moderation.book.read_now(lambda c: c.exec_driver_sql("SELECT action, detail FROM views").all())
    assert views[:2] == [("queue.claim", "1 2"), ("queue.claim", "3 4")]


async def test_a_decision_is_one_message_and_so_is_its_undoing(desk: Desk, services: FakeServices) -> None:
    """It says what was decided; undone, the item comes back with its new version."""
    item = await hold(services)
    await hold(services, 2)
    body = {"item": item.id, "version": item.version, "act": "stop", "code": "S1", "equal": True}
    answer = await desk.send("/staff/desk/decide", body)
    assert answer.json() == {"decisions": [1, 2], "items": [item.id, item.id + 1], "changed": []}
    [back] = (await desk.send("/staff/desk/undo", {"decisions": [1, 2]})).json()["items"]
    now = await at(services, item.id)
    assert (back["id"], back["version"]) == (item.id, now.version)
    assert now.claimed_by == "staff:ann"
    assert [each.what for each in review.decisions(services.moderation.book)] == ["refuse", "refuse", "undo", "undo"]
    assert (await desk.send("/staff/desk/undo", {"decisions": []})).status_code == 400


@pytest.mark.parametrize("number", [2**53, 2**63, 2**64, -(2**63), 10**30])
async def test_numbers_that_no_database_holds_are_refused(desk: Desk, services: FakeServices, number: int) -> None:
    """Wherever a message has one: by its name, and nothing happens."""
    item = await hold(services)
    good = {"item": item.id, "version": item.version, "act": "allow"}
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("next", {"queue": "held", "have": [number]}, "$.have"), ("decide", {**good, "item": number}, "$.item"),
        ("decide", {**good, "version": number}, "$.version"), ("undo", {"decisions": [number]}, "$.decisions"),
        ("keep", {"items": [item.id, number]}, "$.items"),
    ]  # fmt: skip
    for path, body, field in wrong:
        answer = await desk.send(f"/staff/desk/{path}", body)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_message"), path
        assert field in answer.json()["detail"]
    assert (await at(services, item.id)).state == "open"


async def test_refusals_are_told_to_the_script(desk: Desk, services: FakeServices) -> None:
    """With code, words in the reader's language, and the detail; a message without the page's token changes nothing."""
    item = await hold(services)
    await services.moderation.write(lambda tx: queue.claim(tx, item.id, "staff:ben"))
    body = {"item": item.id, "version": 1, "act": "allow"}
    answer = await desk.send("/staff/desk/decide?lang=en", body)
    assert answer.status_code == 409
    assert answer.json() == {
        "code": "item_taken", "text": "Somebody else is deciding this at the moment; the detail says who.", "detail": "staff:ben",
    }  # fmt: skip
    assert re.search("[一-鿿]", (await desk.send("/staff/desk/decide?lang=zh-CN", body)).json()["text"])
    assert (await desk.send("/staff/desk/decide", body, token="x")).json()["code"] == "form_expired"
    assert (await desk.send("/staff/desk/decide", {"item": "x"})).status_code == 400


async def test_leases_are_renewed(desk: Desk, services: FakeServices) -> None:
    """What is one's own still is told; what somebody else has got meanwhile is not."""
    first, second = await hold(services, 1), await hold(services, 2)
    await desk.send("/staff/desk/next", {"queue": "held", "number": 2})
    services.clock_ms += queue.LEASE_MS - 1
    assert (await desk.send("/staff/desk/keep", {"items": [first.id]})).json() == {"kept": [first.id]}
    services.clock_ms += 2
    await services.moderation.write(lambda tx: queue.claim(tx, second.id, "staff:ben"))
    assert (await desk.send("/staff/desk/keep", {"items": [first.id, second.id]})).json() == {"kept": [first.id]}
