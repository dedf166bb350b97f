"""Microseconds of processor time per comment, with everything on, beside other ways of matching in the same run.

Comments and terms are made of everyday words by a seeded generator, so that anybody gets the same ones. Processor time of the
thread is taken, not time by the clock: other work on the machine changes the latter only.
"""

from __future__ import annotations

import gc
import importlib
import itertools
import os
import platform
import random
import re
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

from filters import STARTER_PACK
from filters.classifier import GRAMS, Classifier, Model
from filters.config import ScreeningConfig
from filters.language import WORDS
from filters.lexicon import Lexicon
from filters.normalize import fold, is_han
from filters.pipeline import REMEMBERED, Pipeline
from filters.rules import Rule, RuleSet, load
from filters.verdict import Action, Candidate

_T = TypeVar("_T")
COMMENT_CHARS: Final = 20
# Of the collection of garbage, as the server sets them.
SERVER_THRESHOLDS: Final = (50_000, 20, 50)
# Comments after which the pipeline is let catch up: 50 ms of 500 a second.
BATCH: Final = 25
TAILS: Final = ("", "", "", "！", "！！！", "~", "666", "哈哈哈", "😂", "😂😂", "？")


def made_terms(count: int, seed: int = 5) -> list[str]:
    """Terms as open lists have them: pairs of words, three characters at random, names of sites."""
    rng = random.Random(seed)  # noqa: S311
    words = sorted(word for word in WORDS if 2 <= len(word) <= 3 and all(map(is_han, word)))
    chars = sorted(word for word in WORDS if len(word) == 1 and is_han(word))
    terms: dict[str, None] = {}
    while len(terms) < count:
        kind = rng.random()
        if kind < 0.6:
            terms[rng.choice(words) + rng.choice(words)] = None
        elif kind < 0.8:
            terms["".join(rng.choices(chars, k=3))] = None
        else:
            terms["".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=8)) + ".com"] = None
    return list(terms)


def made_comments(count: int, seed: int = 6) -> list[str]:
    """Comments of 20 characters: words by their frequency, with the tails that comments have."""
    rng = random.Random(seed)  # noqa: S311
    words = sorted(word for word in WORDS if all(map(is_han, word)))
    weights = [2 ** (-WORDS[word] / 8) for word in words]
    out = []
    for _ in range(count):
        tail = rng.choice(TAILS)
        body = "".join(rng.choices(words, weights, k=COMMENT_CHARS))
        out.append(body[: COMMENT_CHARS - len(tail)] + tail)
    return out


def full_pipeline(terms: Sequence[str], rules: RuleSet) -> Pipeline:
    """Every check of ``rules`` on, with a holding list of ``terms`` and a classifier of a usual size."""
    held = Rule(code="bench.list", title="A list", category="list", tier="hold", basis="measurement", terms=tuple(terms))
    together = RuleSet(format=1, name="bench", version="1", rule=(*rules.rule, held), harmless=rules.harmless)
    rng = random.Random(1)  # noqa: S311
    chars = [word for word in sorted(WORDS) if len(word) == 1][:3000]
    weights = {"".join(rng.choices(chars, k=size)): rng.uniform(-1, 1) for size in GRAMS for _ in range(20_000)}
    model = Model(bias=-5.0, weights=weights, trained_on=0, positives=0)
    return Pipeline(together, ScreeningConfig(), lexicon=Lexicon(together), classifier=Classifier(model))


Figures = tuple[float, float, float]


def timed(action: Callable[[_T], object], texts: Sequence[_T]) -> Figures:
    """Median, 99th percentile and mean, in microseconds of this thread's processor time, the clock's own included; the best of three
    rounds.

    Each round has a third of the texts to itself: a text heard before takes another path through the memory of repeats.
    """
    return timed_both(action, None, texts)[0]


