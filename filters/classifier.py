"""A linear model over character n-grams: suspicion in log odds, and the n-grams behind it as the explanation.

It only ever holds for review, and watches first. No model comes with the project: ``train`` makes one from the review team's own
decisions, because a model trained elsewhere flags what is ordinary here.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec
from daachorse import CharwiseDoubleArrayAhoCorasick

GRAMS: Final = (2, 3)
MAX_FEATURES: Final = 200_000
EPOCHS: Final = 4
RATE: Final = 0.3
DECAY: Final = 1e-5


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """What training leaves: the bias and the weight of each n-gram, in log odds, and what it was trained on."""

    bias: float
    weights: dict[str, float]
    trained_on: int
    positives: int
    recall_at: dict[str, float] = {}


class Classifier:
    """A model in use. Immutable."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._weights = model.weights
        # One look for all n-grams at once: a dictionary would be asked for each n-gram of the text, known or not.
        self._values = list(model.weights.values())
        self._find = CharwiseDoubleArrayAhoCorasick(list(model.weights)).find_overlapping if model.weights else _nothing

    def score(self, folded: str) -> float:
        """Log odds that the review team would take this text down, going by the model."""
        values = self._values
        return self.model.bias + sum([values[number] for _, _, number in self._find(folded)])

    def explain(self, folded: str, top: int = 4) -> str:
        """The n-grams that spoke most for suspicion."""
        spoken = {gram: self._weights[gram] for gram in grams(folded) if self._weights.get(gram, 0) > 0}
        best = sorted(spoken.items(), key=lambda item: (-item[1], item[0]))[:top]
        return " ".join(f"{gram}{weight:+.1f}" for gram, weight in best)


def _nothing(_: str) -> list[tuple[int, int, int]]:
    return []


def grams(folded: str) -> list[str]:
    """The n-grams of a text, in order, repeated ones repeated."""
    return [folded[start : start + size] for size in GRAMS for start in range(len(folded) - size + 1)]


def train(samples: Sequence[tuple[str, bool]], seed: int = 1, least: int = 3) -> Model:
    """Train on (folded text, was taken down). A tenth is kept aside; ``recall_at`` tells the recall there at fixed shares of
    false positives. N-grams seen fewer than ``least`` times are left out. Raises ValueError without samples of both kinds."""
    positives = sum(label for _, label in samples)
    if not 0 < positives < len(samples):
        raise ValueError("training needs texts of both kinds: taken down and left alone")
    rng = random.Random(seed)  # noqa: S311
    order = list(samples)
    rng.shuffle(order)
    aside = order[: len(order) // 10]
    kept = order[len(aside) :]
    counts = Counter(gram for text, _ in kept for gram in set(grams(text)))
    known = {gram for gram, count in counts.most_common(MAX_FEATURES) if count >= least}
    prepared = [([gram for gram in grams(text) if gram in known], label) for text, label in kept]
    weights: dict[str, float] = dict.fromkeys(sorted(known), 0.0)
    bias = math.log(positives / (len(samples) - positives))
    squares: dict[str, float] = {}
    for _ in range(EPOCHS):
        rng.shuffle(prepared)
        for found, label in prepared:
            total = bias + sum(weights[gram] for gram in found)
            error = label - 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))
            bias += 0.01 * error
            for gram in set(found):
                squares[gram] = squares.get(gram, 1e-3) + error * error
                weights[gram] += RATE * error / math.sqrt(squares[gram]) - DECAY * weights[gram]
    rounded = {gram: round(weight, 3) for gram, weight in weights.items() if abs(weight) >= 0.01}
    model = Model(bias=round(bias, 3), weights=rounded, trained_on=len(kept), positives=positives)
    return msgspec.structs.replace(model, recall_at=_recall(Classifier(model), aside))


def _recall(classifier: Classifier, samples: Iterable[tuple[str, bool]]) -> dict[str, float]:
    """Recall at the thresholds that flag 0.1 % and 1 % of the harmless ones."""
    scored = [(classifier.score(text), label) for text, label in samples]
    calm = sorted((score for score, label in scored if not label), reverse=True)
    bad = [score for score, label in scored if label]
    if not calm or not bad:
        return {}
    out = {}
    for share in (0.001, 0.01):
        limit = calm[min(len(calm) - 1, int(share * len(calm)))]
        out[f"{share:.1%}"] = round(sum(score > limit for score in bad) / len(bad), 3)
    return out


def save(model: Model, path: Path) -> None:
    """Write a model as JSON. Raises OSError."""
    path.write_bytes(msgspec.json.encode(model, order="sorted"))


def load_model(path: Path) -> Model:
    """Read a model. Raises OSError; ValueError when the file is no model."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Model)
    except msgspec.DecodeError as error:
        raise ValueError(f"{path} is no model: {error}") from None
