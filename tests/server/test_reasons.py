"""server/reasons.py"""

from __future__ import annotations

import re

import pytest

from filters import STARTER_PACK
from filters.rules import load
from server.bases import CHINESE
from server.errors import Refusal
from server.reasons import (
    BASIS_MAX_CHARS,
    BY_AUTHOR,
    REASONS,
    REMOVAL_CODES,
    RESTORATION_CODES,
    basis_for,
    check_removal,
    check_restoration,
    name_of,
    recorded_basis,
    standing_basis,
)


def test_families_of_the_duties_are_all_there() -> None:
    """Every family of the duties has at least one code, unlawful content all nine."""
    assert {code[0] for code in REASONS} == set("LMPSNAURKE")
    assert [code for code in REASONS if code[0] == "L"] == [f"L{number}" for number in range(1, 10)]


def test_codes_have_the_form_of_family_and_number_and_names_in_both_languages() -> None:
    """Each code is a letter and a digit, and has a Chinese and an English name."""
    for code, reason in REASONS.items():
        assert len(code) == 2
        assert code[0].isupper()
        assert code[1].isdigit()
        assert reason.en.isascii()
        assert not reason.zh.isascii()


@pytest.mark.parametrize("code", sorted(REMOVAL_CODES - {BY_AUTHOR}))
def test_a_removal_takes_each_code_of_its_table(code: str) -> None:
    """Staff may remove by each code except the author's own recall."""
    check_removal(code, "条例 article 15")


@pytest.mark.parametrize("code", sorted(RESTORATION_CODES))
def test_a_restoration_takes_each_code_of_family_r(code: str) -> None:
    """A restoration cites why the comment comes back."""
    check_restoration(code, "appeal 12 upheld")


@pytest.mark.parametrize(
    ("code", "basis"),
    [("", "b"), ("L0", "b"), ("l5", "b"), ("L5 ", "b"), ("R1", "b"), (BY_AUTHOR, "b"), ("L5", ""), ("L5", "  "),
     ("L5", "x" * (BASIS_MAX_CHARS + 1)), ("L5", "two\nlines"), ("L5", "turned\u202eround")],
)  # fmt: skip
def test_a_removal_without_a_right_code_and_basis_is_refused(code: str, basis: str) -> None:
    """No removal without a code of the table and a basis: the refusal names the field, never the value."""
    with pytest.raises(Refusal, match="bad_code") as caught:
        check_removal(code, basis)
    assert caught.value.detail.startswith(("code:", "basis:"))


@pytest.mark.parametrize(("code", "basis"), [("L5", "b"), ("", "b"), ("R1", "")])
def test_a_restoration_without_a_right_code_and_basis_is_refused(code: str, basis: str) -> None:
    """No restoration by a removal's code, none without a basis."""
    with pytest.raises(Refusal, match="bad_code"):
        check_restoration(code, basis)


def test_the_bare_name_of_a_code_is_read_in_ones_own_language() -> None:
    """Whichever language it was recorded in; what somebody wrote, and the name of another code, stay as they are."""
    reason = REASONS["S1"]
    for recorded in (reason.en, reason.zh):
        assert basis_for("S1", recorded, True) == reason.zh
        assert basis_for("S1", recorded, False) == reason.en
    assert basis_for("S1", "rule 7", True) == "rule 7"
    assert basis_for("L8", reason.zh, False) == reason.zh
    assert basis_for("X9", "S1", False) == "S1"
    assert basis_for("S1", "S1", False) == "S1"


def test_every_removal_by_staff_rests_on_a_law_or_a_published_rule() -> None:
    """Where nobody names anything nearer: an article of a law for what is unlawful, never the bare name of the code; in both
    languages, as long as a basis may be."""
    for code in REASONS:
        standing = standing_basis(code)
        assert standing is not None
        recorded = recorded_basis(code, " ")
        assert recorded == standing.recorded
        assert len(recorded) <= BASIS_MAX_CHARS
        assert (basis_for(code, recorded, True), basis_for(code, recorded, False)) == (standing.zh, standing.en)
        if code in REMOVAL_CODES and code[0] != "U":
            assert standing != name_of(code)
        if code[0] in "LMPN":
            assert re.search(r"《.+》第.+条", standing.zh)
            assert re.search(r" art\. \d", standing.en)
    assert standing_basis("Z9") is None
    assert recorded_basis("Z9", "") == ""


def test_what_is_known_in_both_languages_is_recorded_in_both() -> None:
    """A rule's basis, and a standing one that somebody typed; other words stay as they are, and so does what would be too long."""
    assert recorded_basis("S1", "House rule: do not flood") == "本站规则：不得刷屏 / House rule: do not flood"
    assert recorded_basis("L8", " 《互联网信息服务管理办法》第十五条第（八）项 ") == recorded_basis("L8", "")
    assert recorded_basis("L8", "rule 7 / 规则") == "rule 7 / 规则"
    for basis in CHINESE:
        assert recorded_basis("S1", basis) in (basis, f"{CHINESE[basis]} / {basis}")
        assert len(recorded_basis("S1", basis)) <= BASIS_MAX_CHARS


def test_the_bases_of_the_starter_pack_are_read_in_chinese() -> None:
    """Each rule that comes with the program has its basis in both languages, and no translation is left over."""
    bases = {rule.basis for rule in load(STARTER_PACK).rule if rule.basis}
    assert bases == set(CHINESE)
    for basis in bases:
        assert basis_for("L1", basis, False) == basis
        assert basis_for("L1", basis, True) == CHINESE[basis]
        assert len(re.findall(r"\d+(?:-\d+)?", basis)) == CHINESE[basis].count("第"), "an article was left out"
