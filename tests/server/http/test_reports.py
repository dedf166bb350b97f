"""server/http/reports.py"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest

from server.accounts import measures, sessions
from server.errors import Refusal
from server.moderation.deciding import decide_item
from server.moderation.queue import of_source
from server.settings import Settings
from server.store.base import Draft, NoticeDraft, Outcome, RemovalDraft, ReportDraft
from tests.support.services import FakeServices
from tests.support.site import pages_client


class Recorder(FakeServices):
    """Keeps the drafts that routes submit."""

    def __init__(self, pages_dir: Path, settings: Settings | None = None) -> None:
        super().__init__(pages_dir, settings)
        self.drafts: list[Draft] = []

    async def submit(self, draft: Draft) -> Outcome:
        self.drafts.append(draft)
        return await super().submit(draft)


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Recorder]:
    found = Recorder(tmp_path / "pages")
    found.add_room("demo", "Demo")
    found.say("demo", "buy <now>", name="seller")
    yield found
    if "moderation" in vars(found):  # it was made when a test needed it
        await found.moderation.drain()
        found.moderation.close()
        found.people.close()


async def signed_in(services: Recorder, account: str) -> str:
    """The cookie of a browser that is signed in."""
    people = services.people
    await people.book.write(lambda tx: tx.open(account, origin="local", actor="test", role="system"))
    return await people.book.write(lambda tx: sessions.begin(tx, account, people.session_policy))


async def send(client: httpx.AsyncClient, **fields: str) -> str:
    """Send a report; its receipt."""
    sent = await client.post("/rooms/demo/report", data={"reason": "S1", "seq": "1", **fields})
    assert sent.status_code == 303
    return sent.headers["location"].removeprefix("/reports/").partition("?")[0]


@pytest.fixture
async def client(services: Recorder) -> AsyncIterator[httpx.AsyncClient]:
    async with pages_client(services) as made:
        yield made


async def test_duty_p10_a_report_takes_two_actions_without_script_or_account(
    services: Recorder, client: httpx.AsyncClient
) -> None:
    """One click on a row's link shows the comment and the reasons; one click on a reason sends it and shows a receipt number."""
    row = (await client.get("/rooms/demo")).text
    link = re.search(r'href="(/rooms/demo/report\?seq=1)"', row)
    assert link is not None
    form = (await client.get(link[1])).text
    assert "buy &lt;now&gt;" in form
    assert "<script" not in form
    action = re.search(r'<form class="report" method="post" action="([^"]+)">', form)
    hidden = re.search(r'<input type="hidden" name="seq" value="(\d+)">', form)
    assert action is not None
    assert hidden is not None
    assert '<button name="reason" value="S1">' in form
    sent = await client.post(action[1], data={"seq": hidden[1], "text": "", "reason": "S1"})
    assert sent.status_code == 303
    receipt = sent.headers["location"].removeprefix("/reports/").removesuffix("?room=demo")
    confirmation = await client.get(sent.headers["location"])
    assert confirmation.status_code == 200
    assert receipt in confirmation.text
    assert services.drafts == [
        ReportDraft(
            receipt=receipt,
            room="demo",
            seq=1,
            at_ms=services.clock_ms,
            reason="S1",
            text="",
            address="192.0.2.7",
            port=50123,
        )
    ]


async def test_a_room_can_be_reported(services: Recorder, client: httpx.AsyncClient) -> None:
    """Without a number the report is about the room."""
    assert "举报本房间" in (await client.get("/rooms/demo/report")).text
    assert (await client.post("/rooms/demo/report", data={"reason": "A1"})).status_code == 303
    assert isinstance(services.drafts[0], ReportDraft)
    assert services.drafts[0].seq == 0


async def test_text_is_kept_without_what_cannot_be_shown(services: Recorder, client: httpx.AsyncClient) -> None:
    """Control characters are dropped, lines stay."""
    text = "line\x00 one\r\nline\u202e two\rthree "
    assert (await client.post("/rooms/demo/report", data={"reason": "S1", "seq": "1", "text": text})).status_code == 303
    assert isinstance(services.drafts[0], ReportDraft)
    assert services.drafts[0].text == "line one\nline two\nthree"


@pytest.mark.parametrize("reason", [{}, {"reason": "X9"}, {"reason": "R1"}, {"reason": "U1"}])
async def test_a_report_needs_a_reason_of_the_list(
    services: Recorder, client: httpx.AsyncClient, reason: dict[str, str]
) -> None:
    """A report without a known reason shows the form again with what was typed, and records nothing."""
    answer = await client.post("/rooms/demo/report?lang=en", data={"seq": "1", "text": "<mine>", **reason})
    assert answer.status_code == 422
    assert "Choose one of the reasons." in answer.text
    assert ">&lt;mine&gt;</textarea>" in answer.text
    assert services.drafts == []


