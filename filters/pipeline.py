"""The path of one comment through the screening: synchronous, in memory, bounded, and it never raises."""

from __future__ import annotations

from typing import Final

from filters.characters import forbidden
from filters.config import ScreeningConfig
from filters.lexicon import Hit, Lexicon
from filters.normalize import fold
from filters.rate import Gcra
from filters.rules import ACTIONS, RuleSet
from filters.verdict import Action, Candidate, Reason, Verdict

CODE_OF: Final = {Action.MASK: "banned_content", Action.HOLD: "held_for_review", Action.REFUSE: "banned_content"}
MASK_CHAR: Final = "*"


class Pipeline:
    """Screens comments under one set of rules. Holds the rates; used by one thread (the event loop)."""

    def __init__(self, rules: RuleSet, config: ScreeningConfig | None = None) -> None:
        config = config or ScreeningConfig()
        self.config = config
        self.rules = rules
        self._hash = rules.hash
        self._lexicon = Lexicon(rules)
        self._account = Gcra(config.account_interval_ms, config.account_burst, config.max_keys)
        self._room = Gcra(config.room_interval_ms, config.room_burst, config.max_keys)
        self._address = Gcra(config.address_interval_ms, config.address_burst, config.max_keys)
        # One unit of weight is one millisecond of slow mode.
        self._slow = Gcra(1, 1, config.max_keys)

    def screen(self, candidate: Candidate, now_ms: int) -> Verdict:
        """The verdict for one comment; takes from its author's rates. A fault inside holds the comment and says so."""
        try:
            return self._screen(candidate, now_ms)
        except Exception as error:
            return self._single(candidate, Action.HOLD, "held_for_review", "screening.fault", detail=type(error).__name__)

    def _screen(self, candidate: Candidate, now_ms: int) -> Verdict:
        text = candidate.text
        limited = self._rates(candidate, now_ms)
        if limited is not None:
            return limited
        if len(text) > self.config.max_chars:
            detail = f"{len(text)} of at most {self.config.max_chars} characters"
            return self._single(candidate, Action.REFUSE, "text_too_long", "text.length", detail=detail)
        bad = forbidden(text)
        if bad is not None:
            return self._single(
                candidate, Action.REFUSE, "bad_text", "text.characters", span=bad, detail=f"U+{ord(text[bad[0]]):04X}"
            )
        folded = fold(text)
        if not folded.strip():
            return self._single(candidate, Action.REFUSE, "text_empty", "text.empty")
        hits = self._lexicon.find(text, folded)
        if not hits:
            return Verdict(action=Action.ACCEPT, text=text, rules=self._hash)
        return self._judge(candidate, hits)

    def _rates(self, candidate: Candidate, now_ms: int) -> Verdict | None:
        """Take one comment from every rate of the author, or nothing from any when one of them is used up."""
        weights = self.config.level_weights
        weight = weights[min(max(candidate.level, 0), len(weights) - 1)]
        in_room = f"{candidate.room}\n{candidate.author}"
        rule, wait_ms = "rate.account", self._account.peek(candidate.author, now_ms)
        if not wait_ms:
            rule, wait_ms = "rate.room", self._room.peek(in_room, now_ms)
        if not wait_ms and candidate.slow_ms:
            rule, wait_ms = "rate.slow", self._slow.peek(in_room, now_ms)
        if not wait_ms and candidate.address:
            rule, wait_ms = "rate.address", self._address.allow(candidate.address, now_ms)
        if wait_ms:
            return self._single(candidate, Action.REFUSE, "too_fast", rule, retry_after_ms=wait_ms)
        self._account.allow(candidate.author, now_ms, weight)
        self._room.allow(in_room, now_ms, weight)
        if candidate.slow_ms:
            self._slow.allow(in_room, now_ms, candidate.slow_ms)
        return None

    def _judge(self, candidate: Candidate, hits: list[Hit]) -> Verdict:
        reasons = tuple(map(reason_of, hits))
        action = max((reason.action for reason in reasons if not reason.observer), default=Action.ACCEPT)
        text = candidate.text
        if action is Action.MASK:
            text = mask(text, [(r.start, r.end) for r in reasons if r.action is Action.MASK and not r.observer])
        return Verdict(action=action, text=text, rules=self._hash, reasons=reasons)

    def _single(
        self,
        candidate: Candidate,
        action: Action,
        code: str,
        rule: str,
        *,
        span: tuple[int, int] = (0, 0),
        detail: str = "",
        retry_after_ms: int = 0,
    ) -> Verdict:
        reason = Reason(action=action, code=code, rule=rule, start=span[0], end=span[1], detail=detail)
        return Verdict(action=action, text=candidate.text, rules=self._hash, reasons=(reason,), retry_after_ms=retry_after_ms)


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
