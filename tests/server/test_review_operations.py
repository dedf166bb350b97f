"""server/review_operations.py: one suite, over operations of this process and over HTTP (server/remote.py)."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from server.errors import Refusal
from server.operations import LocalOperations, Operations
from server.review_operations import DecideItem, ListQueue, QueueStats, ReverseDecision
from tests.support.drafts import held
from tests.support.services import FakeServices
from tests.support.web import operator_client


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[FakeServices]:
    found = FakeServices(tmp_path)
    found.clock_ms = int(time.time() * 1000)
    found.add_room("a")
    found.append(held("h1", verdict=b'{"rules":"r"}'))
    found.append(held("h2", text="other"))
    yield found
    await found.end()


@pytest.fixture(params=["local", "remote"])
async def operations(request: pytest.FixtureRequest, services: FakeServices) -> AsyncIterator[Operations]:
    if request.param == "local":
        yield LocalOperations(services, "alice")
    else:
        async with operator_client(services) as found:
            yield found


async def refused(awaitable: Any) -> str:
    with pytest.raises(Refusal) as caught:
        await awaitable
    return caught.value.code.name


async def test_what_waits_is_listed(operations: Operations) -> None:
    """Also what was held a moment ago; with why it was stopped, without the account behind it; page by page."""
    rows = await operations.review(ListQueue())
    assert [(row["id"], row["text"], row["version"], row["verdict"]) for row in rows] == [
        (1, "加V", 0, {"rules": "r"}), (2, "other", 0, {"action": 2}),
    ]  # fmt: skip
    assert not {"account", "draft"} & set(rows[0])
    assert [row["id"] for row in await operations.review(ListQueue(after=1, limit=5))] == [2]
    assert await operations.review(ListQueue(queue="news")) == await operations.review(ListQueue(room="b")) == []


async def test_an_item_is_decided_and_the_decision_reversed(operations: Operations, services: FakeServices) -> None:
    """Published, it is an event of the room when the answer comes; refused, it is none; a reversal is the opposite."""
    done = await operations.review(DecideItem(item=1, verdict="publish", code="K1", basis="fine", version=0))
    assert done == {"decision": 1, "what": "publish", "room": "a", "item": 1, "seq": 1}
    refusal = await operations.review(DecideItem(item=2, verdict="refuse", code="S1", basis="ads"))
    assert (refusal["what"], refusal["seq"]) == ("refuse", 0)
    back = await operations.review(ReverseDecision(decision=1, code="L8", basis="an insult after all"))
    assert (back["what"], back["seq"]) == ("remove", 2)
    assert services.events("a")[0].removed_by == 2
    assert services.events("a")[1].role == "operator"


async def test_what_cannot_be_is_refused(operations: Operations) -> None:
    """With the code that says why."""
    decide = {"verdict": "publish", "code": "K1", "basis": "x"}
    assert await refused(operations.review(DecideItem(item=9, **decide))) == "item_not_found"  # type: ignore[arg-type]
    assert await refused(operations.review(DecideItem(item=1, version=7, **decide))) == "item_changed"  # type: ignore[arg-type]
    assert await refused(operations.review(DecideItem(item=1, verdict="publish", code="S1", basis="x"))) == "bad_code"
    assert await refused(operations.review(ReverseDecision(decision=9, code="R1", basis="x"))) == "decision_not_found"


async def test_the_queues_are_counted(operations: Operations) -> None:
    """Open, claimed, overdue, and since when, of each."""
    rows = await operations.review(QueueStats())
    assert rows[0] == {"queue": "held", "open": 2, "claimed": 0, "overdue": 2, "oldest_ms": 1500}
    assert [row["queue"] for row in rows] == ["held", "news", "report", "swarm", "second"]


async def test_a_refusal_of_the_log_is_told(operations: Operations, services: FakeServices) -> None:
    """It is decided; what the log does not take now is carried out later."""
    services.fault = Refusal("storage_unavailable")
    await services.moderation.intake.caught_up()
    work = operations.review(DecideItem(item=1, verdict="publish", code="K1", basis="fine"))
    assert await refused(work) == "storage_unavailable"
    services.fault = None
