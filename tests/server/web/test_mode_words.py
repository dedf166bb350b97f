"""What a room's page says of its mode, to whoever posts."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from server.core.modes import ORDER
from server.store.base import RoomInfo
from server.web.rows import mode_words
from server.web.script_messages import SCRIPT_MESSAGES

ROOM = RoomInfo(name="r", title="R", kind="live", mode="open", epoch="e", created_ms=0, started_ms=0, head=0)


def test_every_mode_but_open_has_words() -> None:
    """An open room says nothing; all others say what it means; a pace is that of the room, or the site's."""
    told = {mode: mode_words(replace(ROOM, mode=mode), 9.5, SCRIPT_MESSAGES) for mode in ORDER}
    assert told["open"] == ""
    assert len(set(told.values())) == len(ORDER)
    assert "every 10 s" in told["slow"]
    assert "every 30 s" in mode_words(replace(ROOM, mode="shield", slow_ms=29_500), 9.5, SCRIPT_MESSAGES)
    assert not any("{" in words for words in told.values())


@pytest.mark.parametrize(
    ("mode", "news"), [("open", True), ("slow", True), ("shield", True), ("review", False), ("closed", False)]
)
def test_a_room_of_news_says_so_unless_its_mode_says_more(mode: str, news: bool) -> None:
    """Its comments wait in any case; where none are taken, that is what is said."""
    words = mode_words(replace(ROOM, mode=mode, news=True), 10, SCRIPT_MESSAGES)
    assert ("news" in words) == news
