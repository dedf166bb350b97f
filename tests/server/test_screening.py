"""server/screening.py"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import structlog

from filters.book import Prepared, RuleBook
from filters.config import ScreeningConfig
from filters.verdict import Action, Candidate
from server.control import DataFolderError
from server.errors import ConfigError, Refusal
from server.screening import Screening
from tests.support.running import RULES
from tests.support.waiting import PATIENCE_S


def action(screening: Screening, text: str) -> Action:
    return screening.current().screen(Candidate(text=text, room="demo", author=text), 1).action


def test_the_built_in_rules_are_in_force_without_a_file(tmp_path: Path) -> None:
    """A site that names no rules gets the starter pack: the pipeline is there, and an ordinary comment passes."""
    screening = Screening(tmp_path / "rules", None, ScreeningConfig())
    assert screening.current().rules.name == "starter"
    assert action(screening, "哈哈哈哈") is Action.ACCEPT


def test_a_rules_file_takes_their_place(tmp_path: Path) -> None:
    """The rules of the file are in force, with the bounds of the settings, and the pipeline stays the same object."""
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES, encoding="utf-8")
    screening = Screening(tmp_path / "rules", rules, ScreeningConfig(max_chars=5))
    assert screening.current() is screening.current()
    assert [action(screening, text) for text in ("你好", "坏词", "遮词", "待审", "太长的一句话")] == [
        Action.ACCEPT, Action.REFUSE, Action.MASK, Action.HOLD, Action.REFUSE,
    ]  # fmt: skip


@pytest.mark.parametrize("content", [None, "", "nonsense", "format = 99", RULES.replace("reject", "shoot"), "\udcff"])
def test_a_rules_file_that_cannot_be_used_names_itself(tmp_path: Path, content: str | None) -> None:
    """A missing or bad file is an error of the settings, with the file's name and the reason."""
    rules = tmp_path / "rules.toml"
    if content is not None:
        rules.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=r"^rules_file .*rules\.toml: ."):
        Screening(tmp_path / "rules", rules, ScreeningConfig())


