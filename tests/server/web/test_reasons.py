"""server/web/reasons.py"""

from __future__ import annotations

from server.reasons import BY_AUTHOR, REMOVAL_CODES
from server.web.reasons import REASON_CODES, REPORT_REASONS


def test_each_reason_is_a_code_of_the_table_and_stands_once() -> None:
    """A report's reason is a removal code; authors recall without reporting themselves."""
    codes = [reason.code for reason in REPORT_REASONS]
    assert len(codes) == len(set(codes))
    assert set(codes) == REASON_CODES <= REMOVAL_CODES - {BY_AUTHOR}


def test_every_family_can_be_reported() -> None:
    """All nine kinds of unlawful content, and each other family, can be chosen."""
    assert {f"L{number}" for number in range(1, 10)} <= REASON_CODES
    assert {code[0] for code in REASON_CODES} == set("LMPSNA")
