"""What an account may post at a moment: one check per comment, in memory, over a standing that is folded already (duties P6, P8, P9).

A :class:`Permit` is made from a standing, what the token vouches for, the version of the agreement that has to be signed, and a
moment. It holds until the next moment at which time alone changes something (a measure ends, a day begins and with it credit's),
so what it costs per comment is a few comparisons. :data:`LEVELS` is the published table of what each credit level allows; it
stands in ``docs/accounts.md``, and a test compares the two.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Final, NamedTuple, Protocol

import msgspec

from server.accounts.credit import DAY_MS
from server.accounts.events import Function
from server.accounts.standing import Measure, Standing
from server.errors import Refusal
from server.wire import SIZES, Mode

WHITE: Final = "#ffffff"
ALL_MODES: Final[tuple[Mode, ...]] = ("scroll", "top", "bottom", "reverse")
_USUAL_SIZES: Final = (12, 16, 18, 25, 36)


class Level(msgspec.Struct, frozen=True):
    """What a credit level allows. ``text_max``: characters (0: as the site allows everybody). ``rate``: what one comment costs,
    measured in comments at the usual pace (3: a third of it). ``reviewed``: comments wait for review before they are shown."""

    text_max: int
    modes: tuple[Mode, ...]
    sizes: tuple[int, ...]
    colors: bool
    links: bool
    rate: int
    reviewed: bool


LEVELS: Final = (
    Level(text_max=20, modes=("scroll",), sizes=(18, 25), colors=False, links=False, rate=3, reviewed=True),
    Level(text_max=0, modes=ALL_MODES, sizes=_USUAL_SIZES, colors=True, links=False, rate=1, reviewed=False),
    Level(text_max=0, modes=ALL_MODES, sizes=SIZES, colors=True, links=True, rate=1, reviewed=False),
    Level(text_max=0, modes=ALL_MODES, sizes=SIZES, colors=True, links=True, rate=1, reviewed=False),
    Level(text_max=0, modes=ALL_MODES, sizes=SIZES, colors=True, links=True, rate=1, reviewed=False),
)
"""By credit level, 0 to 4. A newcomer begins at level 1 (:data:`server.accounts.credit.START`)."""

_LINK: Final = re.compile(
    r"\b(?:https?|ftp)://|\bwww\.[a-z0-9-]"
    r"|\b[a-z0-9-]+\.(?:com|cn|net|org|info|top|xyz|cc|io|tv|me|vip|club|site|shop|online|link|app)\b",
    re.IGNORECASE | re.ASCII,
)
"""A link as anyone types one. Disguised ones are the matter of the screening, which unfolds the text."""


class Vouched(Protocol):
    """What the token says beside the name: the issuer knows the person, and which version of the agreement was signed there."""

    @property
    def verified(self) -> bool: ...
    @property
    def agreed(self) -> str: ...


class Words(Protocol):
    """A comment, as far as it needs a permit."""

    @property
    def text(self) -> str: ...
    @property
    def mode(self) -> Mode: ...
    @property
    def color(self) -> str: ...
    @property
    def size(self) -> int: ...


class _No(NamedTuple):
    code: str
    detail: str

    def refusal(self) -> Refusal:
        return Refusal(self.code, self.detail)


class Permit:
    """See the module's text. Pure, and immutable after it was made; ``now_ms`` is Unix time.

    ``required`` is the version of the agreement that must be signed; empty: none. Claims of a token count for accounts of a host
    platform only: what an account of this site is comes from its ledger alone.
    """

    __slots__ = (
        "_barred", "_no_color", "_no_link", "_no_modes", "_no_sizes", "_text_max", "_withdrawn", "level", "required", "rule",
        "until_ms",
    )  # fmt: skip

    def __init__(self, standing: Standing, vouched: Vouched, required: str, now_ms: int) -> None:
        measures = standing.in_force(now_ms)
        self.required: Final = required
        self.level: Final = standing.level(now_ms)
        rule = LEVELS[self.level]
        self.rule: Final = rule
        self.until_ms: Final = _next_change(standing, measures, now_ms)
        self._withdrawn = _restricted(measures)
        self._barred = _barred(standing, vouched, required, measures) or self._withdrawn.get("post")
        low = f"credit level {self.level}: "
        taken = self._withdrawn
        self._text_max = rule.text_max
        self._no_modes = {mode: _No("level_too_low", f"{low}mode {mode}") for mode in ALL_MODES if mode not in rule.modes}
        if "mode" in taken:
            self._no_modes = {mode: taken["mode"] for mode in ALL_MODES if mode != "scroll"}
        self._no_sizes = {size: _No("level_too_low", f"{low}size {size}") for size in SIZES if size not in rule.sizes}
        self._no_color = taken.get("color") or (None if rule.colors else _No("level_too_low", f"{low}color"))
        self._no_link = taken.get("link") or (None if rule.links else _No("level_too_low", f"{low}links"))

    def holds(self, required: str, now_ms: int) -> bool:
        """Whether this permit still says what is true, for the same standing and the same token."""
        return now_ms < self.until_ms and required == self.required

    @property
    def barred(self) -> Refusal | None:
        """Why the account may post nothing at all, whatever the comment; None: it may."""
        return self._barred and self._barred.refusal()

    def check(self, words: Words) -> None:
        """May the account post this? Raises Refusal ``account_closed``, ``account_suspended``, ``not_verified``,
        ``agreement_required``, ``function_restricted``, ``level_too_low``; the detail says by which rule and until when."""
        no = self._barred
        if no is None:
            text = words.text
            no = self._no_modes.get(words.mode) or self._no_sizes.get(words.size)
            if no is None and self._no_color is not None and words.color.lower() != WHITE:
                no = self._no_color
            if no is None and self._no_link is not None and has_link(text):
                no = self._no_link
            if no is None and self._text_max and len(text) > self._text_max:
                no = _No("level_too_low", f"credit level {self.level}: at most {self._text_max} characters")
        if no is not None:
            raise no.refusal()

    def check_function(self, function: Function) -> None:
        """May the account use this function? For all that is not a comment. Raises Refusal ``function_restricted``."""
        no = self._withdrawn.get(function)
        if no is not None:
            raise no.refusal()


def has_link(text: str) -> bool:
    """Whether a plain link stands in the text."""
    return ("." in text or ":" in text) and _LINK.search(text) is not None


def _barred(standing: Standing, vouched: Vouched, required: str, measures: tuple[Measure, ...]) -> _No | None:
    """What forbids every comment. Measures are said first: nothing that the person could do would help."""
    if standing.erased:
        return _No("account_closed", "erased")
    for code, rungs in (("account_closed", ("blacklist", "close")), ("account_suspended", ("suspend",))):
        found = _longest(tuple(each for each in measures if each.rung in rungs))
        if found is not None:
            return _No(code, told(found))
    host = standing.origin == "host"
    if not (standing.verified or (host and vouched.verified)):
        return _No("not_verified", "")
    if required and standing.agreement != required and not (host and vouched.agreed == required):
        return _No("agreement_required", f"version {required}")
    return None


def _restricted(measures: tuple[Measure, ...]) -> dict[Function, _No]:
    """The functions that are taken away, each with the measure that lasts longest."""
    by_function: dict[Function, list[Measure]] = {}
    for measure in measures:
        if measure.rung == "restrict":
            for function in measure.functions:
                by_function.setdefault(function, []).append(measure)
    found: dict[Function, _No] = {}
    for function, those in by_function.items():
        longest = _longest(tuple(those))
        assert longest is not None
        found[function] = _No("function_restricted", f"{function}: {told(longest)}")
    return found


def restriction(standing: Standing, function: Function, now_ms: int) -> Refusal | None:
    """Why a function is taken away from an account at this moment; None: it is not."""
    found = _restricted(standing.in_force(now_ms)).get(function)
    return found.refusal() if found is not None else None


def _longest(measures: tuple[Measure, ...]) -> Measure | None:
    return max(measures, key=lambda each: (each.until_ms == 0, each.until_ms), default=None)


def told(measure: Measure) -> str:
    """A measure in a refusal's detail: its reason code, basis, clause of the agreement, its end, and the id an appeal names."""
    clause = f"; agreement, clause {measure.clause}" if measure.clause else ""
    until = "until it is lifted"
    if measure.until_ms:
        until = f"until {dt.datetime.fromtimestamp(measure.until_ms // 1000, dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
    return f"{measure.code}; {measure.basis}{clause}; {until}; measure {measure.id}"


def _next_change(standing: Standing, measures: tuple[Measure, ...], now_ms: int) -> int:
    """The next moment at which time alone changes what the standing says. Credit changes with the (UTC) day."""
    ends = [(now_ms // DAY_MS + 1) * DAY_MS]
    ends += [each.until_ms for each in measures]
    ends += [each.until_ms for each in standing.approvals]
    for held in standing.licences:
        ends += (held.from_ms, held.until_ms)
    return min(end for end in ends if end > now_ms)
