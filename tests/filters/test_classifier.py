"""Tests of filters.classifier."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from filters import classifier as module
from filters.classifier import (
    SHARES,
    Classifier,
    Model,
    apart,
    cross_validate,
    figures,
    fit,
    grams,
    load_model,
    save,
    train,
)


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
    assert 530 <= model.trained_on <= 550


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


def test_explanation_adds_up() -> None:
    """Every occurrence counts, in the score and in its explanation; what speaks for innocence explains nothing."""
    model = Model(bias=0.0, weights={"点击": 1.5, "击领": -3.0, "加我": 2.0}, trained_on=1, positives=1)
    classifier = Classifier(model)
    assert classifier.score("点击领点击") == 0.0
    assert classifier.explain("点击领点击加我") == "点击+3.0 加我+2.0"
    assert classifier.explain("点击加我", top=1) == "加我+2.0"
    assert Classifier(Model(bias=-2.0, weights={}, trained_on=1, positives=1)).score("点击") == -2.0


def test_score_is_the_sum_over_any_text() -> None:
    """What the automaton finds is what the n-grams of the text weigh, one by one."""
    rng = random.Random(5)
    model = fit(samples())
    classifier = Classifier(model)
    for _ in range(300):
        text = "".join(rng.choices("点击领取今天主播好看😂a", k=rng.randrange(12)))
        expected = model.bias + sum(model.weights.get(gram, 0.0) for gram in grams(text))
        assert classifier.score(text) == pytest.approx(expected)


def test_no_text_is_in_both_parts() -> None:
    """A text that was said often is either trained on or kept aside, never both."""
    said = [(f"第{number % 50}句话", number % 50 % 2 == 0) for number in range(1_000)]
    kept, aside = apart(said)
    assert len(kept) + len(aside) == 1_000
    assert len(aside) == 100
    assert not {text for text, _ in kept} & {text for text, _ in aside}


def test_cross_validation() -> None:
    """Out of fold, what can be told is told; labels without any rule in them are not."""
    found = cross_validate(samples(), folds=3)
    assert [share for share, _, _ in found] == list(SHARES)
    assert all(recall == 1.0 and flagged <= 0.15 for _, flagged, recall in found)
    rng = random.Random(6)
    chance = [(text, rng.random() < 0.5) for text, _ in samples()]
    assert cross_validate(chance, folds=3)[2][2] < 0.2


def test_cross_validation_needs_samples() -> None:
    """Too few samples to choose a threshold by are refused."""
    with pytest.raises(ValueError, match="too few"):
        cross_validate([(f"第{number}句话", number % 2 == 0) for number in range(16)], folds=2)


def test_figures() -> None:
    """A threshold flags at most its share of the harmless texts."""
    scored = [(float(number), False) for number in range(100)] + [(98.5, True), (50.0, True)]
    (figure,) = figures(scored, (0.01,))
    assert (figure.threshold, figure.flagged, figure.recall) == (98.0, 0.01, 0.5)
    assert figure.precision == 0.5
    assert figures([(1.0, True)]) == []


def test_counting_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many n-grams those seen once are dropped while counting, and the model is the same where it matters."""
    monkeypatch.setattr(module, "MAX_COUNTED", 50)
    classifier = Classifier(fit(samples()))
    assert classifier.score("主播好看点击领取") > 0 > classifier.score("主播好看期待更新")
