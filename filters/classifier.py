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

from filters.automata import finder

GRAMS: Final = (2, 3)
MAX_FEATURES: Final = 200_000
# While n-grams are counted, those seen once are dropped whenever there are more than this: memory stays bounded.
MAX_COUNTED: Final = 1_000_000
EPOCHS: Final = 4
RATE: Final = 0.3
DECAY: Final = 1e-5
# Weights nearer to nothing than this are left out: they cost time at every comment and say little.
LEAST_WEIGHT: Final = 0.05
# Samples that the model is surer of than this teach it nothing more.
SURE: Final = 0.02
SHARES: Final = (0.001, 0.005, 0.01, 0.05)


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """What training leaves: the bias and the weight of each n-gram, in log odds, and what it was trained on."""

    bias: float
    weights: dict[str, float]
    trained_on: int
    positives: int
    recall_at: dict[str, float] = {}


class Figure(msgspec.Struct, frozen=True):
    """What a threshold does to texts the model has not seen: the share of harmless ones flagged that it was chosen for, the share
    that is, and recall and precision."""

    share: float
    threshold: float
    flagged: float
    recall: float
    precision: float


class Classifier:
    """A model in use. Immutable."""

    def __init__(self, model: Model) -> None:
        self.model = model
        grams = sorted(gram for gram, weight in model.weights.items() if gram and weight)
        self._weights = [model.weights[gram] for gram in grams]
        self._find = finder(grams)

    def score(self, folded: str) -> float:
        """Log odds that the review team would take this text down, going by the model."""
        weights = self._weights
        return self.model.bias + sum([weights[gram] for _, _, gram in self._find(folded)])

    def explain(self, folded: str, top: int = 4) -> str:
        """The n-grams that spoke most for suspicion, each with all that its occurrences add."""
        spoken: dict[str, float] = {}
        for start, end, gram in self._find(folded):
            if self._weights[gram] > 0:
                spoken[folded[start:end]] = spoken.get(folded[start:end], 0.0) + self._weights[gram]
        best = sorted(spoken.items(), key=lambda item: (-item[1], item[0]))[:top]
        return " ".join(f"{gram}{weight:+.1f}" for gram, weight in best)


def grams(folded: str) -> list[str]:
    """The n-grams of a text, in order, repeated ones repeated."""
    return [folded[start : start + size] for size in GRAMS for start in range(len(folded) - size + 1)]


def train(samples: Sequence[tuple[str, bool]], seed: int = 1, least: int = 3) -> Model:
    """Train on (folded text, was taken down). A tenth is kept aside; ``recall_at`` tells the recall there at fixed shares of
    false positives. N-grams seen fewer than ``least`` times are left out. Raises ValueError without samples of both kinds."""
    kept, aside = apart(samples, seed)
    model = fit(kept, seed, least)
    scored = scores(model, aside)
    recall_at = {f"{figure.share:.1%}": round(figure.recall, 3) for figure in figures(scored, (0.001, 0.01))}
    return msgspec.structs.replace(model, recall_at=recall_at)


