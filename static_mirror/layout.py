"""Where things stand in the pages folder, and which page an event stands on: names and arithmetic, no I/O.

::

    assets/pages.css
    rooms/{room}/comments/{n}.html          page n: events n*256+1 ... (n+1)*256
    rooms/{room}/comments/index.html        the newest pages, and links to the blocks
    rooms/{room}/comments/index-{k}.html    block k: pages k*256 ... k*256+255, once all of them are full

An *open* page always exists: page ``head // 256``, which may be without rows yet. All pages before it are full.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

PAGE_ROWS: Final = 256
BLOCK_PAGES: Final = 256

INDEX_NAME: Final = "index.html"
STYLE_NAME: Final = "pages.css"
STYLE_ADDRESS: Final = "../../../assets/pages.css"  # relative, so that any web server may serve the folder under any prefix

_ROOM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_PAGE_NAME: Final = re.compile(r"(0|[1-9][0-9]{0,11})\.html")
_BLOCK_NAME: Final = re.compile(r"index-(0|[1-9][0-9]{0,11})\.html")
_TEMPORARY_NAME: Final = re.compile(r"\.[a-z0-9.-]{1,40}\.tmp")


def is_room_name(name: str) -> bool:
    """Whether ``name`` may name a room, and so a folder: it can neither leave its parent nor be hidden in it."""
    return _ROOM.fullmatch(name) is not None


def comments_folder(root: Path, room: str) -> Path:
    """The folder of a room's pages. Raises ValueError for a bad room name."""
    if not is_room_name(room):
        raise ValueError(f"{room!r} cannot name a room: 1 to 64 of A-Z a-z 0-9 _ -, beginning with a letter or a digit")
    return root / "rooms" / room / "comments"


def page_of(seq: int) -> int:
    """The page that event ``seq`` (from 1) stands on."""
    return (seq - 1) // PAGE_ROWS


def first_seq(page: int) -> int:
    """The number of the first event of a page."""
    return page * PAGE_ROWS + 1


def open_page(head: int) -> int:
    """The page that the event after ``head`` will stand on; all pages before it are full."""
    return head // PAGE_ROWS


def block_of(page: int) -> int:
    """The block of the index that lists a page."""
    return page // BLOCK_PAGES


def page_name(page: int) -> str:
    """File name of a page."""
    return f"{page}.html"


def block_name(block: int) -> str:
    """File name of a full block of the index."""
    return f"index-{block}.html"


def temporary_name(name: str) -> str:
    """File name under which the next version of ``name`` is written; hidden, and of a form that is never served."""
    return f".{name}.tmp"


def page_number(name: str) -> int | None:
    """The page whose file name this is, None when it is none."""
    match = _PAGE_NAME.fullmatch(name)
    return int(match[1]) if match else None


def block_number(name: str) -> int | None:
    """The block of the index whose file name this is, None when it is none."""
    match = _BLOCK_NAME.fullmatch(name)
    return int(match[1]) if match else None


def is_temporary(name: str) -> bool:
    """Whether this is the name of a file that a crash left behind between writing and renaming."""
    return _TEMPORARY_NAME.fullmatch(name) is not None
