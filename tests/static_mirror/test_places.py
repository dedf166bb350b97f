"""static_mirror/places.py: one name for each place, in both languages."""

from __future__ import annotations

import re

from babel import Locale

from static_mirror.places import PLACES, UNKNOWN, english

# Short forms where CLDR has a longer one, and territories under their common name.
SHORT_ZH = {"AE", "BA", "CC", "CF", "DO", "PS"}
SHORT_EN = {"CD", "CG", "MM", "PS"}
# No country of their own in an address database, or shown as part of another one.
LEFT_OUT = {"AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "HK", "IC", "MO", "QO", "TA", "TW", "UN", "XA", "XB", "ZZ"}


def test_names_and_codes_are_unique_and_plain() -> None:
    """A region says one place; names are short, without markup, and fit where names stand."""
    assert len({place.code for place in PLACES.values()}) == len(PLACES) == len({place.en for place in PLACES.values()})
    for place in PLACES.values():
        assert re.fullmatch(r"CN-[A-Z]{2}|[A-Z]{2}", place.code)
        assert re.fullmatch(r"[\u4e00-\u9fff（）]{2,12}", place.zh), place
        assert re.fullmatch(r"[A-Za-zÀ-ÿ’.&(), -]{3,40}", place.en), place


def test_the_provinces_of_china_are_all_there() -> None:
    """34 of them, 中国 itself for where no province is known."""
    assert sum(place.code.startswith("CN-") for place in PLACES.values()) == 34
    assert PLACES["中国"].code == "CN"
    assert {PLACES[name].en for name in ("中国香港", "中国澳门", "中国台湾")} == {
        "Hong Kong, China", "Macao, China", "Taiwan, China",
    }  # fmt: skip


def test_countries_have_the_names_of_cldr() -> None:
    """Every territory of CLDR with a code of its own is there under its name in both languages, but for some short forms."""
    zh, en = Locale("zh", "Hans").territories, Locale("en").territories
    countries = {place.code: place for place in PLACES.values() if len(place.code) == 2}
    assert countries.keys() == {code for code in map(str, zh) if len(code) == 2 and code.isalpha()} - LEFT_OUT
    for code, place in countries.items():
        assert code in SHORT_ZH or place.zh == zh[code]
        assert code in SHORT_EN or place.en == en[code]


def test_a_name_is_translated_or_stands_for_itself() -> None:
    """The unknown place has a name too; what a later version may know is shown as it is."""
    assert (english("广东"), english("日本"), english(UNKNOWN), english("月球")) == (
        "Guangdong",
        "Japan",
        "an unknown place",
        "月球",
    )
