"""server/commands.py: each command on a data folder without a server, and all of them on a running one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from server.__main__ import main
from server.control import find_server
from server.reasons import REASONS
from server.store.base import CommentDraft, ReportDraft, ScreenedDraft
from server.store.sql import SqlStore
from tests.support.server import ServerProcess

Barrage = Callable[..., Result]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("BARRAGE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a room, three comments, a held and a refused one, and a report."""
    folder = tmp_path / "data"
    store = SqlStore.open(folder / "barrage.db")
    store.create_room("demo", "演示", "live", 1_790_000_000_000)
    common: dict[str, Any] = {
        "room": "demo",
        "author": "u1",
        "author_id": "p",
        "author_name": "小明",
        "at_ms": 1_790_000_000_000,
    }
    look: dict[str, Any] = {"pos_ms": 0, "mode": "scroll", "color": "#ffffff", "size": 25}
    store.append([CommentDraft(key=f"k{n}", text=f"第{n}条 canary", **common, **look) for n in (1, 2, 3)])
    screened = [
        ScreenedDraft(
            key=f"s{action}", text="line\n\x1b[31m", action=action, code="banned_content", verdict=b"{}", **common, **look
        )
        for action in ("held", "refused")
    ]
    report = ReportDraft(
        receipt="r1", room="demo", seq=1, at_ms=1_790_000_000_000, reason="S", text="ad", address="192.0.2.7", port=1
    )
    store.append([*screened, report])
    store.close()
    return folder


@pytest.fixture(params=["offline", "running"])
def barrage(request: pytest.FixtureRequest, data: Path) -> Iterator[Barrage]:
    """Runs a command on the data folder, with a server over it or without."""
    runner = CliRunner()

    def run(*arguments: str, code: int = 0) -> Result:
        result = runner.invoke(main, [*arguments, "--data", str(data)], catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    if request.param == "offline":
        yield run
        return
    with ServerProcess(data, settings={"drain_s": 0}, demo=False):
        assert find_server(data) is not None
        yield run


def text_of_pages(data: Path) -> str:
    return "".join(path.read_text() for path in (data / "pages").rglob("*.html"))


def test_rooms(barrage: Barrage) -> None:
    """A room is created, listed, told something and closed; the list is for people or for programs."""
    assert (
        barrage("room", "create", "film", "--title", "电影", "--kind", "vod").stdout == "created room film (vod): /rooms/film\n"
    )
    assert barrage("room", "create", "film", code=1).stderr.startswith("barrage: A room of this name exists already.")
    assert barrage("room", "announce", "film", "晚上好").stdout == "announced in room film (event 1)\n"
    assert barrage("room", "mode", "film", "closed").stdout == "room film is closed (event 2)\n"
    listed = barrage("room", "list").stdout.splitlines()
    assert [line.split("\t")[0] for line in listed] == ["demo", "film"]
    assert listed[1] == "film\tvod\tclosed\t2 events\t0 viewers\t电影"
    rows = [json.loads(line) for line in barrage("room", "list", "--json").stdout.splitlines()]
    assert (rows[1]["room"], rows[1]["head"]) == ("film", 2)


def test_a_backup_is_a_data_folder(barrage: Barrage, data: Path, tmp_path: Path) -> None:
    """What was copied works again with the vault's keys beside it, whether a server ran meanwhile or not; its pages are made."""
    done = barrage("room", "list")
    to = tmp_path / "monday"
    copied = barrage("backup", str(to)).stdout.splitlines()
    assert copied[0].startswith(f"{to}: ")
    assert copied[1] == f"Not among them: {data}/vault.keys. Keep a copy of it in another place."
    assert barrage("backup", str(to), code=2).stderr == f"barrage: {to} is there already. Choose another name.\n"
    shutil.copy(data / "vault.keys", to)
    runner = CliRunner()
    assert runner.invoke(main, ["room", "list", "--data", str(to)]).stdout == done.stdout
    assert runner.invoke(main, ["verify-pages", "--data", str(to)]).exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("remove", "demo", "{}", "--code", "L5", "--basis", "x"),
        ("restore", "demo", "{}", "--code", "R1", "--basis", "x"),
        ("reports", "--after", "{}"),
        ("account", "show", "--room", "demo", "--seq", "{}"),
        ("account", "log", "--before", "{}"),
        ("review", "reverse", "{}", "--code", "R1", "--basis", "x"),
        ("records", "--before", "{}"),
    ],
)
def test_numbers_have_the_bounds_of_the_interface(arguments: tuple[str, ...], data: Path) -> None:
    """A number that no database holds is wrong usage, not a fault."""
    given = [argument.format(2**53) for argument in arguments]
    result = CliRunner().invoke(main, [*given, "--data", str(data)])
    assert (result.exit_code, f"{2**53} is not in the range" in result.stderr) == (2, True), result.output


