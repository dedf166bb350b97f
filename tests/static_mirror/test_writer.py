"""The mirror: appending, whole pages, checking."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from static_mirror import Mirror, MirrorError, rebuild, remake, repair, seal, writer
from static_mirror.files import make_folder
from static_mirror.verify import read_rows, verify
from tests.static_mirror.logs import ROOM, TITLE, Log, catch_up, folder_of, page_path, snapshot, started

TMP_PATH_IS_EMPTIED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


def descriptors(folder: Path) -> int:
    """How many of this process's descriptors are files below the folder."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{name}").startswith(str(folder))
        except OSError:
            continue
    return count


def test_rows_are_on_disk_when_append_returns(tmp_path: Path) -> None:
    """Every row of a batch can be read from the page the moment ``append`` has returned, and costs only its own bytes."""
    log = Log()
    mirror = started(tmp_path)
    for count in (1, 5, 50):
        before = page_path(tmp_path, 0).read_bytes()
        assert mirror.append(ROOM, log.comment(count)) == []
        after = page_path(tmp_path, 0).read_bytes()
        assert after.startswith(before)
        assert [row.text for row in read_rows(folder_of(tmp_path))] == [event.text for event in log.events]
        assert mirror.position(ROOM) == log.head


def test_pages_that_became_full_are_returned(tmp_path: Path) -> None:
    """A batch over several pages fills each, starts the next, and names the full ones; the page after the last row exists."""
    log = Log(700)
    mirror = started(tmp_path)
    assert mirror.append(ROOM, log.events) == [0, 1]
    assert [row.seq for row in read_rows(folder_of(tmp_path))] == list(range(1, 701))
    mirror.append(ROOM, log.comment(67))
    assert mirror.append(ROOM, log.comment(1)) == [2]
    assert page_path(tmp_path, 3).exists()
    assert verify(folder_of(tmp_path)).unsealed == 3


@settings(max_examples=25, deadline=None, suppress_health_check=TMP_PATH_IS_EMPTIED)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=8), st.data())
def test_append_and_rebuild_give_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], data: st.DataObject
) -> None:
    """Whatever the batches, removals and restorations, the folder is the one that a rebuild from the log makes."""
    root = tmp_path_factory.mktemp("appended")
    log = Log()
    mirror = started(root)
    for size in sizes:
        log.comment(size)
        catch_up(mirror, log, batch=data.draw(st.integers(1, 300)))
        for _ in range(data.draw(st.integers(0, 2))):
            target = data.draw(st.integers(1, log.head))
            event = log.events[target - 1]
            if event.kind != "comment":
                continue
            if event.removed_by:
                log.restore(target)
            else:
                log.remove(target)
            remake(mirror, ROOM, (target - 1) // 256, log.head - 1, log.read)
            catch_up(mirror, log)
    again = tmp_path_factory.mktemp("rebuilt")
    rebuild(Mirror(again), ROOM, TITLE, log.head, log.read)
    assert snapshot(root) == snapshot(again)
    assert mirror.check(ROOM, log.head, deep=True) == []
    assert verify(folder_of(root)).problems == []


def test_rows_already_there_are_skipped(tmp_path: Path) -> None:
    """Appending rows that a repair has put on the page already adds the missing ones only."""
    log = Log(20)
    mirror = started(tmp_path, log)
    log.comment(3)
    assert mirror.append(ROOM, log.events[15:]) == []
    assert mirror.append(ROOM, log.events[:5]) == []
    assert mirror.append(ROOM, []) == []
    assert [row.seq for row in read_rows(folder_of(tmp_path))] == list(range(1, 24))


def test_a_gap_is_an_error_and_writes_nothing(tmp_path: Path) -> None:
    """Rows that do not follow the last one are not written, and the room is in doubt until it is repaired."""
    log = Log(10)
    mirror = started(tmp_path, log)
    before = snapshot(tmp_path)
    log.comment(2)
    with pytest.raises(MirrorError, match="event 12 stands where 11 must be"):
        mirror.append(ROOM, log.events[11:])
    assert snapshot(tmp_path) == before
    assert mirror.position(ROOM) is None
    repair(mirror, ROOM, TITLE, log.head, log.read)
    assert mirror.position(ROOM) == 12


def test_an_event_that_cannot_be_rendered_puts_the_room_in_doubt(tmp_path: Path) -> None:
    """A fault of the caller passes through, and nothing is assumed of the page afterwards."""
    mirror = started(tmp_path)
    bad = msgspec.structs.replace(Log(1).events[0], text=None)
    with pytest.raises(AttributeError):
        mirror.append(ROOM, [bad])
    assert mirror.position(ROOM) is None


def test_nothing_is_appended_before_the_first_repair(tmp_path: Path) -> None:
    """A room that was only named is in doubt; one that was not even named is unknown."""
    mirror = Mirror(tmp_path)
    mirror.add_room(ROOM, TITLE)
    with pytest.raises(MirrorError, match="in doubt"):
        mirror.append(ROOM, Log(1).events)
    with pytest.raises(MirrorError, match="'other' is not known"):
        mirror.append("other", Log(1).events)


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".", "a\n"])
def test_room_names_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    """A bad name is refused before any path is made of it."""
    root = tmp_path / "pages"
    mirror = Mirror(root)
    before = snapshot(tmp_path)
    with pytest.raises(ValueError, match="cannot name a room"):
        mirror.add_room(name, "")
    with pytest.raises(ValueError, match="cannot name a room"):
        repair(mirror, name, "", 0, Log().read)
    assert snapshot(tmp_path) == before


