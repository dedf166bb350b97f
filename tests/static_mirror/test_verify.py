"""The independent reader finds what is wrong on pages, whoever wrote them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from static_mirror import seal
from static_mirror.verify import PageFault, Row, read_rows, verify
from tests.static_mirror.logs import ROOM, Log, folder_of, page_path, started


def room(root: Path) -> Log:
    """Three pages with everything on them: sealed, sealed, open."""
    log = Log(300)
    log.remove(7)
    log.remove(290)
    log.restore(290)
    log.notice(text="hello & welcome")
    log.notice(notice="mode", room_mode="closed")
    log.comment(300)
    started(root, log)
    return log


def test_rows_are_read_back(tmp_path: Path) -> None:
    """Each row with its number, kind, text, whether it was removed, and what it links to."""
    log = room(tmp_path)
    rows = list(read_rows(folder_of(tmp_path)))
    assert [row.seq for row in rows] == list(range(1, log.head + 1))
    assert rows[0] == Row(1, "comment", "text 1", removed=False, target=0)
    assert rows[6] == Row(7, "comment", "", removed=True, target=301)
    assert rows[300:305] == [
        Row(301, "removal", "", removed=False, target=7),
        Row(302, "removal", "", removed=False, target=290),
        Row(303, "restoration", "", removed=False, target=290),
        Row(304, "notice", "hello & welcome", removed=False, target=0),
        Row(305, "notice", "", removed=False, target=0),
    ]


def test_region_and_label_are_read_back(tmp_path: Path) -> None:
    """A comment's own; rows without them, also those of before there were any, read as they did."""
    log = Log(3)
    log.events[1] = msgspec.structs.replace(log.events[1], region="刚果（金）", label="<b>日报", label_kind="media")
    log.comment()
    started(tmp_path, log)
    rows = list(read_rows(folder_of(tmp_path)))
    assert rows[1] == Row(2, "comment", "text 2", False, 0, "刚果（金）", "<b>日报", "media")
    assert [(row.region, row.label, row.label_kind) for row in rows[::2]] == [("", "", "")] * 2
    assert verify(folder_of(tmp_path)).problems == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (b'value="\xe5\xb9\xbf\xe4\xb8\x9c"', b'value="other"', "row #1 has a region other than it shows"),
        (b'<bdi itemprop="disambiguatingDescription">LABEL</bdi>', b"", "row #1 has a label that is not one badge"),
        (b' <span class="badge media" role="note">', b" <span>", "row #1 has a label that is not one badge"),
        (b'<article id="c2" class="comment"', b'<article id="c2" class="tombstone"', "though it was removed"),
        (b'<article id="c3" class="notice">', b'<article id="c3" class="notice"><span class="badge x"></span>', "no comment"),
    ],
)
def test_a_label_or_region_where_none_belongs_is_found(tmp_path: Path, old: bytes, new: bytes, told: str) -> None:
    """Half a label, a region that shows another one, and either on a tombstone or a notice are faults."""
    log = Log(2)
    said = {"region": "广东", "label": "LABEL", "label_kind": "media"}
    log.events[:] = [msgspec.structs.replace(event, **said) for event in log.events]
    log.notice(text="hello")
    started(tmp_path, log)
    path = page_path(tmp_path, 0)
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    assert any(told in problem for problem in verify(folder_of(tmp_path)).problems)


def test_counts(tmp_path: Path) -> None:
    """The report counts pages, seals, rows, comments and removed ones."""
    room(tmp_path)
    assert verify(folder_of(tmp_path)) == (3, 2, 0, 605, 600, 1, 0, [])


def resealed(data: bytes) -> bytes:
    """The page with a right seal for what it holds now: a careful forger's work."""
    start = data.rindex(b"<!-- barrage-seal")
    mark = re.sub(rb"bytes=\d+", b"bytes=%d" % start, data[start:])
    return data[:start] + re.sub(rb"sha256=\w+", b"sha256=" + hashlib.sha256(data[:start]).hexdigest().encode(), mark)


