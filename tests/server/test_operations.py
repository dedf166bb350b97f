"""server/operations.py: one suite, over operations of this process and over HTTP (server/remote.py)."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from filters.verdict import Action
from server.errors import Refusal
from server.mode_operations import EmergencyTerms, SetMode, SetOwner, SiteMode
from server.moderation.book import effect_key
from server.operations import (
    ANNOUNCEMENT_MAX_CHARS,
    RULES_MAX_BYTES,
    TITLE_MAX_CHARS,
    Announce,
    CreateRoom,
    LocalOperations,
    Operations,
    ReloadRules,
    Remove,
    Restore,
    RollbackRules,
    check_room_name,
)
from server.store.base import Recorded, ReportDraft, ScreenedDraft
from tests.support.running import RULES
from tests.support.services import FakeServices
from tests.support.web import operator_client


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[FakeServices]:
    found = FakeServices(tmp_path)
    found.clock_ms = int(time.time() * 1000)
    found.add_room("demo")
    found.say("demo", "one")
    found.say("demo", "two")
    yield found
    await found.end()


@pytest.fixture(params=["local", "remote"])
async def operations(request: pytest.FixtureRequest, services: FakeServices) -> AsyncIterator[Operations]:
    if request.param == "local":
        yield LocalOperations(services, "alice")
    else:
        async with operator_client(services) as found:
            yield found


async def refused(awaitable: Any, code: str) -> str:
    """The detail of the refusal."""
    with pytest.raises(Refusal) as caught:
        await awaitable
    assert caught.value.code.name == code
    return caught.value.detail


async def test_rooms_are_created_and_listed(operations: Operations, services: FakeServices) -> None:
    """A new room is there with title, kind and video; without a title its name stands for it."""
    made = await operations.create_room(
        CreateRoom(name="film", title=" 电影 ", kind="vod", video_url="https://v.example/f.mp4")
    )
    assert (made["room"], made["title"], made["kind"], made["head"]) == ("film", "电影", "vod", 0)
    assert (await operations.create_room(CreateRoom(name="plain")))["title"] == "plain"
    assert [row["room"] for row in await operations.list_rooms()] == ["demo", "film", "plain"]
    room = services.room("film")
    assert room is not None
    assert room.video_url == "https://v.example/f.mp4"


async def test_a_room_is_created_once(operations: Operations) -> None:
    """Another room of the same name is refused; the same request again gives the room."""
    await refused(operations.create_room(CreateRoom(name="demo", title="Other")), "room_exists")
    assert (await operations.create_room(CreateRoom(name="demo")))["head"] == 2


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "-x", "_x", "a b", "a\n", "é", "x" * 65, "a\x00", "%2e"])
async def test_a_room_cannot_leave_its_folder(operations: Operations, name: str) -> None:
    """Names that are unsafe in an address or as a folder are refused."""
    assert (await refused(operations.create_room(CreateRoom(name=name)), "bad_message")).startswith("name:")


@pytest.mark.parametrize("name", ["a", "A-1_b", "x" * 64, "0"])
def test_good_names_of_rooms(name: str) -> None:
    """Letters, digits, dash and underscore, up to 64."""
    check_room_name(name)


@pytest.mark.parametrize("title", ["x" * (TITLE_MAX_CHARS + 1), "a\nb", "a\u202eb", "a\x00"])
async def test_a_title_is_one_line(operations: Operations, title: str) -> None:
    """Titles stand in pages and terminals: one bounded line without controls."""
    assert (await refused(operations.create_room(CreateRoom(name="r", title=title)), "bad_message")).startswith("title:")


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "//evil.example/x",
        "/\\evil",
        "data:video/mp4,x",
        "v.mp4",
        "https://",
        "http:///x",
        'https://a"b',
        "https://a b",
    ],
)
async def test_a_video_is_at_a_plain_address(operations: Operations, url: str) -> None:
    """Only http, https and paths of this site can be a room's video."""
    assert (await refused(operations.create_room(CreateRoom(name="r", video_url=url)), "bad_message")).startswith("video_url:")


@pytest.mark.parametrize("url", ["https://v.example/f.mp4?t=1#x", "http://[::1]:80/v", "/media/f.mp4", "/"])
async def test_good_addresses_of_videos(operations: Operations, url: str) -> None:
    """Addresses with query and fragment, of other hosts and of this one."""
    assert (await operations.create_room(CreateRoom(name="r", video_url=url)))["video_url"] == url


