"""The rules in force, how they change, and what they were.

A new set of rules is *prepared* away from the event loop: a helper process reads, compiles and checks it against its samples;
what it hands over is loaded in the calling thread, in short steps. *Adopting* it is one assignment, after a line in the history.
Every set that was ever in force is kept by its hash, for going back to it and for judging an old decision again under the rules of
its time.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final, TypeVar, cast

import msgspec

from filters.classifier import Classifier
from filters.compiled import compile_rules, dump, undump
from filters.config import ScreeningConfig
from filters.lexicon import Lexicon
from filters.pipeline import Memory, Pipeline
from filters.rules import RuleError, RuleSet, loads
from filters.trie import Texts
from filters.verdict import Action, Verdict

# By the clock; 20 seconds for 100,000 terms where a processor is free.
TIMEOUT_S: Final = 300
HELPER_NICE: Final = 5
_SIZE: Final = 4
HISTORY: Final = "history.jsonl"
_T = TypeVar("_T")


class Prepared(msgspec.Struct, frozen=True):
    """Rules that are compiled, checked and loaded, ready to be adopted."""

    rules: RuleSet
    hash: str
    lexicon: Lexicon
    source: str


class _Handed(msgspec.Struct, frozen=True):
    """What the helper process hands over before the compiled terms; ``rules`` have no terms any more."""

    rules: RuleSet
    hash: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the history: which rules came into force, when, by whom and instead of which."""

    at_ms: int
    hash: str
    name: str
    version: str
    by: str
    previous: str
    what: str


class RuleBook:
    """Owns the pipeline in force. :meth:`prepare`, :meth:`record` and what only reads may run in any thread, one change at a time;
    everything else belongs to the event loop's thread."""

    def __init__(
        self,
        folder: Path,
        source: str,
        config: ScreeningConfig | None = None,
        classifier: Classifier | None = None,
        *,
        insist: bool = False,
        now_ms: int = 0,
    ) -> None:
        """``folder`` keeps the history; ``source`` is the rule file's text to start with, used where the folder has no history yet,
        or always (``insist``).

        Raises RuleError when the rules cannot be used; OSError when the folder cannot.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # who knows the terms can write around them
        self._folder = folder
        self._config = config or ScreeningConfig()
        self._classifier = classifier
        self._memory = Memory(self._config)
        past = self.history()
        if past and not insist:
            source = self.source_of(past[-1].hash)
        rules = loads(source, str(folder))
        first = Prepared(rules, rules.hash, Lexicon(rules), source)
        self.current = self._pipeline(first)
        before = past[-1].hash if past else ""
        if first.hash != before:
            self._write(first, "", now_ms, "start", before)

    def _pipeline(self, prepared: Prepared) -> Pipeline:
        return Pipeline(
            prepared.rules,
            self._config,
            lexicon=prepared.lexicon,
            rules_hash=prepared.hash,
            memory=self._memory,
            classifier=self._classifier,
        )

    def prepare(self, source: str) -> Prepared:
        """Compile and check rules in a helper process and load the result. Blocks: call it in a thread.

        Raises RuleError with what is wrong: the file, a rule, or the samples that it judges otherwise than it promises.
        """
        return prepare(source)

    def adopt(self, prepared: Prepared, by: str, now_ms: int, what: str = "reload") -> Change:
        """Put prepared rules into force (at once, for the next comment) and write it down. Raises OSError."""
        change = self.record(prepared, by, now_ms, what)
        self.use(prepared)
        return change

    def record(self, prepared: Prepared, by: str, now_ms: int, what: str) -> Change:
        """The first half of :meth:`adopt`, which writes: a slow disk need not hold up the event loop. Raises OSError."""
        return self._write(prepared, by, now_ms, what, self.current.hash)

    def use(self, prepared: Prepared) -> None:
        """The second half of :meth:`adopt`: one assignment."""
        pipeline = self._pipeline(prepared)
        pipeline.overlay = self.current.overlay
        self.current = pipeline

    def overlay(self, terms: str | Lexicon | None) -> None:
        """Put a few emergency terms into force at once, beside the rules, or (None) take them out. They may be compiled beforehand,
        in a thread. Raises RuleError."""
        self.current.overlay = Lexicon(loads(terms, "overlay")) if isinstance(terms, str) else terms

    def previous(self) -> str:
        """The rule file's text that was in force before the current one, for :meth:`prepare`. Raises RuleError: there is none."""
        past = self.history()
        for change in reversed(past):
            if change.hash == self.current.hash and change.previous not in ("", change.hash):
                return self.source_of(change.previous)
        raise RuleError("there are no earlier rules to go back to")

    def history(self) -> list[Change]:
        """See :func:`history`."""
        return history(self._folder)

    def source_of(self, rules_hash: str) -> str:
        """See :func:`kept`."""
        return kept(self._folder, rules_hash)

    def replay(self, text: str, rules_hash: str, at_ms: int, room: str = "") -> Verdict:
        """What the rules of a hash say of a text at a moment: the verdict by the text alone, under the rules of its time."""
        rules = loads(self.source_of(rules_hash), rules_hash)
        return Pipeline(rules, self._config, classifier=self._classifier).inspect(text, room, at_ms)

    def _write(self, prepared: Prepared, by: str, now_ms: int, what: str, previous: str) -> Change:
        """The text first, the line that names it second: a crash between them leaves a text that nothing refers to."""
        rules = prepared.rules
        _replace(self._folder / f"{prepared.hash}.toml", prepared.source)
        change = Change(
            at_ms=now_ms, hash=prepared.hash, name=rules.name, version=rules.version, by=by, previous=previous, what=what
        )
        append(self._folder / HISTORY, change)
        return change