def test_a_new_title_is_used_from_then_on(tmp_path: Path) -> None:
    """Pages written after ``add_room`` with another title bear it, and the open page is made again at the next check."""
    log = Log(10)
    mirror = started(tmp_path, log)
    mirror.add_room(ROOM, "Another")
    assert mirror.check(ROOM, 10) == [0]
    repair(mirror, ROOM, "Another", 10, log.read)
    assert b"<title>Another" in page_path(tmp_path, 0).read_bytes()


def test_descriptors_are_bounded(tmp_path: Path) -> None:
    """At most ``max_open`` page files are open; the least recently used one is closed, and its room goes on all the same."""
    log = Log(30)
    mirror = Mirror(tmp_path, max_open=3)
    rooms = [f"room{number}" for number in range(10)]
    for room in rooms:
        repair(mirror, room, "", 0, log.read)
    for after in range(0, 30, 10):
        for room in rooms:
            mirror.append(room, log.events[after : after + 10])
            assert descriptors(tmp_path) <= 3
    for room in rooms:
        assert mirror.check(room, 30) == []
    mirror.append("room9", Log(31).events[30:])
    mirror.close()
    mirror.close()
    assert descriptors(tmp_path) == 0
    with pytest.raises(MirrorError, match="in doubt"):
        mirror.append("room9", log.events)


def test_the_least_recently_used_descriptor_goes_first(tmp_path: Path) -> None:
    """A busy room keeps its descriptor while quiet ones come and go."""
    log = Log(10)
    mirror = Mirror(tmp_path, max_open=2)
    for room in ("busy", "one", "two"):
        repair(mirror, room, "", 0, log.read)
    mirror.append("busy", log.events[:1])
    mirror.append("one", log.events[:1])
    mirror.append("busy", log.events[1:2])
    mirror.append("two", log.events[:1])
    held = {os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if _is_link(name)}
    assert {path for path in held if path.startswith(str(tmp_path))} == {
        str(tmp_path / "rooms" / room / "comments" / "0.html") for room in ("busy", "two")
    }
    mirror.close()


