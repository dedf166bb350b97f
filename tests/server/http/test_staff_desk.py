"""server/http/staff_desk.py: what staff do on their pages (who gets there is in test_staff.py)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.accounts import appeals, licences, lookup, measures, public, vault_access
from server.accounts.book import Transaction
from server.http.staff import RULES
from tests.support.accounts import DAY_MS, person
from tests.support.services import START_MS, FakeServices
from tests.support.staff import Desk, staff_desk


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[FakeServices]:
    """A room with a comment of a verified account, whose phone number is in the vault; and the provider's licence."""
    found = FakeServices(tmp_path)
    found.add_room("demo")
    found.say("demo", "hello", author="a-1")

    def work(tx: Transaction) -> None:
        person(tx)
        found.people.vault.put(tx, "a-1", "phone", "+8613800000000")
        licences.record(
            tx, holder="provider", kind="k", number="1", issuer="i", features=("news", "public_accounts"),
            valid_from_ms=START_MS - 1, valid_until_ms=START_MS + DAY_MS, actor="operator:x", role="operator",
        )  # fmt: skip

    await found.people.book.write(work)
    await found.people.read_licences()
    yield found
    await found.end()


@pytest.fixture
async def desk(services: FakeServices) -> AsyncIterator[Desk]:
    async with staff_desk(services) as found:
        yield found


async def text(desk: Desk, path: str) -> str:
    answer = await desk.get(f"{path}{'&' if '?' in path else '?'}lang=en")
    assert answer.status_code == 200, answer.text
    return answer.text


async def refused(answer: httpx.Response) -> str:
    """The sentence that a form came back with."""
    found = re.search(r'<p class="problem" id="problem" role="alert">([^<]+)', answer.text)
    assert found is not None, answer.text
    return found[1]


def log(services: FakeServices, subject: str = "") -> list[tuple[str, str, str]]:
    rows = services.people.book.read_now(lambda c: lookup.accesses(c, subject))
    return [(row.actor, row.role, row.action) for row in rows]


async def test_every_page_of_the_table_can_be_opened(desk: Desk) -> None:
    """By who has all roles; in both languages."""
    await desk.enter("boss", "operator", "compliance", "privacy", "admin")
    for rule in RULES:
        path = rule.path.replace("{account}", "a-1")
        if rule.method == "GET" and "{" not in path and not path.endswith(("/enrol", "/events", "/stream")):
            for language in ("zh-CN", "en"):
                assert (await desk.get(f"{path}?lang={language}")).status_code == 200, path


async def test_the_first_page_says_what_waits(desk: Desk, services: FakeServices) -> None:
    """As far as the member's roles reach."""
    await desk.enter("ann", "senior")
    assert "0 wait, 0 of them too long" in await text(desk, "/staff")
    assert "1 end within 30 days" in await text(desk, "/staff")
    await desk.enter("adm", "admin")
    page = await text(desk, "/staff")
    assert "on their way" not in page
    assert "/staff/vault" not in page


async def test_an_account_is_found_and_looking_is_recorded(desk: Desk, services: FakeServices) -> None:
    """By number, and by a comment; who looks stands in the records with the role."""
    await desk.enter("ann", "privacy")
    assert 'href="/staff/accounts/a-1"' in await text(desk, "/staff/accounts?q=a-1")
    assert "There are none." in await text(desk, "/staff/accounts?q=zzz")
    by_comment = await desk.get("/staff/accounts?room=demo&seq=1")
    assert by_comment.headers["location"] == "/staff/accounts/a-1"
    assert (await desk.get("/staff/accounts?room=demo&seq=9")).status_code == 404
    services.say("demo", "hi", author="host-1")
    assert (await desk.get("/staff/accounts?room=demo&seq=2")).headers["location"] == "/staff/accounts/host-1"
    assert (await desk.get("/staff/accounts/host-1")).status_code == 404
    assert (await desk.get("/staff/accounts/nobody")).status_code == 404
    page = await text(desk, "/staff/accounts/a-1")
    assert "phone number" in page
    assert "13800000000" not in page
    assert "Take a measure" not in page
    assert log(services, "a-1") == [("staff:ann", "privacy", "accounts.view")]
    assert ("staff:ann", "privacy", "accounts.find") in log(services)
    assert ">looked at an account<" in await text(desk, "/staff/log?subject=a-1")
    assert log(services, "a-1")[0] == ("staff:ann", "privacy", "log.view")