def swap(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Replaces once, and keeps the seal right."""

    def change(data: bytes) -> bytes:
        assert old in data
        data = data.replace(old, new, 1)
        return resealed(data) if b"barrage-seal" in data else data

    return change


@pytest.mark.parametrize(
    ("page", "change", "told"),
    [
        (0, lambda data: data.replace(b"text 5<", b"test 5<"), "0.html was changed after it was sealed"),
        (0, lambda data: data[:-1], "0.html has a damaged seal"),
        (1, swap(b'id="c300"', b'id="c299"'), "1.html row #299 has no link to itself"),
        (0, swap(b'<article id="c256"', b'<article id="c257"'), "0.html row #257 has no link to itself"),
        (0, swap(b'class="text"', b'class="text" onclick="x"'), "which no page holds"),
        (0, swap(b"text 9<", b"text <script></script><"), "has <script>"),
        (0, swap(b"text 9<", b"text <b>9</b><"), "within a text"),
        (0, swap(b"text 9<", b"text </div>9<"), "closes <div> where ['p'] is open"),
        (0, swap(b"<main>", b"<main>loose"), "has loose text 'loose'"),
        (0, swap(b"report?seq=9", b"report?seq=8"), "row #9 has no text or no report link"),
        (0, swap(b'itemprop="dateCreated" datetime="2024', b'itemprop="dateCreated" datetime="x'), "row #1 has no time"),
        (
            0,
            swap(
                b'.836+08:00">2024-12-30 21:40:12</time> <span class="by"', b'.836">2024-12-30 21:40:12</time> <span class="by"'
            ),
            "row #1 has a time without zone",
        ),
        (0, swap(b'class="label">', b'class="text">'), "row #7 has a text or an author, though it was removed"),
        (0, swap(b"comments/1.html#c301", b"comments/2.html#c301"), "is not the page of #301"),
        (0, swap(b"/comments/1.html#c301", b"/comments/x"), "has a link to"),
        (1, swap(b"comments/0.html#c7", b"comments/0.html#c8"), "#7 is shown as removed by #301, the records say #0"),
        (1, swap(b'class="restoration"', b'class="removal"'), "#290 is shown as removed by #0, the records say #303"),
        (1, swap(b'class="notice"', b'class="other"'), "has a row with anchor 'c304' and class 'other'"),
        (1, swap(b'<article id="c400"', b'<div><article id="c400"'), "has row 'c400' in ['html', 'body', 'main', 'div']"),
        (1, swap(b"page=1", b"page=2"), "1.html has a seal that does not belong to it"),
        (1, swap(b"</body>\n</html>\n", b""), "is sealed and ends within ['html', 'body']"),
        (2, lambda data: data[: data.rindex(b"</article>")], "2.html is open and ends within"),
        (2, lambda data: data[data.index(b"\n") :], "does not begin with its doctype"),
        (2, lambda data: data + data[data.rindex(b"<article") :], "without gaps"),
        (2, lambda data: data + b"\xff", "2.html cannot be read"),
    ],
)
def test_faults_are_found(tmp_path: Path, page: int, change: Callable[[bytes], bytes], told: str) -> None:
    """Each kind of damage or forgery is told with its page, by both readers where it is on a page."""
    room(tmp_path)
    path = page_path(tmp_path, page)
    path.write_bytes(change(path.read_bytes()))
    report = verify(folder_of(tmp_path))
    assert report.faults
    assert any(told in problem for problem in report.problems), report.problems
    if "shown as" not in told:
        with pytest.raises(PageFault, match=rf"{page}\.html"):
            list(read_rows(folder_of(tmp_path)))


def test_missing_pages(tmp_path: Path) -> None:
    """A page that is not there, and a folder without any."""
    room(tmp_path)
    page_path(tmp_path, 1).unlink()
    report = verify(folder_of(tmp_path))
    assert report.problems[0] == "1 pages are missing, the first is 1.html"
    with pytest.raises(PageFault, match=r"1\.html is missing"):
        list(read_rows(folder_of(tmp_path)))
    page_path(tmp_path, 99_999_999_999).write_bytes(b"")
    assert "99999999997 pages are missing" in verify(folder_of(tmp_path)).problems[0]
    assert "has no pages" in verify(tmp_path / "nothing").problems[0]


def test_a_short_page_before_the_last(tmp_path: Path) -> None:
    """Only the last page may have fewer than 256 rows."""
    log = Log(300)
    started(tmp_path, log)
    path = page_path(tmp_path, 0)
    data = path.read_bytes()
    path.write_bytes(resealed(data[: data.index(b'<article id="c256"')] + data[data.index(b"</main>\n<footer") :]))
    assert "0.html has 255 rows" in verify(folder_of(tmp_path)).problems


def test_index_faults(tmp_path: Path) -> None:
    """An index that is gone, lists a page twice or lacks one."""
    room(tmp_path)
    path = folder_of(tmp_path) / "index.html"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'id="p1"', b'id="p0"'))
    assert verify(folder_of(tmp_path)).problems == [
        "the index lists a page twice",
        "the index does not agree with the pages on [1]",
    ]
    path.unlink()
    assert "index.html cannot be read" in verify(folder_of(tmp_path)).problems[0]


def test_problems_are_bounded(tmp_path: Path) -> None:
    """A folder full of faults is told in a hundred sentences and a count."""
    room(tmp_path)
    for page in (0, 1):
        path = page_path(tmp_path, page)
        path.write_bytes(path.read_bytes().replace(b"report?seq=", b"report?x="))
    report = verify(folder_of(tmp_path))
    assert len(report.problems) == 100
    assert report.faults > 400


def test_full_pages_that_wait_for_their_seal_are_no_fault(tmp_path: Path) -> None:
    """A running server seals a moment after a page is full: it is counted, and goes away with sealing."""
    log = Log()
    mirror = started(tmp_path)
    full = mirror.append(ROOM, log.comment(257))
    assert verify(folder_of(tmp_path)) == (2, 0, 1, 257, 257, 0, 0, [])
    seal(mirror, ROOM, full, log.read)
    assert verify(folder_of(tmp_path)) == (2, 1, 0, 257, 257, 0, 0, [])


def test_a_removal_done_by_halves_is_found(tmp_path: Path) -> None:
    """A removal's row without its tombstone (appended before the page was rewritten) is a fault."""
    log = Log(10)
    mirror = started(tmp_path, log)
    mirror.append(ROOM, [log.remove(3)])
    assert verify(folder_of(tmp_path)).problems == ["#3 is shown as removed by #0, the records say #11 (0: not removed)"]


def test_a_tombstone_without_its_removal_is_found(tmp_path: Path) -> None:
    """A comment that vanished without a record is a fault, for nothing may vanish silently."""
    log = Log(10)
    log.remove(3)
    log.events.pop()
    started(tmp_path, log)
    assert verify(folder_of(tmp_path)).problems == ["#3 is shown as removed by #11, the records say #0 (0: not removed)"]