def append(path: Path, record: msgspec.Struct) -> None:
    """Write a record behind those of a file, durably. Raises OSError."""
    whole = len(_whole_lines(path))
    with path.open("ab") as file:
        file.truncate(whole)  # a line that a crash or a full disk cut short never counted
        file.write(msgspec.json.encode(record) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def records(path: Path, kind: type[_T]) -> list[_T]:
    """The records of a file, oldest first; empty when there is none. Raises OSError; RuleError when the file is damaged."""
    try:
        return [msgspec.json.decode(line, type=kind) for line in _whole_lines(path).splitlines() if line]
    except msgspec.DecodeError as error:
        raise RuleError(f"{path}: {error}") from None


def _whole_lines(path: Path) -> bytes:
    data = path.read_bytes() if path.exists() else b""
    return data[: data.rfind(b"\n") + 1]


def _replace(path: Path, content: str) -> None:
    """Whenever the machine stops, the file is there as a whole or as it was."""
    draft = path.with_name(f".{path.name}")
    with draft.open("w", encoding="utf-8", newline="") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def history(folder: Path) -> list[Change]:
    """Every change of the rules that ``folder`` keeps, oldest first. Raises OSError; RuleError when the file is damaged."""
    return records(folder / HISTORY, Change)


def kept(folder: Path, rules_hash: str) -> str:
    """The rule file's text of a hash that was once in force. Raises RuleError: unknown."""
    try:
        return (folder / f"{rules_hash}.toml").read_text(encoding="utf-8")
    except OSError as error:
        raise RuleError(f"no rules {rules_hash} are kept: {error}") from None


def prepare(source: str) -> Prepared:
    """See :meth:`RuleBook.prepare`."""
    # Where this process takes no code from the folder that it was started in, the helper does not either.
    safe = ["-P"] if sys.flags.safe_path else []
    helper = [sys.executable, *safe, "-m", "filters.book", str(TIMEOUT_S)]
    with (
        tempfile.TemporaryFile() as sentences,
        subprocess.Popen(  # noqa: S603
            helper, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sentences
        ) as process,
    ):
        given, made = cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout)
        # The helper reads everything before it writes anything; one that has ended already reads nothing.
        with contextlib.suppress(BrokenPipeError), given:
            given.write(source.encode())
        try:
            prepared = _take_over(made.read, source)
        except (ValueError, msgspec.MsgspecError):
            prepared = None
        # What is left, if anything, is read, so that the helper can end.
        while made.read(1 << 16):
            pass
        code = process.wait()
        sentences.seek(0)
        lines = sentences.read().decode(errors="replace").strip().splitlines()
    if code == -signal.SIGALRM:
        raise RuleError(f"the rules could not be compiled within {TIMEOUT_S} seconds")
    if code or prepared is None:
        raise RuleError(lines[-1] if lines else f"the helper ended with {code}")
    return prepared


