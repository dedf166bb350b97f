"""Pages made again from the log."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from server.wire import Event
from static_mirror import Mirror, MirrorError, RebuildReport, differing, rebuild, remake, repair, seal
from static_mirror.verify import verify
from tests.static_mirror.logs import ROOM, TITLE, Log, catch_up, folder_of, page_path, snapshot, started


class Interrupted(Exception):
    """The process died here."""


class Dead(BaseException):
    """So did it here: nothing that the code does for errors is done any more."""


class Reads:
    """Counts what is read of a log, and dies at the chosen reading."""

    def __init__(self, log: Log, die_at: int = 0) -> None:
        self.log = log
        self.calls: list[tuple[int, int]] = []
        self.die_at = die_at

    def __call__(self, after: int, limit: int) -> Sequence[Event]:
        self.calls.append((after, limit))
        if len(self.calls) == self.die_at:
            raise Interrupted
        return self.log.read(after, limit)


def test_a_new_room_gets_its_first_page_and_its_index(tmp_path: Path) -> None:
    """A room without events has an open page without rows, so that its address answers from the beginning."""
    log = Log()
    reads = Reads(log)
    mirror = Mirror(tmp_path)
    assert repair(mirror, ROOM, TITLE, 0, reads) == RebuildReport(1, 0, 0)
    assert reads.calls == []
    assert mirror.position(ROOM) == 0
    assert set(snapshot(folder_of(tmp_path))) == {"0.html", "index.html"}


def test_repairing_a_room_that_is_fine_reads_nothing_of_the_log(tmp_path: Path) -> None:
    """A start without doubt writes no page and asks the log for nothing."""
    log = Log(700)
    catch_up(started(tmp_path), log)
    before = {path: path.stat().st_ino for path in folder_of(tmp_path).iterdir()}
    reads = Reads(log)
    assert repair(Mirror(tmp_path), ROOM, TITLE, 700, reads) == RebuildReport(0, 0, 0)
    assert reads.calls == []
    assert {path: path.stat().st_ino for path in folder_of(tmp_path).iterdir()} == before


def test_rows_that_a_crash_left_out_are_added(tmp_path: Path) -> None:
    """What was committed and is not on the pages is put there, over any number of pages; nothing else is written."""
    log = Log(300)
    catch_up(started(tmp_path), log)
    log.comment(500)
    reads = Reads(log)
    report = repair(Mirror(tmp_path), ROOM, TITLE, 800, reads)
    assert report == RebuildReport(3, 256 + 256 + 32, 0)
    assert [after for after, _ in reads.calls] == [256, 512, 768]
    assert verify(folder_of(tmp_path)).problems == []


def test_rows_that_the_log_does_not_have_are_taken_away(tmp_path: Path) -> None:
    """Pages never hold more than the log: after a restored backup the rows and pages beyond its head go."""
    log = Log(600)
    catch_up(started(tmp_path), log)
    mirror = Mirror(tmp_path)
    report = repair(mirror, ROOM, TITLE, 300, log.read)
    assert report == RebuildReport(1, 44, 1)
    assert verify(folder_of(tmp_path)).rows == 300
    assert mirror.position(ROOM) == 300


@pytest.mark.parametrize("seed", range(12))
def test_cut_at_any_byte(tmp_path: Path, seed: int) -> None:
    """A loss of power may cut the open page anywhere; the repaired folder is the one a rebuild makes."""
    chance = random.Random(seed)
    log = Log(chance.randrange(1, 600))
    catch_up(started(tmp_path), log)
    whole = snapshot(folder_of(tmp_path))
    page = page_path(tmp_path, log.head // 256)
    page.write_bytes(page.read_bytes()[: chance.randrange(page.stat().st_size)])
    repair(Mirror(tmp_path), ROOM, TITLE, log.head, log.read)
    assert snapshot(folder_of(tmp_path)) == whole


def test_crash_between_full_and_sealed(tmp_path: Path) -> None:
    """A page that filled up and was not sealed is sealed at the next start, and the index lists it."""
    log = Log(520)
    mirror = started(tmp_path)
    assert mirror.append(ROOM, log.events) == [0, 1]
    assert verify(folder_of(tmp_path)).unsealed == 2
    repair(Mirror(tmp_path), ROOM, TITLE, 520, log.read)
    assert verify(folder_of(tmp_path))[:3] == (3, 2, 0)


def test_crash_before_the_next_page_was_begun(tmp_path: Path) -> None:
    """A page can be full to the last row without the next page; the start makes it."""
    log = Log(256)
    mirror = started(tmp_path)
    mirror.append(ROOM, log.events)
    page_path(tmp_path, 1).unlink()
    later = Mirror(tmp_path)
    repair(later, ROOM, TITLE, 256, log.read)
    assert later.append(ROOM, log.comment(1)) == []
    assert verify(folder_of(tmp_path)).problems == []


def test_crash_between_writing_and_renaming(tmp_path: Path) -> None:
    """A temporary file that a crash left is removed, the page that it was to replace stands."""
    log = Log(300)
    catch_up(started(tmp_path), log)
    whole = snapshot(folder_of(tmp_path))
    (folder_of(tmp_path) / ".0.html.tmp").write_bytes(b"half of a pa")
    repair(Mirror(tmp_path), ROOM, TITLE, 300, log.read)
    assert snapshot(folder_of(tmp_path)) == whole


@pytest.mark.parametrize("target", [3, 300, 590])
def test_a_removal_that_a_crash_cut_off_is_carried_out(tmp_path: Path, target: int) -> None:
    """A removal in the log whose row is not on the pages yet: the start takes the text off the target's page, wherever it is."""
    log = Log(600)
    catch_up(started(tmp_path), log)
    log.remove(target)
    assert f"text {target}<".encode() in page_path(tmp_path, (target - 1) // 256).read_bytes()
    repair(Mirror(tmp_path), ROOM, TITLE, log.head, log.read)
    assert f"text {target}<".encode() not in page_path(tmp_path, (target - 1) // 256).read_bytes()
    assert verify(folder_of(tmp_path)).problems == []


@pytest.mark.parametrize("die_at", range(1, 8))
def test_a_repair_may_die_anywhere_and_is_done_again(tmp_path: Path, die_at: int) -> None:
    """Targets of removals are written before the page with the removal's row, so a second start always sees what is left."""
    log = Log(1000)
    catch_up(started(tmp_path), log)
    log.remove(3)
    log.remove(300)
    log.comment(300)
    log.remove(600)
    log.restore(3)
    dying = Reads(log, die_at)
    try:
        repair(Mirror(tmp_path), ROOM, TITLE, log.head, dying)
        assert len(dying.calls) < die_at
    except Interrupted:
        pass
    repair(Mirror(tmp_path), ROOM, TITLE, log.head, log.read)
    assert verify(folder_of(tmp_path)).problems == []
    again = tmp_path / "again"
    rebuild(Mirror(again), ROOM, TITLE, log.head, log.read)
    assert snapshot(folder_of(tmp_path)) == snapshot(folder_of(again))


def test_rebuild_makes_everything_again(tmp_path: Path) -> None:
    """Whatever stood in the folder, afterwards it holds what the log says; one page is read at a time."""
    log = Log(700)
    log.remove(5)
    reads = Reads(log)
    mirror = started(tmp_path, log)
    whole = snapshot(tmp_path)
    for path in folder_of(tmp_path).iterdir():
        path.write_bytes(b"nonsense")
    page_path(tmp_path, 9).write_bytes(b"nonsense")
    assert rebuild(mirror, ROOM, TITLE, log.head, reads) == RebuildReport(3, 701, 1)
    assert snapshot(tmp_path) == whole
    assert reads.calls == [(0, 256), (256, 256), (512, 189)]
    mirror.append(ROOM, log.comment(1))


def test_rebuild_of_a_live_room_leaves_its_open_page_alone(tmp_path: Path) -> None:
    """Without the open page a rebuild may run while rows are appended, and only full pages are written."""
    log = Log(600)
    mirror = started(tmp_path)
    catch_up(mirror, log)
    inode = page_path(tmp_path, 2).stat().st_ino
    page_path(tmp_path, 0).write_bytes(b"nonsense")

    def read(after: int, limit: int) -> Sequence[Event]:
        mirror.append(ROOM, log.comment(10))
        return log.read(after, limit)

    assert rebuild(mirror, ROOM, TITLE, 600, read, open_page=False) == RebuildReport(2, 512, 0)
    assert page_path(tmp_path, 2).stat().st_ino == inode
    report = verify(folder_of(tmp_path))
    assert (report.rows, report.problems) == (620, [])


def test_a_log_that_lacks_events_is_an_error(tmp_path: Path) -> None:
    """A page is never written with fewer rows than the head promises."""
    log = Log(10)
    mirror = started(tmp_path, log)
    with pytest.raises(MirrorError, match="has 10 of 12 events of page 0"):
        repair(mirror, ROOM, TITLE, 12, log.read)


def test_a_page_beyond_the_head_is_refused(tmp_path: Path) -> None:
    """There is nothing to make it of."""
    log = Log(10)
    mirror = started(tmp_path, log)
    with pytest.raises(ValueError, match="lies beyond event 10"):
        remake(mirror, ROOM, 1, 10, log.read)


def test_errors_of_the_log_pass_through(tmp_path: Path) -> None:
    """What the log raises reaches the caller, and the room stays in doubt."""
    log = Log(10)
    mirror = Mirror(tmp_path)
    with pytest.raises(Interrupted):
        repair(mirror, ROOM, TITLE, 10, Reads(log, die_at=1))
    assert mirror.position(ROOM) is None


def test_sealing_reads_the_log_as_it_is_now(tmp_path: Path) -> None:
    """A comment removed between filling and sealing is a tombstone on the sealed page."""
    log = Log(256)
    mirror = started(tmp_path)
    full = mirror.append(ROOM, log.events)
    log.remove(7)
    seal(mirror, ROOM, full, log.read)
    assert b"text 7<" not in page_path(tmp_path, 0).read_bytes()
    mirror.append(ROOM, log.events[256:])
    assert verify(folder_of(tmp_path)).problems == []


def test_a_page_is_sealed_from_the_rows_that_were_appended(tmp_path: Path) -> None:
    """Of the log only what is on no page yet is read, and the page is what the log makes of it, under the title of now."""
    log = Log(100)
    reads = Reads(log)
    mirror = started(tmp_path)
    for part in (log.events, [log.notice(text="News")], log.comment(154)):
        assert mirror.append(ROOM, part) == []
    assert mirror.append(ROOM, log.comment(10)) == [0]
    mirror.add_room(ROOM, "Another title")
    seal(mirror, ROOM, [0], reads)
    assert reads.calls == [(265, 256)]
    assert mirror.stands(ROOM, 0, log.read(0, 256))
    assert b"<title>Another title" in page_path(tmp_path, 0).read_bytes()


def test_rows_that_a_removal_changed_before_the_page_was_full_are_sealed_as_they_are(tmp_path: Path) -> None:
    """A removal on the open page makes that again; the rows that follow are added to those, and all are sealed without the log."""
    log = Log(100)
    reads = Reads(log)
    mirror = started(tmp_path)
    mirror.append(ROOM, log.events)
    log.remove(7)
    remake(mirror, ROOM, 0, log.head, log.read)
    seal(mirror, ROOM, mirror.append(ROOM, log.comment(160)), reads)
    assert reads.calls == [(261, 256)]
    assert mirror.stands(ROOM, 0, log.read(0, 256))
    assert b"text 7<" not in page_path(tmp_path, 0).read_bytes()


@pytest.mark.parametrize("when", ["before it is full", "after it was full"])
def test_damage_to_an_open_page_is_not_sealed(tmp_path: Path, when: str) -> None:
    """A byte that was changed in place is as it was after sealing, though nobody has noticed it."""
    log = Log(250)
    mirror = started(tmp_path)
    mirror.append(ROOM, log.events)

    def damage() -> None:
        with page_path(tmp_path, 0).open("r+b") as file:
            data = file.read()
            file.seek(data.index(b"text 7<"))
            file.write(b"TEXT")

    if when == "before it is full":
        damage()
    full = mirror.append(ROOM, log.comment(6))
    if when == "after it was full":
        damage()
    assert b"TEXT 7<" in page_path(tmp_path, 0).read_bytes()
    seal(mirror, ROOM, full, log.read)
    assert mirror.stands(ROOM, 0, log.read(0, 256))


def test_a_comment_removed_while_its_page_waits_for_its_seal_stays_removed(tmp_path: Path) -> None:
    """The page is made again and the removal's row stands on the next one before it is sealed: its first rows are not used."""
    log = Log(256)
    mirror = started(tmp_path)
    full = mirror.append(ROOM, log.events)
    removal = log.remove(7)
    remake(mirror, ROOM, 0, log.head, log.read)
    mirror.append(ROOM, [removal])
    seal(mirror, ROOM, full, log.read)
    assert all(b"text 7<" not in data for data in snapshot(tmp_path).values())
    assert mirror.stands(ROOM, 0, log.read(0, 256))


def test_a_removal_on_another_page_is_no_reason_to_read_this_one(tmp_path: Path) -> None:
    """Only a decision about one of its own rows has a page sealed from the log."""
    log = Log(512)
    mirror = started(tmp_path)
    full = mirror.append(ROOM, log.events)
    log.remove(7)
    reads = Reads(log)
    seal(mirror, ROOM, full, reads)
    assert reads.calls == [(512, 256), (0, 256), (512, 256)]
    assert all(mirror.stands(ROOM, page, log.read(page * 256, 256)) for page in full)


def _backlog(mirror: Mirror, log: Log) -> Mirror:
    log.comment(256)
    return mirror


def _doubt(mirror: Mirror, log: Log) -> Mirror:
    with pytest.raises(MirrorError):
        mirror.append(ROOM, log.comment(2)[1:])
    return mirror


def _check(mirror: Mirror, log: Log) -> Mirror:
    assert mirror.check(ROOM, 256) == [0]
    return mirror


def _restart(mirror: Mirror, log: Log) -> Mirror:
    later = Mirror(mirror.root)
    later.add_room(ROOM, TITLE)
    later.check(ROOM, 256)
    return later


@pytest.mark.parametrize("cause", [_backlog, _doubt, _check, _restart])
def test_a_page_is_sealed_from_the_log(tmp_path: Path, cause: Callable[[Mirror, Log], Mirror]) -> None:
    """So many events wait that not all of them are looked at; the room is in doubt; its pages were checked; another process
    appended the rows."""
    log = Log(256)
    first = started(tmp_path)
    full = first.append(ROOM, log.events)
    mirror = cause(first, log)
    reads = Reads(log)
    seal(mirror, ROOM, full, reads)
    assert reads.calls[-1] == (0, 256)
    assert mirror.stands(ROOM, 0, log.read(0, 256))


def test_what_cannot_be_sealed_from_its_rows_is_sealed_from_the_log_next_time(tmp_path: Path) -> None:
    """A seal that fails leaves the page open, complete and valid."""
    log = Log(256)
    mirror = started(tmp_path)
    full = mirror.append(ROOM, log.events)
    blocker = folder_of(tmp_path) / ".0.html.tmp"
    blocker.mkdir()
    with pytest.raises(MirrorError):
        seal(mirror, ROOM, full, log.read)
    assert verify(folder_of(tmp_path)).unsealed == 1
    blocker.rmdir()
    reads = Reads(log)
    seal(mirror, ROOM, full, reads)
    assert reads.calls == [(0, 256)]
    assert mirror.check(ROOM, log.head, deep=True) == []


@pytest.mark.parametrize("die_at", range(1, 10))
def test_a_process_may_die_anywhere_while_it_seals(tmp_path: Path, die_at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before and after each step on the disk: the next start finds and mends what is left."""
    log = Log(300)
    mirror = started(tmp_path)
    full = mirror.append(ROOM, log.events)
    steps = 0

    def dying(name: str) -> Callable[..., object]:
        real = getattr(os, name)

        def step(*args: object) -> object:
            nonlocal steps
            steps += 1
            if steps >= die_at:
                raise Dead
            return real(*args)

        return step

    for name in ("write", "fsync", "rename", "unlink"):
        monkeypatch.setattr(os, name, dying(name))
    try:
        seal(mirror, ROOM, full, log.read)
        assert steps < die_at
    except Dead:
        pass
    monkeypatch.undo()
    repair(Mirror(tmp_path), ROOM, TITLE, log.head, log.read)
    again = tmp_path / "again"
    rebuild(Mirror(again), ROOM, TITLE, log.head, log.read)
    assert snapshot(folder_of(tmp_path)) == snapshot(folder_of(again))
    assert die_at < 9 or steps == 8  # the last round goes through


def test_a_restored_comment_stands_again(tmp_path: Path) -> None:
    """A restoration gives the row its text back; the record of it holds no text, and another removal leaves none."""
    log = Log(300)
    mirror = started(tmp_path, log)
    for change in (log.remove, log.restore, log.remove):
        change(7)
        remake(mirror, ROOM, 0, log.head, log.read)
        catch_up(mirror, log)
    assert all(b"text 7<" not in data for data in snapshot(tmp_path).values())
    assert verify(folder_of(tmp_path)).problems == []


def test_pages_that_are_what_the_log_makes_of_them_do_not_differ(tmp_path: Path) -> None:
    """Open and sealed pages, with removals and restorations, however they came to be."""
    log = Log(600)
    mirror = started(tmp_path)
    catch_up(mirror, log)
    log.remove(5)
    log.remove(300)
    log.restore(300)
    for page in (0, 1):
        remake(mirror, ROOM, page, log.head, log.read)
    catch_up(mirror, log)
    reads = Reads(log)
    assert differing(mirror, ROOM, range(3), log.head, reads) == []
    assert reads.calls == [(0, 256), (256, 256), (512, log.head - 512)]


def test_any_change_of_a_page_is_a_difference(tmp_path: Path) -> None:
    """A byte changed in place, an old copy, a page cut, removed, or not sealed: what the cheap check may not see is found here."""
    log = Log(1000)
    mirror = started(tmp_path)
    catch_up(mirror, log)
    copy = page_path(tmp_path, 0).read_bytes()
    log.remove(7)
    remake(mirror, ROOM, 0, log.head, log.read)
    catch_up(mirror, log)
    damages: dict[int, bytes | None] = {
        0: copy,
        1: page_path(tmp_path, 1).read_bytes().replace(b"text 300<", b"lies 300<"),
        2: None,
        3: page_path(tmp_path, 3).read_bytes().replace(b"text 900<", b"lies 900<"),
    }
    for page, data in damages.items():
        path = page_path(tmp_path, page)
        whole = path.read_bytes()
        if data is None:
            path.unlink()
        else:
            assert data != whole
            path.write_bytes(data)
        assert differing(mirror, ROOM, range(4), log.head, log.read) == [page]
        path.write_bytes(whole)
    page_path(tmp_path, 1).write_bytes(page_path(tmp_path, 1).read_bytes()[:-10])
    assert differing(mirror, ROOM, [3, 1], log.head, log.read) == [1]


def test_a_repair_brings_the_stylesheet_back(tmp_path: Path) -> None:
    """The pages of a folder that was lost look as before."""
    mirror = started(tmp_path)
    style = tmp_path / "assets" / "pages.css"
    whole = style.read_bytes()
    shutil.rmtree(tmp_path)
    repair(mirror, ROOM, TITLE, 0, Log().read)
    assert style.read_bytes() == whole