def _is_link(name: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{name}")


def test_rows_are_kept_for_as_many_rooms_as_there_are_descriptors(tmp_path: Path) -> None:
    """The page of the room that was written to least recently is sealed from its log; the room's next page is kept again."""
    log = Log(512)
    mirror = Mirror(tmp_path, max_open=2)
    for room in ("a", "b", "c"):
        repair(mirror, room, "", 0, log.read)
        mirror.append(room, log.read(0, 200))
    for room in ("c", "b", "a"):
        assert mirror.append(room, log.read(200, 56)) == [0]
    assert {room: mirror.keeps(room, 0) for room in ("a", "b", "c")} == {"a": False, "b": True, "c": True}
    assert mirror.append("a", log.read(256, 256)) == [1]
    assert mirror.keeps("a", 1)


def test_rows_are_kept_over_a_check(tmp_path: Path) -> None:
    """Pages are looked at again and again while a room is live; one that was in doubt in between is sealed from the log."""
    log = Log(200)
    mirror = started(tmp_path)
    mirror.append(ROOM, log.events)
    assert mirror.check(ROOM, 200) == []
    assert mirror.append(ROOM, log.comment(100)) == [0]
    assert mirror.keeps(ROOM, 0)
    with pytest.raises(MirrorError):
        mirror.append(ROOM, log.comment(2)[1:])
    repair(mirror, ROOM, TITLE, log.head, log.read)
    assert mirror.append(ROOM, log.comment(256)) == [1]
    assert not mirror.keeps(ROOM, 1)


def test_the_rows_of_few_full_pages_are_kept(tmp_path: Path) -> None:
    """Where sealing is left behind, memory does not grow with it."""
    log = Log(256 * 11)
    mirror = started(tmp_path)
    full = mirror.append(ROOM, log.events)
    assert [mirror.keeps(ROOM, page) for page in full] == [True] * 8 + [False] * 3
    seal(mirror, ROOM, full, log.read)
    assert not any(mirror.keeps(ROOM, page) for page in full)
    assert mirror.check(ROOM, log.head, deep=True) == []


def test_appending_goes_on_after_an_open_page_was_rewritten(tmp_path: Path) -> None:
    """A removal within the open page rewrites it, with the removal's own row, and later rows follow in the new file."""
    log = Log(10)
    mirror = started(tmp_path, log)
    mirror.append(ROOM, log.comment(1))
    log.remove(3)
    remake(mirror, ROOM, 0, log.head, log.read)
    mirror.append(ROOM, log.comment(5))
    rows = list(read_rows(folder_of(tmp_path)))
    assert [(row.seq, row.kind, row.removed) for row in rows[2:3] + rows[11:12]] == [
        (3, "comment", True),
        (12, "removal", False),
    ]
    assert b"text 3<" not in page_path(tmp_path, 0).read_bytes()
    assert verify(folder_of(tmp_path)).problems == []
    mirror.close()
    assert descriptors(tmp_path) == 0


def test_an_open_page_written_full_is_followed_by_the_next(tmp_path: Path) -> None:
    """When a rewriting brings the open page to its 256 rows, appending goes on at the next page without a repair."""
    log = Log(250)
    mirror = started(tmp_path, log)
    log.comment(5)
    log.remove(3)
    remake(mirror, ROOM, 0, log.head, log.read)
    assert mirror.position(ROOM) == 256
    mirror.append(ROOM, log.comment(3))
    assert verify(folder_of(tmp_path)).rows == 259
    assert mirror.check(ROOM, 259) == []


def test_sealing_beside_appending(tmp_path: Path) -> None:
    """Full pages are sealed and changed in a worker while rows are appended to the same room; all ends as a rebuild makes it."""
    log = Log(256 * 12)
    mirror = started(tmp_path)
    full: list[int] = []
    done = threading.Event()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while full or not done.is_set():
                if full:
                    seal(mirror, ROOM, [full.pop(0)], log.read)
        except BaseException as error:
            failures.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    for after in range(0, log.head, 37):
        full += mirror.append(ROOM, log.read(after, 37))
    done.set()
    worker.join(60)
    assert failures == []
    seal(mirror, ROOM, full, log.read)
    assert mirror.check(ROOM, log.head, deep=True) == []
    again = tmp_path / "again"
    rebuild(Mirror(again), ROOM, TITLE, log.head, log.read)
    assert snapshot(folder_of(tmp_path)) == snapshot(folder_of(again))


def test_exclusive_keeps_blocking_work_off(tmp_path: Path) -> None:
    """While one thread holds a room, another's page waits; other rooms do not."""
    log = Log(3)
    mirror = started(tmp_path, log)
    repair(mirror, "other", "", 0, log.read)
    order: list[str] = []

    def write() -> None:
        mirror.write_page(ROOM, 0, log.events)
        order.append("second")

    with mirror.exclusive(ROOM):
        waiting = threading.Thread(target=write)
        waiting.start()
        free = threading.Thread(target=lambda: mirror.write_page("other", 0, log.events))
        free.start()
        free.join(60)
        assert not free.is_alive()
        waiting.join(0.2)
        order.append("first")
    waiting.join(60)
    assert order == ["first", "second"]


def test_wrong_pages_are_refused(tmp_path: Path) -> None:
    """Too many rows, rows of another page, and a full page written with fewer rows are faults of the caller."""
    log = Log(300)
    mirror = started(tmp_path, log)
    before = snapshot(tmp_path)
    with pytest.raises(ValueError, match="a page has 256 rows"):
        mirror.write_page(ROOM, 0, log.events[:257])
    with pytest.raises(ValueError, match="stands where"):
        mirror.write_page(ROOM, 1, log.events[:10])
    with pytest.raises(ValueError, match="page 0 of room demo is full"):
        mirror.write_page(ROOM, 0, log.events[:10])
    assert snapshot(tmp_path) == before


def test_check_of_a_whole_room_finds_nothing(tmp_path: Path) -> None:
    """A room without doubt costs no writing, and appending goes on after the check of another process's pages."""
    log = Log(1000)
    catch_up(started(tmp_path), log)
    mirror = Mirror(tmp_path)
    mirror.add_room(ROOM, TITLE)
    before = snapshot(tmp_path)
    assert mirror.check(ROOM, 1000) == []
    assert mirror.check(ROOM, 1000, deep=True) == []
    assert snapshot(tmp_path) == before
    mirror.append(ROOM, log.comment(1))
    assert verify(folder_of(tmp_path)).rows == 1001


def test_check_names_what_is_wrong(tmp_path: Path) -> None:
    """Missing, beyond the head, unsealed, of another page, and cut pages are found; changed bytes by a deep check."""
    log = Log(256 * 20 + 5)
    mirror = started(tmp_path, log)
    paths = [page_path(tmp_path, page) for page in range(22)]
    paths[2].unlink()
    paths[18].write_bytes(paths[18].read_bytes()[:-1])
    paths[17].write_bytes(paths[16].read_bytes())
    paths[19].write_bytes(paths[19].read_bytes() + b"<p>")
    paths[21].write_bytes(b"")
    paths[15].write_bytes(paths[15].read_bytes().replace(b"page=15 rows=256", b"page=15 rows=255"))
    paths[4].write_bytes(paths[4].read_bytes().replace(b"text 1030<", b"taxt 1030<"))
    assert mirror.check(ROOM, log.head) == [2, 15, 17, 18, 19, 21]
    assert mirror.check(ROOM, log.head, deep=True) == [2, 4, 15, 17, 18, 19, 21]
    repair(mirror, ROOM, TITLE, log.head, log.read, deep=True)
    assert verify(folder_of(tmp_path)).problems == []


def test_an_old_page_that_was_never_sealed_is_found(tmp_path: Path) -> None:
    """A run of pages whose sealing did not come to pass is found to its beginning."""
    log = Log(256 * 14)
    mirror = started(tmp_path)
    mirror.append(ROOM, log.events)
    assert mirror.check(ROOM, log.head) == list(range(14))


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: data[: data.rindex(b"<article")],
        lambda data: b"",
        lambda data: data + b"<p>by hand",
        lambda data: data + data[data.rindex(b"<article") :],
        lambda data: data.replace(b"text 7<", b"\0\0\0\0\0\0\0"),
        lambda data: data.replace(b'id="c7"', b'id="c8"'),
        lambda data: data.replace(b'id="c7" class="', b'id="c7" klass="'),
        lambda data: data.replace(b"<title>", b"<title>x"),
        lambda data: data.replace(b"<h1 ", b"<h2 "),
    ],
)
def test_check_finds_a_damaged_open_page(tmp_path: Path, damage: object) -> None:
    """Cut anywhere, emptied, added to, with holes or changed numbers: the open page is found and made again."""
    assert callable(damage)
    log = Log(20)
    mirror = started(tmp_path, log)
    whole = page_path(tmp_path, 0).read_bytes()
    page_path(tmp_path, 0).write_bytes(damage(whole))
    assert mirror.check(ROOM, 20) == [0]
    assert mirror.position(ROOM) is None
    repair(mirror, ROOM, TITLE, 20, log.read)
    assert page_path(tmp_path, 0).read_bytes() == whole


