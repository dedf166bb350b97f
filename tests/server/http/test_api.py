"""server/http/api.py"""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from server.errors import Refusal
from server.http import api
from server.settings import Settings
from server.store.base import RemovalDraft
from server.wire import encode_event
from tests.support.services import START_MS, FakeServices
from tests.support.web import application, browsing


@pytest.fixture
def services(tmp_path: Path) -> FakeServices:
    found = FakeServices(tmp_path, Settings(history_limit_max=50))
    found.add_room("demo", "演示", video_url="/v.mp4")
    found.viewer_counts["demo"] = 3
    return found


def remove(services: FakeServices, target: int) -> None:
    services.append(
        RemovalDraft(room="demo", author="op", key=f"k{target}", at_ms=1, target=target, code="L5", basis="b", role="operator")
    )


async def test_rooms_are_listed(services: FakeServices) -> None:
    """The list has every room by name, with what a page needs to show it."""
    services.add_room("alpha")
    async with browsing(application(services, api.routes)) as client:
        answer = await client.get("/api/rooms")
    assert answer.status_code == 200
    rooms = answer.json()["rooms"]
    assert [room["room"] for room in rooms] == ["alpha", "demo"]
    assert rooms[1] == {
        "room": "demo",
        "title": "演示",
        "kind": "live",
        "mode": "open",
        "epoch": "0000000000000001",
        "head": 0,
        "viewers": 3,
        "news": False,
        "standing": "open",
        "slow_ms": 0,
        "until_ms": 0,
        "created_ms": START_MS,
        "started_ms": START_MS,
        "video_url": "/v.mp4",
        "page": "/rooms/demo/comments/0.html",
    }


async def test_one_room_is_shown(services: FakeServices) -> None:
    """A room has an address of its own."""
    async with browsing(application(services, api.routes)) as client:
        answer = await client.get("/api/rooms/demo")
    assert answer.json()["room"] == "demo"


@pytest.mark.parametrize(
    "path", ["/api/rooms/none", "/api/rooms/none/events", "/api/rooms/..%2F..%2Fetc/events", "/api/rooms/%00"]
)
async def test_a_room_that_is_not_there_is_not_found(services: FakeServices, path: str) -> None:
    """Unknown and impossible names are a plain 404."""
    async with browsing(application(services, api.routes)) as client:
        answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.json()["code"] in {"room_not_found", "not_found"}


async def test_history_has_the_bytes_of_the_live_frames(services: FakeServices) -> None:
    """The answer names room, epoch and head, and its events are those of the frames, byte for byte."""
    events = [services.say("demo", f'第{number}条 <b>"&') for number in range(3)]
    async with browsing(application(services, api.routes)) as client:
        answer = await client.get("/api/rooms/demo/events")
    assert answer.headers["content-type"] == "application/json"
    start, _, rest = answer.content.partition(b',"events":[')
    assert orjson.loads(start + b"}") == {"room": "demo", "epoch": "0000000000000001", "head": 3}
    assert rest == b",".join(map(encode_event, events)) + b"]}"


async def test_history_is_read_in_pages(services: FakeServices) -> None:
    """``after`` and ``limit`` page through the log without a gap; after the head there is nothing."""
    for number in range(120):
        services.say("demo", f"c{number}")
    seen: list[int] = []
    async with browsing(application(services, api.routes)) as client:
        while True:
            answer = (await client.get("/api/rooms/demo/events", params={"after": len(seen), "limit": 50})).json()
            if not answer["events"]:
                break
            seen += [event["seq"] for event in answer["events"]]
        assert (await client.get("/api/rooms/demo/events")).json()["events"][-1]["seq"] == 50
        assert (await client.get("/api/rooms/demo/events?after=9007199254740991")).json()["events"] == []
    assert seen == list(range(1, 121))


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=51", "limit=x", "limit=", "limit=1e1", "limit=%EF%BC%91", "after=-1", "after=1.0", "after=%201", "after=1%0a",
     "after=9007199254740992", "after=99999999999999999999"],
)  # fmt: skip
async def test_a_number_out_of_bounds_is_told(services: FakeServices, query: str) -> None:
    """A bad number is a 400 that names it, with what is accepted."""
    async with browsing(application(services, api.routes)) as client:
        answer = await client.get(f"/api/rooms/demo/events?{query}")
    assert answer.status_code == 400
    assert answer.json()["code"] == "bad_message"
    assert answer.json()["detail"].startswith(query.partition("=")[0] + ": a whole number from")


