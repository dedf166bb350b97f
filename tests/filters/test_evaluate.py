"""Tests of filters.evaluate."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from filters import STARTER_PACK
from filters.evaluate import TARGETS, Pair, Sets, Share, _choose, held_out, read, shares, stopped_by_rule, trade_off
from filters.rules import load


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Small sets in the form of the real ones."""
    (tmp_path / "screening").mkdir()
    (tmp_path / "danmaku").mkdir()
    pairs = (
        '{"family":"homophone","perturbed":"我七市你的","terms":["歧视"],"original":"x"}\n'
        '{"family":"split","perturbed":"舌忝犭句真多","terms":["舔狗"]}\n'
    )
    (tmp_path / "screening" / "evasion_dev.jsonl").write_text(pairs, encoding="utf-8")
    (tmp_path / "screening" / "clean_dev.jsonl").write_text('{"id":1,"text":"其实不错"}\n{"text":"反歧视"}\n', encoding="utf-8")
    (tmp_path / "danmaku" / "vod_positive.txt").write_text("真好看\n操你妈\n", encoding="utf-8")
    (tmp_path / "danmaku" / "replay_8000.csv").write_text("user,text\n1,玩到关服\n2,加V：abc12345\n", encoding="utf-8")
    return tmp_path


def test_duty_p5_6_recall_and_false_stops_come_from_labelled_comments(folder: Path) -> None:
    """Recall by way of evasion, and the share of harmless comments that are stopped, come from labelled comments, beside exact
    surface matching."""
    rows = {row.name: row for row in shares(read(folder))}
    assert (rows["homophone"].surface, rows["homophone"].stopped, rows["homophone"].target) == (0, 1, TARGETS["homophone"])
    assert (rows["clean_dev"].size, rows["clean_dev"].surface, rows["clean_dev"].stopped) == (2, 0.5, 0.5)
    assert rows["replay_8000"].stopped == 0


def test_more_evidence_stops_less(folder: Path) -> None:
    """The more evidence is asked for, the less is stopped."""
    few, many = trade_off(read(folder), (4, 60))
    assert sum(row.stopped for row in few[1]) > sum(row.stopped for row in many[1])


def test_held_out() -> None:
    """Every disguised comment and every harmless one is measured in the part it belongs to, by settings chosen without it."""
    hidden = ("歧视", "舔狗", "赌博", "约炮", "贷款", "发票", "彩票", "诈骗")
    sets = Sets(
        tuple(Pair("homophone", f"我{''.join(pair)}你的", (term,)) for term, pair in zip(hidden, ("七市",) * 8, strict=True)),
        {"clean_dev": tuple(f"第{number}句其实不错" for number in range(20))},
    )
    found = held_out(sets, folds=2, bits=(4.0, 8.0))
    rows = {row.name: row for row in found.rows}
    assert (rows["homophone"].size, rows["homophone"].target) == (8, TARGETS["homophone"])
    assert (rows["clean_dev"].size, rows["clean_dev"].stopped) == (20, 0.0)
    assert rows["homophone"].stopped == 1.0  # 七市 is one of the terms by its sound, whichever part it is in
    assert len(found.chosen) == 2
    assert set(found.chosen) <= {4.0, 8.0}


def test_choice_keeps_to_the_bound() -> None:
    """The best recall wins among the settings that keep to the bound; where none does, the strictest setting is taken."""
    table = [
        (4.0, [Share("homophone", 10, 0.0, 0.9, 0.95), Share("clean", 10, 0.1, 0.2)]),
        (6.0, [Share("homophone", 10, 0.0, 0.8, 0.95), Share("clean", 10, 0.1, 0.1)]),
        (8.0, [Share("homophone", 10, 0.0, 0.7, 0.95), Share("clean", 10, 0.1, 0.1)]),
    ]
    assert _choose(table) == 6.0
    assert _choose(table[:1]) == 4.0


def test_labelled_comments_are_read(folder: Path) -> None:
    """Comments labelled by people are read where they are there, folded."""
    assert read(folder).labelled == ()
    (folder / "screening" / "cold_train.csv").write_text("id,TEXT,label\n1,賭博,1\n2,真好看,0\n", encoding="utf-8")
    assert read(folder).labelled == (("赌博", True), ("真好看", False))


def test_by_rule(folder: Path) -> None:
    """What the starter pack stops is told by rule, and what it covers apart."""
    sets = read(folder)
    stopped, masked = stopped_by_rule(load(STARTER_PACK), [*sets.harmless["replay_8000"], *sets.harmless["vod_positive"]])
    assert (dict(stopped), dict(masked)) == ({"ads.contact": 1}, {"abuse.curses": 1})


def test_only_the_pairs_are_needed(tmp_path: Path) -> None:
    """Harmless sets may be absent; the disguised comments may not."""
    with pytest.raises(OSError, match="evasion_dev"):
        read(tmp_path)
    (tmp_path / "screening").mkdir()
    (tmp_path / "screening" / "evasion_dev.jsonl").write_text('{"family":"split","perturbed":"x","terms":["y"]}')
    assert read(tmp_path).harmless == {}


def _data() -> Path:
    return Path(os.environ.get("BARRAGE_DATA_DIR", Path(__file__).parents[3] / "shared" / "data"))


@pytest.mark.slow
@pytest.mark.skipif(not (_data() / "screening").exists(), reason="the labelled sets are not there (BARRAGE_DATA_DIR)")
def test_figures_on_the_development_sets() -> None:
    """On the development sets every family's target is reached, and at most a point more of harmless comments is stopped."""
    sets = read(_data())
    for row in shares(sets):
        if row.target:
            assert row.stopped >= row.target, row
        else:
            assert row.stopped - row.surface <= 0.01, row
    rules = load(STARTER_PACK)
    for name, limit in (("replay_8000", 0.001), ("vod_positive", 0.005), ("clean_dev", 0.005)):
        stopped, _ = stopped_by_rule(rules, sets.harmless[name])
        assert stopped.total() <= limit * len(sets.harmless[name])
