"""The index of a room's pages: which page covers which numbers, times and positions.

A room may have 100,000 pages, so the index is in blocks of 256 pages: ``index.html`` lists the pages of the block that is not
full yet, newest first, and links to the full blocks; each full block is a file of its own that is written once. Everything is
taken from the seals of the pages, so the index can be made again at any time and holds nothing that a removal changes.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from static_mirror.files import read_tail, replace_file
from static_mirror.labels import both
from static_mirror.layout import BLOCK_PAGES, INDEX_NAME, PAGE_ROWS, block_name, block_of, first_seq, page_name
from static_mirror.pages import SEAL_LIMIT, Renderer, RoomText, Span, joined, read_seal

_MARK: Final = re.compile(
    rb"<!-- barrage-index v=1 room=([A-Za-z0-9_-]{1,64}) pages=(\d{1,12}) listed=(\d{1,4})"
    rb" from=(-?\d{1,19}) to=(-?\d{1,19}) pos=(?:(-?\d{1,19})\.\.(-?\d{1,19})|none) -->\n\Z"
)
_MARK_LIMIT: Final = 512  # no mark has more bytes
_SPANS: Final = 8192  # remembered; the one remembered first is forgotten, and read again from its page
_LINES: Final = 2048  # formatted pages kept: a page that is sealed adds one line to those that stand already

Listed = tuple[int, Span]  # a page or block, and what it covers


class Mark(NamedTuple):
    """The last line of an index file. ``listed`` pages stand in it, the last of them before page ``pages``; ``span`` is what
    they cover together (of no meaning when none is listed)."""

    room: str
    pages: int
    listed: int
    span: Span


def read_mark(tail: bytes) -> Mark | None:
    """The mark at the end of an index file's bytes; None when there is none."""
    match = _MARK.search(tail, max(0, len(tail) - _MARK_LIMIT))
    if match is None:
        return None
    room, pages, listed, from_ms, to_ms, low, high = match.groups()
    end = int(pages)
    positions = (int(low), int(high)) if low is not None else None
    span = Span(first_seq(end - int(listed)), end * PAGE_ROWS, int(from_ms), int(to_ms), positions)
    return Mark(room.decode(), end, int(listed), span)


def index(renderer: Renderer, room: RoomText, newest: int, pages: Sequence[Listed], blocks: Sequence[Listed]) -> bytes:
    """``index.html``: ``newest`` is the open page, ``pages`` are those of the block not yet full, ``blocks`` the full ones."""
    current = (
        f'<li class="open"><a href="{page_name(newest)}">{both(f"第 {newest} 页", f"Page {newest}")}</a>'
        f" <span>{both('最新弹幕，仍在更新', 'The newest comments, still growing')}</span></li>\n"
    )
    body = f'<ul class="index">\n{current}{_pages(renderer, pages)}</ul>\n'
    if blocks:
        lines = "".join(
            f'<li id="b{block}"><a href="{block_name(block)}">{_range(block)}</a> <span>{renderer.span(span)}</span></li>\n'
            for block, span in reversed(blocks)
        )
        body += f'<h2>{both("更早的页", "Earlier pages")}</h2>\n<ul class="index">\n{lines}</ul>\n'
    return _document(renderer, room, INDEX_NAME, both("全部页码", "All pages"), body, newest, pages)


def block(renderer: Renderer, room: RoomText, number: int, pages: Sequence[Listed]) -> bytes:
    """``index-{k}.html``: the pages of a full block."""
    body = f'<ul class="index">\n{_pages(renderer, pages)}</ul>\n'
    return _document(renderer, room, block_name(number), _range(number), body, (number + 1) * BLOCK_PAGES, pages)


def _range(block: int) -> str:
    first, last = block * BLOCK_PAGES, (block + 1) * BLOCK_PAGES - 1
    return both(f"第 {first}–{last} 页", f"Pages {first}–{last}")


def _pages(renderer: Renderer, pages: Sequence[Listed]) -> str:
    return "".join([_page(renderer, page, span) for page, span in reversed(pages)])


@lru_cache(_LINES)
def _page(renderer: Renderer, page: int, span: Span) -> str:
    return (
        f'<li id="p{page}"><a href="{page_name(page)}">{both(f"第 {page} 页", f"Page {page}")}</a>'
        f" <span>{renderer.span(span)}</span></li>\n"
    )