def timed_both(
    action: Callable[[_T], object], afterwards: Callable[[_T], object] | None, texts: Sequence[_T]
) -> tuple[Figures, Figures]:
    """The same for an action and for what it leaves to be done after it, in batches of BATCH."""
    rounds: list[tuple[Figures, Figures]] = []
    size = len(texts) // 3
    for part in range(3):
        taken, taken_later = [], [0]
        texts_here = texts[part * size : (part + 1) * size]
        for number, text in enumerate(texts_here, start=1):
            start = time.thread_time_ns()
            action(text)
            taken.append(time.thread_time_ns() - start)
            if afterwards is not None and number % BATCH == 0:
                for earlier in texts_here[number - BATCH : number]:
                    start = time.thread_time_ns()
                    afterwards(earlier)
                    taken_later.append(time.thread_time_ns() - start)
        rounds.append((_figures(taken), _figures(taken_later)))
    return min(rounds)


def _figures(taken: list[int]) -> Figures:
    taken.sort()
    return taken[len(taken) // 2] / 1e3, taken[int(len(taken) * 0.99)] / 1e3, sum(taken) / len(taken) / 1e3


def run(terms: int, comments: int, own: Sequence[str] | None, *, peers: bool) -> Iterator[str]:
    """The report, line by line."""
    listed = made_terms(terms)
    texts = cut(own) if own else made_comments(comments)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    pipeline = full_pipeline(listed, load(STARTER_PACK))
    # As the server does once it has started: what is there stays, and is not looked through again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*SERVER_THRESHOLDS)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    yield f"{python}, {platform.machine()}; {terms} terms, {len(texts)} comments"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    yield f"built in {time.perf_counter() - started:.1f} s, memory +{grown} MB at the most while building"
    busy = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    yield f"load of the machine before: {busy} on {os.cpu_count()} processors"
    counter = itertools.count()

    def posted() -> list[tuple[Candidate, int]]:
        out = []
        for text, number in zip(texts, counter, strict=False):
            author = f"a{number % 5000}"
            out.append((Candidate(text=text, room=f"r{number % 7}", author=author, address=author), number * 2))
        return out

    def everything(one: tuple[Candidate, int]) -> object:
        return pipeline.screen(one[0], one[1])

    def afterwards(_: tuple[Candidate, int]) -> object:
        return pipeline.memory.swarm.settle(1)

    yield line("the clock alone", timed(lambda _: None, texts))
    # Texts that were heard before are remembered: what is timed next has to be new to the lexicon.
    for name in ("everything on", "  the same, heard before"):
        # So many as are remembered: of the others the first ones would be forgotten again when their turn comes.
        first, later = timed_both(everything, afterwards, posted()[-REMEMBERED // 2 :] if name[0] == " " else posted())
        yield line(name, first)
        yield line("  left for after the answer", later)
    fresh = Lexicon(pipeline.rules)
    yield line("  terms alone, all forms", timed(lambda text: fresh.find(text, fold(text)), texts))
    yield line("  fold alone", timed(fold, texts))
    stopped = sum(pipeline.inspect(text).action > Action.MASK for text in texts)
    yield f"{stopped / len(texts):.1%} of the comments are stopped by these terms"
    if peers:
        yield from _peers(listed, texts)


def _peers(terms: Sequence[str], texts: Sequence[str]) -> Iterator[str]:
    try:
        library: Any = importlib.import_module("ahocorasick_rs")
    except ImportError:
        yield "ahocorasick_rs is not installed"
    else:
        automaton = library.AhoCorasick(list(terms))
        yield line("ahocorasick_rs alone", timed(automaton.find_matches_as_indexes, texts))
    few = terms[:2_000]
    pattern = re.compile("|".join(map(re.escape, few)))
    yield line(f"re alternation of {len(few)} terms", timed(pattern.search, texts[:300]))


def cut(texts: Sequence[str]) -> list[str]:
    """Texts run together and cut to 20 characters each."""
    whole = "".join(texts)
    return [whole[start : start + COMMENT_CHARS] for start in range(0, len(whole) - COMMENT_CHARS + 1, COMMENT_CHARS)]


def line(name: str, figures: Figures) -> str:
    """One line of the report."""
    return f"{name:<32} median {figures[0]:8.1f} us   p99 {figures[1]:8.1f} us   mean {figures[2]:8.1f} us"