async def test_a_text_has_a_bound(services: Recorder) -> None:
    """A longer text than the setting allows is said to be too long and recorded nowhere; with 0 there is no field."""
    services.settings = Settings(report_max_chars=5)
    async with pages_client(services) as client:
        answer = await client.post("/rooms/demo/report?lang=en", data={"reason": "S1", "text": "123456"})
        assert answer.status_code == 422
        assert "The text is too long." in answer.text
        assert (await client.post("/rooms/demo/report", data={"reason": "S1", "text": "12345"})).status_code == 303
    assert len(services.drafts) == 1
    services.settings = Settings(report_max_chars=0)
    async with pages_client(services) as client:
        assert "<textarea" not in (await client.get("/rooms/demo/report")).text


async def test_only_comments_can_be_reported(services: Recorder, client: httpx.AsyncClient) -> None:
    """A number without a comment, a notice or a number beyond the head is not found, by GET and by POST."""
    await services.submit(NoticeDraft(room="demo", author="op", key="n", at_ms=1, notice="announcement", text="hi"))
    services.drafts.clear()
    for seq in ("2", "3", "9007199254740991"):
        assert (await client.get(f"/rooms/demo/report?seq={seq}")).status_code == 404
        assert (await client.post("/rooms/demo/report", data={"reason": "S1", "seq": seq})).status_code == 404
    assert services.drafts == []


async def test_a_removed_comment_is_shown_as_tombstone(services: Recorder, client: httpx.AsyncClient) -> None:
    """The form of a removed comment says that it was removed and has no text."""
    await services.submit(
        RemovalDraft(room="demo", author="op", key="r", at_ms=1, target=1, code="S1", basis="rule 3", role="reviewer")
    )
    form = (await client.get("/rooms/demo/report?seq=1&lang=en")).text
    assert "buy" not in form
    assert "This comment was removed" in form
    assert "<bdi>rule 3</bdi>" in form


@pytest.mark.parametrize(("seq", "status"), [("x", 400), ("-1", 400), ("1.0", 400), ("", 303), ("9" * 30, 400), ("١", 400)])
async def test_odd_numbers_are_refused(client: httpx.AsyncClient, seq: str, status: int) -> None:
    """A number that is none is a bad request, not an error of ours; an empty field counts as missing."""
    assert (await client.post("/rooms/demo/report", data={"reason": "S1", "seq": seq})).status_code == status


@pytest.mark.parametrize("step_ms", [-3_600_000, 3_600_000])
async def test_a_clock_that_is_set_changes_no_limit(services: Recorder, step_ms: int) -> None:
    """When the wall clock jumps an address neither waits longer nor sends more."""
    services.settings = Settings(reports_burst=1, reports_per_s=0.1)
    async with pages_client(services) as client:
        data = {"reason": "S1", "seq": "1"}
        assert (await client.post("/rooms/demo/report", data=data)).status_code == 303
        services.clock_ms += step_ms
        refused = await client.post("/rooms/demo/report", data=data)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")


async def test_reports_are_limited_by_address(services: Recorder, client: httpx.AsyncClient) -> None:
    """An address may send a burst, then waits; another address is not concerned."""
    services.settings = Settings(reports_burst=2, reports_per_s=0.1, report_repeats=100)
    async with pages_client(services) as first, pages_client(services, "192.0.2.8") as second:
        data = {"reason": "S1", "seq": "1"}
        assert [(await first.post("/rooms/demo/report", data=data)).status_code for _ in range(3)] == [303, 303, 429]
        refused = await first.post("/rooms/demo/report", data=data)
        assert int(refused.headers["retry-after"]) == 10
        services.uptime_ms += 10_000
        assert (await first.post("/rooms/demo/report", data=data)).status_code == 303
        assert (await second.post("/rooms/demo/report", data=data)).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
