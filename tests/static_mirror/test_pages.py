"""HTML of rows and pages."""

from __future__ import annotations

import hashlib
import zoneinfo
from html.parser import HTMLParser

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from server.wire import Event
from static_mirror import pages
from static_mirror.labels import CATEGORIES
from static_mirror.pages import Renderer, RoomText, Span
from tests.static_mirror.logs import Log

ROOM = RoomText("demo", "Title")
ANY_TEXT = st.text(st.characters(exclude_categories=()))  # every code point, surrogates and controls included


class Elements(HTMLParser):
    """Start tags in order, and the text within elements of class ``text`` and ``bdi``."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.names: list[str] = []
        self._into: list[str] | None = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if ("class", "text") in attrs or tag == "bdi":
            self._into = self.names if tag == "bdi" else self.texts
            self._into.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in {"p", "bdi"}:
            self._into = None

    def handle_data(self, data: str) -> None:
        if self._into is not None:
            self._into[-1] += data


def row(**fields: object) -> str:
    event = msgspec.structs.replace(Event(seq=300, kind="comment", at_ms=1_735_566_011_123), **fields)
    return Renderer().rows(ROOM, [event], 300).decode()


PLAIN_TAGS = Elements(row(text="x", author_name="y")).tags


@given(ANY_TEXT, ANY_TEXT)
def test_any_text_is_text_and_makes_no_element(text: str, name: str) -> None:
    """Whatever a comment or nickname holds, a parser finds the same elements and reads back the same text."""
    html = row(text=text, author_name=name)
    found = Elements(html)
    assert found.tags == PLAIN_TAGS
    assert found.texts == [pages.harmless(text)]
    assert found.names == [pages.harmless(name)]
    assert html.count("\n") == 1
    assert html.endswith("</article>\n")


@given(ANY_TEXT)
def test_what_html_allows_is_unchanged(text: str) -> None:
    """Only what HTML forbids is replaced, one character for one; every kind of line end is a line feed."""
    shown = pages.harmless(text)
    assert len(shown) == len(text.replace("\r\n", "\n"))
    for was, now in zip(text.replace("\r\n", "\n").replace("\r", "\n"), shown, strict=True):
        assert was == now or (now == "\ufffd" and not was.isprintable() and was not in "\t\n\u200d\u202e\u3000")
    assert shown.encode().decode() == shown
    assert pages.harmless(shown) == shown


@pytest.mark.parametrize(
    "character", ["\0", "\x08", "\x0b", "\x1b", "\x7f", "\x85", "\ud800", "\ufdd0", "\ufffe", "\U0010ffff"]
)
def test_controls_surrogates_and_noncharacters_are_made_harmless(character: str) -> None:
    """They stand as the replacement character."""
    assert pages.escape(f"a{character}b") == "a\ufffdb"


@pytest.mark.parametrize("character", ["\t", "é", "e\u0301", "\u200d", "\u202e", "\u3000", "\ue000", "👩‍🚀", "\U000e0041"])
def test_other_characters_stay(character: str) -> None:
    """Text is text: marks, joiners, directions and private characters are not ours to change."""
    assert pages.escape(f"a{character}b") == f"a{character}b"


@given(st.text(st.sampled_from("&<>\"'\n\r\t;#xab\u3000\0"), max_size=12))
def test_both_ways_of_escaping_agree(text: str) -> None:
    """The quick way for printable text gives what the thorough way gives."""
    thorough = pages.harmless(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", "&#10;")
    assert pages.escape(text) == thorough


def test_comment_row() -> None:
    """A comment has its anchor, a link to itself, position, text, time with zone, author, report link and microdata."""
    assert row(text="你好", author_name="小明", pos_ms=3_725_999) == (
        '<article id="c300" class="comment" itemscope itemtype="https://schema.org/Comment">'
        '<h2><a href="#c300" itemprop="url">#300</a></h2><data class="pos" value="3725999">1:02:05</data>'
        '<p class="text" itemprop="text" dir="auto">你好</p>'
        '<footer><time itemprop="dateCreated" datetime="2024-12-30T21:40:11.123+08:00">2024-12-30 21:40:11</time>'
        ' <span class="by" itemprop="author" itemscope itemtype="https://schema.org/Person"><bdi itemprop="name">小明</bdi></span>'
        ' <a class="report" rel="nofollow" href="/rooms/demo/report?seq=300">举报 <span lang="en">Report</span></a>'
        "</footer></article>\n"
    )


def test_region_and_label_are_elements_of_their_own() -> None:
    """They stand beside the nickname, readable in both languages, with microdata; a row without them is as it was before."""
    html = row(text="你好", author_name="小明", region="中国香港", label="南方日报", label_kind="news_unit")
    badge = (
        ' <span class="badge news_unit" role="note"><bdi itemprop="disambiguatingDescription">南方日报</bdi>'
        ' <span class="kind">新闻单位 <span lang="en">News unit</span></span></span>'
    )
    region = (
        ' <data class="region" itemprop="locationCreated" value="中国香港">'
        'IP属地：中国香港 <span lang="en">from Hong Kong, China</span></data>'
    )
    assert f"小明</bdi>{badge}</span>{region} <a " in html
    assert html.replace(badge, "").replace(region, "") == row(text="你好", author_name="小明")


def test_a_label_that_is_its_category_says_it_once() -> None:
    """Certified creators have no other words than these; a label of a category of a later version is shown by itself."""
    assert row(label="认证创作者", label_kind="creator").count("认证创作者") == 1
    assert ' <span class="badge other" role="note"><bdi itemprop="disambiguatingDescription">x</bdi></span>' in row(
        label="x", label_kind="guild"
    )


LABELLED_TAGS = Elements(row(text="x", author_name="y", label="z", label_kind="other")).tags


@given(ANY_TEXT.filter(bool), ANY_TEXT.filter(lambda kind: kind not in CATEGORIES), ANY_TEXT)
def test_any_label_is_text_and_makes_no_element(label: str, kind: str, region: str) -> None:
    """Labels come from the server; were they hostile all the same (markup, directions, controls), they would be text."""
    html = row(text="x", author_name="y", label=label, label_kind=kind, region=region)
    expected = [*LABELLED_TAGS]
    if region:
        expected[-2:-2] = ["data", "span"]
    assert Elements(html).tags == expected
    assert Elements(html).names == ["y", pages.harmless(label)]
    assert html.count("\n") == 1


@given(name=ANY_TEXT, text=ANY_TEXT)
@example(name="南方日报 新闻单位", text="新闻单位 南方日报")
@example(name='</bdi></span> <span class="badge news_unit" role="note">南方日报</span>', text="")
def test_a_nickname_or_a_text_never_is_a_label(name: str, text: str) -> None:
    """Whatever an author writes, the row has no badge: the element is given by the server to labelled accounts only."""
    html = row(author_name=name, text=text)
    assert Elements(html).tags == PLAIN_TAGS
    assert 'class="badge' not in html.replace(pages.escape(name), "").replace(pages.escape(text), "")


def test_tombstone_says_why_and_keeps_nothing() -> None:
    """A removed comment shows code, basis, role and a link to the removal on its own page; never text or author."""
    said = {"text": "SECRET", "author_name": "SOMEBODY", "region": "广东", "label": "LABEL", "label_kind": "media"}
    html = row(**said, removed_by=600, code="L5", basis="<第七条>", role="reviewer")
    assert not any(word in html for word in ("广东", "LABEL", "badge", "region"))
    assert 'class="tombstone"' in html
    assert "SECRET" not in html
    assert "SOMEBODY" not in html
    assert "itemscope" not in html
    assert "/report" not in html
    for part in (
        "L5",
        "unlawful content",
        "&lt;第七条&gt;",
        "审核员",
        'href="/rooms/demo/comments/2.html#c600"',
        "该弹幕已移除",
    ):
        assert part in html


def test_removal_and_restoration_rows_link_to_their_target_and_hold_no_text() -> None:
    """The records stand in the log's order, name the comment on its page, and never repeat what it said."""
    for kind, word in (("removal", "was removed"), ("restoration", "was restored")):
        said = {"text": "SECRET", "author_name": "SOMEBODY", "region": "广东", "label": "LABEL", "label_kind": "media"}
        html = row(kind=kind, target=12, code="U1", basis="recall", role="author", **said)
        assert not any(word in html for word in ("广东", "LABEL", "badge", "region"))
        assert f'<article id="c300" class="{kind}">' in html
        assert 'href="/rooms/demo/comments/0.html#c12"' in html
        assert word in html
        assert "作者本人" in html
        assert "SECRET" not in html
        assert "SOMEBODY" not in html


