"""A working day of the review desk, from one end to the other, as the people see it who take part in it.

With ``BARRAGE_PICTURES`` set to a folder, each stage is photographed there, on a desktop and a phone;
``BARRAGE_PICTURES_LOCALE`` is the language (default zh-CN).
"""

from __future__ import annotations

import datetime as dt
import os
import secrets
import zoneinfo
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, get_args
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from server.accounts.staff import StaffRole
from tests.browser.conftest import Faults, Site, Visitor, follow, say
from tests.browser.test_accessibility import violations
from tests.browser.test_account import go_in, new_name
from tests.browser.test_staff import enrol
from tests.support import nursery
from tests.support.sender import Sender

LOCALE: Final = os.environ.get("BARRAGE_PICTURES_LOCALE", "zh-CN")
RAIDERS: Final = 30
PHONE: Final[dict[str, Any]] = {"viewport": {"width": 360, "height": 780}, "color_scheme": "dark"}
TEAM: Final = {"rae": "reviewer", "olga": "operator", "carl": "compliance", "ida": "inspector"}

Senders = Callable[..., Sender]


@pytest.fixture(scope="module")
def team(browser: Browser, site: Site) -> Iterator[dict[str, Page]]:
    """Members of staff at their desks, each in a browser of their own: a reviewer, an operator, compliance, an inspector."""
    contexts: list[BrowserContext] = []
    found: dict[str, Page] = {}
    faults = Faults()
    for name, role in TEAM.items():
        contexts.append(browser.new_context(locale=LOCALE, viewport={"width": 1280, "height": 800}, accept_downloads=True))
        found[name] = faults.watch(contexts[-1].new_page())
        enrol(site, found[name], f"{name}.{secrets.token_hex(2)}", role)
    yield found
    for context in contexts:
        context.close()
    assert faults.seen == []


def picture(page: Page, name: str) -> None:
    """A photograph of a stage on a desktop and a phone, where a folder for them is given."""
    folder = os.environ.get("BARRAGE_PICTURES")
    if not folder:
        return
    before = page.viewport_size
    assert before is not None
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 800})
        page.screenshot(path=f"{folder}/{name}-{LOCALE}-{width}.png", full_page=True)
        if page.evaluate("document.documentElement.scrollWidth") > width:
            print(f"wider than {width}: {name}")
    page.set_viewport_size(before)


def at_desk(site: Site, path: str) -> str:
    """The address of a page for staff: their cookies are those of the host's name."""
    return site.url.replace("127.0.0.1", "localhost") + path


def static(site: Site, room: str) -> str:
    """The first static page of a room, as anybody gets it."""
    answer = httpx.get(f"{site.url}/rooms/{room}/comments/0.html", timeout=30, trust_env=False)
    return answer.text if answer.status_code == 200 else ""


def events(site: Site, room: str) -> list[dict[str, Any]]:
    """What is public of a room."""
    answer = httpx.get(f"{site.url}/api/rooms/{room}/events", timeout=30, trust_env=False)
    found: list[dict[str, Any]] = answer.json()["events"]
    return found


def verified(bundle: Path, key: Path) -> tuple[int, bool]:
    """What ``barrage verify-export`` says of a file: its exit code, and whether it is as it was made."""
    done = nursery.run(["verify-export", str(bundle), "--key", str(key)], os.environ, timeout_s=100)
    return done.returncode, "As it was made" in done.stdout


def wait_at_desk(site: Site, member: Page, queue: str, room: str) -> None:
    """The reviewer opens the queue of a room, in which one item waits, and takes it by a key."""
    member.goto(at_desk(site, f"/staff/queue?queue={queue}&room={room}"))
    for _ in range(100):  # what came in is read into the queue soon after
        if member.locator(".waiting li").count():
            break
        member.wait_for_timeout(100)
        member.reload()
    expect(member.locator(".waiting li")).to_have_count(1)
    picture(member, f"queue-{queue}")
    with member.expect_navigation(url="**/staff/queue/*"):
        member.keyboard.press("n")
    expect(member.locator("#pace")).to_be_visible()


def in_days(days: int) -> str:
    """A day as forms have it, in the time zone of the site."""
    return f"{dt.datetime.now(zoneinfo.ZoneInfo('Asia/Shanghai')).date() + dt.timedelta(days=days)}"


