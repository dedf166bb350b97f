"""Rule files: one readable TOML format, its types, its loader and its fingerprint.

A rule has a code, a category, a legal or house basis, dates between which it is in force, and the terms it looks for. See
``docs/screening.md`` for the format in words.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from filters.verdict import Action

Tier = Literal["reject", "mask", "hold"]
View = Literal["surface", "folded", "skeleton", "phonetic"]
Boundary = Literal["auto", "none", "word"]
Check = Literal["terms", "contact", "personal", "repeat", "swarm", "classifier"]

ACTIONS: dict[Tier, Action] = {"reject": Action.REFUSE, "mask": Action.MASK, "hold": Action.HOLD}

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+([._-][a-z0-9]+)*$", max_length=64)]
Phrase = Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f]{1,64}$")]


class RuleError(ValueError):
    """A rule file cannot be used; the text names the file, the rule and what is wrong."""


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule: what it looks for, what follows from a finding, and why."""

    code: Name
    title: str
    category: Name
    tier: Tier
    basis: Annotated[str, msgspec.Meta(min_length=1)]
    check: Check = "terms"
    threshold: float = 0.0
    terms: tuple[Phrase, ...] = ()
    harmless: tuple[Phrase, ...] = ()
    views: tuple[View, ...] = ("surface", "folded", "skeleton", "phonetic")
    boundary: Boundary = "auto"
    min_chars: Annotated[int, msgspec.Meta(ge=1)] = 1
    rooms: tuple[str, ...] = ()
    since: dt.date | None = None
    until: dt.date | None = None
    observer: bool = False


class Samples(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Comments that a rule set must accept (``good``) and must not accept (``bad``) before it may come into force."""

    good: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()


class RuleSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of one rule file, or of several joined."""

    format: Literal[1]
    name: Name
    version: str
    rule: tuple[Rule, ...]
    harmless: tuple[Phrase, ...] = ()
    samples: Samples = Samples()

    @property
    def hash(self) -> str:
        """Fingerprint of the content (not of the spelling) of the rules: 16 hexadecimal digits."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:16]


def loads(source: str, origin: str = "rules") -> RuleSet:
    """Read rules from TOML text. Raises RuleError; ``origin`` names the text in it."""
    try:
        rules = msgspec.convert(tomllib.loads(source), RuleSet)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise RuleError(f"{origin}: {error}") from None
    seen: set[str] = set()
    for rule in rules.rule:
        if rule.code in seen:
            raise RuleError(f"{origin}: rule {rule.code} is there twice")
        if rule.since and rule.until and rule.until < rule.since:
            raise RuleError(f"{origin}: rule {rule.code} ends before it begins")
        if (rule.check == "terms") != bool(rule.terms):
            raise RuleError(f"{origin}: rule {rule.code} needs either terms or another check than terms")
        seen.add(rule.code)
    return rules


def load(path: Path) -> RuleSet:
    """Read a rule file. Raises RuleError, also when the file cannot be read."""
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RuleError(f"{path}: {error}") from None
    return loads(source, str(path))


def schema() -> dict[str, Any]:
    """The JSON schema of rule files (TOML holds the same data model), for editors and for checks elsewhere."""
    return msgspec.json.schema(RuleSet)
