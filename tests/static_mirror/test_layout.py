"""Names and arithmetic of the pages folder."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.wire import page_number as wire_page_number
from static_mirror import layout


@given(st.integers(1, 10**12))
def test_every_event_has_one_page_and_pages_hold_256(seq: int) -> None:
    """An event lies within the numbers of its page, and the protocol computes the same page."""
    page = layout.page_of(seq)
    assert layout.first_seq(page) <= seq < layout.first_seq(page + 1)
    assert layout.first_seq(page + 1) - layout.first_seq(page) == 256
    assert wire_page_number(seq) == page


def test_open_page_follows_the_head() -> None:
    """The open page is the one on which the next event will stand, so a full page is followed by an empty one."""
    assert [layout.open_page(head) for head in (0, 1, 255, 256, 257, 512)] == [0, 0, 0, 1, 1, 2]


@pytest.mark.parametrize("name", ["a", "A9_-", "0", "x" * 64])
def test_room_names(name: str) -> None:
    """Names of the protocol name a folder below the root."""
    assert layout.comments_folder(Path("/srv/pages"), name) == Path("/srv/pages/rooms") / name / "comments"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a\\b",
        "/etc",
        ".hidden",
        "-x",
        "_x",
        "a.b",
        "x" * 65,
        "a\n",
        "a\0",
        "房间",
        "a b",
        "%2e%2e",
        "ａ",
    ],
)
def test_room_names_cannot_leave_the_folder(name: str) -> None:
    """What could leave the folder, hide in it, or be read differently by a file system is refused."""
    assert not layout.is_room_name(name)
    with pytest.raises(ValueError, match="cannot name a room"):
        layout.comments_folder(Path("/srv/pages"), name)


@given(st.text(max_size=70))
def test_any_accepted_name_stays_below_the_root(name: str) -> None:
    """Whatever the text, an accepted name resolves to a folder below ``rooms``."""
    root = Path("/srv/pages")
    if layout.is_room_name(name):
        assert (root / "rooms" / name).resolve().parent == root / "rooms"


def test_file_names_are_read_back() -> None:
    """Pages, blocks and temporary files are told apart by name, other names are none of them."""
    assert layout.page_number(layout.page_name(1234)) == 1234
    assert layout.block_number(layout.block_name(7)) == 7
    assert layout.is_temporary(layout.temporary_name(layout.page_name(3)))
    assert layout.is_temporary(layout.temporary_name(layout.INDEX_NAME))
    for name in ("index.html", "01.html", "-1.html", "1.htm", "1.html\n", "٣.html", "pages.css"):
        assert layout.page_number(name) is None
        assert layout.block_number(name) is None
        assert not layout.is_temporary(name)