def allow_inspection(site: Site, team: dict[str, Page], room: str) -> str:
    """Compliance asks for an inspection of a room, the operator approves it; its address."""
    carl, olga = team["carl"], team["olga"]
    inspector = str(team["ida"].locator(".staff-nav a[href='/staff/keys']").text_content())
    carl.goto(at_desk(site, "/staff/inspections"))
    typed = {"case_number": "网信检〔2026〕7号", "reason": "调取通知书第7号", "inspectors": inspector, "rooms": room}
    for name, value in {**typed, "since": in_days(0), "until": in_days(1)}.items():
        carl.fill(f"[name={name}]", value)
    picture(carl, "inspection-ask")
    follow(carl, "form.fields .primary", "**/staff/inspections/*")
    olga.goto(carl.url)
    picture(olga, "inspection-decide")
    olga.fill("#decide-basis", "手续齐全")
    follow(olga, '[name=outcome][value="approve"]')
    return carl.url


def test_what_is_held_is_approved_by_a_key_and_flies_at_its_own_place(
    site: Site, visit: Visitor, sender: Senders, team: dict[str, Page]
) -> None:
    """Nobody sees a held comment; one key, and it flies in another browser and stands on the static page, numbered last, at the
    position at which it was sent."""
    room = site.new_room()
    viewer = visit(f"/rooms/{room}", locale=LOCALE)
    poster = sender(room)
    poster.say("before")
    (held,) = poster.outcomes([poster.post("hold this one 等一等")])
    assert held["op"] == "held"
    poster.say("after")
    expect(viewer.locator("#c2 .text")).to_have_text("after")
    reviewer = team["rae"]
    wait_at_desk(site, reviewer, "held", room)
    picture(reviewer, "item-held")
    assert "等一等" not in static(site, room)
    assert "等一等" not in str(events(site, room))
    reviewer.keyboard.press("a")
    expect(viewer.locator(".fly", has_text="等一等")).to_be_visible()
    expect(viewer.locator("#c3 .text")).to_have_text("hold this one 等一等")
    picture(viewer, "room-approved")
    picture(reviewer, "queue-empty")
    before, after, approved = events(site, room)
    assert before["pos_ms"] <= approved["pos_ms"] <= after["pos_ms"]
    page = visit(f"/rooms/{room}/comments/0.html", locale=LOCALE, java_script_enabled=False)
    expect(page.locator("#c3 .text")).to_have_text("hold this one 等一等")
    expect(page.locator("#c3 data.pos")).to_have_attribute("value", str(approved["pos_ms"]))


def test_a_room_of_news_shows_nothing_before_an_approval(
    site: Site, visit: Visitor, sender: Senders, team: dict[str, Page]
) -> None:
    """A comment on news waits, whatever it says; approved by a click, it is live and static."""
    room = site.new_room(title="晚间新闻", news=True)
    viewer = visit(f"/rooms/{room}", locale=LOCALE)
    poster = sender(room)
    (held,) = poster.outcomes([poster.post("新闻不错")])
    assert held["op"] == "held"
    reviewer = team["rae"]
    wait_at_desk(site, reviewer, "news", room)
    picture(reviewer, "item-news")
    assert events(site, room) == []
    assert "新闻不错" not in static(site, room)
    assert viewer.locator("#rows .text").count() == 0
    reviewer.click(".decision .allow")
    expect(viewer.locator(".fly", has_text="新闻不错")).to_be_visible()
    expect(viewer.locator("#c1 .text")).to_have_text("新闻不错")
    assert "新闻不错" in static(site, room)