async def test_a_mode_is_a_notice_in_the_log(operations: Operations, services: FakeServices) -> None:
    """Changing the mode takes effect and is an event that everybody sees."""
    done = await operations.set_mode(SetMode(room="demo", mode="read_only", code="E3", basis="few reviewers"))
    assert done == {"room": "demo", "seq": 3, "fresh": True, "decision": 1}
    room = services.room("demo")
    assert room is not None
    assert room.mode == "read_only"
    event = services.events("demo")[-1]
    assert (event.kind, event.notice, event.room_mode) == ("notice", "mode", "read_only")
    assert (event.code, event.basis, event.role) == ("E3", "few reviewers", "operator")


async def test_the_mode_of_the_site_is_decided_once_for_a_key(operations: Operations, services: FakeServices) -> None:
    """The answer says what is in force; a retry decides nothing; all rooms are told."""
    until_ms = services.now_ms() + 60_000
    request = SiteMode(mode="review", code="E2", basis="order", until_ms=until_ms, key="k1")
    first, again = await operations.site_mode(request), await operations.site_mode(request)
    assert first == again == {"decision": 1, "mode": "review", "until_ms": until_ms, "standing": "open"}
    await services.moderation.modes.settle()
    event = services.events("demo")[-1]
    assert (event.notice, event.room_mode, event.code, event.until_ms) == ("site_mode", "review", "E2", until_ms)


async def test_a_platform_names_the_owner_of_a_room(operations: Operations, services: FakeServices) -> None:
    """When the room is made and later; a room of news stays one."""
    made = await operations.create_room(CreateRoom(name="news", news=True, owner="u-1"))
    assert (made["news"], made["owner"], made["standing"], made["until_ms"]) == (True, "u-1", "open", 0)
    assert await operations.set_owner(SetOwner(room="news", owner="")) == {"room": "news", "owner": ""}
    assert (await operations.set_owner(SetOwner(room="demo", owner="u-2")))["owner"] == "u-2"
    assert {row["room"]: row["owner"] for row in await operations.list_rooms()} == {"demo": "u-2", "news": ""}
    await refused(operations.set_owner(SetOwner(room="no", owner="u-2")), "room_not_found")


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (SetMode(room="demo", mode="closed", code="L1", basis="x"), "bad_code"),
        (SetMode(room="demo", mode="closed", basis=" "), "bad_code"),
        (SetMode(room="demo", mode="closed", until_ms=1), "bad_message"),
        (SetMode(room="demo", mode="slow", slow_ms=10**9), "bad_message"),
    ],
)
async def test_modes_need_a_code_and_a_sensible_term(operations: Operations, request_: SetMode, code: str) -> None:
    """Codes of other families, no basis, an end in the past, a pace beyond reason: refused, and nothing is told."""
    await refused(operations.set_mode(request_), code)
    await refused(operations.site_mode(SiteMode(mode="open", code="K1")), "bad_code")


async def test_an_announcement_is_a_notice_in_the_log(operations: Operations, services: FakeServices) -> None:
    """The text of an announcement is an event of the room."""
    assert (await operations.announce(Announce(room="demo", text=" 晚上好 ")))["seq"] == 3
    assert services.events("demo")[-1].text == "晚上好"


@pytest.mark.parametrize("text", ["", "  ", "a\nb", "x" * (ANNOUNCEMENT_MAX_CHARS + 1), "a\u2066b"])
async def test_an_announcement_is_one_line(operations: Operations, text: str) -> None:
    """Empty, endless or deceiving announcements are refused."""
    assert (await refused(operations.announce(Announce(room="demo", text=text)), "bad_message")).startswith("text:")


async def test_a_removal_carries_code_basis_and_role(operations: Operations, services: FakeServices) -> None:
    """The tombstone has lost text and author and says why; the answer names event and page."""
    done = await operations.remove(Remove(room="demo", seq=1, code="L5", basis=" article 15 "))
    assert done == {"room": "demo", "seq": 3, "target": 1, "page": "/rooms/demo/comments/0.html", "fresh": True}
    tombstone, _, removal = services.events("demo")
    assert (tombstone.text, tombstone.author_name, tombstone.removed_by) == ("", "", 3)
    assert (removal.kind, removal.target, removal.code, removal.basis, removal.role) == (
        "removal", 1, "L5", "article 15", "operator",
    )  # fmt: skip