async def test_measures_are_taken_and_lifted(desk: Desk, services: FakeServices) -> None:
    """By who may, as which role; what is refused comes back with what was typed."""
    await desk.enter("ann", "senior")
    services.say("demo", "hi", author="host-2")  # known by a comment alone so far
    number = len(services.events("demo"))
    assert (await desk.get((await desk.get(f"/staff/accounts?room=demo&seq={number}")).headers["location"])).status_code == 200
    path = "/staff/accounts/a-1/measures"
    good = {"rung": "restrict", "term": "7d", "code": "S1", "basis": "rule 4", "function__color": "1", "function__link": "1"}
    assert (await desk.post(path, **good)).status_code == 303
    [taken] = services.people.book.read_now(lambda c: measures.listed(c, "a-1"))
    assert (taken.functions, taken.actor, taken.role, taken.until_ms) == (
        ("color", "link"), "staff:ann", "senior", START_MS + 7 * DAY_MS,
    )  # fmt: skip
    back = await desk.post(path, **{**good, "term": "", "basis": "my words"})
    assert back.status_code == 422
    assert 'value="my words"' in back.text
    assert (await desk.post(path, **{**good, "rung": "close"})).status_code == 403
    assert (await desk.post(path, **{**good, "rung": "burn"})).status_code == 400
    lift = "/staff/accounts/a-1/lift"
    assert (await desk.post(lift, measure="m-none", basis="x")).status_code == 404
    assert (await desk.post(lift, measure=taken.id, basis="by mistake")).status_code == 303
    assert (await services.people.standing("a-1")).measures == ()
    assert "taken back" in await text(desk, "/staff/accounts/a-1")


async def test_an_account_is_erased_on_the_persons_request(desk: Desk, services: FakeServices) -> None:
    """By the privacy officer, who confirms that it was asked for; a second time it is closed already."""
    await desk.enter("pia", "privacy")
    assert "Erase the account" in await text(desk, "/staff/accounts/a-1")
    assert (await desk.post("/staff/accounts/a-1/erase")).status_code == 400
    assert (await desk.post("/staff/accounts/a-1/erase", sure="1")).status_code == 303
    assert (await services.people.standing("a-1")).erased
    assert "Erase the account" not in await text(desk, "/staff/accounts/a-1")
    assert (await desk.post("/staff/accounts/a-1/erase", sure="1")).status_code == 403


async def test_appeals_are_decided_by_somebody_else(desk: Desk, services: FakeServices) -> None:
    """With the comment and the words of the appeal before them; who took the measure is told so; another one upholds or refuses."""
    by: Any = {"actor": "staff:ann", "role": "senior"}
    said = services.say("demo", "<b>what I said</b>", author="a-1")

    def work(tx: Transaction) -> list[str]:
        removed = measures.count_removal(tx, "a-1", "demo", said.seq, "S1", "rule 4", **by)
        taken = [removed, measures.take(tx, "a-1", "warn", "S1", "rule 4", **by)]
        return [appeals.file(tx, "a-1", each, "<b>why</b>") for each in taken]

    first, second = await services.people.book.write(work)
    await desk.enter("ann", "senior")
    page = await text(desk, "/staff/appeals")
    assert "&lt;b&gt;why&lt;/b&gt;" in page
    assert "&lt;b&gt;what I said&lt;/b&gt;" in page
    assert "somebody else decides" in page
    own = await desk.post("/staff/appeals", appeal=first, outcome="uphold", basis="x")
    assert own.status_code == 403
    await desk.enter("bob", "senior")
    assert (await desk.post("/staff/appeals", appeal=first, outcome="uphold", basis="not flooding")).status_code == 303
    assert (await desk.post("/staff/appeals", appeal=second, outcome="refuse", code="S1", basis="it was")).status_code == 303
    decided = services.people.book.read_now(lambda c: appeals.of_account(c, "a-1"))
    assert {(each.id, each.upheld, each.decided_by) for each in decided} == {
        (first, True, "staff:bob"), (second, False, "staff:bob"),
    }  # fmt: skip
    assert "No appeal waits." in await text(desk, "/staff/appeals")


async def test_a_public_account_goes_its_way_through_the_pages(desk: Desk, services: FakeServices) -> None:
    """Reviewed by one, classified by another, filed with the table, activated, approved, revoked."""

    def apply_(tx: Transaction) -> None:
        public.apply_for(tx, "a-1", name="某大学", purpose="Courses", category="institution")

    await services.people.book.write(apply_)
    base = "/staff/public/a-1"
    await desk.enter("rev", "reviewer")
    assert "Reviewed: in order" in await text(desk, "/staff/public")
    assert (await desk.post(f"{base}/review", basis="papers")).headers["location"] == "/staff/public#a-1"
    await desk.enter("com", "compliance")
    assert (await desk.post(f"{base}/classify", category="party", basis="x")).status_code == 400
    assert (await desk.post(f"{base}/classify", category="institution", label="某大学", basis="charter")).status_code == 303
    table = await desk.get("/staff/public/filing.csv")
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert [row["name"] for row in csv.DictReader(io.StringIO(table.text.removeprefix("\ufeff")))] == ["某大学"]
    assert (await desk.post(f"{base}/file", number="F-1")).status_code == 303
    assert (await desk.post(f"{base}/activate", basis="filed")).status_code == 303
    approve = {"action": "post", "topic": "politics", "basis": "letter 9"}
    assert (await desk.post(f"{base}/approve", **approve, until="2099-01-01")).status_code == 303
    standing = await services.people.standing("a-1")
    assert public.permits(standing, "post", "politics", START_MS, services.people.provider)
    assert "post: politics" in await text(desk, "/staff/public")
    assert (await desk.post(f"{base}/approve", **approve, until="soon")).status_code == 400
    assert (await desk.post(f"{base}/approve", action="sing", topic="x", basis="x")).status_code == 400
    assert (await desk.post(f"{base}/approve", **approve, granted="no")).status_code == 303
    assert (await services.people.standing("a-1")).approvals == ()
    assert (await desk.post(f"{base}/revoke", basis="misused")).status_code == 303
    assert "not follow" in (await desk.post(f"{base}/activate", basis="x")).text


