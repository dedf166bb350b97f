"""server/http/staff_queue.py: the queue and its items by pages and forms, as somebody without scripts has them."""

from __future__ import annotations

import html
import re
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from filters.verdict import Action, Reason
from server.http import staff_queue
from server.http.staff_item import SAID_MAX_CHARS
from server.http.staff_queue import verdict_of
from server.moderation import queue
from server.moderation.deciding import UNDO_MS
from server.moderation.queue import Item
from server.store.base import CommentDraft, ReportDraft
from tests.support import review
from tests.support.services import START_MS, FakeServices
from tests.support.staff import Desk, staff_desk


def verdict(category: str = "advertising", start: int = 0, end: int = 2) -> bytes:
    reason = Reason(
        action=Action.HOLD, code="held_for_review", rule="ads.contact", basis="law 14", category=category, start=start, end=end
    )
    return msgspec.json.encode({"rules": "hash", "action": "hold", "reasons": [reason]})


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[FakeServices]:
    found = FakeServices(tmp_path)
    found.add_room("demo")
    for number in range(1, 7):
        found.say("demo", f"said {number}", name=f"n{number}")
    yield found
    await found.end()


@pytest.fixture
async def desk(services: FakeServices) -> AsyncIterator[Desk]:
    async with staff_desk(services, staff_queue.RULES) as found:
        await found.enter("ann", "reviewer")
        yield found


async def hold(services: FakeServices, number: int = 1, **fields: Any) -> Item:
    """A held comment that waits."""
    given: dict[str, Any] = {
        "queue": "held", "source": f"s:{number}", "room": "demo", "account": f"a-{number}", "author_id": f"p-{number}",
        "author_name": f"name {number}", "text": "加V <b>看片</b>", "code": "held_for_review", "verdict": verdict(),
        "at_ms": START_MS - 60_000, "due_ms": START_MS - 1,
    }  # fmt: skip
    draft = CommentDraft(
        room="demo", author=f"a-{number}", key="", at_ms=0, pos_ms=9, text="加V <b>看片</b>", mode="scroll", color="#ffffff", size=25,
        author_id=f"p-{number}", author_name=f"name {number}",
    )  # fmt: skip
    new = queue.New(**{**given, "draft": draft, **fields})
    number = await services.moderation.write(lambda tx: queue.add(tx, new))
    return await at(services, number)


async def at(services: FakeServices, item: int) -> Item:
    return await services.moderation.look(lambda connection: queue.get(connection, item))


async def text(desk: Desk, path: str) -> str:
    answer = await desk.get(f"{path}{'&' if '?' in path else '?'}lang=en")
    assert answer.status_code == 200, answer.text
    return html.unescape(answer.text)


def plain(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page))


async def refused(answer: httpx.Response) -> str:
    found = re.search(r'<p class="problem" id="problem" role="alert">([^<]+)', answer.text)
    assert found is not None, answer.text
    return found[1]


async def test_a_queue_shows_what_waits_in_its_order(desk: Desk, services: FakeServices) -> None:
    """The most urgent first, with counts; what may disturb is veiled; filters narrow it and are kept."""
    assert "Nothing waits here." in await text(desk, "/staff/queue")
    await hold(services, 1)
    await hold(services, 2, severity=90, text="grave words", room="other", verdict=verdict("sexual"))
    page = await text(desk, "/staff/queue")
    assert re.findall(r'class="number">#(\d)', page) == ["2", "1"]
    assert "grave words" not in page
    assert "may disturb" in page
    assert "2 overdue" in page
    assert '<span class="count" data-count="held">2<' in page
    one = await text(desk, "/staff/queue?room=demo&severity=50&older=0")
    assert re.findall(r'class="number">#(\d)', one) == ["1"]
    assert "/staff/queue/1?queue=held&room=demo&severity=50" in one
    assert "Nothing that waits here fits" in await text(desk, "/staff/queue?code=none&queue=nonsense")
    assert "Nothing waits" in await text(desk, "/staff/queue?queue=news")


