"""The newcomer's way in a browser, with scripts on and off, on desktop and phone: from reading to the first comment."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import Faults, Site, follow, rows, say
from tests.browser.test_accessibility import violations

_CODE = re.compile(r"Phone code for \S+: (\d+)")
_REFUSED = "Failed to load resource: the server responded with a status of 4"
"""What Chromium's console says of a page that tells of a mistake."""

Open = Callable[..., Page]


@pytest.fixture
def visit_site(browser: Browser, site: Site, faults: Faults) -> Iterator[Open]:
    """``visit_site(path, scripts=, width=, ...)``: a page in a browser of its own; axe may be put into it."""
    contexts: list[BrowserContext] = []

    def make(path: str, *, scripts: bool = True, width: int = 1280, locale: str = "zh-CN", **options: Any) -> Page:
        options["viewport"] = {"width": width, "height": 780}
        contexts.append(
            browser.new_context(base_url=site.url, java_script_enabled=scripts, locale=locale, bypass_csp=True, **options)
        )
        page = faults.watch(contexts[-1].new_page())
        page.goto(path)
        return page

    yield make
    for context in contexts:
        context.close()
    assert [fault for fault in faults.seen if not fault.startswith(_REFUSED)] == []


def newest_code(site: Site, before: int) -> str:
    """The code that the terminal shows after ``before`` others."""
    deadline = time.monotonic() + 10
    while len(codes := _CODE.findall(site.logs())) <= before:
        assert time.monotonic() < deadline, "no code in the terminal"
        time.sleep(0.02)
    found: str = codes[-1]
    return found


def go_in(site: Site, page: Page, nickname: str, look: Callable[[Page], None] = lambda page: None) -> None:
    """From the way in to the agreement; ``look`` is called on each page."""
    before = len(_CODE.findall(site.logs()))
    look(page)
    page.fill("#phone", f"139{secrets.randbelow(10**8):08}")
    follow(page, "form .primary")
    look(page)
    page.fill("#code", newest_code(site, before))
    follow(page, "form .primary")
    look(page)
    page.fill("#nickname", nickname)
    page.check("[name=noticed]")
    follow(page, "form .primary")
    look(page)


def new_name() -> str:
    """A nickname that looks like nobody's."""
    return f"路人{secrets.randbelow(10**6):06}"


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scripts", [True, False])
def test_duty_p5_1_the_newcomers_way(site: Site, visit_site: Open, axe: str, scripts: bool, width: int) -> None:
    """Phone, code from the terminal, nickname, agreement, lesson, first comment: within a minute, each page free of barriers and as
    wide as the screen; the account's pages too."""
    room = site.new_room()
    started = time.monotonic()
    looked_s = 0.0
    problems: list[str] = []

    def look(page: Page) -> None:
        nonlocal looked_s
        if scripts:
            before = time.monotonic()
            wide = page.evaluate("() => document.documentElement.scrollWidth")
            problems.extend([f"{page.url}: {wide} wide"] if wide > width else [])
            problems.extend(f"{page.url} {found}" for found in violations(page, axe))
            looked_s += time.monotonic() - before

    page = visit_site(f"/rooms/{room}", scripts=scripts, width=width)
    look(page)
    follow(page, "#signin a")
    name = new_name()
    go_in(site, page, name, look)
    page.check("[name=agree]")
    follow(page, "form .primary")
    look(page)
    for number, right in enumerate((1, 0, 2)):
        page.check(f"[name=q{number}] >> nth={right}")
    follow(page, "form .primary")
    assert page.url == f"{site.url}/rooms/{room}"
    if scripts:
        page.wait_for_selector('#connection[data-state="live"]')
    say(page, "第一条")
    expect(page.locator("#rows .text")).to_have_text("第一条")
    assert rows(page) == ["第一条"]
    assert time.monotonic() - started - looked_s < 60
    look(page)
    expect(page.locator("#rows .by")).to_contain_text(name)
    for path in ("/account", "/account/credit", "/account/verify", "/account/agreement", "/account/privacy"):
        page.goto(path)
        look(page)
    page.goto("/account")
    follow(page, "text=退出登录")
    page.goto(f"/rooms/{room}")
    expect(page.locator("#signin a")).to_have_text("注册或登录")
    assert problems == []


def test_the_player_keeps_its_token_fresh(site: Site, visit_site: Open) -> None:
    """The page gets a token from the session, signs its connection in, and asks for a new one before the old one has expired. When
    the session was ended elsewhere, the page goes on as a reader's."""
    room = site.new_room()
    page = visit_site(f"/account/sign-in?return=/rooms/{room}")
    go_in(site, page, new_name())
    page.check("[name=agree]")
    follow(page, "form .primary")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/session/token") else None)
    page.clock.install()
    follow(page, "text=以后再说")
    expect(page.locator("#status")).to_contain_text("的身份发弹幕")
    expect(page.locator("#whoami a")).to_have_attribute("href", "/account")
    assert len(asked) == 1
    with page.expect_response("**/api/v1/session/token"):
        page.clock.fast_forward("11:00")
    assert len(asked) == 2
    assert page.evaluate("() => barrage.token.split('.').length") == 3
    page.wait_for_selector('#connection[data-state="live"]')
    say(page, "still here")
    expect(page.locator("#rows .text")).to_have_text("still here")
    other = page.context.new_page()
    other.goto("/account")
    follow(other, "text=退出登录")
    page.clock.fast_forward("11:00")
    expect(page.locator("#signin a")).to_have_text("注册或登录")


def test_what_is_missing_is_one_click_away_and_back(site: Site, visit_site: Open) -> None:
    """Whoever has not signed finds the agreement from the room, signs, and is back in the room, ready to write."""
    room = site.new_room()
    page = visit_site(f"/account/sign-in?return=/rooms/{room}", locale="en")
    go_in(site, page, new_name())
    follow(page, "text=Not now: go on reading")
    assert page.url == f"{site.url}/rooms/{room}"
    page.wait_for_selector('#connection[data-state="live"]')
    follow(page, "#signin a")
    page.check("[name=agree]")
    follow(page, "form .primary")
    follow(page, "text=Later")
    page.wait_for_selector("#say:visible")
    say(page, "signed")
    expect(page.locator("#rows .text")).to_have_text("signed")


def test_duty_p8_a_measure_is_seen_and_appealed_against(site: Site, visit_site: Open, axe: str) -> None:
    """A suspension reaches the page that is open: the next comment is refused, one click leads to the reason, where an appeal is
    filed; the page is free of barriers, in both themes."""
    room = site.new_room()
    page = visit_site(f"/account/sign-in?return=/rooms/{room}", width=360)
    name = new_name()
    go_in(site, page, name)
    page.check("[name=agree]")
    follow(page, "form .primary")
    follow(page, "text=以后再说")
    page.wait_for_selector("#say:visible")
    site.operate(
        "account",
        op="accounts.measure",
        who={"nickname": name},
        rung="suspend",
        code="L8",
        basis="条款 3.4",
        duration_ms=3_600_000,
    )
    say(page, "没看见")
    follow(page, "#status a")
    assert page.url == f"{site.url}/account?return=/rooms/{room}#measures"
    expect(page.locator("#measures h3")).to_contain_text("账号已暂停使用")
    page.click("#measures summary")
    page.fill("#measures textarea", "我没有侮辱任何人。")
    problems = violations(page, axe)
    page.emulate_media(color_scheme="dark")
    problems += violations(page, axe)
    follow(page, "text=提交申诉")
    expect(page.locator("#measures .note")).to_contain_text("正在复核")
    assert problems == []
