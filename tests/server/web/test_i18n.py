"""server/web/i18n.py, and that nothing on our pages is untranslated."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir

import server.web
from server.web.i18n import LANGUAGES, NAMES, choose_language, load_translations, read_catalogue

WEB = Path(server.web.__file__).parent
KEYWORDS = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2)}


def messages() -> set[str | tuple[str, ...]]:
    """All messages of templates and code."""
    catalogue = Catalog()
    method_map = [("**.py", "python"), ("**.html", "jinja2")]
    # "silent" off: a template that cannot be parsed must not lose its messages unnoticed.
    for _, _, message, _, _ in extract_from_dir(WEB, method_map, {"**.html": {"silent": "false"}}, keywords=KEYWORDS):
        catalogue.add(message)
    return {_key(message.id) for message in catalogue if message.id}


def _key(message: object) -> str | tuple[str, ...]:
    return tuple(message) if isinstance(message, list | tuple) else str(message)


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_every_message_is_translated(language: str) -> None:
    """The catalogue has each message of the sources, no others, none empty, none marked as doubtful."""
    catalogue = read_catalogue(language)
    assert {_key(entry.id) for entry in catalogue if entry.id} == messages()
    for entry in catalogue:
        assert all(_texts(entry.string)), f"{entry.id!r} is not translated"
        assert not entry.fuzzy or not entry.id, f"{entry.id!r} is doubtful"
    assert not catalogue.obsolete


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_translations_keep_placeholders(language: str) -> None:
    """A translation fills in the same values as the message."""
    for entry in read_catalogue(language):
        names = [set(re.findall(r"\{\w+\}|%\(\w+\)s", text)) for text in _texts(entry.id) if text]
        for text in _texts(entry.string):
            assert not entry.id or set(re.findall(r"\{\w+\}|%\(\w+\)s", text)) == names[-1], entry.id


def _texts(value: object) -> list[str]:
    return list(value) if isinstance(value, list | tuple) else [str(value)]


def test_translations_are_compiled_in_memory() -> None:
    """Every language has its translations, plural forms included."""
    translations = load_translations()
    assert set(translations) == set(LANGUAGES) == set(NAMES)
    assert translations["zh-CN"].gettext("Send") == "发送"
    assert translations["en"].gettext("Send") == "Send"
    assert translations["zh-CN"].ngettext("%(num)s entry", "%(num)s entries", 2) == "%(num)s 条记录"
    assert translations["en"].ngettext("%(num)s entry", "%(num)s entries", 2) == "%(num)s entries"


@pytest.mark.parametrize(
    ("query", "cookie", "accept", "chosen"),
    [
        ("en", "zh-CN", "zh", "en"),
        ("", "en", "zh", "en"),
        ("de", "de", "en", "en"),
        ("", "", "zh-TW,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("", "", "zh-Hant", "zh-CN"),
        ("", "", "de,en;q=0.5,zh;q=0.7", "zh-CN"),
        ("", "", "en;q=0, zh", "zh-CN"),
        ("", "", "en;q=x", "zh-CN"),
        ("", "", "*", "zh-CN"),
        ("", "", ",;q=1,en-US-x-odd", "en"),
        ("", "", "de," * 40 + "en", "zh-CN"),
    ],
)
def test_the_language_is_chosen(query: str, cookie: str, accept: str, chosen: str) -> None:
    """Address, cookie, browser by quality (a bounded number of tags), then the default; what is no language is passed over."""
    assert choose_language(query, cookie, accept, "zh-CN") == chosen
