"""server/moderation/wording.py"""

from __future__ import annotations

import re

from server.core.raids import Raid
from server.moderation import wording
from server.reasons import BASIS_MAX_CHARS


def test_what_the_desk_says_by_itself_is_in_both_languages() -> None:
    """Each in Chinese and in English, with the same numbers, as long as a basis may be."""
    raid = Raid(room="demo", at_ms=1, newcomers=40, authors=50, bad=0.625)
    for said in (wording.term_over(7), wording.term_over(0), wording.raided(raid)):
        chinese, english = said.split(" / ")
        assert re.search("[一-鿿]", chinese)
        assert english.isascii()
        assert sorted(re.findall(r"\d+", chinese)) == sorted(re.findall(r"\d+", english))
        assert len(said) <= BASIS_MAX_CHARS
