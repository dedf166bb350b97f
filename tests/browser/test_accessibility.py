"""axe-core over our pages and the static ones, in both themes, on desktop and phone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Site, follow
from tests.support.sender import Sender

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(page: Page, axe: str) -> list[str]:
    """What axe finds, one line for each element."""
    page.evaluate(axe)
    found: dict[str, Any] = page.evaluate("rules => axe.run(document, { runOnly: rules })", RULES)
    return [
        f"{rule['id']}: {node['html'][:200]} ({node['failureSummary']})"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


@pytest.fixture
def room(site: Site, sender: Callable[..., Sender]) -> str:
    """A room with each kind of row."""
    name = site.new_room()
    poster = sender(name)
    for text in ("晚上好", "hello", "to be removed", "a < b & <b>"):
        poster.say(text)
    site.remove(name, 3, "L5", "rule 7")
    site.announce(name, "公告")
    return name


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("locale", ["zh-CN", "en"])
def test_axe_finds_nothing(
    browser: Browser, site: Site, axe: str, room: str, sender: Callable[..., Sender], theme: Any, width: int, locale: str
) -> None:
    """No violation on the room's page (its panels open, comments flying), on static pages, in the report form, on the front page."""
    # axe is put into pages by the test; the policy of the pages, which forbids that, is tested elsewhere.
    context = browser.new_context(
        base_url=site.url, viewport={"width": width, "height": 800}, color_scheme=theme, locale=locale, bypass_csp=True
    )
    page = context.new_page()
    page.goto(f"/rooms/{room}#token={site.token('axe', 'Lena')}")
    page.wait_for_selector("#say:visible")
    sender(room).say("flying")
    expect(page.locator(".fly")).to_have_count(1)
    problems = violations(page, axe)
    for panel in ("#settings", "#style"):
        page.click(f"{panel} summary")
        expect(page.locator(f"{panel} .panel")).to_be_visible()
        problems += violations(page, axe)
    page.locator("#rows a.report").first.click()
    expect(page.locator("dialog[open]")).to_be_visible()
    problems += violations(page, axe)
    paths = ["/", f"/rooms/{room}/comments/0.html", f"/rooms/{room}/comments/index.html"]
    if width == 360:  # what is the same at any width is looked at once
        page.goto("/transparency")
        paths += ["/transparency", page.locator("#main li a").first.get_attribute("href") or "", "/reports"]
    for path in (*paths, f"/rooms/{room}/report?seq=1"):
        page.goto(path)
        problems += [f"{path} {problem}" for problem in violations(page, axe)]
    follow(page, ".reasons button >> nth=0", "**/reports/*")
    problems += violations(page, axe)
    context.close()
    assert problems == []


def test_axe_would_find_something(browser: Browser, axe: str) -> None:
    """The check is awake: a picture without words and pale text are found."""
    context = browser.new_context()
    page = context.new_page()
    page.set_content('<html lang="en"><title>t</title><main><h1>h</h1><img src="x"><p style="color:#ccc">pale</p></main>')
    found = {problem.partition(":")[0] for problem in violations(page, axe)}
    context.close()
    assert {"image-alt", "color-contrast"} <= found
