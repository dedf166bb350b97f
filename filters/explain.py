"""A verdict in words and spans, for people."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from filters.verdict import Action, Reason, Verdict

OUTCOMES: Final = {
    Action.ACCEPT: "accepted",
    Action.MASK: "accepted, partly covered",
    Action.HOLD: "held for review",
    Action.REFUSE: "refused",
}
VIEWS: Final = {
    "surface": "as written",
    "folded": "after evening out width, case and script",
    "skeleton": "in disguise",
    "phonetic": "by its sound",
}


def explain(text: str, verdict: Verdict) -> str:
    """Several lines: the outcome, then every reason with its place in the text, its rule and its basis."""
    lines = [visible(text), f"  {OUTCOMES[verdict.action]} (rules {verdict.rules})"]
    if verdict.action is Action.MASK:
        lines.append(f"  shown as: {visible(verdict.text)}")
    told: set[str] = set()
    for reason in verdict.reasons:
        lines.append(f"  - {_sentence(text, reason)}")
        if reason.basis and reason.rule not in told:
            lines.append(f"    basis: {reason.basis}")
        told.add(reason.rule)
    return "\n".join(lines)


def visible(text: str) -> str:
    """The text with characters that cannot be seen written out."""
    return "".join(char if char.isprintable() or char == " " else f"<U+{ord(char):04X}>" for char in text)


def _sentence(text: str, reason: Reason) -> str:
    parts = [reason.rule + (" (only watching)" if reason.observer else "")]
    if reason.end:
        parts.append(f"“{visible(text[reason.start : reason.end])}” at {reason.start}-{reason.end}")
    if reason.term:
        parts.append(f"stands for “{reason.term}” {VIEWS.get(reason.view, reason.view)}")
    if reason.detail:
        parts.append(("not counted, " if reason.term and reason.action is Action.ACCEPT else "") + reason.detail)
    if reason.score:
        parts.append(f"{reason.score:.1f} bits of evidence" if reason.term else f"score {reason.score:.1f}")
    return "; ".join(parts)


def as_object(text: str, verdict: Verdict) -> dict[str, Any]:
    """The verdict as plain data, for one line of JSON; ``accepted`` is also true for a text that is shown partly covered."""
    return {
        "text": text,
        "action": verdict.action.name.lower(),
        "accepted": verdict.action in (Action.ACCEPT, Action.MASK),
        "shown": verdict.text if verdict.action in (Action.ACCEPT, Action.MASK) else "",
        "rules": verdict.rules,
        "retry_after_ms": verdict.retry_after_ms,
        "reasons": [{**msgspec.to_builtins(reason), "action": reason.action.name.lower()} for reason in verdict.reasons],
    }