async def test_a_long_queue_has_pages(desk: Desk, services: FakeServices) -> None:
    """Each goes on where the one before ended."""
    for number in range(1, staff_queue.LISTED + 3):
        await hold(services, number)
    page = await text(desk, "/staff/queue")
    follow = re.search(r'href="(/staff/queue\?[^"]*after=\d+)"', page)
    assert follow is not None
    assert re.findall(r'class="number">#(\d+)', await text(desk, follow[1])) == ["26", "27"]


async def test_an_item_has_what_is_needed_to_decide_it(desk: Desk, services: FakeServices) -> None:
    """The text with what stopped it marked, the rule and its basis, the room around it, the author's record, the proposed code; that
    it was looked at is recorded."""
    item = await hold(services)
    answer = await desk.get(f"/staff/queue/{item.id}?lang=en")
    assert "<mark>加V</mark> &lt;b&gt;看片&lt;/b&gt;" in answer.text
    page = plain(html.unescape(answer.text))
    for words in (
        "ads.contact",
        "law 14",
        "said 4",
        "this comment",
        "Nothing was decided about them here",
        "Nobody has claimed it",
    ):
        assert words in page
    assert re.search(r'value="S1"[^>]* checked', answer.text)
    assert 'placeholder="law 14"' in answer.text
    views = services.moderation.book.read_now(
        lambda c: c.exec_driver_sql("SELECT actor, action, subject, detail FROM views").all()
    )
    assert views == [("staff:ann", "queue.view", "held", str(item.id))]
    assert (await desk.get("/staff/queue/99")).status_code == 404
    assert (await desk.get("/staff/queue/x")).status_code == 404