async def test_a_restoration_brings_the_comment_back(operations: Operations, services: FakeServices) -> None:
    """After a restoration the comment is as it was, and both decisions stay in the log."""
    await operations.remove(Remove(room="demo", seq=1, code="L5", basis="article 15"))
    done = await operations.restore(Restore(room="demo", seq=1, code="R2", basis="appeal 7"))
    assert (done["seq"], done["target"]) == (4, 1)
    events = services.events("demo")
    assert (events[0].text, events[0].removed_by) == ("one", 0)
    assert [event.kind for event in events[2:]] == ["removal", "restoration"]


@pytest.mark.parametrize(
    ("seq", "code", "basis", "refusal"),
    [(1, "L5", "", "bad_code"), (1, "L99", "b", "bad_code"), (1, "R1", "b", "bad_code"), (1, "U1", "b", "bad_code"),
     (9, "L5", "b", "comment_not_found")],
)  # fmt: skip
async def test_no_removal_without_a_reason_and_a_comment(
    operations: Operations, services: FakeServices, seq: int, code: str, basis: str, refusal: str
) -> None:
    """A bad code, a missing basis or a missing comment leaves the log as it was."""
    await refused(operations.remove(Remove(room="demo", seq=seq, code=code, basis=basis)), refusal)
    assert len(services.events("demo")) == 2


async def test_what_is_done_cannot_be_done_again(operations: Operations) -> None:
    """A second removal, and a restoration of what was not removed, are refused."""
    await refused(operations.restore(Restore(room="demo", seq=1, code="R1", basis="b")), "not_removed")
    await operations.remove(Remove(room="demo", seq=1, code="L5", basis="b"))
    await refused(operations.remove(Remove(room="demo", seq=1, code="L5", basis="b")), "already_removed")
    await refused(operations.restore(Restore(room="demo", seq=1, code="L5", basis="b")), "bad_code")


async def test_a_retry_with_the_same_key_does_nothing_twice(operations: Operations, services: FakeServices) -> None:
    """The first answer comes again, marked as not fresh."""
    request = Remove(room="demo", seq=1, code="L5", basis="b", key="k1")
    first, second = await operations.remove(request), await operations.remove(request)
    assert (first["fresh"], second["fresh"]) == (True, False)
    assert first["seq"] == second["seq"]
    mode = SetMode(room="demo", mode="closed", key="k2")
    assert [(await operations.set_mode(mode))["fresh"] for _ in range(2)] == [True, False]
    announcement = Announce(room="demo", text="hi", key="k3")
    assert [(await operations.announce(announcement))["fresh"] for _ in range(2)] == [True, False]
    assert len(services.events("demo")) == 5


async def test_the_actor_stands_in_the_record(operations: Operations, services: FakeServices) -> None:
    """The acting person is the draft's author, under a name that no account can have by accident."""
    await operations.announce(Announce(room="demo", text="hi", key="k1"))
    assert ("operator:alice", effect_key(1)) in services._answers


async def test_an_unknown_room_is_told(operations: Operations) -> None:
    """Every operation on a room that is not there says so."""
    await refused(operations.set_mode(SetMode(room="no", mode="open")), "room_not_found")
    await refused(operations.announce(Announce(room="no", text="x")), "room_not_found")
    await refused(operations.remove(Remove(room="no", seq=1, code="L5", basis="b")), "room_not_found")
    await refused(operations.restore(Restore(room="no", seq=1, code="R1", basis="b")), "room_not_found")
    await refused(operations.rebuild("no"), "room_not_found")


async def test_pages_are_rebuilt(operations: Operations, services: FakeServices) -> None:
    """A rebuild answers with what it made."""
    assert await operations.rebuild("demo") == {"room": "demo", "pages": 1, "events": 2}
    assert services.rebuilt == ["demo"]


def screen(services: FakeServices, number: int, action: Any) -> None:
    draft = ScreenedDraft(
        room="demo", author="u1", key=f"s{number}", at_ms=number, action=action, code="banned_content",
        verdict=b'{"rules":"abc"}' if number % 2 else b"", pos_ms=0, text=f"t{number}", mode="scroll", color="#ffffff", size=25,
        author_id="p", author_name="n",
    )  # fmt: skip
    assert isinstance(services.append(draft), Recorded)


