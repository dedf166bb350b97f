"""The review desk in a browser: a run by keys alone, and what axe says of its pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Faults, Site
from tests.browser.test_accessibility import violations
from tests.browser.test_staff import enrol
from tests.support.sender import Sender

PAGES = ("/queue?queue=held", "/queue?queue=report", "/patrol", "/patrol/search?text=x", "/figures")


def hold(sender: Callable[..., Sender], room: str, *texts: str) -> None:
    """Send comments that wait for review."""
    poster = sender(room)
    answers = poster.outcomes([poster.post(f"hold this one {text}") for text in texts])
    assert [answer["op"] for answer in answers] == ["held"] * len(texts)


def shown(page: Page) -> str:
    """The text of the item that is shown, without its beginning."""
    return page.inner_text(".item blockquote").removeprefix("hold this one ")


def test_a_reviewer_works_by_keys_alone(browser: Browser, site: Site, sender: Callable[..., Sender], faults: Faults) -> None:
    """One key takes the next item, one publishes, one refuses, two refuse by another code, one undoes; equal texts go together; the
    basis can be written; and nothing of it needs a pointer."""
    room = site.new_room()
    hold(sender, room, "one", "two", "three", "same", "same", "last")
    context = browser.new_context(locale="en", viewport={"width": 1280, "height": 800})
    page = faults.watch(context.new_page())
    enrol(site, page, "key.board")
    page.goto(f"{page.url}/queue?room={room}")
    expect(page.locator(".waiting li")).to_have_count(6)
    keys = page.keyboard
    keys.press("n")
    page.wait_for_url("**/staff/queue/*")
    expect(page.locator("#pace")).to_be_visible()
    texts = [shown(page)]
    for key in ("a", "r"):
        keys.press(key)
        expect(page.locator("#last p")).to_contain_text("Decided")
        expect(page.locator(".item blockquote")).not_to_have_text(f"hold this one {texts[-1]}")
        texts.append(shown(page))
        number = page.url.partition("?")[0].rpartition("/")[2]
        assert page.title().startswith(f"#{number} "), "the window names what it shows"
    assert texts == ["one", "two", "three"]
    keys.press("3")
    keys.press("r")
    expect(page.locator("#last p")).to_contain_text("L8")
    keys.press("u")
    expect(page.locator(".item blockquote")).to_have_text("hold this one three")
    keys.press("b")
    keys.type("rule three")
    keys.press("Escape")
    keys.press("r")
    expect(page.locator(".item blockquote")).to_have_text("hold this one same")
    keys.press("e")
    keys.press("r")
    expect(page.locator("#last p")).to_contain_text("2 decided together")
    expect(page.locator(".item blockquote")).to_have_text("hold this one last")
    keys.press("?")
    expect(page.locator("#keys dl")).to_be_visible()
    keys.press("a")
    expect(page.locator(".nothing")).to_be_focused()
    expect(page.locator("#last p")).to_contain_text("Publish")
    page.goto(f"{site.url}/rooms/{room}")
    expect(page.locator("#rows .text")).to_have_text(["hold this one last", "hold this one one"])
    context.close()
    assert faults.seen == []


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 360)])
def test_axe_finds_nothing_on_the_desks_pages(
    browser: Browser, site: Site, sender: Callable[..., Sender], axe: str, theme: Any, width: int
) -> None:
    """No violation, and nothing wider than the screen; an item, patrol, search and figures, with everything opened."""
    room = site.new_room()
    hold(sender, room, "x" * 60)
    sender(room).say("said")
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=theme, bypass_csp=True, locale="zh-CN")
    page = context.new_page()
    enrol(site, page, f"desk.{theme}")
    base, problems = page.url, []
    page.goto(f"{base}/queue?room={room}")
    item = page.locator(".waiting .open").first.get_attribute("href")
    for path in (*(base + each for each in PAGES), site.url.replace("127.0.0.1", "localhost") + str(item)):
        page.goto(path)
        page.evaluate("() => document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        problems += [f"{path} {problem}" for problem in violations(page, axe)]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    context.close()
    assert problems == []
