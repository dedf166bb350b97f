"""Tests of filters.classifier."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from filters.classifier import Classifier, Model, grams, load_model, save, train


def samples(count: int = 600) -> list[tuple[str, bool]]:
    """Texts of which those that say 点击领取 were taken down."""
    rng = random.Random(3)
    words = ["今天", "主播", "好看", "剧情", "音乐", "镜头", "演员", "更新", "期待", "真的"]
    out = []
    for number in range(count):
        body = "".join(rng.choices(words, k=4))
        out.append((f"{body}点击领取" if number % 3 == 0 else body, number % 3 == 0))
    return out


def test_learns_and_explains() -> None:
    """A trained model tells the kinds apart, names the n-grams behind it, and knows its recall on what was kept aside."""
    model = train(samples())
    classifier = Classifier(model)
    assert classifier.score("主播好看点击领取") > 0 > classifier.score("主播好看期待更新")
    assert "点击" in classifier.explain("主播好看点击领取")
    assert model.recall_at == {"0.1%": 1.0, "1.0%": 1.0}
    assert (model.trained_on, model.positives) == (540, 200)


def test_same_seed_same_model() -> None:
    """Training is repeatable."""
    assert train(samples(), seed=7) == train(samples(), seed=7)


def test_both_kinds_are_needed() -> None:
    """Samples of one kind only teach nothing, and are refused."""
    with pytest.raises(ValueError, match="both kinds"):
        train([("一", False), ("二", False)])


def test_no_recall_without_enough_samples() -> None:
    """Too few samples give a model without a figure."""
    assert train([("点击领取", True), ("今天好看", False)], least=1).recall_at == {}


def test_saved_and_loaded(tmp_path: Path) -> None:
    """A model read back is the one written; another file is refused."""
    model = Model(bias=-1.0, weights={"点击": 2.5}, trained_on=10, positives=3)
    save(model, tmp_path / "model.json")
    assert load_model(tmp_path / "model.json") == model
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(ValueError, match="is no model"):
        load_model(tmp_path / "other.json")


def test_score_is_the_sum() -> None:
    """A score is the bias plus the weight of every pair and triple."""
    classifier = Classifier(Model(bias=-1.0, weights={"点击": 2.5, "点击领": 1.0}, trained_on=1, positives=1))
    assert classifier.score("点击领") == 2.5
    assert classifier.score("") == -1.0
    assert grams("点击领") == ["点击", "击领", "点击领"]