async def test_an_unchanged_answer_is_not_sent_again(services: FakeServices) -> None:
    """A reader that has the bytes gets 304, with strong and weak tags, in a list and by an asterisk."""
    services.say("demo", "one")
    async with browsing(application(services, api.routes)) as client:
        for path in ("/api/rooms", "/api/rooms/demo", "/api/rooms/demo/events"):
            first = await client.get(path)
            tag = first.headers["etag"]
            assert tag.startswith('"')
            assert first.headers["cache-control"] == "no-cache"
            for asked in (tag, f"W/{tag}", f'"x", {tag}', "*"):
                again = await client.get(path, headers={"If-None-Match": asked})
                assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
            assert (await client.get(path, headers={"If-None-Match": '"x"'})).status_code == 200


async def test_a_removal_changes_the_answer(services: FakeServices) -> None:
    """After a removal the old tag is no longer good, and the text is not in the answer."""
    services.say("demo", "canary-text")
    services.say("demo", "other")
    async with browsing(application(services, api.routes)) as client:
        first = await client.get("/api/rooms/demo/events?limit=1")
        remove(services, 1)
        second = await client.get("/api/rooms/demo/events?limit=1", headers={"If-None-Match": first.headers["etag"]})
    assert b"canary-text" in first.content
    assert second.status_code == 200
    assert b"canary-text" not in second.content
    assert second.json()["events"][0]["removed"]["code"] == "L5"


async def test_reading_needs_no_body_and_no_other_method(services: FakeServices) -> None:
    """HEAD has the headers of GET; writing is not allowed here."""
    async with browsing(application(services, api.routes)) as client:
        head = await client.head("/api/rooms/demo/events")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["etag"] == (await client.get("/api/rooms/demo/events")).headers["etag"]
        post = await client.post("/api/rooms/demo/events")
    assert (post.status_code, post.json()["code"]) == (405, "method_not_allowed")
    assert set(post.headers["allow"].split(", ")) == {"GET", "HEAD"}


async def test_a_store_that_does_not_answer_is_a_temporary_error(services: FakeServices) -> None:
    """A fault of the store is a 503 with the time to wait."""
    services.fault = Refusal("storage_unavailable", retry_after_ms=1500)
    async with browsing(application(services, api.routes)) as client:
        answer = await client.get("/api/rooms/demo/events")
    assert (answer.status_code, answer.headers["retry-after"], answer.json()["temporary"]) == (503, "2", True)


async def test_a_small_bound_lowers_the_default_too(tmp_path: Path) -> None:
    """Where ``history_limit_max`` is below the usual page, the usual page is that small."""
    services = FakeServices(tmp_path, Settings(history_limit_max=2))
    services.add_room("demo")
    for number in range(3):
        services.say("demo", f"c{number}")
    async with browsing(application(services, api.routes)) as client:
        assert len((await client.get("/api/rooms/demo/events")).json()["events"]) == 2


async def test_the_agreement_in_force_is_told(services: FakeServices) -> None:
    """A host platform learns which version it has to have signed, and the hashes of its texts."""
    document = services.people.agreements.current()
    async with browsing(application(services, api.routes)) as client:
        answer = await client.get("/api/v1/agreement")
    assert answer.json() == {
        "version": document.version,
        "sha256": document.sha256,
        "required": True,
        "texts": {language: {"title": text.title, "sha256": text.sha256} for language, text in document.texts.items()},
    }
    services.people.close()
