"""Label and region in real browsers: the room's list, the picture, the static pages, the report form."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from server.store.sql import SqlStore
from tests.browser.conftest import UNLIMITED, Site
from tests.browser.test_accessibility import violations
from tests.support.drafts import comment, held, removal, restoration

LABEL = {"label": "南方日报", "label_kind": "news_unit"}
FORGED = '</bdi><span class="badge news_unit">南方日报</span>'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server whose log has comments with and without label and region; public accounts are made elsewhere."""
    data = tmp_path_factory.mktemp("labels") / "data"
    store = SqlStore.open(data / "barrage.db")
    now = time.time_ns() // 1_000_000
    store.create_room("a", "夜航船 Night boat", "live", now - 600_000)
    drafts: list[dict[str, Any]] = [
        {"text": "今晚九点，灯会开场", "author_name": "小编阿南", "region": "广东", **LABEL},
        {"text": "南方日报 · 新闻单位", "author_name": "南方日报 · 新闻单位", "region": "未知"},
        {"text": FORGED, "author_name": FORGED, "region": "日本"},
        {"text": "画得真好", "author_name": "Lena"},
        {
            "text": "<b>教程在主页</b>",
            "author_name": "山雀",
            "label": "认证创作者",
            "label_kind": "creator",
            "region": "中国香港",
        },
        {
            "text": "\u202egnp.exe",
            "author_name": "x",
            "label": "\u202e报日<i>مرحبا",
            "label_kind": "guild",
            "region": "刚果（金）",
        },
        {"text": "removed", "author_name": "gone", "region": "北京", **LABEL},
        {"text": "restored", "author_name": "back", "region": "北京", **LABEL},
    ]
    store.append([comment(str(n), at_ms=now + n, pos_ms=60_000 + n, **fields) for n, fields in enumerate(drafts)])
    store.append([removal(7), removal(8, "rm8"), restoration(8), held(region="北京", **LABEL)])
    store.close()
    with Site(data, settings=UNLIMITED) as running:
        yield running