async def test_counting_keeps_no_decision_waiting(
    desk: Desk, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """The page of an item is recorded by the writer; what waits is counted by a reader."""
    counts, threads = queue.counts, []

    def counted(connection: Any, now_ms: int) -> Any:
        threads.append(threading.current_thread().name)
        return counts(connection, now_ms)

    monkeypatch.setattr(queue, "counts", counted)
    item = await hold(services)
    assert (await desk.get(f"/staff/queue/{item.id}")).status_code == 200
    assert [name.rpartition("_")[0] for name in threads] == ["review-reader"]


async def test_a_text_that_may_disturb_is_veiled(desk: Desk, services: FakeServices) -> None:
    """Until a box is ticked, which needs no script."""
    item = await hold(services, verdict=verdict("sexual"))
    page = await text(desk, f"/staff/queue/{item.id}")
    assert f'class="veil visually-hidden" id="veil-{item.id}"' in page
    assert 'class="text veiled"' in page


async def test_the_next_item_is_claimed_and_decided_and_leads_on(desk: Desk, services: FakeServices) -> None:
    """Publish, refuse with the proposed basis, and the end of the queue: each decision says what was decided and can be undone."""
    first, second = await hold(services, 1), await hold(services, 2)
    answer = await desk.post("/staff/queue/next", queue="held", room="demo")
    assert answer.headers["location"] == f"/staff/queue/{first.id}?queue=held&room=demo"
    claimed = await at(services, first.id)
    assert claimed.claimed_by == "staff:ann"
    assert "Yours until" in await text(desk, answer.headers["location"])
    answer = await desk.post(f"/staff/queue/{first.id}", queue="held", version=str(claimed.version), act="allow", reason="S1")
    assert answer.headers["location"] == f"/staff/queue/{second.id}?queue=held&done=1"
    page = plain(await text(desk, answer.headers["location"]))
    assert "Decided: published · K1" in page
    claimed = await at(services, second.id)
    answer = await desk.post(f"/staff/queue/{second.id}", queue="held", version=str(claimed.version), act="stop", reason="S1")
    assert answer.headers["location"] == "/staff/queue?queue=held&done=2"
    made = review.decisions(services.moderation.book)
    assert [(each.what, each.code, each.basis, each.actor, each.role) for each in made] == [
        ("publish", "K1", "审核通过 / reviewed and allowed", "staff:ann", "reviewer"),
        ("refuse", "S1", "law 14", "staff:ann", "reviewer"),
    ]  # fmt: skip
    published = await services.moderation.effects.settled(1)
    assert services.events("demo")[published.event.seq - 1].text == "加V <b>看片</b>"
    assert "is decided" not in await text(desk, f"/staff/queue/{second.id}")
    assert "refused" in plain(await text(desk, f"/staff/queue/{second.id}"))


async def test_a_decision_is_undone(desk: Desk, services: FakeServices) -> None:
    """For a while, by who decided; the item is one's own again."""
    item = await hold(services)
    await desk.post(
        f"/staff/queue/{item.id}", queue="held", version=str(item.version), act="stop", reason="S2", basis="my words"
    )
    assert review.decisions(services.moderation.book)[0].basis == "my words"
    answer = await desk.post("/staff/queue/undo", decision="1", queue="held")
    assert answer.headers["location"] == f"/staff/queue/{item.id}?queue=held"
    assert (await at(services, item.id)).claimed_by == "staff:ann"
    assert (await desk.post("/staff/queue/undo", decision="1", queue="held")).status_code == 409
    assert (await desk.post("/staff/queue/undo", decision="nonsense", queue="held")).status_code == 404
    version = (await at(services, item.id)).version
    await desk.post(f"/staff/queue/{item.id}", queue="held", version=str(version), act="stop", reason="S2")
    services.clock_ms += UNDO_MS + 1
    assert (await desk.post("/staff/queue/undo", decision="3", queue="held")).status_code == 403


async def test_a_conflict_is_shown_with_how_it_stands(desk: Desk, services: FakeServices) -> None:
    """Who else decides it, that it was decided, and what was typed is kept."""
    item = await hold(services)
    await services.moderation.write(lambda tx: queue.claim(tx, item.id, "staff:ben"))
    answer = await desk.post(
        f"/staff/queue/{item.id}", version=str(item.version), act="stop", reason="L6", basis="typed", lang="en"
    )
    assert answer.status_code == 409
    assert "staff:ben" in answer.text
    assert "Take the next" not in answer.text
    page = plain(await text(desk, f"/staff/queue/{item.id}"))
    assert "ben is deciding this until" in page
    assert (await desk.post(f"/staff/queue/{item.id}/claim", queue="held")).status_code == 409
    services.clock_ms += queue.LEASE_MS + 1
    assert (await desk.post(f"/staff/queue/{item.id}/claim", queue="held")).status_code == 303
    old = await desk.post(f"/staff/queue/{item.id}", version="0", act="stop", reason="L6", basis="typed")
    assert old.status_code == 409
    assert 'value="typed"' in old.text
    assert re.search(r'value="L6"[^>]* checked', old.text)
    assert (await desk.post(f"/staff/queue/{item.id}", version="0", act="dance")).status_code == 400


async def test_items_are_skipped_and_given_back(desk: Desk, services: FakeServices) -> None:
    """Another one than this; and everything that one has, or some of it."""
    first, second = await hold(services, 1), await hold(services, 2)
    assert str(first.id) in (await desk.post("/staff/queue/next", queue="held")).headers["location"]
    skipped = await desk.post("/staff/queue/next", queue="held", skip=str(first.id))
    assert skipped.headers["location"].startswith(f"/staff/queue/{second.id}?")
    assert (await desk.post("/staff/queue/release", queue="held", items=f"{second.id},x")).status_code == 303
    assert (await at(services, second.id)).claimed_by == ""
    assert (await at(services, first.id)).claimed_by == "staff:ann"
    assert "Give back what I have (1)" in await text(desk, "/staff/queue")
    await desk.post("/staff/queue/release", queue="held")
    assert (await at(services, first.id)).claimed_by == ""


async def test_equal_texts_are_decided_together(desk: Desk, services: FakeServices) -> None:
    """All that are free, each by a decision of its own; what somebody else looks at is left to them."""
    items = [await hold(services, number) for number in range(1, 5)]
    await services.moderation.write(lambda tx: queue.claim(tx, items[3].id, "staff:ben"))
    page = plain(await text(desk, f"/staff/queue/{items[0].id}"))
    assert "and 3 equal texts by 3 authors, in 1 rooms" in page
    await desk.post(f"/staff/queue/{items[0].id}", queue="held", version="0", act="stop", reason="S1", equal="1")
    assert [(await at(services, each.id)).state for each in items] == ["decided", "decided", "decided", "open"]
    assert len(review.decisions(services.moderation.book)) == 3


async def test_what_reporters_wrote_is_shown_without_them(desk: Desk, services: FakeServices) -> None:
    """The newest five of it, cut and escaped, from the log, where it stands alone: what is gone there is not shown, nor what another
    report says that has the number now."""
    services.say("demo", "reported")
    for number, words in enumerate(
        ("old", "older", "", "no, this", "two\nlines", "<b>why</b> " + "x" * 500, "gone", "last"), 1
    ):
        await services.submit(ReportDraft(
            receipt=f"R{number}", room="demo", seq=1, at_ms=number, reason="L8", text=words, address="192.0.2.1", port=1,
            account="nosy" if number == 4 else None,
        ))  # fmt: skip
    await services.moderation.intake.caught_up()
    for index, (receipt, words) in {6: ("R7", " "), 7: ("R9", "last")}.items():
        services._reports[index] = msgspec.structs.replace(services._reports[index], receipt=receipt, text=words)
    page = (await desk.get("/staff/queue/1?lang=en")).text
    said = re.findall(r'<blockquote dir="auto">([^<]+)</blockquote><span class="hint">([^<]+)<', page)
    assert [html.unescape(each[0])[:12] for each in said] == ["<b>why</b> x", "two\nlines", "no, this"]
    assert len(html.unescape(said[0][0])) == SAID_MAX_CHARS
    assert "insults" in said[0][1]
    assert "nosy" not in page


async def test_reports_swarms_and_second_reviews_have_their_words(desk: Desk, services: FakeServices) -> None:
    """A reported comment with the reports and its place in the room, a room, a group, and a text judged blind."""
    report = await hold(services, 1, queue="report", source="c:demo:3", seq=3, text="said 3", code="L8", verdict=b"")
    await services.moderation.write(lambda tx: tx.sql.exec_driver_sql(
        "INSERT INTO receipts (receipt, item, at_ms, due_ms, reason) VALUES ('R1', ?, 1, 2, 'L8')", (report.id,)
    ))  # fmt: skip
    page = await text(desk, f"/staff/queue/{report.id}")
    assert '<li class="this"><span dir="auto">said 3</span>' in page
    assert "1 × L8" in plain(page)
    room = await hold(services, 2, queue="report", source="r:demo", text="", account="", author_name="", verdict=b"")
    assert "about the room itself" in await text(desk, f"/staff/queue/{room.id}")
    swarm = await hold(
        services, 3, queue="swarm", source="w:1", room="", text="9 accounts", account="", author_name="", verdict=b""
    )
    assert "No swarm" in await text(desk, f"/staff/queue/{swarm.id}")
    blind = await hold(services, 4, queue="second", source="d:1", code="L7", account="a-1", severity=95)
    page = await text(desk, f"/staff/queue/{blind.id}")
    assert "Should go" in page
    for told in ("<mark>", "law 14", "The author", "grave", "In the room", "veil-"):
        assert told not in page, told
    held = await hold(services, 9)
    verdicts = {
        (each.queue, act): verdict_of(each, act) for each in (report, swarm, blind, held) for act in ("allow", "stop")
    }  # fmt: skip
    assert verdicts == {
        ("report", "allow"): "keep", ("report", "stop"): "remove", ("swarm", "allow"): "keep", ("swarm", "stop"): "warn",
        ("second", "allow"): "confirm", ("second", "stop"): "differ", ("held", "allow"): "publish", ("held", "stop"): "refuse",
    }  # fmt: skip
    assert verdict_of(room, "stop") == "warn"


async def test_who_may_only_look_has_no_buttons(services: FakeServices) -> None:
    """The pages offer what the member's roles allow; here everybody with the queue decides, so the rule of the route is the bar."""
    needs = {(rule.path, rule.method): rule.needs for rule in staff_queue.RULES}
    assert {needs[path, method] for path, method in needs if method == "POST"} == {"queue.decide"}
    assert {needs[path, method] for path, method in needs if method == "GET"} == {"queue.view"}