async def test_other_sites_cannot_make_their_visitors_report(
    services: Recorder, client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    """A form of another site is refused."""
    answer = await client.post("/rooms/demo/report", data={"reason": "S1"}, headers=headers)
    assert answer.status_code == 403
    assert services.drafts == []


async def test_the_own_form_is_accepted(client: httpx.AsyncClient) -> None:
    """What a browser sends with our own form passes."""
    headers = {"Origin": "http://barrage.test", "Sec-Fetch-Site": "same-origin"}
    assert (await client.post("/rooms/demo/report", data={"reason": "S1"}, headers=headers)).status_code == 303
    assert (
        await client.post("/rooms/demo/report", data={"reason": "S1"}, headers={"Origin": "http://barrage.test"})
    ).is_redirect


async def test_other_bodies_are_refused(services: Recorder, client: httpx.AsyncClient) -> None:
    """JSON, too many fields, raw bytes and too large a body are refused with their own statuses."""
    path = "/rooms/demo/report"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await client.post(path, json={"reason": "S1"})).status_code == 400
    assert (await client.post(path, content=b"&".join([b"a=1"] * 50), headers=form)).status_code == 400
    assert (await client.post(path, content=b"reason=\xff", headers=form)).status_code == 400
    assert (await client.post(path, content=b"text=" + b"x" * 70_000, headers=form)).status_code == 413
    assert services.drafts == []


async def test_a_report_that_cannot_be_recorded_says_so(services: Recorder, client: httpx.AsyncClient) -> None:
    """A fault of the store is told with 503, and there is no receipt."""
    services.fault = Refusal("storage_unavailable", retry_after_ms=1000)
    answer = await client.post("/rooms/demo/report", data={"reason": "S1"})
    assert answer.status_code == 503
    assert "location" not in answer.headers


async def test_a_report_that_the_log_rejects_says_why(services: Recorder, client: httpx.AsyncClient) -> None:
    """What the store rejects is told by its code."""
    before = services._append_report
    services._append_report = lambda draft: before(msgspec.structs.replace(draft, seq=99))  # type: ignore[method-assign]
    assert (await client.post("/rooms/demo/report", data={"reason": "S1", "seq": "1"})).status_code == 404


async def test_only_receipts_have_confirmations(client: httpx.AsyncClient) -> None:
    """An address with a number that we cannot have given, or a mistyped one, is not found."""
    assert (await client.get("/reports/R-0000-0000-0000-0000")).status_code == 404
    for receipt in ("R-0000-0000-0000-0001", "x", "R-OOOO-OOOO-OOOO-OOO1"):
        assert (await client.get(f"/reports/{receipt}")).status_code == 404


async def test_reports_about_one_thing_are_limited_for_a_day(services: Recorder) -> None:
    """One address may not fill a comment's item by itself; about something else it may report meanwhile."""
    services.settings = Settings(report_repeats=2, reports_burst=100)
    async with pages_client(services) as client:
        data = {"reason": "S1", "seq": "1"}
        assert [(await client.post("/rooms/demo/report", data=data)).status_code for _ in range(3)] == [303, 303, 429]
        assert (await client.post("/rooms/demo/report", data={"reason": "S1"})).status_code == 303
        services.uptime_ms += 43_200_000
        assert (await client.post("/rooms/demo/report", data=data)).status_code == 303


async def test_duty_p10_the_status_page_tells_the_deadline_and_then_the_outcome(
    services: Recorder, client: httpx.AsyncClient
) -> None:
    """Without account and script: when the outcome is due, at once; after the decision what it was and by which code, in the words of
    the reader's language."""
    receipt = await send(client, reason="L8")
    page = f"/reports/{receipt}"
    assert "2026-09-23 22:13" in (await client.get(page, headers={"Accept-Language": "en"})).text
    await services.moderation.intake.caught_up()
    waiting = (await client.get(f"{page}?lang=en")).text
    assert "You can read the outcome here by 2026-09-23 22:13." in waiting
    assert "L8 insults or slanders others" in waiting
    item = await services.moderation.look(lambda sql: of_source(sql, "report", "c:demo:1"))
    assert item is not None
    await services.moderation.write(
        lambda tx: decide_item(tx, item.id, item.version, "remove", "L8", "an insult", actor="staff:ann", role="reviewer")
    )
    assert "You were right: the comment was removed." in (await client.get(f"{page}?lang=en")).text
    chinese = (await client.get(f"{page}?lang=zh-CN")).text
    assert "您举报属实" in chinese
    assert "L8 侮辱或者诽谤他人" in chinese


@pytest.mark.parametrize(
    ("code", "words"),
    [("K2", "No violation was found"), ("K3", "There is no violation, and the report was found to be made in bad")],
)
async def test_a_report_that_was_wrong_is_told_so(services: Recorder, client: httpx.AsyncClient, code: str, words: str) -> None:
    """What stays is told apart from what was reported in bad faith."""
    receipt = await send(client)
    await services.moderation.intake.caught_up()
    item = await services.moderation.look(lambda sql: of_source(sql, "report", "c:demo:1"))
    assert item is not None
    await services.moderation.write(
        lambda tx: decide_item(tx, item.id, item.version, "keep", code, "looked at", actor="staff:ann", role="reviewer")
    )
    assert words in (await client.get(f"/reports/{receipt}?lang=en")).text


