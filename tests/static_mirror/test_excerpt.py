"""static_mirror/excerpt.py"""

from __future__ import annotations

from static_mirror.excerpt import excerpt
from static_mirror.pages import Renderer, RoomText
from tests.support.events import comment

ROOM = RoomText("a", "Room")
EVENTS = [comment(seq, text=f"text-{seq}.") for seq in range(1, 257)]


def test_a_page_whose_rows_are_all_kept_stays_as_it_is() -> None:
    """Byte for byte, with its seal."""
    page = Renderer("UTC").sealed(ROOM, 0, EVENTS)
    assert excerpt(page, lambda seq: True) == page


def test_rows_are_left_out_and_said() -> None:
    """Their texts are gone, the seal and the range of the whole page too; the rest stands in order with a line for each gap."""
    page = Renderer("UTC").sealed(ROOM, 0, EVENTS)
    found = excerpt(page, {3, 4, 200}.__contains__)
    assert [seq for seq in range(1, 257) if b"text-%d." % seq in found] == [3, 4, 200]
    for gap in ("#1–#2 left out", "#5–#199 left out", "#201–#256 left out"):
        assert gap.encode() in found
    assert b"barrage-seal" not in found
    assert b'class="range"' not in found
    assert found.index(b"text-4.") < found.index(b"#5") < found.index(b"text-200.")
    assert found.endswith(b"</html>\n")


def test_an_open_page_ends_with_what_is_left_out() -> None:
    """There is nothing behind its last row that could follow."""
    page = Renderer("UTC").open(ROOM, 0, EVENTS[:5])
    found = excerpt(page, {2}.__contains__)
    assert found.endswith(b"</p>\n")
    assert b"#3" in found
    assert b"text-3." not in found
    assert excerpt(page, set[int]().__contains__).count(b"<article") == 0
    assert b"#1 left out" in excerpt(Renderer("UTC").open(ROOM, 0, EVENTS[:1]), set[int]().__contains__)