def _document(renderer: Renderer, room: RoomText, name: str, what: str, body: str, end: int, pages: Sequence[Listed]) -> bytes:
    up = "" if name == INDEX_NAME else f'<a href="{INDEX_NAME}">{both("全部页码", "All pages")}</a>\n'
    span = joined([span for _, span in pages])
    positions = f"{span.positions[0]}..{span.positions[1]}" if span.positions else "none"
    return (
        renderer.head(room, "全部页码 All pages", name)
        + '<body class="list">\n<header class="bar">\n<nav aria-label="页面 Pages">\n'
        + f'<a href="{room.base}">{both("返回房间", "Room")}</a>\n{up}</nav>\n</header>\n'
        + f'<main>\n<h1 dir="auto">{room.title}</h1>\n<p class="range">{what}</p>\n'
        + f'<p class="legend">{both(f"时间为 {renderer.tz}。", f"Times are those of {renderer.tz}.")}</p>\n'
        + f"{body}</main>\n</body>\n</html>\n"
        + f"<!-- barrage-index v=1 room={room.name} pages={end} listed={len(pages)}"
        + f" from={span.from_ms} to={span.to_ms} pos={positions} -->\n"
    ).encode()


class IndexWriter:
    """Keeps the index files of all rooms up to date.

    May be used by several threads at once, for different rooms. They share what pages and full blocks cover, by room and file
    name: facts that no later writing of the same log changes. A lock guards them.
    """

    def __init__(self, renderer: Renderer) -> None:
        self._renderer: Final = renderer
        self._lock: Final = threading.Lock()
        self._spans: Final[OrderedDict[tuple[str, str], Span]] = OrderedDict()

    def remember(self, room: RoomText, name: str, span: Span) -> None:
        """What the room's page or block of this file name covers, so that it need not be read for it."""
        with self._lock:
            self._spans[room.name, name] = span
            if len(self._spans) > _SPANS:
                self._spans.popitem(last=False)

    def update(self, room: RoomText, folder: Path, newest: int, *, fresh: bool = False) -> None:
        """Write the files that do not list what they should, or all of them; ``newest`` is the open page. Raises MirrorError.

        Blocks go first: a crash before ``index.html`` is replaced leaves an index that lists the same pages by itself.
        """
        blocks = [(block, self._block(room, folder, block, fresh=fresh)) for block in range(block_of(newest))]
        start = block_of(newest) * BLOCK_PAGES
        path = folder / INDEX_NAME
        mark = read_mark(read_tail(path, _MARK_LIMIT)[0])
        if fresh or mark is None or (mark.room, mark.pages, mark.listed) != (room.name, newest, newest - start):
            replace_file(path, index(self._renderer, room, newest, self._listed(room, folder, range(start, newest)), blocks))

    def _block(self, room: RoomText, folder: Path, number: int, *, fresh: bool) -> Span:
        """What a full block covers; its file is written when it is missing or does not list all its pages."""
        name = block_name(number)
        path = folder / name
        if not fresh and path.exists():
            span = self._recall(room, name)
            if span is not None:
                return span
            mark = read_mark(read_tail(path, _MARK_LIMIT)[0])
            if mark is not None and (mark.room, mark.pages, mark.listed) == (
                room.name,
                (number + 1) * BLOCK_PAGES,
                BLOCK_PAGES,
            ):
                self.remember(room, name, mark.span)
                return mark.span
        pages = self._listed(room, folder, range(number * BLOCK_PAGES, (number + 1) * BLOCK_PAGES))
        replace_file(path, block(self._renderer, room, number, pages))
        span = joined([span for _, span in pages])
        if len(pages) == BLOCK_PAGES:
            self.remember(room, name, span)
        return span

    def _listed(self, room: RoomText, folder: Path, pages: range) -> list[Listed]:
        """Those of the pages that are sealed, with what they cover."""
        listed = []
        for page in pages:
            name = page_name(page)
            span = self._recall(room, name)
            if span is None:
                seal = read_seal(read_tail(folder / name, SEAL_LIMIT)[0])
                if seal is None:
                    continue
                span = seal.span
                self.remember(room, name, span)
            listed.append((page, span))
        return listed

    def _recall(self, room: RoomText, name: str) -> Span | None:
        with self._lock:
            return self._spans.get((room.name, name))