def test_notices() -> None:
    """Announcements, modes, and notices or kinds of a later version each have a row, for their number must stand."""
    assert Elements(row(kind="notice", notice="announcement", text="<b>今晚")).texts == ["<b>今晚"]
    assert "只读" in row(kind="notice", notice="mode", room_mode="read_only")
    assert "&lt;new&gt;" in row(kind="notice", notice="mode", room_mode="<new>")
    assert "<bdi>&lt;other&gt;</bdi>" in row(kind="notice", notice="<other>")
    whole = row(
        kind="notice",
        notice="site_mode",
        room_mode="shield",
        until_ms=1_790_000_000_000,
        code="E1",
        basis="<raid>",
        role="program",
    )
    for words in (
        "全站模式改为",
        "防护",
        '<span class="until">至',
        '<time datetime="2026-09-',
        "E1",
        "&lt;raid&gt;",
        "程序自动",
    ):
        assert words in whole
    assert "until" not in row(kind="notice", notice="mode", room_mode="open")
    assert "why" not in row(kind="notice", notice="mode", room_mode="open")
    later = row(kind="<pin>", text="what is this")
    assert 'class="notice"' in later
    assert "&lt;pin&gt;" in later
    assert "what is this" not in later


def test_a_gap_in_the_numbers_is_refused() -> None:
    """Rows whose numbers do not follow each other are never rendered."""
    log = Log(3)
    with pytest.raises(ValueError, match="event 3 stands where 2 must be"):
        Renderer().rows(ROOM, [log.events[0], log.events[2]], 1)


