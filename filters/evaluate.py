"""Measuring the screening against labelled sets of comments, from outside the repository.

The folder holds ``screening/evasion_dev.jsonl`` (one object a line: ``family``, ``perturbed``, hidden ``terms``),
``screening/clean_dev.jsonl`` (``text``) and, where there, ``danmaku/vod_positive.txt`` (one text a line) and
``danmaku/replay_8000.csv`` (the last column is ``text``) and ``screening/cold_train.csv`` (``TEXT``, ``label`` 0 or 1).
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final
from zlib import crc32

import msgspec

from filters.config import ScreeningConfig
from filters.lexicon import Lexicon, Settings
from filters.normalize import fold
from filters.pipeline import Pipeline
from filters.rules import Rule, RuleSet
from filters.verdict import Action

LONGEST: Final = 1_000
# Bits of evidence among which the held-out measurement chooses, and how much more than surface matching may be stopped.
BITS: Final = (4.0, 4.75, 5.5, 6.25, 7.0, 8.0)
MOST_MORE: Final = 0.01
TARGETS: Final = {
    "traditional": 0.99,
    "homophone": 0.95,
    "look_alike": 0.85,
    "split": 0.85,
    "emoji": 0.80,
    "pinyin_full": 0.85,
    "shuffle": 0.60,
    "pinyin_initials": 0.50,
}


class Pair(msgspec.Struct, frozen=True):
    """A comment in which hidden terms were disguised."""

    family: str
    perturbed: str
    terms: tuple[str, ...]


class Sets(msgspec.Struct, frozen=True):
    """What the folder holds: disguised comments, harmless ones by the name of their set, and comments labelled by people
    (folded; True: offensive)."""

    pairs: tuple[Pair, ...]
    harmless: dict[str, tuple[str, ...]]
    labelled: tuple[tuple[str, bool], ...] = ()

    def terms(self) -> tuple[str, ...]:
        """Every hidden term, once, in order."""
        return tuple(sorted({term for pair in self.pairs for term in pair.terms}))


class Share(msgspec.Struct, frozen=True):
    """How much of a set is stopped: by exact surface matching, and by the settings in question."""

    name: str
    size: int
    surface: float
    stopped: float
    target: float = 0.0


def read(folder: Path) -> Sets:
    """Read what there is. Raises OSError when there is no set of disguised comments, ValueError when it cannot be understood."""
    lines = (folder / "screening" / "evasion_dev.jsonl").read_bytes().splitlines()
    pairs = tuple(msgspec.json.decode(line, type=Pair) for line in lines if line)
    harmless: dict[str, tuple[str, ...]] = {}
    clean = folder / "screening" / "clean_dev.jsonl"
    if clean.exists():
        harmless["clean_dev"] = tuple(msgspec.json.decode(line)["text"] for line in clean.read_bytes().splitlines() if line)
    positive = folder / "danmaku" / "vod_positive.txt"
    if positive.exists():
        harmless["vod_positive"] = tuple(line for line in positive.read_text(encoding="utf-8").split("\n") if line)
    replay = folder / "danmaku" / "replay_8000.csv"
    if replay.exists():
        with replay.open(encoding="utf-8", newline="") as file:
            harmless["replay_8000"] = tuple(row["text"] for row in csv.DictReader(file))
    labelled: tuple[tuple[str, bool], ...] = ()
    cold = folder / "screening" / "cold_train.csv"
    if cold.exists():
        with cold.open(encoding="utf-8", newline="") as file:
            labelled = tuple((fold(row["TEXT"]), row["label"] == "1") for row in csv.DictReader(file))
    return Sets(pairs, harmless, labelled)


def one_rule(terms: Iterable[str], tier: str = "hold", code: str = "list") -> RuleSet:
    """A rule set of one rule that looks for ``terms``. Raises msgspec.ValidationError."""
    rule = {
        "code": code,
        "title": "A list of terms",
        "category": "list",
        "tier": tier,
        "basis": "list given on the command line",
        "terms": tuple(terms),
    }
    return RuleSet(format=1, name="list", version="1", rule=(msgspec.convert(rule, Rule),))


def shares(sets: Sets, settings: Settings | None = None, least: int = 1, terms: Sequence[str] | None = None) -> list[Share]:
    """The table of recall by family, then of harmless sets. ``least``: hidden terms shorter than this are left out. ``terms``: the
    lexicon (None: the hidden terms of the sets)."""
    if terms is None:
        terms = [term for term in sets.terms() if len(term) >= least]
    lexicon = Lexicon(one_rule(terms), settings=settings)
    out = []
    for family in sorted({pair.family for pair in sets.pairs}):
        texts = [pair.perturbed for pair in sets.pairs if pair.family == family]
        out.append(_share(family, texts, lexicon, terms, TARGETS.get(family, 0.0)))
    out.extend(_share(name, texts, lexicon, terms) for name, texts in sets.harmless.items() if texts)
    return out


def _share(name: str, texts: Sequence[str], lexicon: Lexicon, terms: Sequence[str], target: float = 0.0) -> Share:
    surface = sum(any(term in text for term in terms) for text in texts)
    stopped = sum(any(not hit.cancelled for hit in lexicon.find(text, fold(text))) for text in texts)
    return Share(name, len(texts), surface / len(texts), stopped / len(texts), target)


def trade_off(
    sets: Sets, bits: Sequence[float] = (3, 4, 5, 6, 7, 8, 10, 12), least: int = 1
) -> list[tuple[float, list[Share]]]:
    """The table for several amounts of evidence that a soft hit needs."""
    return [(need, shares(sets, _settings(need), least)) for need in bits]


class HeldOut(msgspec.Struct, frozen=True):
    """A row of the held-out table, and the bits that were chosen in each fold."""

    rows: list[Share]
    chosen: tuple[float, ...]


def held_out(sets: Sets, folds: int = 2, least: int = 1, bits: Sequence[float] = BITS) -> HeldOut:
    """Choose the evidence that a soft hit needs on some terms and comments, measure on others, and add the folds up.

    Terms are cut into ``folds`` parts by their digest, harmless comments by theirs (so that copies stay together). In each fold the
    lexicon of choice holds the other parts' terms; of all ``bits`` that stop at most a hundredth more of every set of the other
    parts' harmless comments than surface matching does, those with the best mean recall are taken. Then this part is measured: with
    all terms as lexicon, on the comments that hide this part's terms and on this part's harmless comments.
    """
    part_of = {term: _part(term, folds) for term in sets.terms()}
    every = [term for term in part_of if len(term) >= least]
    counted: dict[str, list[int]] = {}
    chosen = []
    for part in range(folds):
        rest = Sets(
            tuple(pair for pair in sets.pairs if all(part_of[term] != part for term in pair.terms)),
            {name: tuple(text for text in texts if _part(text, folds) != part) for name, texts in sets.harmless.items()},
        )
        own = Sets(
            tuple(pair for pair in sets.pairs if any(part_of[term] == part for term in pair.terms)),
            {name: tuple(text for text in texts if _part(text, folds) == part) for name, texts in sets.harmless.items()},
        )
        chosen.append(_choose(trade_off(rest, bits, least)))
        for row in shares(own, _settings(chosen[-1]), least, every):
            known = counted.setdefault(row.name, [0, 0, 0])
            for place, more in enumerate((row.size, round(row.surface * row.size), round(row.stopped * row.size))):
                known[place] += more
    rows = [
        Share(name, size, surface / size, stopped / size, TARGETS.get(name, 0.0))
        for name, (size, surface, stopped) in counted.items()
    ]
    return HeldOut(rows, tuple(chosen))


def _part(text: str, folds: int) -> int:
    return crc32(text.encode("utf-8", "replace")) % folds


def _settings(need: float) -> Settings:
    """``need`` for the lattice, and the others as much above it as they are by themselves."""
    usual = Settings()
    return Settings(sound=need + usual.sound - usual.lattice, lattice=need, shuffle=need + usual.shuffle - usual.lattice)


def _choose(table: Sequence[tuple[float, list[Share]]]) -> float:
    """The bits with the best mean recall among those that keep to the bound; if none does, the most that there are."""
    allowed = [
        (sum(row.stopped for row in rows if row.target), need)
        for need, rows in table
        if all(row.stopped - row.surface <= MOST_MORE for row in rows if not row.target)
    ]
    return max(allowed)[1] if allowed else max(need for need, _ in table)


def stopped_by_rule(rules: RuleSet, texts: Iterable[str]) -> tuple[Counter[str], Counter[str]]:
    """How many texts are stopped, by rule, and how many merely masked."""
    pipeline = Pipeline(rules, ScreeningConfig(max_chars=LONGEST))
    stopped: Counter[str] = Counter()
    masked: Counter[str] = Counter()
    for text in texts:
        verdict = pipeline.inspect(text)
        if verdict.action is Action.ACCEPT:
            continue
        weight = [reason.rule for reason in verdict.reasons if reason.action is verdict.action and not reason.observer]
        (masked if verdict.action is Action.MASK else stopped)[weight[0]] += 1
    return stopped, masked
