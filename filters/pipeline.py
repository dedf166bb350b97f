"""The path of one comment through the screening: synchronous, in memory, bounded, and it never raises.

Order: rates (they bound everything after them, refused comments included), length, characters, terms, contacts and personal data,
classifier, repeats, swarm. The weightiest finding decides; every finding is told.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Final

import msgspec

from filters import contacts
from filters.characters import forbidden
from filters.classifier import Classifier
from filters.config import ScreeningConfig
from filters.lexicon import Hit, Lexicon
from filters.normalize import FOLD, Offsets, fold, syllables
from filters.rate import Gcra
from filters.repeats import Repeats, gist
from filters.rules import ACTIONS, Check, Rule, RuleSet
from filters.swarm import Swarm
from filters.verdict import Action, Candidate, Reason, Verdict
from filters.versions import Said, said_of

CODE_OF: Final = {Action.MASK: "banned_content", Action.HOLD: "held_for_review", Action.REFUSE: "banned_content"}
MASK_CHAR: Final = "*"
DAY_MS: Final = 86_400_000
# Texts whose reading is remembered: in a live room most comments are what others just said.
REMEMBERED: Final = 4_096


class Memory:
    """What the screening remembers between comments: rates, repeats, swarms, raids. It outlives a change of rules."""

    def __init__(self, config: ScreeningConfig) -> None:
        self.account = Gcra(config.account_interval_ms, config.account_burst, config.max_keys)
        self.room = Gcra(config.room_interval_ms, config.room_burst, config.max_keys)
        self.address = Gcra(config.address_interval_ms, config.address_burst, config.max_keys)
        # One unit of weight is one millisecond of slow mode.
        self.slow = Gcra(1, 1, config.max_keys)
        self.repeats = Repeats(config.repeat_interval_ms, config.repeat_burst, config.crowd, config.max_keys)
        self.swarm = Swarm(max_accounts=config.max_keys)
        self.raids: dict[str, int] = {}

    def raid(self, room: str, until_ms: int) -> None:
        """Slow the authors of low credit down in a room until a moment (0: end it). At most 1,000 rooms; the first is dropped."""
        self.raids.pop(room, None)
        if until_ms:
            if len(self.raids) >= 1_000:
                del self.raids[next(iter(self.raids))]
            self.raids[room] = until_ms


class _Reading(msgspec.Struct, frozen=True, gc=False):
    """What a text says by itself, whoever says it, wherever and whenever.

    ``unfit`` refuses it for its form; else ``findings`` are the rules that found something, ``gist`` tells repeats, ``said`` swarms,
    and ``accepted`` is the verdict when nothing speaks against the comment.
    """

    gist: str
    said: Said
    unfit: Verdict | None
    findings: tuple[tuple[Rule, Reason], ...]
    accepted: Verdict


class Pipeline:
    """Screens comments under one set of rules. Used by one thread (the event loop)."""

    def __init__(
        self,
        rules: RuleSet,
        config: ScreeningConfig | None = None,
        *,
        lexicon: Lexicon | None = None,
        rules_hash: str = "",
        memory: Memory | None = None,
        classifier: Classifier | None = None,
    ) -> None:
        """``lexicon`` is one made of the same rules beforehand (then ``rules`` may have lost their terms, and ``rules_hash`` is
        their fingerprint); ``memory`` one that goes on from another pipeline."""
        config = config or ScreeningConfig()
        self.config = config
        self.rules = rules
        self.hash = rules_hash or rules.hash
        self.memory = memory or Memory(config)
        self.lexicon = lexicon or Lexicon(rules)
        self._overlay: Lexicon | None = None
        self.classifier = classifier
        self._checks: dict[Check, Rule] = {rule.check: rule for rule in rules.rule if rule.check != "terms"}
        self._repeat = self._checks.get("repeat")
        self._swarm = self._checks.get("swarm")
        self._read = lru_cache(maxsize=REMEMBERED)(self._look_at)

    @property
    def overlay(self) -> Lexicon | None:
        """Emergency terms beside the rules; in force for the next comment once assigned."""
        return self._overlay

    @overlay.setter
    def overlay(self, terms: Lexicon | None) -> None:
        self._overlay = terms
        self._read.cache_clear()

    def screen(self, candidate: Candidate, now_ms: int, clock_ms: int | None = None) -> Verdict:
        """The verdict for one comment; takes from its author's rates. A fault inside holds the comment and says so.

        ``now_ms`` is Unix time: by it rules are in force, and raids end. ``clock_ms`` (None: ``now_ms``) is what rates, repeats and
        swarms count by; let it be of a clock that is never set back, or a step of the time refuses everybody for as long.
        """
        try:
            return self._screen(candidate, now_ms, now_ms if clock_ms is None else clock_ms)
        except Exception as error:
            return self._single(candidate.text, Action.HOLD, "held_for_review", "screening.fault", detail=type(error).__name__)

    def catch_up(self, seconds: float) -> bool:
        """Do, for about so long, what comments left to be done after them (the weighing of swarms); whether some is left.

        Call it every 50 ms or so, between comments; where nobody does, later comments do it, within :data:`filters.swarm.LAG_MS`.
        """
        until = time.perf_counter() + seconds
        while self.memory.swarm.settle(4):
            if time.perf_counter() >= until:
                return True
        return False

    def inspect(self, text: str, room: str = "", now_ms: int = 0) -> Verdict:
        """The verdict by the text alone: nothing is counted, no rate, repeat or swarm plays a part."""
        reading = self._look_at(text)
        if reading.unfit is not None:
            return reading.unfit
        return self._decide(reading, _in_force(reading.findings, room, now_ms))

    def _screen(self, candidate: Candidate, now_ms: int, clock_ms: int) -> Verdict:
        refused = self._rates(candidate, clock_ms, self._weight(candidate, now_ms))
        if refused is not None:
            return refused
        text = candidate.text
        # What is too long is refused unread, and not kept.
        reading = (self._read if len(text) <= self.config.max_chars else self._look_at)(text)
        if reading.unfit is not None:
            return reading.unfit
        room = candidate.room
        reasons = _in_force(reading.findings, room, now_ms) if reading.findings else []
        repeats = self.memory.repeats
        rule = self._repeat
        if rule is not None and _applies(rule, room, now_ms):
            wait_ms = repeats.allow(candidate.author, room, reading.gist, clock_ms)
            if wait_ms and not rule.observer:
                return self._single(
                    candidate.text, Action.REFUSE, "repeated_text", rule.code, rule=rule, retry_after_ms=wait_ms
                )
        crowd = repeats.crowd(room, reading.gist, clock_ms)
        if crowd:
            reasons.append(
                Reason(action=Action.ACCEPT, code="", rule="repeat.crowd", detail=f"said {crowd} times here just now")
            )
        rule = self._swarm
        if rule is not None and _applies(rule, room, now_ms):
            evidence = self.memory.swarm.post(candidate.author, room, reading.said, clock_ms)
            if evidence is not None:
                reasons.append(_of_rule(rule, detail=evidence.words(), score=float(len(evidence.peers))))
        return self._decide(reading, reasons) if reasons else reading.accepted

    # -----------------------------------------------------------------------------------------------------------------
    # Rates and form

    def _rates(self, candidate: Candidate, clock_ms: int, weight: int) -> Verdict | None:
        """Take one comment from every rate of the author, or nothing from any when one of them is used up."""
        account, room, slow = self.memory.account, self.memory.room, self.memory.slow
        author, slow_ms = candidate.author, candidate.slow_ms
        in_room = f"{candidate.room}\n{author}"
        rule, wait_ms = "rate.account", account.allow(author, clock_ms, weight)
        if not wait_ms:
            # Taken already, and given back if the next ones refuse, which they seldom do.
            rule, wait_ms = "rate.room", room.allow(in_room, clock_ms, weight)
            if not wait_ms:
                if slow_ms:
                    rule, wait_ms = "rate.slow", slow.peek(in_room, clock_ms)
                if not wait_ms and candidate.address:
                    rule, wait_ms = "rate.address", self.memory.address.allow(candidate.address, clock_ms)
                if wait_ms:
                    room.give_back(in_room, weight)
            if wait_ms:
                account.give_back(author, weight)
        if wait_ms:
            return self._single(candidate.text, Action.REFUSE, "too_fast", rule, retry_after_ms=wait_ms)
        if slow_ms:
            slow.allow(in_room, clock_ms, slow_ms)
        return None

    def _weight(self, candidate: Candidate, now_ms: int) -> int:
        """What one comment of this author costs: credit and a raid of the room enter here, and nowhere in the rules for texts."""
        weights = self.config.level_weights
        weight = weights[min(max(candidate.level, 0), len(weights) - 1)]
        if candidate.level < self.config.raid_level:
            raids = self.memory.raids
            if candidate.raided or (raids and raids.get(candidate.room, 0) > now_ms):
                return weight * self.config.raid_weight
        return weight

    def _unfit(self, text: str, folded: str) -> Verdict | None:
        if len(text) > self.config.max_chars:
            detail = f"{len(text)} of at most {self.config.max_chars} characters"
            return self._single(text, Action.REFUSE, "text_too_long", "text.length", detail=detail)
        bad = forbidden(text)
        if bad is not None:
            detail = f"U+{ord(text[bad[0]]):04X}"
            return self._single(text, Action.REFUSE, "bad_text", "text.characters", span=bad, detail=detail)
        if not folded or folded.isspace():
            return self._single(text, Action.REFUSE, "text_empty", "text.empty")
        return None

    # -----------------------------------------------------------------------------------------------------------------
    # What the text says

    def _look_at(self, text: str) -> _Reading:
        folded = fold(text[: self.config.max_chars])
        unfit = self._unfit(text, folded)
        spoken = syllables(folded)
        findings = () if unfit is not None else self._findings(text, folded, spoken)
        accepted = Verdict(action=Action.ACCEPT, text=text, rules=self.hash)
        return _Reading(gist(folded), said_of(spoken), unfit, findings, accepted)

    def _findings(self, text: str, folded: str, spoken: str) -> tuple[tuple[Rule, Reason], ...]:
        hits = self.lexicon.find(text, folded, spoken)
        if self._overlay is not None:
            hits += self._overlay.find(text, folded, spoken)
        out = [(hit.rule, reason_of(hit)) for hit in hits] if hits else []
        checks = self._checks
        rule = checks.get("contact")
        if rule is not None:
            found = contacts.score(folded)
            if found is not None and found.score >= rule.threshold:
                span = Offsets(text, FOLD).span(found.start, found.end)
                out.append((rule, _of_rule(rule, span=span, score=found.score, detail=" + ".join(found.parts))))
        rule = checks.get("personal")
        if rule is not None:
            number = contacts.personal(folded)
            if number is not None:
                out.append((rule, _of_rule(rule, span=Offsets(text, FOLD).span(*number[1:]), detail=number[0])))
        rule = checks.get("classifier")
        if rule is not None and self.classifier is not None:
            suspicion = self.classifier.score(folded)
            if suspicion >= rule.threshold:
                out.append((rule, _of_rule(rule, score=suspicion, detail=self.classifier.explain(folded))))
        return tuple(out)

    def _decide(self, reading: _Reading, reasons: list[Reason]) -> Verdict:
        text = reading.accepted.text
        action = max((reason.action for reason in reasons if not reason.observer), default=Action.ACCEPT)
        if action is Action.MASK:
            text = mask(text, [(r.start, r.end) for r in reasons if r.action is Action.MASK and not r.observer])
        return Verdict(action=action, text=text, rules=self.hash, reasons=tuple(reasons))

    def _single(
        self,
        text: str,
        action: Action,
        code: str,
        name: str,
        *,
        rule: Rule | None = None,
        span: tuple[int, int] = (0, 0),
        detail: str = "",
        retry_after_ms: int = 0,
    ) -> Verdict:
        basis, category = (rule.basis, rule.category) if rule else ("", "")
        reason = Reason(
            action=action, code=code, rule=name, basis=basis, category=category, start=span[0], end=span[1], detail=detail
        )
        return Verdict(action=action, text=text, rules=self.hash, reasons=(reason,), retry_after_ms=retry_after_ms)


def _in_force(findings: tuple[tuple[Rule, Reason], ...], room: str, now_ms: int) -> list[Reason]:
    return [reason for rule, reason in findings if _applies(rule, room, now_ms)]


def _applies(rule: Rule, room: str, now_ms: int) -> bool:
    """Whether a rule is in force, here and now (days are UTC; ``until`` is the last day)."""
    if rule.rooms and room not in rule.rooms:
        return False
    if rule.since is None and rule.until is None:
        return True
    day = now_ms // DAY_MS + 719_163
    return (rule.since is None or rule.since.toordinal() <= day) and (rule.until is None or day <= rule.until.toordinal())


def _of_rule(rule: Rule, *, span: tuple[int, int] = (0, 0), score: float = 0.0, detail: str = "") -> Reason:
    action = ACTIONS[rule.tier]
    return Reason(
        action=action,
        code=CODE_OF[action],
        rule=rule.code,
        basis=rule.basis,
        category=rule.category,
        view="folded" if span != (0, 0) else "",
        start=span[0],
        end=span[1],
        score=round(score, 1),
        observer=rule.observer,
        detail=detail,
    )


def reason_of(hit: Hit) -> Reason:
    """The reason that a hit gives. A soft hit refuses nothing by itself: it holds."""
    action = ACTIONS[hit.rule.tier]
    if hit.cancelled:
        action = Action.ACCEPT
    elif hit.score and action is Action.REFUSE:
        action = Action.HOLD
    return Reason(
        action=action,
        code=CODE_OF.get(action, ""),
        rule=hit.rule.code,
        basis=hit.rule.basis,
        category=hit.rule.category,
        term=hit.term,
        view=hit.view,
        start=hit.start,
        end=hit.end,
        score=round(hit.score, 1),
        observer=hit.rule.observer,
        detail=hit.cancelled or hit.detail,
    )


def mask(text: str, spans: list[tuple[int, int]]) -> str:
    """``text`` with every character of ``spans`` (of code points) replaced; its length and all other characters stay."""
    out = list(text)
    for start, end in spans:
        out[start:end] = MASK_CHAR * (end - start)
    return "".join(out)