def test_a_report_leads_to_a_removal_and_an_appeal_to_a_restoration(site: Site, visit: Visitor, team: dict[str, Page]) -> None:
    """From a phone without scripts and account, to a tombstone for everybody, to the outcome on the receipt; the author's appeal is
    decided by a second member, and the comment stands again."""
    room = site.new_room()
    author = visit(f"/account/sign-in?return=/rooms/{room}", locale=LOCALE)
    go_in(site, author, new_name())
    author.check("[name=agree]")
    follow(author, "form .primary")
    author.goto(f"/rooms/{room}")
    author.wait_for_selector('#connection[data-state="live"]')
    viewer = visit(f"/rooms/{room}", locale=LOCALE)
    say(author, "大家好，这句没有问题")
    expect(viewer.locator("#c1.comment .text")).to_have_text("大家好，这句没有问题")

    phone = visit(
        f"/rooms/{room}/comments/0.html", locale=LOCALE, java_script_enabled=False, viewport={"width": 360, "height": 780}
    )
    follow(phone, "#c1 .report")
    follow(phone, '.reasons button[value="L8"]', "**/reports/*")
    picture(phone, "receipt-sent")
    wait_at_desk(site, team["rae"], "report", room)
    picture(team["rae"], "item-report")
    team["rae"].keyboard.press("r")
    expect(viewer.locator("#c1.tombstone")).to_contain_text("L8")
    picture(viewer, "room-removed")
    assert "这句没有问题" not in static(site, room) + str(events(site, room)) + viewer.content()
    phone.reload()
    expect(phone.locator("main .note")).to_contain_text("移除" if LOCALE == "zh-CN" else "removed")
    picture(phone, "receipt-decided")

    author.goto("/account")
    picture(author, "account-removed")
    author.click("#measures summary")
    author.fill("#measures textarea", "我只是打招呼。")
    follow(author, "#measures form .primary")
    second = team["olga"]
    second.goto(at_desk(site, "/staff/appeals"))
    appeal = second.locator("section.card", has_text="我只是打招呼。")
    picture(second, "appeals")
    follow(second, 'section.card:has-text("我只是打招呼。") a[href*="/patrol/search"]')
    expect(second.locator("#stream .said")).to_have_text("大家好，这句没有问题")
    second.goto(at_desk(site, "/staff/appeals"))
    appeal.locator("[name=basis]").fill("打招呼不是侮辱")
    with second.expect_navigation():
        appeal.locator('[value="uphold"]').click()
    expect(viewer.locator("#c1.comment .text")).to_have_text("大家好，这句没有问题")
    picture(viewer, "room-restored")
    assert '<article id="c1" class="comment"' in static(site, room)
    author.reload()
    expect(author.locator("#measures .note")).to_be_visible()
    picture(author, "account-restored")
    phone.reload()
    expect(phone.locator("main .note")).to_contain_text("撤" if LOCALE == "zh-CN" else "taken back")
    picture(phone, "receipt-reversed")


def test_a_raid_is_met_with_the_shield_and_viewers_see_it(
    site: Site, visit: Visitor, sender: Senders, team: dict[str, Page]
) -> None:
    """The program notices the raid, one button puts the shield up, newcomers wait, viewers are told; then it is taken off."""
    room = site.new_room()
    viewer = visit(f"/rooms/{room}", "Lena", locale=LOCALE)
    crowd = [sender(room, f"raider{number}") for number in range(RAIDERS)]
    for raider in crowd:
        raider.post("refuse this one 冲")
    member = team["olga"]
    for _ in range(100):
        member.goto(at_desk(site, "/staff/modes"))
        if member.locator(f'form[action="/staff/modes/{room}"]').count():
            break
        member.wait_for_timeout(100)
    picture(member, "modes-raid")
    follow(member, f'form[action="/staff/modes/{room}"] .primary')
    expect(viewer.locator("#mode")).to_be_visible()
    expect(viewer.locator("#rows .notice")).to_contain_text("E1")
    expect(viewer.locator("#status")).to_have_class("visually-hidden")  # it stands there once, by the field
    picture(viewer, "room-shield")
    (answer,) = crowd[0].outcomes([crowd[0].post("is it over")])
    assert answer["op"] == "held", answer
    member.goto(at_desk(site, f"/staff/modes/{room}"))
    member.check('[name=mode][value="open"]')
    member.select_option("[name=code]", "E5")
    member.fill("[name=basis]", "突袭已结束")
    picture(member, "modes-room")
    follow(member, "form.fields .primary")
    expect(viewer.locator("#mode")).to_be_hidden()
    expect(viewer.locator("#rows .notice")).to_have_count(2)
    picture(viewer, "room-open-again")
    crowd[1].say("peace")


