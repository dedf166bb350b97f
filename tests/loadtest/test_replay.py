"""Replaying a file as the people who wrote it."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from loadtest.replay import Line, Outcome, Replay, Speed, read_lines
from loadtest.site import Mint, Site
from tests.loadtest.support import SECRET
from tests.support.fake_barrage import ROOM, FakeBarrage, Faults

HEADER = "user,sent_at_s,position_ms,mode,font_size,color,text\n"
ROWS = [
    "u1,100,26246,1,25,13369971,茜特菈莉不歪",
    "u2,101,,5,18,16777215,\"quoted, with comma\"",
    "u1,103,31,4,99,0,bottom",
    "u3,104,31,6,25,0,reverse",
    "u3,105,31,7,25,0,advanced",
]  # fmt: skip


def write(folder: Path, rows: list[str], header: str = HEADER) -> Path:
    path = folder / "comments.csv"
    path.write_text(header + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_lines(tmp_path: Path) -> None:
    """Modes, colours, sizes and empty positions are read as the file means them."""
    lines = read_lines(write(tmp_path, ROWS))
    assert lines[0] == Line("u1", 100.0, 26246, "scroll", 25, "#cc0273", "茜特菈莉不歪")
    assert (lines[1].position_ms, lines[1].mode, lines[1].text) == (0, "top", "quoted, with comma")
    assert [line.mode for line in lines[2:]] == ["bottom", "reverse", "scroll"]
    assert lines[2].size == 64


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file or column, a bad line and an empty file are named."""
    with pytest.raises(ValueError, match=r"comments\.csv cannot be read"):
        read_lines(tmp_path / "comments.csv")
    with pytest.raises(ValueError, match=r"no column color, text"):
        read_lines(write(tmp_path, [], "user,sent_at_s,position_ms,mode,font_size\n"))
    with pytest.raises(ValueError, match="line 3: "):
        read_lines(write(tmp_path, [ROWS[0], "u1,soon,1,1,25,0,x"]))
    with pytest.raises(ValueError, match="line 2: "):
        read_lines(write(tmp_path, ["u1,1"]))
    with pytest.raises(ValueError, match="no comments"):
        read_lines(write(tmp_path, []))


def test_speed(tmp_path: Path) -> None:
    """A number is a rate; with an x it is a factor on the file's own times."""
    lines = read_lines(write(tmp_path, ROWS))
    assert list(Speed.of("4").offsets(lines)) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert list(Speed.of("x10").offsets(lines)) == pytest.approx([0.0, 0.1, 0.3, 0.4, 0.5])
    for text in ("", "x", "fast", "0", "-1", "xx2", "inf"):
        with pytest.raises(ValueError, match="Accepted"):
            Speed.of(text)


async def replay(server: FakeBarrage, lines: list[Line], *, settle_s: float = 5.0) -> tuple[Outcome, list[str]]:
    told: list[str] = []
    work = Replay(
        Site.of(server.url, ROOM, deflate=True), Mint(SECRET.encode()), lines, Speed(per_s=500), settle_s=settle_s,
        step=lambda text, done, total: told.append(f"{text} {done}/{total}"),
    )  # fmt: skip
    return await work.run(), told


async def test_every_comment_is_accounted_for(tmp_path: Path) -> None:
    """Acknowledged, held and refused add up to what was sent; log, live and pages have exactly what was acknowledged."""
    lines = read_lines(write(tmp_path, ROWS))
    faults = Faults(refuse={"bottom": "banned_content"}, hold={"reverse"}, busy=2)
    async with FakeBarrage(faults, kind="vod") as server:
        outcome, told = await replay(server, lines)
        assert [event["pos_ms"] for event in server.events if event["author"]["name"] == "u1"] == [26246]
    counts = outcome.counts
    assert outcome.violations == []
    assert outcome.exit_code == 0
    assert (counts.lines, counts.users, counts.sent, counts.retried) == (5, 3, 5, 2)
    assert (counts.acknowledged, counts.held, counts.refused, counts.unanswered) == (3, 1, 1, 0)
    assert counts.refused_by_code == {"banned_content": 1}
    assert counts.in_log == counts.seen_live == counts.seen_by_least == counts.on_pages == 3
    assert "entering 4/4" in told
    assert "sending 5/5" in told


async def test_a_live_room_has_no_positions(tmp_path: Path) -> None:
    """In a live room comments are sent without a position: they stand at the present."""
    async with FakeBarrage() as server:
        outcome, _ = await replay(server, read_lines(write(tmp_path, ROWS)))
        assert {event["pos_ms"] for event in server.events} == {0}
    assert outcome.exit_code == 0


async def test_masked_texts_are_no_lie(tmp_path: Path) -> None:
    """What the screening masked counts as said."""
    async with FakeBarrage() as server:
        appended = server._append
        server._append = lambda name, say: appended(name, {**say, "text": "*" * len(say["text"])})  # type: ignore[method-assign]
        outcome, _ = await replay(server, read_lines(write(tmp_path, ROWS)))
    assert outcome.exit_code == 0


async def test_what_went_wrong_is_found(tmp_path: Path) -> None:
    """A lost comment, or one that is never answered, makes the exit status 1."""
    lines = read_lines(write(tmp_path, ROWS))
    async with FakeBarrage(Faults(unpaged={2})) as server:
        outcome, _ = await replay(server, lines)
    assert {violation.rule for violation in outcome.violations} == {"page_missing", "live_not_static"}
    assert outcome.exit_code == 1
    async with FakeBarrage(Faults(busy=10_000)) as server:
        outcome, _ = await replay(server, lines, settle_s=0.1)
    assert (outcome.violations, outcome.counts.unanswered, outcome.exit_code) == ([], 5, 1)


async def test_refusals_for_a_time_become_final(tmp_path: Path) -> None:
    """What is still refused when patience ends counts as refused by that code."""
    async with FakeBarrage(Faults(busy=10_000, wait_ms=20_000)) as server:
        outcome, _ = await replay(server, read_lines(write(tmp_path, ROWS)))
    assert (outcome.violations, outcome.counts.refused_by_code, outcome.exit_code) == ([], {"overloaded": 5}, 0)


def data_file() -> Path:
    folder = Path(os.environ.get("BARRAGE_DATA_DIR") or Path(__file__).parents[3] / "shared" / "data")
    path = folder / "danmaku" / "replay_8000.csv"
    if not path.exists():
        pytest.skip("the folder of development data is not there (BARRAGE_DATA_DIR)")
    return path


def test_real_comments_are_read() -> None:
    """All 8,000 real comments of 3,118 users are read, each with a text that the file has."""
    path = data_file()
    lines = read_lines(path)
    assert (len(lines), len({line.user for line in lines})) == (8000, 3118)
    with path.open(encoding="utf-8", newline="") as file:
        assert [line.text for line in lines] == [row["text"] for row in csv.DictReader(file)]
