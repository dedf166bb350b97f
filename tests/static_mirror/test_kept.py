"""Rows of a page as they were written."""

from __future__ import annotations

from static_mirror.kept import Kept
from static_mirror.pages import Renderer, RoomText, span_of
from tests.static_mirror.logs import ROOM, Log


def test_parts_are_the_whole() -> None:
    """Rows that were added in parts have the HTML and the span of all of them."""
    log = Log(30)
    log.notice(text="News")
    log.remove(3)
    log.comment(2)
    renderer, room = Renderer(), RoomText(ROOM, "")

    def rendered(first: int, last: int) -> bytes:
        return renderer.rows(room, log.events[first:last], first + 1)

    kept = Kept(rendered(0, 29), log.events[:29])
    for first, last in ((29, 30), (30, 32), (32, 34)):
        kept.add(rendered(first, last), log.events[first:last])
    assert (kept.html, kept.span) == (rendered(0, 34), span_of(log.events))