def test_an_open_page_that_is_no_file_is_found(tmp_path: Path) -> None:
    """A link in place of the page is not followed."""
    log = Log(20)
    mirror = started(tmp_path, log)
    elsewhere = tmp_path / "elsewhere.html"
    page_path(tmp_path, 0).rename(elsewhere)
    page_path(tmp_path, 0).symlink_to(elsewhere)
    assert mirror.check(ROOM, 20) == [0]
    before = elsewhere.read_bytes()
    repair(mirror, ROOM, TITLE, 20, log.read)
    mirror.append(ROOM, log.comment(1))
    assert elsewhere.read_bytes() == before
    assert not page_path(tmp_path, 0).is_symlink()


def test_clean_removes_what_does_not_belong(tmp_path: Path) -> None:
    """Temporary files, pages and blocks beyond the head go; pages, the index and files of other kinds stay."""
    log = Log(300)
    mirror = started(tmp_path, log)
    keep = set(snapshot(folder_of(tmp_path))) | {"robots.txt"}
    for name in (".0.html.tmp", ".index.html.tmp", "2.html", "99.html", "index-0.html", "robots.txt"):
        (folder_of(tmp_path) / name).write_bytes(b"x")
    assert mirror.clean(ROOM, 300) == 2
    assert set(snapshot(folder_of(tmp_path))) == keep
    (folder_of(tmp_path) / "7.html").mkdir()
    with pytest.raises(MirrorError, match=r"Cannot write .*7\.html"):
        mirror.clean(ROOM, 300)


