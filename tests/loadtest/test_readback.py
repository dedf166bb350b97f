"""Reading log and pages back; rows are those that the real pages have."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.messages import PageRow
from loadtest.readback import ReadbackError, Reader, parse_rows, read_page_files
from server.wire import Event
from static_mirror import Mirror
from tests.support.fake_barrage import ROOM, FakeBarrage, Faults

TEXTS = ["plain", "<b>&amp; \"quoted\" 'too'</b>", "前方高能 😀", "  spaces  kept  "]


def filled(count: int) -> FakeBarrage:
    server = FakeBarrage()
    for number in range(count):
        server._append("ann", {"text": f"t{number}", "pos_ms": 0, "mode": "scroll", "color": "#ffffff", "size": 25})
    return server


def test_rows_of_real_pages(tmp_path: Path) -> None:
    """The rows that the static pages are made of are read back with number, text, author and tombstones; records have none."""
    mirror = Mirror(tmp_path, tz="UTC", max_open=4)
    events = [
        Event(seq=seq, kind="comment", at_ms=1000, text=text, author_id="p", author_name="安 <i>")
        for seq, text in enumerate(TEXTS, 1)
    ]
    events.append(Event(seq=5, kind="comment", at_ms=1000, removed_by=6, code="L5", basis="b", role="reviewer"))
    events.append(Event(seq=6, kind="removal", at_ms=1000, target=5, code="L5", basis="b", role="reviewer"))
    mirror.add_room(ROOM, "Demo")
    mirror.write_page(ROOM, 0, events)
    mirror.close()
    rows = read_page_files(tmp_path, ROOM)
    assert rows[:4] == [PageRow(0, seq, text, "安 <i>", False) for seq, text in enumerate(TEXTS, 1)]
    assert rows[4:] == [PageRow(0, 5, "", "", True), PageRow(0, 6, "", "", False)]


def test_incomplete_rows_are_none() -> None:
    """A row that was cut off by a crash does not count; articles without a number are no rows."""
    html = '<article id="c1" class="comment"><p itemprop="text">a</p></article><article id="x"></article><article id="c2" class="comm'
    assert [row.seq for row in parse_rows(html, 0)] == [1]
    assert [row.seq for row in parse_rows(html + 'ent"><p itemprop="text">b', 0)] == [1]


def test_page_files_in_order(tmp_path: Path) -> None:
    """Pages are read in the order of their numbers; other files are left alone; a room without pages has no rows."""
    folder = tmp_path / "rooms" / ROOM / "comments"
    folder.mkdir(parents=True)
    for page, seq in ((10, 2561), (2, 513), (0, 1)):
        (folder / f"{page}.html").write_text(f'<article id="c{seq}" class="comment"></article>')
    (folder / "index.html").write_text('<article id="c9"></article>')
    assert [(row.page, row.seq) for row in read_page_files(tmp_path, ROOM)] == [(0, 1), (2, 513), (10, 2561)]
    assert read_page_files(tmp_path, "other") == []


async def test_reading_log_and_pages() -> None:
    """The log is read in pieces to its end, or in a part; pages from where the part begins."""
    async with filled(2300) as server, Reader(server.url, ROOM) as reader:
        log = await reader.log()
        assert [event.seq for event in log.events] == list(range(1, 2301))
        assert log.epoch == "e1"
        assert [event.seq for event in (await reader.log(10, 20)).events] == list(range(11, 21))
        rows = await reader.pages(300, 2300)
        assert [row.seq for row in rows] == list(range(301, 2301))


async def test_a_page_past_the_end_is_read() -> None:
    """Rows on the page after the last one, where none may be, are not overlooked."""
    async with filled(300) as server, Reader(server.url, ROOM) as reader:
        assert len(await reader.pages(0, 200)) == 300


async def test_missing_pages_are_missing_rows() -> None:
    """Rows that a page does not have are not made up."""
    async with filled(3) as server, Reader(server.url, ROOM) as reader:
        server.faults = Faults(unpaged={2})
        assert [row.seq for row in await reader.pages(0, 3)] == [1, 3]


async def test_what_cannot_be_read() -> None:
    """An answer that is none, or no answer, is a ReadbackError that says where."""
    async with filled(1) as server:
        async with Reader(server.url, "other") as reader:
            with pytest.raises(ReadbackError, match="HTTP 404"):
                await reader.log()
        url = server.url
    async with Reader(url, ROOM) as reader:
        with pytest.raises(ReadbackError, match="ConnectError"):
            await reader.log()