def test_an_inspection_is_asked_for_approved_read_and_exported(
    site: Site, sender: Senders, team: dict[str, Page], tmp_path: Path
) -> None:
    """One asks, another approves, the inspector reads what it covers, removed texts too; the file verifies without a server, and one
    changed byte is found."""
    room = site.new_room()
    poster = sender(room)
    for text in ("covered", "removed and covered"):
        poster.say(text)
    site.remove(room, 2, "L8", "rule 3")
    address = allow_inspection(site, team, room)
    carl, ida = team["carl"], team["ida"]
    ida.goto(address)
    picture(ida, "inspection-inspector")
    follow(ida, ".entries a >> nth=0")
    expect(ida.locator("table")).to_contain_text("removed and covered")
    picture(ida, "inspection-part")
    carl.goto(address)
    with carl.expect_download() as download:
        carl.click('form[action$="/export"] .primary')
    bundle = tmp_path / "bundle.zip"
    download.value.save_as(bundle)
    carl.goto(address)
    picture(carl, "inspection-exported")
    key = tmp_path / "key.json"
    key.write_bytes(httpx.get(f"{site.url}/api/signing-key", timeout=30, trust_env=False).content)
    assert verified(bundle, key) == (0, True)
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 1
    bundle.write_bytes(data)
    assert verified(bundle, key) == (1, False)


def send(page: Page, address: str, **fields: str) -> str:
    """Send a form of the page's browser; the path to which that leads."""
    token = page.locator("[name=form_token]").first.input_value()
    answer = page.request.post(address, form={"form_token": token, **fields})
    assert answer.ok, address
    return urlsplit(answer.url).path


def test_axe_finds_nothing_on_pages_about_one_thing(
    browser: Browser, site: Site, visit: Visitor, team: dict[str, Page], axe: str
) -> None:
    """An account, a decision and its statement, a room's modes, a case, a finding, an inspection, a training set and an attempt, the
    owner's room: no violation, and nothing wider than a phone."""
    room, name = site.new_room(), new_name()
    inspection = urlsplit(allow_inspection(site, team, room)).path
    owner = visit(f"/account/sign-in?return=/rooms/{room}", locale=LOCALE, bypass_csp=True, **PHONE)
    go_in(site, owner, name)
    owner.check("[name=agree]")
    follow(owner, "form .primary")
    owner.goto(f"/rooms/{room}")
    owner.wait_for_selector('#connection[data-state="live"]')
    say(owner, "mine")
    expect(owner.locator("#c1 .text")).to_have_text("mine")
    context = browser.new_context(locale=LOCALE, bypass_csp=True, **PHONE)
    member = context.new_page()
    enrol(site, member, f"all.{secrets.token_hex(2)}", *get_args(StaffRole))
    member.goto(at_desk(site, f"/staff/accounts?room={room}&seq=1"))
    account = urlsplit(member.url).path
    site.operate("owner", room=room, owner=account.rpartition("/")[2])
    site.remove(room, 1, "L8", "rule 3")
    desk = at_desk(site, "/staff")
    case = {"kind": "incident", "source": "own", "title": "故障", "facts": "停机", "due": in_days(30)}
    finding = {
        "authority": "authority",
        "title": "线索",
        "summary": "一条",
        "code": "L5",
        "basis": "第十五条",
        "comments": f"{room}#1",
    }
    found = send(member, f"{desk}/outbox", **finding)
    training = send(member, f"{desk}/training", title="基础")
    for code in ("S1", "L7", "L8"):
        send(member, at_desk(site, training), what="question", text=f"例句 {code}", code=code, why="见规则")
    send(member, at_desk(site, training), what="publish")
    attempt = send(member, f"{desk}/training/begin", training=training.rpartition("/")[2])
    paths = [
        account, f"/staff/records?room={room}", "/staff/records/1", f"/staff/modes/{room}", send(member, f"{desk}/cases", **case),
        found, f"{found}/print", inspection, f"{inspection}/events", f"{inspection}/decisions", training, attempt,
    ]  # fmt: skip
    problems = look(member, [at_desk(site, path) for path in paths], axe)
    send(member, at_desk(site, training), what="retire")  # who has not passed could take nothing else
    context.close()
    owner.goto("/account")
    statement = owner.locator('a[href^="/account/statements/"]').first.get_attribute("href")
    problems += look(owner, ["/account", str(statement), "/account/rooms", f"/account/rooms/{room}"], axe)
    assert problems == []


def look(page: Page, addresses: Sequence[str], axe: str) -> list[str]:
    """What axe finds on each, everything opened; and which are wider than the screen."""
    found = []
    for address in addresses:
        answer = page.goto(address)
        assert answer is not None
        assert answer.ok, address
        page.evaluate("() => document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        found += [f"{address} {problem}" for problem in violations(page, axe)]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"{address} is wider than the screen")
    return found