def apart(samples: Sequence[tuple[str, bool]], seed: int = 1) -> tuple[list[tuple[str, bool]], list[tuple[str, bool]]]:
    """The samples to train on, and a tenth to keep aside; every text is in one of them only, however often it was said."""
    rng = random.Random(seed)  # noqa: S311
    texts = sorted({text for text, _ in samples})
    rng.shuffle(texts)
    held = set(texts[: len(texts) // 10])
    return [item for item in samples if item[0] not in held], [item for item in samples if item[0] in held]


def fit(samples: Sequence[tuple[str, bool]], seed: int = 1, least: int = 3) -> Model:
    """Train on all samples, by stochastic gradients of the logistic loss with a rate for each weight (AdaGrad).

    Raises ValueError without samples of both kinds.
    """
    positives = sum(label for _, label in samples)
    if not 0 < positives < len(samples):
        raise ValueError("training needs texts of both kinds: taken down and left alone")
    known = _known(samples, least)
    place_of = {gram: place for place, gram in enumerate(known)}
    prepared = [([place_of[gram] for gram in grams(text) if gram in place_of], label) for text, label in samples]
    weights = [0.0] * len(known)
    squares = [1e-3] * len(known)
    bias = math.log(positives / (len(samples) - positives))
    rng = random.Random(seed)  # noqa: S311
    for _ in range(EPOCHS):
        rng.shuffle(prepared)
        for found, label in prepared:
            total = bias + sum(map(weights.__getitem__, found))
            error = label - 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))
            if -SURE < error < SURE:
                continue
            bias += 0.01 * error
            square = error * error
            for place in set(found):
                squares[place] += square
                weights[place] += RATE * error / math.sqrt(squares[place]) - DECAY * weights[place]
    rounded = {gram: round(weight, 3) for gram, weight in zip(known, weights, strict=True) if abs(weight) >= LEAST_WEIGHT}
    return Model(bias=round(bias, 3), weights=rounded, trained_on=len(samples), positives=positives)


def _known(samples: Iterable[tuple[str, bool]], least: int) -> list[str]:
    """The n-grams in at least ``least`` texts, in order; of too many, the most frequent."""
    counts: Counter[str] = Counter()
    for text, _ in samples:
        counts.update(set(grams(text)))
        if len(counts) > MAX_COUNTED:
            counts = Counter({gram: count for gram, count in counts.items() if count > 1})
    return sorted(gram for gram, count in counts.most_common(MAX_FEATURES) if count >= least)


def scores(model: Model, samples: Iterable[tuple[str, bool]]) -> list[tuple[float, bool]]:
    """The score of each sample, with its label."""
    classifier = Classifier(model)
    return [(classifier.score(text), label) for text, label in samples]


def cross_validate(samples: Sequence[tuple[str, bool]], folds: int = 5, seed: int = 1) -> list[tuple[float, float, float]]:
    """For each share of :data:`SHARES`: itself, the share of harmless texts flagged, and the recall, all of texts not trained on.

    The texts are cut into ``folds`` parts. For each part the model is trained, and its thresholds are chosen (on a tenth kept aside
    from training), without that part. Raises ValueError where there are too few samples of both kinds.
    """
    rng = random.Random(seed)  # noqa: S311
    texts = sorted({text for text, _ in samples})
    rng.shuffle(texts)
    part_of = {text: place % folds for place, text in enumerate(texts)}
    calm = bad = 0
    flagged: Counter[float] = Counter()
    caught: Counter[float] = Counter()
    for part in range(folds):
        kept, aside = apart([item for item in samples if part_of[item[0]] != part], seed)
        model = fit(kept, seed)
        limits = [(figure.share, figure.threshold) for figure in figures(scores(model, aside))]
        if not limits:
            raise ValueError("too few samples of both kinds to choose thresholds by")
        for score, label in scores(model, (item for item in samples if part_of[item[0]] == part)):
            calm, bad = calm + (not label), bad + label
            (caught if label else flagged).update(share for share, limit in limits if score > limit)
    return [(share, flagged[share] / max(1, calm), caught[share] / max(1, bad)) for share in SHARES]


def figures(scored: Sequence[tuple[float, bool]], shares: Sequence[float] = SHARES) -> list[Figure]:
    """What thresholds do that flag at most the given shares of the harmless texts; empty without texts of both kinds."""
    calm = sorted((score for score, label in scored if not label), reverse=True)
    bad = [score for score, label in scored if label]
    if not calm or not bad:
        return []
    out = []
    for share in shares:
        limit = calm[min(len(calm) - 1, int(share * len(calm)))]
        wrong, right = sum(score > limit for score in calm), sum(score > limit for score in bad)
        out.append(Figure(share, limit, wrong / len(calm), right / len(bad), right / max(1, right + wrong)))
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
