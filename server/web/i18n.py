"""The languages of our pages. Messages in the sources are English; a catalogue per other language translates them.

Catalogues are committed as ``locale/*/LC_MESSAGES/barrage.po`` and compiled in memory at start, so that nothing can be out of date.
"""

from __future__ import annotations

import functools
import gettext
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

LANGUAGES: Final = ("zh-CN", "en")
NAMES: Final[Mapping[str, str]] = {"zh-CN": "中文", "en": "English"}
"""Each language's name in itself, for the switch."""

LOCALE_DIR: Final = Path(__file__).parent / "locale"
_PREFERENCES_MAX: Final = 16


def N_(message: str) -> str:  # noqa: N802 - the name that gettext tools look for
    """Mark a message for translation where it is defined; it is translated where it is used."""
    return message


def read_catalogue(language: str) -> Catalog:
    """The catalogue of a language as it stands in the sources. Raises OSError, PoFileError."""
    path = LOCALE_DIR / language.replace("-", "_") / "LC_MESSAGES" / "barrage.po"
    with path.open("rb") as file:
        return read_po(file, locale=language.replace("-", "_"), abort_invalid=True)


@functools.cache
def load_translations() -> dict[str, gettext.NullTranslations]:
    """Translations of every language, compiled at the first call; not to be changed."""
    translations: dict[str, gettext.NullTranslations] = {"en": gettext.NullTranslations()}
    for language in LANGUAGES:
        if language != "en":
            compiled = io.BytesIO()
            write_mo(compiled, read_catalogue(language))
            compiled.seek(0)
            translations[language] = gettext.GNUTranslations(compiled)
    return translations


def choose_language(query: str, cookie: str, accept: str, default: str) -> str:
    """The language of an answer: asked for in the address, chosen earlier, preferred by the browser, or the site's own."""
    for wanted in (query, cookie):
        if wanted in LANGUAGES:
            return wanted
    for tag in _preferences(accept):
        match = _match(tag)
        if match:
            return match
    return default


def _preferences(accept: str) -> list[str]:
    """Language tags of an Accept-Language header, best first; equal ones keep their order."""
    weighted: list[tuple[float, str]] = []
    for part in accept.split(",")[:_PREFERENCES_MAX]:
        tag, _, parameters = part.strip().partition(";")
        name, _, value = parameters.strip().partition("=")
        try:
            quality = float(value) if name.strip() == "q" else 1.0
        except ValueError:
            continue
        if tag and quality > 0:
            weighted.append((quality, tag.strip()))
    return [tag for _, tag in sorted(weighted, key=lambda pair: -pair[0])]


def _match(tag: str) -> str:
    """Our language for a browser's tag (any Chinese reads zh-CN); empty when we have none."""
    return {"zh": "zh-CN", "en": "en"}.get(tag.partition("-")[0].lower(), "")