def test_what_comments_left_is_done_in_between(screening: Screening, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comments left to be done is done in small steps on the loop; a fault there is logged, and does not end it."""
    memory = screening.current().memory

    async def until(holds: Callable[[], bool]) -> None:
        while not holds():  # noqa: ASYNC110 # nothing tells when
            await asyncio.sleep(0.001)

    async def follow() -> None:
        task = asyncio.create_task(screening.run())
        for number in range(100):
            memory.swarm.post(f"a{number}", "demo", "一句足够长的话语呀", number)
        await until(lambda: len(memory.swarm) == 100)
        with monkeypatch.context() as patch, structlog.testing.capture_logs() as logs:
            patch.setattr(memory.swarm, "settle", lambda _: 1 / 0)
            await until(lambda: any(line["event"] == "catching up failed" for line in logs))
        memory.swarm.post("after", "demo", "一句足够长的话语呀", 200)
        await until(lambda: len(memory.swarm) == 101)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(follow(), PATIENCE_S))


# -- changing the rules

OTHER = RULES.replace("坏词", "新词").replace('version = "1"', 'version = "2"')
URGENT = RULES.replace("坏词", "急词")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(RULES, encoding="utf-8")
    return path


@pytest.fixture
def screening(tmp_path: Path, file: Path) -> Screening:
    return opened(tmp_path, file)


def opened(tmp_path: Path, rules_file: Path | None) -> Screening:
    return Screening(tmp_path / "rules", rules_file, ScreeningConfig())


def refuses(screening: Screening, *texts: str) -> list[bool]:
    return [screening.current().inspect(text).action is Action.REFUSE for text in texts]


async def whats(screening: Screening) -> list[str]:
    return [change.what for change in await screening.history()]


async def refused(work: Awaitable[object], code: str) -> Refusal:
    """The refusal that this work ends in."""
    with pytest.raises(Refusal) as caught:
        await work
    assert caught.value.code.name == code
    return caught.value


async def test_reload_and_rollback(screening: Screening) -> None:
    """Other rules judge from the end of the call on, under their own hash, and so do the old ones after the rollback."""
    first = screening.current().hash
    change = await screening.reload(OTHER, "lin")
    assert (change.previous, change.by, change.what, change.at_ms > 0) == (first, "lin", "reload", True)
    assert refuses(screening, "坏词", "新词") == [False, True]
    assert screening.current().inspect("新词").rules == change.hash
    assert (await screening.rollback("mei")).hash == first
    assert refuses(screening, "坏词", "新词") == [True, False]
    assert await whats(screening) == ["start", "reload", "rollback"]


async def test_bad_rules_change_nothing(screening: Screening) -> None:
    """Rules that cannot be read or break their samples, and a rollback to nothing, leave the very same pipeline."""
    before = screening.current()
    assert (
        "a bad sample passes" in (await refused(screening.reload(RULES + '[samples]\nbad = ["好"]', "lin"), "bad_rules")).detail
    )
    assert "no earlier rules" in (await refused(screening.rollback("lin"), "bad_rules")).detail
    await refused(screening.overlay("format =", "lin"), "bad_rules")
    no_terms = RULES.partition("[[rule]]")[0] + "rule = []\n"
    assert "there are none" in (await refused(screening.overlay(no_terms, "lin"), "bad_rules")).detail
    assert screening.current() is before
    assert await whats(screening) == ["start"]


async def test_what_cannot_be_written_down_is_not_in_force(screening: Screening, tmp_path: Path) -> None:
    """When the folder cannot be written the old rules stay, and the refusal is temporary."""
    before = screening.current()
    folder = tmp_path / "rules"
    folder.rename(tmp_path / "away")
    folder.write_text("a file in its place")
    for work in (screening.reload(OTHER, "lin"), screening.overlay(URGENT, "lin")):
        assert (await refused(work, "storage_unavailable")).code.temporary
    assert screening.current() is before
    assert refuses(screening, "坏词", "新词", "急词") == [True, False, False]


async def test_a_history_that_cannot_be_read_is_said(screening: Screening, tmp_path: Path) -> None:
    """What somebody damaged while the server runs is a refusal that names the file."""
    (tmp_path / "rules" / "history.jsonl").write_text("{}\n")
    assert "history.jsonl" in (await refused(screening.history(), "bad_rules")).detail


async def test_one_change_at_a_time(screening: Screening, monkeypatch: pytest.MonkeyPatch) -> None:
    """While rules are compiled another change is refused for the moment, emergency terms are not, and who left changes nothing."""
    go_on, prepare = threading.Event(), RuleBook.prepare

    def slow(book: RuleBook, source: str) -> Prepared:
        assert go_on.wait(20)
        return prepare(book, source)

    monkeypatch.setattr(RuleBook, "prepare", slow)
    waiting = asyncio.create_task(screening.reload(OTHER, "lin"))
    await asyncio.sleep(0)
    assert (await refused(screening.reload(URGENT, "mei"), "rules_busy")).retry_after_ms > 0
    await refused(screening.rollback("mei"), "rules_busy")
    assert await screening.overlay(URGENT, "mei") == 3
    waiting.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(PATIENCE_S):
        while not refuses(screening, "新词")[0]:  # noqa: ASYNC110 # there is nothing else to wait for
            await asyncio.sleep(0.01)
    assert refuses(screening, "急词") == [True]
    assert (await screening.rollback("lin")).what == "rollback"


async def test_emergency_terms_outlive_a_start(screening: Screening, tmp_path: Path, file: Path) -> None:
    """Emergency terms are in force at once and after the next start, until they are taken out; then they stay out."""
    assert await screening.overlay(URGENT, "lin") == 3
    assert refuses(screening, "坏词", "急词") == [True, True]
    assert refuses(opened(tmp_path, file), "坏词", "急词") == [True, True]
    assert await screening.overlay(None, "lin") == 0
    assert refuses(screening, "坏词", "急词") == [True, False]
    assert refuses(opened(tmp_path, file), "急词") == [False]


# -- at the start


async def test_the_file_of_the_settings_wins_at_the_start(screening: Screening, tmp_path: Path, file: Path) -> None:
    """What the settings name is in force after each start, and written down where that changes something."""
    await screening.reload(OTHER, "lin")
    again = opened(tmp_path, file)
    assert refuses(again, "坏词", "新词") == [True, False]
    assert await whats(again) == await whats(opened(tmp_path, file)) == ["start", "reload", "start"]
    assert (await again.rollback("lin")).version == "2"


async def test_without_a_file_what_an_operator_chose_stays(tmp_path: Path, file: Path) -> None:
    """Rules that were put into force outlive a start; those that only came with a start give way to the pack."""
    assert opened(tmp_path, file).current().rules.name == "tests"
    pack = opened(tmp_path, None)
    assert pack.current().rules.name == "starter"
    await pack.reload(OTHER, "lin")
    again = opened(tmp_path, None)
    assert refuses(again, "新词") == [True]
    assert await whats(again) == ["start", "start", "reload"]


@pytest.mark.parametrize("name", ["history.jsonl", "emergency.jsonl"])
def test_a_damaged_folder_names_itself(tmp_path: Path, file: Path, name: str) -> None:
    """A history that cannot be read is an error of the data folder, with the file's name."""
    opened(tmp_path, file)
    (tmp_path / "rules" / name).write_text("{}\n")
    with pytest.raises(DataFolderError, match=name):
        opened(tmp_path, file)
