"""Tests of filters.book."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from pathlib import Path

import pytest

from filters import STARTER_PACK, book
from filters.bench import made_terms
from filters.book import RuleBook, check, prepare, warnings
from filters.importers import to_toml
from filters.pipeline import Pipeline
from filters.rules import RuleError, loads
from filters.verdict import Action, Candidate
from tests.filters.timing import best_of


def rules(term: str, version: str = "1", samples: str = "") -> str:
    source = to_toml([term], "t.list", "test", "house rule", "A list").replace('version = "1"', f'version = "{version}"')
    return source + samples


@pytest.fixture
def rule_book(tmp_path: Path) -> RuleBook:
    return RuleBook(tmp_path / "rules", rules("甲词"))


def action(rule_book: RuleBook, text: str) -> Action:
    return rule_book.current.inspect(text).action


def test_first_rules_are_recorded(rule_book: RuleBook, tmp_path: Path) -> None:
    """The rules a folder starts with open its history, and are used again at the next start instead of the given ones."""
    assert [change.what for change in rule_book.history()] == ["start"]
    again = RuleBook(tmp_path / "rules", rules("别的"))
    assert again.current.hash == rule_book.current.hash


@pytest.mark.usefixtures("rule_book")
def test_the_rules_are_for_their_owner_only(tmp_path: Path) -> None:
    """Who knows the terms can write around them: other users of the machine cannot list or read what is kept."""
    assert (tmp_path / "rules").stat().st_mode & 0o777 == 0o700


def test_adopt_and_roll_back(rule_book: RuleBook) -> None:
    """Prepared rules come into force at once, and those before them can be put back; the history tells both."""
    first = rule_book.current.hash
    change = rule_book.adopt(rule_book.prepare(rules("乙词", "2")), "lin", 1000)
    assert (change.previous, change.by, action(rule_book, "乙词"), action(rule_book, "甲词")) == (first, "lin", 2, 0)
    rule_book.adopt(rule_book.prepare(rule_book.previous()), "lin", 2000, "rollback")
    assert (rule_book.current.hash, action(rule_book, "甲词")) == (first, Action.HOLD)
    assert [entry.what for entry in rule_book.history()] == ["start", "reload", "rollback"]


def test_nothing_to_roll_back_to(rule_book: RuleBook) -> None:
    """Without earlier rules there is nothing to go back to, and that is said."""
    with pytest.raises(RuleError, match="no earlier rules"):
        rule_book.previous()


def test_memory_outlives_the_change(rule_book: RuleBook) -> None:
    """Rates go on over a change of rules."""
    candidate = Candidate(text="你好", room="r", author="a", slow_ms=5000)
    assert rule_book.current.screen(candidate, 1000).action is Action.ACCEPT
    rule_book.adopt(rule_book.prepare(rules("乙词", "2")), "lin", 1000)
    assert rule_book.current.screen(candidate, 1100).reasons[0].rule == "rate.slow"


def test_samples_are_checked_first(rule_book: RuleBook) -> None:
    """Rules that stop a good sample or let a bad one pass are not taken, and the old ones stay."""
    with pytest.raises(RuleError, match="bad sample passes: 丙"):
        rule_book.prepare(rules("乙词", "2", '\n[samples]\nbad = ["丙"]\n'))
    assert check(loads(rules("乙词", "2", '\n[samples]\ngood = ["说乙词"]\n'))) == [
        "a good sample is stopped by t.list: 说乙词"
    ]
    with pytest.raises(RuleError, match="Invalid"):
        rule_book.prepare("format =")
    assert action(rule_book, "甲词") is Action.HOLD


def test_overlay_is_live_at_once(rule_book: RuleBook) -> None:
    """Emergency terms stand beside the rules, outlive a reload, and go when they are taken out."""
    rule_book.overlay(rules("急词"))
    assert action(rule_book, "急词") is Action.HOLD
    rule_book.adopt(rule_book.prepare(rules("乙词", "2")), "lin", 1000)
    assert action(rule_book, "急词") is Action.HOLD
    rule_book.overlay(None)
    assert action(rule_book, "急词") is Action.ACCEPT


def test_replay_under_the_rules_of_the_time(rule_book: RuleBook) -> None:
    """An old decision can be judged again under the rules it was made by, whatever is in force now."""
    first = rule_book.current.hash
    rule_book.adopt(rule_book.prepare(rules("乙词", "2")), "lin", 1000)
    assert rule_book.replay("甲词", first, 500).action is Action.HOLD
    assert rule_book.replay("甲词", rule_book.current.hash, 1500).action is Action.ACCEPT
    with pytest.raises(RuleError, match="no rules"):
        rule_book.replay("甲词", "0" * 16, 0)


def test_prepared_elsewhere_is_the_same(tmp_path: Path) -> None:
    """What the helper process compiled judges like what is compiled here, under the same hash."""
    source = STARTER_PACK.read_text(encoding="utf-8")
    rule_book = RuleBook(tmp_path, rules("甲词"))
    rule_book.adopt(rule_book.prepare(source), "lin", 1)
    here = Pipeline(loads(source))
    assert rule_book.current.hash == here.hash
    for text in ("澳門賭場", "加V：abc12345", "操伱媽", "打击网络博彩", "你好"):
        assert rule_book.current.inspect(text) == here.inspect(text)


def test_damaged_history(rule_book: RuleBook, tmp_path: Path) -> None:
    """A damaged history is reported, not passed over."""
    (tmp_path / "rules" / "history.jsonl").write_text("{}\n")
    with pytest.raises(RuleError, match="history"):
        rule_book.history()


def test_same_rules_twice_are_no_earlier_rules(rule_book: RuleBook) -> None:
    """Rules that were put into force twice in a row are gone back from in one step."""
    first = rule_book.current.hash
    for now_ms in (1, 2):
        rule_book.adopt(rule_book.prepare(rules("乙词", "2")), "lin", now_ms)
    assert loads(rule_book.previous()).hash == first


def test_insisting_on_a_source(rule_book: RuleBook, tmp_path: Path) -> None:
    """A source that is insisted on wins over the history and is recorded, once."""
    for now_ms in (5, 6):
        again = RuleBook(tmp_path / "rules", rules("别的词"), insist=True, now_ms=now_ms)
    assert action(again, "别的词") is Action.HOLD
    assert [(change.at_ms, change.what, change.previous) for change in again.history()] == [
        (0, "start", ""), (5, "start", rule_book.current.hash),
    ]  # fmt: skip
    assert loads(again.previous()).hash == rule_book.current.hash


def test_a_line_that_was_cut_short_never_counted(rule_book: RuleBook, tmp_path: Path) -> None:
    """What a crash left of a line of the history is passed over, and taken away by the next line."""
    with (tmp_path / "rules" / "history.jsonl").open("ab") as file:
        file.write(b'{"at_ms":')
    assert len(rule_book.history()) == 1
    rule_book.adopt(rule_book.prepare(rules("乙词", "2")), "lin", 1000)
    assert [change.what for change in RuleBook(tmp_path / "rules", rules("丙词")).history()] == ["start", "reload"]


def test_warnings() -> None:
    """An operator is told of terms that are doubled, single, too short, or looked for as written only."""
    told = "\n".join(warnings(loads(rules("枪").replace('"枪",', '"枪", "赌场", "賭場",'))))
    assert "single character" in told
    assert "also a term" in told
    assert "too short" in "\n".join(warnings(loads(rules("８").replace("terms", "min_chars = 2\nterms"))))


def test_helper_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper that does not come to an end is given up on."""
    monkeypatch.setattr(book, "TIMEOUT_S", 0.001)
    with pytest.raises(RuleError, match="could not be compiled within"):
        prepare(rules("甲词"))