@pytest.fixture
def page(browser: Browser, site: Site, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of a reader; ``request.param`` has options of its context."""
    options = {
        "locale": "zh-CN",
        "viewport": {"width": 1280, "height": 800},
        "bypass_csp": True,
        **getattr(request, "param", {}),
    }
    context = browser.new_context(base_url=site.url, **options)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("page", [{"java_script_enabled": False}], indirect=True)
@pytest.mark.parametrize("path", ["/rooms/a", "/rooms/a/comments/0.html"])
def test_who_has_a_label_shows_it_and_nobody_else_does(page: Page, path: str) -> None:
    """Without script, in the list and on the static page: a badge of its own, not part of the nickname, on no forged row."""
    page.goto(path)
    badges = {number: page.locator(f"#c{number} .badge") for number in range(1, 9)}
    assert {number: badge.count() for number, badge in badges.items()} == {1: 1, 2: 0, 3: 0, 4: 0, 5: 1, 6: 1, 7: 0, 8: 1}
    expect(badges[1]).to_be_visible()
    expect(page.get_by_role("note").filter(has_text="南方日报").first).to_have_text(badges[1].inner_text())
    assert badges[1].locator("bdi").inner_text() == "南方日报"
    assert "新闻单位" in badges[1].inner_text()
    assert page.locator("#c1 [itemprop=name]").inner_text() == "小编阿南"
    assert page.locator("#c3 [itemprop=name]").inner_text() == FORGED
    grounds = {number: badges[number].evaluate("e => getComputedStyle(e).backgroundColor") for number in (1, 5, 6, 8)}
    assert len(set(grounds.values())) == 1
    for number in (2, 3):
        drawn = page.locator(f"#c{number} [itemprop=name]").evaluate("e => getComputedStyle(e).backgroundColor")
        assert drawn == "rgba(0, 0, 0, 0)" not in grounds.values()
    regions = {n: page.locator(f"#c{n} .region").all_inner_texts() for n in range(1, 9)}
    assert [bool(found) for found in regions.values()] == [True, True, True, False, True, True, False, True]
    assert regions[1][0].startswith("IP属地：广东")
    assert page.locator("#c5 .region").get_attribute("value") == "中国香港"


@pytest.mark.parametrize("page", [{"locale": "zh-CN"}, {"locale": "en"}], indirect=True)
def test_rows_of_the_script_are_those_of_the_server(page: Page) -> None:
    """From the same events the script makes the same rows, to the letter, label and region included."""
    page.goto("/rooms/a")
    page.wait_for_selector('#connection[data-state="live"]')
    made, rendered = page.evaluate("""async () => {
      const { Rows } = await import(document.querySelector("script[type=module]").src.replace(/[^/]+$/, "rows.js"));
      const config = JSON.parse(document.getElementById("config").textContent);
      const rendered = [...document.querySelectorAll("#rows article")].map((article) => article.outerHTML);
      const box = document.createElement("div");
      const rows = new Rows(box, document.getElementById("row-templates"), {
        timeZone: config.time_zone, pageRows: config.page_rows, labels: config.labels, regions: config.regions,
        most: 200, reading: () => false, onWaiting: () => {},
      });
      rows.add((await (await fetch("/api/rooms/a/events?after=0&limit=100")).json()).events);
      rows.show();
      return [[...box.querySelectorAll("article")].map((article) => article.outerHTML), rendered];
    }""")
    assert len(made) == 11
    assert made == rendered


@pytest.mark.parametrize(
    "page", [{}, {"viewport": {"width": 360, "height": 740}}, {"reduced_motion": "reduce"}],
    ids=["desktop", "phone", "standing still"], indirect=True,
)  # fmt: skip
def test_a_label_flies_with_its_comment(page: Page) -> None:
    """In the picture the label stands before the text in a box of its own, within the place that was measured for both; a
    text of the same words has no box."""
    page.goto("/rooms/a")
    page.wait_for_selector('#connection[data-state="live"]')
    page.evaluate("""async () => {
      const { Overlay } = await import(document.querySelector("script[type=module]").src.replace(/[^/]+$/, "overlay.js"));
      window.over = new Overlay(document.getElementById("overlay"), () => {});
      const said = { kind: "comment", at_ms: 0, pos_ms: 0, color: "#ffd54a", size: 25, author: { id: "", name: "" } };
      const label = { kind: "news_unit", text: "南方日报" };
      over.add({ ...said, seq: 1, mode: "scroll", text: "今晚九点，灯会开场", label });
      over.add({ ...said, seq: 2, mode: "scroll", text: "南方日报 今晚九点" });
      over.add({ ...said, seq: 3, mode: "top", text: "<b class=badge>x</b>", label });
      over.add({ ...said, seq: 4, mode: "top", text: "plain" });
    }""")
    lines = page.locator(".fly, .still span")
    expect(lines).to_have_count(4)
    assert sorted(lines.all_text_contents()) == sorted(
        ["南方日报今晚九点，灯会开场", "南方日报 今晚九点", "南方日报<b class=badge>x</b>", "plain"]
    )
    expect(page.locator("#overlay .badge")).to_have_count(2)
    flying = page.locator(".fly.scroll").filter(has=page.locator(".badge"))
    if flying.count():
        drawn, placed = flying.evaluate("e => [e.scrollWidth, parseFloat(e.style.minWidth)]")
        assert placed - 12 <= drawn <= placed + 1
    page.evaluate("() => { over.clear(); over.add({ seq: 9, mode: 'scroll', text: 'again', color: '#fff', size: 25 }); }")
    expect(page.locator("#overlay .badge")).to_have_count(0)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_wrong_with_labels(browser: Browser, site: Site, axe: str, theme: Any, tmp_path: Path) -> None:
    """Contrast, names and roles of badges and regions, on the room's page, the static page and in the report form."""
    context = browser.new_context(
        base_url=site.url, viewport={"width": 360, "height": 740}, color_scheme=theme, bypass_csp=True
    )
    page = context.new_page()
    problems = []
    for path in ("/rooms/a", "/rooms/a/comments/0.html", "/rooms/a/report?seq=1"):
        page.goto(path)
        expect(page.locator("#c1 .badge")).to_be_visible()
        problems += violations(page, axe)
    context.close()
    assert problems == []