def test_a_removal_and_its_restoration(barrage: Barrage, data: Path) -> None:
    """The text leaves the pages with the command's end and comes back with the restoration's; each says where to look."""
    done = barrage("remove", "demo", "2", "--code", "L5", "--basis", "第十五条")
    assert done.stdout == "removed comment 2 of room demo (event 4): /rooms/demo/comments/0.html#c2\n"
    assert "第2条" not in text_of_pages(data)
    assert "第十五条" in text_of_pages(data)
    again = barrage("remove", "demo", "2", "--code", "L5", "--basis", "x", code=1)
    assert again.stderr == "barrage: This comment is removed already. (already_removed)\n"
    done = barrage("restore", "demo", "2", "--code", "R1", "--basis", "mistake")
    assert done.stdout == "restored comment 2 of room demo (event 5): /rooms/demo/comments/0.html#c2\n"
    assert "第2条" in text_of_pages(data)


def test_a_removal_needs_a_reason(barrage: Barrage) -> None:
    """Without code or basis nothing is asked; a bad code is told with the good ones."""
    assert "--basis" in barrage("remove", "demo", "1", "--code", "L5", code=2).stderr
    assert "code: one of A1, A2, L1" in barrage("remove", "demo", "1", "--code", "X", "--basis", "b", code=1).stderr
    barrage("remove", "demo", "0", "--code", "L5", "--basis", "b", code=2)
    assert "comment_not_found" in barrage("remove", "demo", "99", "--code", "L5", "--basis", "b", code=1).stderr


def test_pages_are_rebuilt_and_verified(barrage: Barrage, data: Path) -> None:
    """Rebuilding one or all rooms makes pages that verify."""
    barrage("room", "create", "other")
    assert barrage("rebuild", "demo").stdout.startswith("rebuilt room demo, written 1, rows 3")
    assert [line.split(",")[0] for line in barrage("rebuild").stdout.splitlines()] == [
        "rebuilt room demo",
        "rebuilt room other",
    ]
    assert barrage("verify-pages").stdout == "demo: 3 events, 1 pages, 3 rows\nother: 0 events, 1 pages, 0 rows\n"
    row = json.loads(barrage("verify-pages", "demo", "--json").stdout)
    assert row == {"room": "demo", "head": 3, "pages": 1, "rows": 3, "problems": []}
    barrage("rebuild", "none", code=1)
    barrage("verify-pages", "none", code=1)


def test_records_are_listed(barrage: Barrage) -> None:
    """Held and refused comments and reports are one line each, whatever stands in the text; pages and kinds can be chosen."""
    lines = barrage("screened").stdout.splitlines()
    assert lines == [
        "1\t2026-09-21 14:13:20\tdemo\theld\tbanned_content\t'line\\n\\x1b[31m'",
        "2\t2026-09-21 14:13:20\tdemo\trefused\tbanned_content\t'line\\n\\x1b[31m'",
    ]
    assert json.loads(barrage("screened", "--action", "refused", "--json").stdout)["id"] == 2
    assert barrage("screened", "--after", "1", "--limit", "1").stdout == lines[1] + "\n"
    assert barrage("reports").stdout == "1\t2026-09-21 14:13:20\tr1\tdemo\t1\tS\t'ad'\n"
    assert "192.0.2.7" not in barrage("reports", "--json").stdout


@pytest.mark.parametrize("change", ["missing", "text", "cut", "gone"])
def test_damaged_pages_are_found(data: Path, change: str) -> None:
    """A page without its last row, with another text, cut or deleted does not verify, and is left as it is."""
    runner = CliRunner()
    assert runner.invoke(main, ["rebuild", "--data", str(data)]).exit_code == 0
    page = data / "pages" / "rooms" / "demo" / "comments" / "0.html"
    whole = page.read_text()
    damaged = {
        "missing": whole[: whole.rindex("<article")],
        "text": whole.replace("第2条", "第9条"),
        "cut": whole[:-5],
        "gone": "",
    }[change]
    if change == "gone":
        page.unlink()
    else:
        page.write_text(damaged)
    result = runner.invoke(main, ["verify-pages", "--data", str(data)])
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) >= 2
    assert page.exists() == (change != "gone")
    assert change == "gone" or page.read_text() == damaged


def test_reasons_are_listed() -> None:
    """Every code is shown with both names."""
    result = CliRunner().invoke(main, ["reasons"])
    assert [line.split("\t") for line in result.stdout.splitlines()] == [[r.code, r.zh, r.en] for r in REASONS.values()]