def _take_over(read: Callable[[int], bytes], source: str) -> Prepared:
    """Each piece is read into its place, without the interpreter's lock; none is copied or gone through afterwards.

    Rules come without their terms: to read 100,000 of them here would hold up the event loop's thread.
    """
    handed = msgspec.msgpack.decode(read(int.from_bytes(read(_SIZE), "big")), type=_Handed)
    return Prepared(handed.rules, handed.hash, Lexicon(handed.rules, undump(read)), source)


def check(rules: RuleSet, lexicon: Lexicon | None = None) -> list[str]:
    """Samples that the rules judge otherwise than they promise, one sentence each; empty: all is well."""
    pipeline = Pipeline(rules, ScreeningConfig(max_chars=1_000), lexicon=lexicon)
    wrong = []
    for text in rules.samples.good:
        verdict = pipeline.inspect(text)
        if verdict.action is not Action.ACCEPT:
            names = ", ".join(sorted({reason.rule for reason in verdict.reasons if reason.action}))
            wrong.append(f"a good sample is stopped by {names}: {text}")
    wrong.extend(f"a bad sample passes: {text}" for text in rules.samples.bad if pipeline.inspect(text).action is Action.ACCEPT)
    return wrong


def warnings(rules: RuleSet) -> list[str]:
    """What an operator should know of the terms: the short, the doubled, and those looked for as written only."""
    compiled = compile_rules(rules)
    out = [f"{code}: “{term}” is too short once folded and is left out" for code, term in compiled.dropped]
    seen: dict[str, str] = {}
    rule_of = compiled.rule.view()
    folded = list(Texts(compiled.folded))[: compiled.harmless]
    for number, form in enumerate(folded):
        code = rules.rule[rule_of[number]].code
        if form in seen:
            out.append(f"{code}: “{form}” is also a term of {seen[form]}")
        seen[form] = code
        if len(form) == 1:
            out.append(f"{code}: “{form}” is a single character and stops whatever contains it")
    out.extend(f"{rules.rule[rule_of[term]].code}: “{folded[term]}” is looked for as written only" for term in compiled.quiet)
    return out


def _helper() -> int:
    """The helper process: rules on standard input, what was compiled on standard output, sentences on standard error."""
    try:
        rules = loads(sys.stdin.buffer.read().decode())
    except (RuleError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    compiled = compile_rules(rules)
    wrong = check(rules, Lexicon(rules, compiled))
    if wrong:
        sys.stderr.write("\n".join(wrong) + "\n")
        return 1
    bare = msgspec.structs.replace(
        rules, rule=tuple(msgspec.structs.replace(rule, terms=(), harmless=()) for rule in rules.rule), harmless=()
    )
    head = msgspec.msgpack.encode(_Handed(bare, rules.hash))
    sys.stdout.buffer.write(len(head).to_bytes(_SIZE, "big") + head + dump(compiled))
    return 0


def _step_aside() -> None:
    """Leave the processors to the server: its priority, if it has one for real time, was inherited, and nobody waits for a helper."""
    with contextlib.suppress(OSError, AttributeError):  # not on every system
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.nice(HELPER_NICE)


if __name__ == "__main__":
    _step_aside()
    # The system ends a helper that takes longer.
    signal.setitimer(signal.ITIMER_REAL, float(sys.argv[1]))
    sys.exit(_helper())