async def test_licences_are_entered_and_revoked(desk: Desk, services: FakeServices) -> None:
    """At once in force for the running server."""
    await desk.enter("com", "compliance")
    fields = {"holder": "a-1", "kind": "许可证", "number": "77", "issuer": "CAC", "from": "2020-01-01", "until": "2099-01-01"}
    back = await desk.post("/staff/licences", **fields)
    assert back.status_code == 400
    assert 'value="许可证"' in back.text
    assert (await desk.post("/staff/licences", **{**fields, "from": "x"})).status_code == 400
    assert (await desk.post("/staff/licences", **fields, feature__news="1")).status_code == 303
    assert licences.licensed(await services.people.standing("a-1"), "news", START_MS)
    (held,) = (await services.people.standing("a-1")).licences
    assert (held.from_ms, held.until_ms) == (1_577_808_000_000, 4_070_880_000_000)  # days of Shanghai, as on the paper
    assert "许可证 77" in await text(desk, "/staff/licences")
    own = services.people.book.read_now(lambda c: licences.listed(c, START_MS, "provider"))[0]
    assert (await desk.post("/staff/licences/revoke", licence=own.id, basis="given back")).status_code == 303
    assert not services.people.provider.active("news", START_MS)
    assert (await desk.post("/staff/licences/revoke", licence=own.id, basis="again")).status_code == 409


async def test_the_vault_opens_with_a_second_person_and_once(desk: Desk, services: FakeServices) -> None:
    """Asked by one, granted by another, read once by the first; each step is in the records, the value in none."""
    await desk.enter("pia", "privacy")
    assert (await desk.post("/staff/vault", account="a-1", reason="case 5")).status_code == 400
    assert (await desk.post("/staff/vault", account="a-1", reason="case 5", field__phone="1")).status_code == 303
    page = await text(desk, "/staff/vault")
    assert "Waits for a second person." in page
    found = services.people.book.read_now(lambda c: vault_access.open_requests(c, START_MS))
    request = found[0].id
    assert (await desk.post("/staff/vault/decide", request=request, outcome="grant")).status_code == 403
    assert (await desk.post("/staff/vault/read", request=request)).status_code == 403
    await desk.enter("pam", "privacy")
    assert (await desk.post("/staff/vault/decide", request=request, outcome="grant")).status_code == 303
    assert (await desk.post("/staff/vault/read", request=request)).status_code == 403
    await desk.enter("pia")
    assert "See it once" in await text(desk, "/staff/vault")
    seen = await desk.post("/staff/vault/read", request=request)
    assert "+8613800000000" in seen.text
    assert seen.headers["cache-control"] == "no-store"
    again = await desk.post("/staff/vault/read", request=request)
    assert again.status_code == 409
    assert "13800000000" not in again.text
    assert [action for _, _, action in log(services, "a-1")] == ["vault.read", "vault.grant", "vault.request"]
    stored = b"".join(path.read_bytes() for path in services.pages_dir.glob("accounts.db*"))
    assert b"13800000000" not in stored


async def test_members_are_managed_by_an_admin(desk: Desk, services: FakeServices) -> None:
    """The link of an enrolment is shown once; nobody changes their own rights."""
    await desk.enter("adm", "admin")
    added = await desk.post("/staff/members", what="add", name="ann", role__reviewer="1")
    assert re.search(r"/staff/enrol\?name=ann&amp;secret=[\w-]{32}", added.text)
    assert "secret=" not in await text(desk, "/staff/members")
    for fields in ({"what": "roles", "role__senior": "1"}, {"what": "disable"}, {"what": "enable"}):
        assert (await desk.post("/staff/members", name="ann", **fields)).status_code == 303
    assert "secret=" in (await desk.post("/staff/members", what="enrol", name="ann")).text
    assert (await desk.post("/staff/members", what="roles", name="adm", role__operator="1")).status_code == 403
    assert (await desk.post("/staff/members", what="fly", name="ann")).status_code == 400


async def test_a_form_without_the_pages_token_changes_nothing(desk: Desk, services: FakeServices) -> None:
    """Every form of every role."""
    await desk.enter("boss", "operator", "compliance", "privacy", "admin")
    desk.token = "x"
    for rule in RULES:
        if rule.method == "POST" and rule.needs not in ("open", "own"):
            answer = await desk.post(rule.path.replace("{account}", "a-1"))
            assert answer.status_code == 403, rule
    assert [action for _, _, action in log(services)] == ["staff.add", "licence.record"]
