"""server/accounts/permit.py"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import pytest

from server.accounts import credit
from server.accounts.events import Function, Rung
from server.accounts.permit import ALL_MODES, LEVELS, Permit, has_link
from server.accounts.standing import Approval, Held, Measure, Standing
from server.errors import Refusal
from server.wire import SIZES, Say
from tests.support.accounts import DAY_MS, HOUR_MS, START_MS

NOW = START_MS
LEVEL_MARKS = {0: -40, 1: 0, 2: 30, 3: 50, 4: 100}
"""Points of today that make an account of each level from one that begins."""


class Token(NamedTuple):
    """What a token says."""

    verified: bool = True
    agreed: str = "2"


_TOKEN = Token()


def measure(rung: Rung = "suspend", *functions: Function, until_ms: int = 0, name: str = "m-1", clause: str = "3.2") -> Measure:
    """A measure in force."""
    return Measure(
        id=name,
        rung=rung,
        code="A2",
        basis="house rule 7",
        clause=clause,
        functions=functions,
        at_ms=NOW - 1,
        until_ms=until_ms,
    )


def at_level(level: int, **fields: Any) -> Standing:
    """A standing of this credit level, of a host's account."""
    return Standing(account="ann", last=1, marks=((NOW // DAY_MS, LEVEL_MARKS[level]),), **fields)


def permit(standing: Standing | None = None, token: Token = _TOKEN, required: str = "2", now_ms: int = NOW) -> Permit:
    """A permit for the standing, which is that of an account without any entry unless it is given."""
    return Permit(standing or Standing(account="ann"), token, required, now_ms)


def say(text: str = "弹幕", **fields: Any) -> Say:
    """A comment."""
    return Say(room="r", key="k", text=text, **fields)


def outcome(found: Permit, words: Say | None = None) -> tuple[str, str]:
    """Code and detail of the refusal; empty: it passes."""
    try:
        found.check(words or say())
    except Refusal as refusal:
        return refusal.code.name, refusal.detail
    return "", ""


# -- whether at all -----------------------------------------------------------------------------------------------------


def test_who_may_post_at_all() -> None:
    """Every combination of origin, verification, signature, measure and level: one outcome each, in a fixed order of reasons."""
    rungs: tuple[tuple[Measure, ...], ...] = (
        (), (measure("restrict", "post"),), (measure("restrict", "color"),), (measure("suspend"),), (measure("close"),),
        (measure("blacklist"),), (measure("suspend", until_ms=NOW),), (measure("suspend"), measure("close", name="m-2")),
    )  # fmt: skip
    seen = 0
    for origin, known, claimed, signed, vouched, measures, level, erased in itertools.product(
        ("host", "local"), ("", "phone"), (False, True), ("", "1", "2"), ("", "1", "2"), rungs, LEVEL_MARKS, (False, True)
    ):
        standing = at_level(level, origin=origin, verified=known, agreement=signed, measures=measures, erased=erased)
        found, _ = outcome(permit(standing, Token(claimed, vouched)))
        in_force = {each.rung for each in standing.in_force(NOW)}
        host = origin == "host"
        if erased or in_force & {"close", "blacklist"}:
            expected = "account_closed"
        elif "suspend" in in_force:
            expected = "account_suspended"
        elif not known and not (host and claimed):
            expected = "not_verified"
        elif signed != "2" and not (host and vouched == "2"):
            expected = "agreement_required"
        elif measures and measures[0].functions == ("post",):
            expected = "function_restricted"
        else:
            expected = ""
        assert found == expected, standing
        seen += 1
    assert seen == 2 * 2 * 2 * 3 * 3 * 8 * 5 * 2


def test_an_agreement_may_be_no_condition() -> None:
    """Where the site requires no signature nobody is asked for one."""
    assert outcome(permit(token=Token(True, ""), required="")) == ("", "")


def test_a_measure_names_rule_clause_term_and_itself() -> None:
    """The detail holds what an appeal needs: code, basis, clause, end and id; without a term it says so."""
    standing = Standing(account="ann", measures=(measure(until_ms=NOW + HOUR_MS),))
    assert outcome(permit(standing)) == (
        "account_suspended", "A2; house rule 7; agreement, clause 3.2; until 2026-09-21T15:13:20Z; measure m-1",
    )  # fmt: skip
    standing = Standing(account="ann", measures=(measure("close", clause=""),))
    assert outcome(permit(standing)) == ("account_closed", "A2; house rule 7; until it is lifted; measure m-1")


def test_the_longest_of_several_measures_is_told() -> None:
    """One without a term lasts longer than any other."""
    short, long, endless = (
        measure(until_ms=NOW + 1, name="short"), measure(until_ms=NOW + 9, name="long"), measure(name="endless"),
    )  # fmt: skip
    assert outcome(permit(Standing(account="a", measures=(long, short))))[1].endswith("measure long")
    assert outcome(permit(Standing(account="a", measures=(endless, long))))[1].endswith("measure endless")


def test_barred_tells_without_a_comment() -> None:
    """A page can tell beforehand why nothing may be posted."""
    assert permit().barred is None
    refusal = permit(token=Token(False)).barred
    assert refusal is not None
    assert refusal.code.name == "not_verified"


# -- what ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVEL_MARKS)
def test_what_each_level_may(level: int) -> None:
    """Modes, sizes, colours, links and length go by the published table, for each of their values."""
    found = permit(at_level(level))
    rule = LEVELS[level]
    assert (found.level, found.rule) == (level, rule)
    for mode in ALL_MODES:
        assert outcome(found, say(mode=mode))[0] == ("" if mode in rule.modes else "level_too_low")
    for size in SIZES:
        assert outcome(found, say(size=size))[0] == ("" if size in rule.sizes else "level_too_low")
    assert outcome(found, say(color="#FFFFFF"))[0] == ""
    assert outcome(found, say(color="#ff0000"))[0] == ("" if rule.colors else "level_too_low")
    assert outcome(found, say("a.com"))[0] == ("" if rule.links else "level_too_low")
    assert outcome(found, say("弹" * 20))[0] == ""
    assert outcome(found, say("弹" * 21)) == (
        ("level_too_low", "credit level 0: at most 20 characters") if level == 0 else ("", "")
    )


def test_levels_grow() -> None:
    """No level takes away what a lower one allows; only the lowest is reviewed beforehand, and only it is slowed down."""
    for low, high in itertools.pairwise(LEVELS):
        assert set(low.modes) <= set(high.modes)
        assert set(low.sizes) <= set(high.sizes)
        assert low.colors <= high.colors
        assert low.links <= high.links
        assert low.rate >= high.rate
    assert [level.reviewed for level in LEVELS] == [True, False, False, False, False]
    assert [level.rate for level in LEVELS] == [3, 1, 1, 1, 1]
    assert len(LEVELS) == len(credit.LEVELS)


@pytest.mark.parametrize(
    ("function", "words"), [("mode", say(mode="top")), ("color", say(color="#ff0000")), ("link", say("https://a.example"))]
)
def test_a_restriction_takes_one_function(function: Function, words: Say) -> None:
    """What is restricted is refused with the measure, all else goes on."""
    found = permit(at_level(4, measures=(measure("restrict", function, until_ms=NOW + HOUR_MS),)))
    code, detail = outcome(found, words)
    assert code == "function_restricted"
    assert detail.startswith(f"{function}: A2; house rule 7; agreement, clause 3.2; until 2026-09-21T15:13:20Z")
    for other in (say(), say(mode="top"), say(color="#ff0000"), say("https://a.example")):
        if other != words:
            assert outcome(found, other) == ("", "")


def test_functions_beside_comments_can_be_asked_for() -> None:
    """Recalls, reports and nicknames ask for their own function."""
    found = permit(Standing(account="ann", measures=(measure("restrict", "recall", "report"),)))
    found.check_function("nickname")
    for function in ("recall", "report"):
        with pytest.raises(Refusal, match="function_restricted: " + function):
            found.check_function(function)
    assert outcome(found) == ("", "")


@pytest.mark.parametrize(
    "text", ["看这里https://x", "HTTP://A", "www.a", "加我 a-b.CN/1", "看abc.com", "好abc.xyz。", "ftp://a", "t.me/x"]
)
def test_links_are_seen(text: str) -> None:
    """Schemes, www and names of usual domains, also between Chinese characters."""
    assert has_link(text)


@pytest.mark.parametrize("text", ["弹幕", "3.14", "哈哈...", "a.b", "12:30", "1.5倍速", "com", "v1.cnx", "e.g. this"])
def test_other_dots_are_no_links(text: str) -> None:
    """Numbers, times and abbreviations are no links."""
    assert not has_link(text)


# -- for how long -------------------------------------------------------------------------------------------------------


def test_a_permit_holds_until_something_ends() -> None:
    """The next end counts: of a measure, an approval, a licence, or the day, at which credit changes."""
    day = (NOW // DAY_MS + 1) * DAY_MS
    assert permit().until_ms == day
    assert permit(Standing(account="a", measures=(measure(until_ms=NOW + 5), measure(until_ms=NOW + 9)))).until_ms == NOW + 5
    assert permit(Standing(account="a", measures=(measure(until_ms=NOW - 5), measure()))).until_ms == day
    assert permit(Standing(account="a", approvals=(Approval("post", "politics", NOW + 7),))).until_ms == NOW + 7
    assert permit(Standing(account="a", licences=(Held("l", ("news",), NOW + 3, NOW + 8),))).until_ms == NOW + 3
    found = permit(Standing(account="a", measures=(measure(until_ms=NOW + 5),)))
    assert found.holds("2", NOW + 4)
    assert not found.holds("2", NOW + 5)
    assert not found.holds("3", NOW), "another agreement is to be signed now"


def test_a_measure_ends_to_the_millisecond() -> None:
    """Made anew at the moment at which it ended to hold, the permit lets pass."""
    standing = Standing(account="a", measures=(measure(until_ms=NOW + 5),))
    assert outcome(permit(standing, now_ms=NOW + 4))[0] == "account_suspended"
    assert outcome(permit(standing, now_ms=NOW + 5)) == ("", "")