async def test_screened_comments_are_listed(operations: Operations, services: FakeServices) -> None:
    """Held and refused comments come in pages, all or one kind, with the verdict as an object."""
    for number in range(1, 5):
        screen(services, number, "held" if number % 2 else "refused")
    everything = await operations.screened(0, 100, "")
    assert [(row["id"], row["action"], row["text"]) for row in everything] == [
        (1, "held", "t1"), (2, "refused", "t2"), (3, "held", "t3"), (4, "refused", "t4"),
    ]  # fmt: skip
    assert (everything[0]["verdict"], everything[1]["verdict"]) == ({"rules": "abc"}, None)
    assert [row["id"] for row in await operations.screened(1, 1, "held")] == [3]
    assert "action" in await refused(operations.screened(0, 1, "liked"), "bad_message")


async def test_reports_are_listed_without_the_reporters_address(operations: Operations, services: FakeServices) -> None:
    """Reports come in pages; who reported is not shown."""
    for number in range(3):
        services.append(
            ReportDraft(receipt=f"r{number}", room="demo", seq=1, at_ms=5, reason="S", text="ad", address="192.0.2.77", port=7)
        )
    rows = await operations.reports(1, 1)
    assert [(row["receipt"], row["seq"], row["reason"]) for row in rows] == [("r1", 1, "S")]
    assert "192.0.2.77" not in str(rows)


async def test_rules_are_changed_and_taken_back(operations: Operations, services: FakeServices) -> None:
    """Rules come into force and go back in the name of who asked; the history tells it."""
    done = await operations.reload_rules(ReloadRules(source=RULES))
    assert (done["name"], done["version"], done["by"], done["what"]) == ("tests", "1", "alice", "reload")
    assert services.rules.current().hash == done["hash"]
    back = await operations.rollback_rules(RollbackRules())
    assert (back["hash"], back["previous"], back["what"]) == (done["previous"], done["hash"], "rollback")
    assert [row["what"] for row in await operations.rules_history()] == ["start", "reload", "rollback"]
    assert (await operations.rules_history())[1] == done


async def test_rules_that_cannot_be_used_are_told_why(operations: Operations) -> None:
    """Bad rules, bad emergency terms and nothing to go back to are refused with the reason, and nothing is changed."""
    assert "Invalid" in await refused(operations.reload_rules(ReloadRules(source="format =")), "bad_rules")
    assert "emergency terms" in await refused(operations.emergency_terms(EmergencyTerms(source="format = 2")), "bad_rules")
    assert "no earlier rules" in await refused(operations.rollback_rules(RollbackRules()), "bad_rules")
    assert [row["what"] for row in await operations.rules_history()] == ["start"]


async def test_emergency_terms_come_and_go(operations: Operations, services: FakeServices) -> None:
    """Emergency terms stand beside the rules until they are taken out."""
    assert await operations.emergency_terms(EmergencyTerms(source=RULES)) == {"terms": 3, "decision": 1}
    assert services.rules.current().inspect("坏词").action is Action.REFUSE
    assert await operations.emergency_terms(EmergencyTerms()) == {"terms": 0, "decision": 2}
    assert services.rules.current().inspect("坏词").action is Action.ACCEPT


async def test_rules_may_be_large_and_not_boundless(services: FakeServices) -> None:
    """A rule file far larger than other requests arrives; one beyond its own bound, or large emergency terms, are refused."""
    large = RULES + "#" * (4 * services.settings.body_max_bytes)
    async with operator_client(services) as found:
        assert (await found.reload_rules(ReloadRules(source=large)))["name"] == "tests"
        assert "bytes" in await refused(found.reload_rules(ReloadRules(source="#" * RULES_MAX_BYTES)), "too_large")
        await refused(found.emergency_terms(EmergencyTerms(source=large)), "too_large")


async def test_faults_of_the_server_arrive_as_they_are(operations: Operations, services: FakeServices) -> None:
    """A refusal of the one path is the refusal of the operation."""
    services.fault = Refusal("storage_unavailable", "disk")
    assert await refused(operations.announce(Announce(room="demo", text="x")), "storage_unavailable") == "disk"


async def test_an_answer_that_is_no_event_is_an_error(services: FakeServices) -> None:
    """If the path ever answered an event draft with a record, nobody would be told that it worked."""

    async def submit(draft: object) -> Recorded:
        return Recorded(True)

    services.submit = submit  # type: ignore[method-assign]
    await refused(LocalOperations(services, "alice").announce(Announce(room="demo", text="x")), "internal_error")