async def test_an_overdue_report_says_so(services: Recorder, client: httpx.AsyncClient) -> None:
    """After the promised time the page does not go on promising it."""
    receipt = await send(client)
    services.clock_ms += 49 * 3_600_000
    assert "has not been decided in the promised time" in (await client.get(f"/reports/{receipt}?lang=en")).text


async def test_a_report_is_found_by_its_number(services: Recorder, client: httpx.AsyncClient) -> None:
    """Typed with slips that do not matter it leads to its page; what is no number is asked for again."""
    receipt = await send(client)
    typed = receipt.lower().replace("-", " ")
    found = await client.get("/reports", params={"receipt": f" {typed} "})
    assert (found.status_code, found.headers["location"]) == (303, f"/reports/{receipt}")
    assert (await client.get(f"/reports/{receipt.lower()}")).headers["location"] == f"/reports/{receipt}"
    assert (await client.get("/reports")).status_code == 200
    wrong = await client.get("/reports", params={"receipt": "R-1", "lang": "en"})
    assert wrong.status_code == 422
    assert "This is no receipt number" in wrong.text


async def test_a_script_gets_the_receipt_as_json(services: Recorder, client: httpx.AsyncClient) -> None:
    """Who asks for JSON gets number, address and deadline, and refusals as problems."""
    as_json = {"Accept": "application/json"}
    sent = await client.post("/rooms/demo/report", data={"reason": "S1", "seq": "1"}, headers=as_json)
    assert sent.status_code == 201
    body = sent.json()
    assert body["url"] == f"/reports/{body['receipt']}?room=demo"
    assert body["due_ms"] == services.clock_ms + 48 * 3_600_000
    for data, code in (({"reason": "X"}, "bad_message"), ({"reason": "S1", "text": "x" * 501}, "text_too_long"),
                       ({"reason": "S1", "seq": "9"}, "comment_not_found")):  # fmt: skip
        refused = await client.post("/rooms/demo/report", data=data, headers=as_json)
        assert refused.json()["code"] == code


async def test_who_is_signed_in_has_one_report_about_a_thing(services: Recorder) -> None:
    """The account stands with the report; a second one leads to the first as long as that waits, and a new one is taken after it."""
    async with pages_client(services) as client:
        client.cookies["barrage_session"] = await signed_in(services, "ann")
        first = await send(client)
        draft = services.drafts[-1]
        assert isinstance(draft, ReportDraft)
        assert draft.account == "ann"
        assert await send(client) == first
        await services.moderation.intake.caught_up()
        assert await send(client) == first
        assert await send(client, seq="0") != first
        item = await services.moderation.look(lambda sql: of_source(sql, "report", "c:demo:1"))
        assert item is not None
        await services.moderation.write(
            lambda tx: decide_item(tx, item.id, item.version, "keep", "K2", "fine", actor="staff:ann", role="reviewer")
        )
        assert await send(client) not in {first, ""}


async def test_an_account_may_lose_the_function_of_reporting(services: Recorder, client: httpx.AsyncClient) -> None:
    """A measure that restricts it is told; nothing is recorded."""
    client.cookies["barrage_session"] = await signed_in(services, "ann")
    await services.people.book.write(
        lambda tx: measures.take(
            tx, "ann", "restrict", "A1", "false reports", actor="staff:ben", role="senior", functions=("report",),
            duration_ms=86_400_000,
        )
    )  # fmt: skip
    answer = await client.post("/rooms/demo/report", data={"reason": "S1", "seq": "1"})
    assert answer.status_code == 403
    assert services.drafts == []


async def test_a_group_that_reports_together_is_evidence(services: Recorder, tmp_path: Path) -> None:
    """The same addresses that report the same comments of several rooms, within minutes, are put before people; no address is
    kept."""
    for room in ("b", "c", "d"):
        services.add_room(room)
        services.say(room, "said here")
    services.settings = Settings(reports_burst=100)
    for number in range(6):
        async with pages_client(services, f"192.0.2.{100 + number}") as client:
            for room in ("demo", "b", "c", "d"):
                assert (await client.post(f"/rooms/{room}/report", data={"reason": "S1", "seq": "1"})).is_redirect
    await services.moderation.swarms.note()
    item = await services.moderation.look(lambda sql: of_source(sql, "swarm", "w:1"))
    assert item is not None
    assert "reported comments" in item.text
    assert b"192.0.2" not in (tmp_path / "pages/review.db").read_bytes()