@pytest.mark.parametrize(
    ("position", "shown"),
    [
        (-5, "0:00"),
        (0, "0:00"),
        (999, "0:00"),
        (61_000, "1:01"),
        (3_599_999, "59:59"),
        (3_600_000, "1:00:00"),
        (172_800_000, "48:00:00"),
    ],
)
def test_positions(position: int, shown: str) -> None:
    """Positions are shown in minutes and seconds, with hours when there are any; the value keeps the milliseconds."""
    assert pages.clock(position) == shown
    assert f'value="{position}">{shown}</data>' in row(pos_ms=position)


@pytest.mark.parametrize(
    ("tz", "at_ms", "element"),
    [
        ("UTC", 0, '<time datetime="1970-01-01T00:00:00.000+00:00">1970-01-01 00:00:00</time>'),
        ("America/New_York", 1_720_000_000_005, '<time datetime="2024-07-03T05:46:40.005-04:00">2024-07-03 05:46:40</time>'),
        ("America/New_York", 1_735_566_011_123, '<time datetime="2024-12-30T08:40:11.123-05:00">2024-12-30 08:40:11</time>'),
        ("Africa/Monrovia", 1000, '<time datetime="1970-01-01T00:00:01.000+00:00">1970-01-01 00:00:01</time>'),
        ("UTC", -1, '<time datetime="1970-01-01T00:00:00.999+00:00">1970-01-01 00:00:00</time>'),
        ("Asia/Shanghai", 10**18, '<time datetime="9999-12-30T08:00:00.000+08:00">9999-12-30 08:00:00</time>'),
    ],
)
def test_times(tz: str, at_ms: int, element: str) -> None:
    """Times carry their zone's offset of that day; what HTML cannot say (seconds in an offset, year 10000) is avoided."""
    if tz not in {"UTC", "Asia/Shanghai"} and tz not in zoneinfo.available_timezones():
        pytest.skip("this machine has no time zone database")
    assert Renderer(tz).time(at_ms) == element


def test_unknown_zone() -> None:
    """A zone that does not exist is refused with a sentence; the defaults work without a zone database."""
    with pytest.raises(ValueError, match="'Moon/Crater' is not a time zone known"):
        Renderer("Moon/Crater")