def test_helper_that_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper that dies without a word is reported by its exit code."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RuleError, match="ended with 1"):
        prepare(rules("甲词"))


@pytest.mark.parametrize(
    ("source", "code"), [(rules("甲词"), 0), ("format =", 1), (rules("甲", "1", '[samples]\nbad=["乙"]'), 1)]
)
def test_helper(source: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The helper answers with what it compiled, or with sentences and exit code 1."""

    class Stream(io.TextIOWrapper):
        pass

    given, out, err = io.BytesIO(source.encode()), io.BytesIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdin", Stream(given))
    monkeypatch.setattr(sys, "stdout", Stream(out))
    monkeypatch.setattr(sys, "stderr", err)
    assert book._helper() == code
    assert bool(out.getvalue()) is (code == 0)
    assert bool(err.getvalue()) is (code == 1)


@pytest.mark.slow
async def test_reload_under_load_does_not_stall_the_loop(tmp_path: Path) -> None:
    """While very many terms are compiled and loaded, comments are screened, and to put the rules into force is a short step.

    Processor time counts: waiting for a processor or a disk that other programs use is none of the screening's doing.
    """
    rule_book = RuleBook(tmp_path, rules("甲词"))
    source = to_toml(made_terms(20_000), "t.list", "test", "house rule", "A list")
    screened = 0
    for _ in range(3):  # a machine that stands still while the helper works spoils one
        task = asyncio.create_task(asyncio.to_thread(rule_book.prepare, source))
        before = screened
        while not task.done():
            screened += 1
            rule_book.current.screen(Candidate(text="今天真好看", room="r", author=str(screened)), screened)
            await asyncio.sleep(0.001)
        prepared = await task
        if screened - before > 20:
            break
    else:
        raise AssertionError("nothing was screened meanwhile")
    assert best_of(5, lambda: rule_book.adopt(prepared, "lin", 1), 0.02) < 0.02


def test_the_helper_steps_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper takes the processor after the server, and as an ordinary process, whatever it inherited."""
    asked: list[object] = []
    monkeypatch.setattr(os, "sched_setscheduler", lambda _, policy, param: asked.append((policy, param.sched_priority)))
    monkeypatch.setattr(os, "nice", asked.append)
    book._step_aside()
    assert asked == [(os.SCHED_OTHER, 0), book.HELPER_NICE]