def test_the_style_is_written_once(tmp_path: Path) -> None:
    """The folder holds its own stylesheet, which is put back when it was changed and left alone when it is right."""
    Mirror(tmp_path)
    path = tmp_path / "assets" / "pages.css"
    style = path.read_bytes()
    inode = path.stat().st_ino
    Mirror(tmp_path)
    assert path.stat().st_ino == inode
    path.write_bytes(b"old")
    Mirror(tmp_path)
    assert path.read_bytes() == style
    assert b"prefers-color-scheme: dark" in style
    assert b"@media print" in style


def test_the_index_waits_while_the_open_page_is_in_doubt(tmp_path: Path) -> None:
    """Which page is the newest is not known then; the repair writes the index."""
    mirror = Mirror(tmp_path)
    mirror.add_room(ROOM, TITLE)
    mirror.write_index(ROOM)
    assert not folder_of(tmp_path).exists()


def test_an_append_that_fails_beside_the_index_does_not_harm_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page that was open when the writing of the index began counts, though it is in doubt before the end."""
    log = Log(3)
    mirror = started(tmp_path, log)
    index = folder_of(tmp_path) / "index.html"
    before = index.read_bytes()
    index.unlink()
    page_path(tmp_path, 0).write_bytes(b"cut")

    def meanwhile(path: Path) -> None:
        make_folder(path)
        with pytest.raises(MirrorError, match="bytes where"):
            mirror.append(ROOM, log.comment())

    monkeypatch.setattr(writer, "make_folder", meanwhile)
    mirror.write_index(ROOM)
    assert mirror.position(ROOM) is None
    assert index.read_bytes() == before