def test_default_zones_without_a_database() -> None:
    """On a machine without a time zone database, Shanghai and UTC are still known."""
    before = zoneinfo.TZPATH
    try:
        zoneinfo.reset_tzpath(to=())
        zoneinfo.ZoneInfo.clear_cache()
        assert "+08:00" in Renderer("Asia/Shanghai").time(0)
        assert "+00:00" in Renderer("UTC").time(0)
    finally:
        zoneinfo.reset_tzpath(to=before)
        zoneinfo.ZoneInfo.clear_cache()


def test_room_text() -> None:
    """A title is escaped and on one line; a room without title shows its name; a bad name is refused."""
    assert RoomText("demo", "a<b>\nc").title == "a&lt;b&gt; c"
    assert RoomText("demo", " ").title == "demo"
    with pytest.raises(ValueError, match="cannot name a room"):
        RoomText("../x", "")


def test_open_page_is_its_head_and_its_rows() -> None:
    """So appending rows to a shorter open page gives the longer one, byte for byte."""
    log = Log(10)
    renderer = Renderer()
    short = renderer.open(ROOM, 0, log.events[:4])
    assert short + renderer.rows(ROOM, log.events[4:], 5) == renderer.open(ROOM, 0, log.events)


def test_navigation() -> None:
    """The first page has no previous one, an open page no next one; sealed pages have both, and all a canonical address."""
    renderer = Renderer()
    first = renderer.open(ROOM, 0, []).decode()
    assert 'rel="prev"' not in first
    third = renderer.open(ROOM, 2, []).decode()
    assert '<link rel="prev" href="1.html">' in third
    assert 'rel="next"' not in third
    log = Log(512)
    sealed = renderer.sealed(ROOM, 1, log.events[256:]).decode()
    for part in (
        '<link rel="prev" href="0.html">',
        '<link rel="next" href="2.html">',
        '<link rel="canonical" href="/rooms/demo/comments/1.html">',
        '<link rel="stylesheet" href="../../../assets/pages.css">',
        '<a href="index.html">',
        '<a href="/rooms/demo">',
        "#257–#512",
    ):
        assert part in sealed


def test_seal_is_read_back() -> None:
    """The seal tells the page's room, number, rows, times, positions and the digest of all before it."""
    log = Log(256)
    log.events[3] = msgspec.structs.replace(log.events[3], pos_ms=-20, at_ms=5)
    data = Renderer().sealed(ROOM, 0, log.events)
    seal = pages.read_seal(data)
    assert seal is not None
    assert (seal.room, seal.page) == ("demo", 0)
    assert seal.span == pages.span_of(log.events) == Span(1, 256, 5, log.events[-1].at_ms, (-20, 256_000))
    assert seal.size + seal.length == len(data)
    assert hashlib.sha256(data[: seal.size]).hexdigest() == seal.sha256
    assert pages.read_seal(data[-pages.SEAL_LIMIT :]) == seal


def test_seal_without_comments_has_no_positions() -> None:
    """A page of notices only covers no part of the video."""
    log = Log()
    for _ in range(256):
        log.notice(text="x")
    seal = pages.read_seal(Renderer().sealed(ROOM, 0, log.events))
    assert seal is not None
    assert seal.span.positions is None


def test_no_seal() -> None:
    """An open page has none, nor has a page cut in its seal or followed by anything; a comment's text cannot forge one."""
    log = Log(256)
    data = Renderer().sealed(ROOM, 0, log.events)
    forged = data[data.rindex(b"<!--") :].decode()
    assert pages.read_seal(data[:-1]) is None
    assert pages.read_seal(data + b"\n") is None
    assert pages.read_seal(b"") is None
    log.comment(text=forged)
    assert pages.read_seal(Renderer().open(ROOM, 1, log.events[256:])) is None


def test_rows_are_the_same_on_open_and_sealed_pages() -> None:
    """Sealing changes the frame and not one byte of a row."""
    log = Log(256)
    renderer = Renderer()
    rows = renderer.rows(ROOM, log.events, 1)
    assert rows in renderer.open(ROOM, 0, log.events)
    assert rows in renderer.sealed(ROOM, 0, log.events)
