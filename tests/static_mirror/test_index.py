"""The index of a room's pages."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from static_mirror import Mirror, index, rebuild, repair, seal
from static_mirror.index import IndexWriter, Mark, read_mark
from static_mirror.pages import Renderer, RoomText, Span
from tests.static_mirror.logs import ROOM, TITLE, Log, catch_up, folder_of, page_path, snapshot, started

PAGES = 256 + 3  # one full block and three pages of the next


def listed(data: bytes) -> list[int]:
    """The pages that an index file lists, from top to bottom."""
    return [int(number) for number in re.findall(rb'<li id="p(\d+)">', data)]


@pytest.fixture(scope="module")
def long_room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a room with more pages than one block of the index lists."""
    root = tmp_path_factory.mktemp("long")
    log = Log(PAGES * 256 + 10)
    rebuild(Mirror(root), ROOM, TITLE, log.head, log.read)
    return root


@pytest.fixture
def long_copy(long_room: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of it that a test may change."""
    root = tmp_path / "copy"
    shutil.copytree(long_room, root, copy_function=_link)
    yield root
    shutil.rmtree(root)


def _link(source: str, target: str) -> None:
    Path(target).hardlink_to(source)


def test_the_index_lists_sealed_pages_with_what_they_cover(tmp_path: Path) -> None:
    """Newest first, each with numbers, times and positions; the open page leads."""
    log = Log(600)
    mirror = started(tmp_path)
    catch_up(mirror, log)
    html = (folder_of(tmp_path) / "index.html").read_text()
    assert listed(html.encode()) == [1, 0]
    assert html.index('href="2.html"') < html.index('href="1.html"')
    assert '<span class="nw">#257–#512</span>' in html
    assert "2024-12-30 21:54:48" in html
    assert "4:17–8:32" in html
    assert "Asia/Shanghai" in html


def test_a_new_room_has_an_index(tmp_path: Path) -> None:
    """It names the open page, so every link of the first page leads somewhere."""
    started(tmp_path)
    data = (folder_of(tmp_path) / "index.html").read_bytes()
    assert listed(data) == []
    assert b'href="0.html"' in data
    assert b'rel="up"' not in data


def test_a_full_block_has_a_file_of_its_own(long_room: Path) -> None:
    """``index.html`` lists the pages after the last full block and links to the blocks; together they list every page once."""
    top = (folder_of(long_room) / "index.html").read_bytes()
    block = (folder_of(long_room) / "index-0.html").read_bytes()
    assert listed(top) == [258, 257, 256]
    assert listed(block) == list(range(255, -1, -1))
    assert b'<li id="b0"><a href="index-0.html">' in top
    assert f"#1–#{256 * 256}".encode() in top
    assert b'<a href="index.html">' in block


def test_a_removal_changes_nothing_in_the_index(tmp_path: Path) -> None:
    """The index holds no text and no counts, so it needs no writing when a comment is removed."""
    log = Log(600)
    mirror = started(tmp_path, log)
    before = (folder_of(tmp_path) / "index.html").read_bytes()
    log.remove(3)
    mirror.write_page(ROOM, 0, log.events[:256])
    mirror.write_index(ROOM, fresh=True)
    assert (folder_of(tmp_path) / "index.html").read_bytes() == before


def test_nothing_is_written_when_nothing_changed(tmp_path: Path) -> None:
    """An index that lists all sealed pages is left alone."""
    mirror = started(tmp_path, Log(600))
    path = folder_of(tmp_path) / "index.html"
    inode = path.stat().st_ino
    mirror.write_index(ROOM)
    assert path.stat().st_ino == inode


@pytest.mark.parametrize("name", ["index.html", "index-0.html"])
def test_a_lost_file_is_made_again(long_copy: Path, name: str) -> None:
    """A repair makes a missing index file again, by the process that wrote it and by a later one."""
    log = Log(PAGES * 256 + 10)
    path = folder_of(long_copy) / name
    whole = path.read_bytes()
    path.unlink()
    mirror = started(long_copy, log)
    assert path.read_bytes() == whole
    path.unlink()
    repair(mirror, ROOM, TITLE, log.head, log.read)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("name", ["index.html", "index-0.html"])
def test_a_cut_file_is_made_again(long_copy: Path, name: str) -> None:
    """A repair at start makes a cut index file again."""
    path = folder_of(long_copy) / name
    whole = path.read_bytes()
    path.unlink()
    path.write_bytes(whole[:-20])
    started(long_copy, Log(PAGES * 256 + 10))
    assert path.read_bytes() == whole


def test_pages_are_listed_when_they_are_sealed(long_copy: Path) -> None:
    """A full page that waits for its seal is not listed yet, also in a block that is full; sealing it adds it."""
    log = Log(PAGES * 256 + 10)
    mirror = started(long_copy, log)
    whole = snapshot(long_copy)
    folder = folder_of(long_copy)
    renderer = Renderer()
    for page in (200, 257):
        page_path(long_copy, page).unlink()
        unsealed = renderer.open(RoomText(ROOM, TITLE), page, log.read(page * 256, 256))
        page_path(long_copy, page).write_bytes(unsealed)
    later = Mirror(long_copy)
    later.add_room(ROOM, TITLE)
    assert later.check(ROOM, log.head) == [257]  # page 200 lies below pages that are whole: a deep check finds it
    later.write_index(ROOM, fresh=True)
    assert listed((folder / "index.html").read_bytes()) == [258, 256]
    assert 200 not in listed((folder / "index-0.html").read_bytes())
    seal(later, ROOM, [257], log.read)
    seal(later, ROOM, [200], log.read)
    assert snapshot(long_copy) == whole
    mirror.close()


def test_the_memory_of_spans_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was remembered first is forgotten first, and read again from its page when it is needed."""
    monkeypatch.setattr(index, "_SPANS", 2)
    log = Log(256 * 5)
    mirror = started(tmp_path, log)
    for page in range(5):
        mirror.write_page(ROOM, page, log.read(page * 256, 256))
    mirror.write_index(ROOM, fresh=True)
    assert listed((folder_of(tmp_path) / "index.html").read_bytes()) == [4, 3, 2, 1, 0]


def test_marks_are_read_back() -> None:
    """The last line of an index file tells what it lists; a cut or foreign file has none."""
    renderer, room = Renderer(), RoomText(ROOM, TITLE)
    spans = [(256, Span(65537, 65792, 10, 20, None)), (257, Span(65793, 66048, 15, 18, (4, 9)))]
    data = index.index(renderer, room, 258, spans, [])
    assert read_mark(data) == Mark(ROOM, 258, 2, Span(65537, 66048, 10, 20, (4, 9)))
    assert read_mark(data[:-1]) is None
    empty = index.index(renderer, room, 0, [], [])
    mark = read_mark(empty)
    assert mark is not None
    assert (mark.pages, mark.listed, mark.span.positions) == (0, 0, None)


def test_one_writer_serves_many_rooms(tmp_path: Path) -> None:
    """What is remembered of one room is never taken for another's."""
    log = Log(256)
    mirror = Mirror(tmp_path)
    for room in ("a", "b"):
        repair(mirror, room, "", 256 if room == "a" else 0, log.read)
    assert listed((tmp_path / "rooms/a/comments/index.html").read_bytes()) == [0]
    assert listed((tmp_path / "rooms/b/comments/index.html").read_bytes()) == []
    writer = IndexWriter(Renderer())
    writer.update(RoomText("a", ""), tmp_path / "rooms/b/comments", 1)
    assert read_mark((tmp_path / "rooms/b/comments/index.html").read_bytes()) == Mark("a", 1, 0, Span(257, 256, 0, 0, None))
