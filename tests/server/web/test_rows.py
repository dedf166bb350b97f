"""server/web/rows.py"""

from __future__ import annotations

import re

import pytest

from server.reasons import OPERATION_CODES, REMOVAL_CODES, RESTORATION_CODES
from server.store.base import RoomInfo
from server.web import rows
from server.web.assets import STATIC_DIR
from server.web.rows import PageRows, localise, script_config, script_labels, script_regions
from server.wire import Event
from static_mirror import labels

ROOM = RoomInfo(
    name="demo", title="<Demo>", kind="live", mode="open", epoch="e1", created_ms=0, started_ms=0, head=3, video_url=""
)  # fmt: skip
EVENTS = [
    Event(seq=1, kind="comment", at_ms=0, removed_by=3, code="L5", basis="b", role="reviewer"),
    Event(seq=2, kind="comment", at_ms=0, text='<span lang="en">x</span>', author_name="n"),
    Event(seq=3, kind="removal", at_ms=0, target=1, code="L5", basis="b", role="reviewer"),
]


def test_rows_come_newest_first() -> None:
    """The newest row stands first; an empty list is empty."""
    made = PageRows("UTC")
    html = made.newest_first(ROOM, EVENTS, "zh-CN")
    assert re.findall(r'id="c(\d)"', html) == ["3", "2", "1"]
    assert made.newest_first(ROOM, [], "zh-CN") == ""


@pytest.mark.parametrize(("language", "there", "gone"), [("zh-CN", "举报", "Report"), ("en", "Report", "举报")])
def test_rows_speak_one_language(language: str, there: str, gone: str) -> None:
    """Words of the pages stand in the reader's language only; what people wrote is left as it is."""
    html = PageRows("UTC").newest_first(ROOM, EVENTS, language)
    assert there in html
    assert gone not in html
    assert '&lt;span lang="en"&gt;x&lt;/span&gt;' in html
    assert 'lang="en"' not in html.replace('&lt;span lang="en"&gt;', "")


def test_localising_keeps_what_stands_around() -> None:
    """Only the pair of words changes, with its leading space kept."""
    html = '<dd><bdi>L5</bdi> 违法内容 <span lang="en">unlawful content</span></dd>'
    assert localise(html, "zh-CN") == "<dd><bdi>L5</bdi> 违法内容</dd>"
    assert localise(html, "en") == "<dd><bdi>L5</bdi> unlawful content</dd>"
    assert localise("<p>a b</p>", "en") == "<p>a b</p>"


def test_templates_cover_each_kind_of_row() -> None:
    """The script gets a template for each kind of event, with the sample numbers that it replaces, at the start of a page."""
    html = PageRows("UTC").templates(ROOM, "en")
    assert re.findall(r'data-kind="(\w+)"', html) == [
        "comment", "tombstone", "removal", "restoration", "announcement", "mode", "site_mode",
    ]  # fmt: skip
    code = (STATIC_DIR / "rows.js").read_text()
    assert f"seq: {rows._SEQ}, target: {rows._TARGET}" in code
    assert (rows._SEQ - 1) % 256 == (rows._TARGET - 1) % 256 == 0


def test_labels_are_known_words() -> None:
    """Each name that the script may meet has a word, in one language."""
    for language in ("zh-CN", "en"):
        for group in script_labels(language).values():
            for name, word in group.items():
                assert word
                assert "<" not in word
                assert word.isascii() == (language == "en"), name


def test_every_code_of_a_row_has_words_beside_it() -> None:
    """Removals, restorations and modes: no reader is left with a bare code, on the static pages as little as in the room."""
    codes = REMOVAL_CODES | RESTORATION_CODES | OPERATION_CODES
    assert [code for code in codes if not labels.family(code)] == []
    assert {code[0] for code in codes} == set(script_labels("en")["families"])


def test_a_row_shows_region_and_label_in_one_language() -> None:
    """Words around them are the reader's; the label is the account's own, the region's name is translated."""
    event = Event(
        seq=1, kind="comment", at_ms=0, text="t", author_name="n", region="广东", label="南方日报", label_kind="media"
    )
    made = PageRows("UTC")
    chinese, english = (made.newest_first(ROOM, [event], language) for language in ("zh-CN", "en"))
    assert "IP属地：广东</data>" in chinese
    assert '<bdi itemprop="disambiguatingDescription">南方日报</bdi> <span class="kind">媒体</span></span>' in chinese
    assert 'value="广东">from Guangdong</data>' in english
    assert '<span class="kind">Media</span>' in english


def test_the_script_has_the_names_of_regions_that_it_needs() -> None:
    """Regions are Chinese names, so a Chinese page needs no others; any other page has them all."""
    assert script_regions("zh-CN") == {}
    assert (script_regions("en")["广东"], script_regions("en")["未知"]) == ("Guangdong", "an unknown place")
    assert script_config(ROOM, "en")["regions"] == script_regions("en")


def test_the_template_of_a_comment_has_places_for_region_and_label() -> None:
    """The script finds the sample value in the sentence by the element's value, and replaces it."""
    for language, sentence in (("zh-CN", "IP属地：…"), ("en", "from …")):
        html = PageRows("UTC").templates(ROOM, language)
        assert f'<data class="region" itemprop="locationCreated" value="…">{sentence}</data>' in html
        assert html.count('class="badge ') == html.count('class="kind"') == 1


def test_the_configuration_names_the_room() -> None:
    """What the script needs of the room, and what the caller adds."""
    config = script_config(ROOM, "en", head=3)
    assert (config["room"], config["kind"], config["epoch"], config["mode"], config["head"]) == (
        "demo",
        "live",
        "e1",
        "open",
        3,
    )
