"""Rows of comments on our own pages: the static pages' rows, in the reader's language.

Static pages carry each word of theirs in Chinese and in English, as one file serves all readers. Here the reader's language is
known, so the other one is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from server.core.modes import ORDER, at_least
from server.store.base import RoomInfo
from server.wire import Event
from static_mirror import labels
from static_mirror.layout import PAGE_ROWS
from static_mirror.pages import Renderer, RoomText
from static_mirror.places import PLACES, UNKNOWN, english

_ROLES: Final = ("author", "uploader", "reviewer", "senior", "operator", "program", "system")
_FAMILIES: Final = "LMPSNAURE"
_MODES: Final = ORDER

_ENGLISH: Final = ' <span lang="en">'
"""Between the Chinese and the English of one thing. Text of people is escaped, so this markup can only be the renderer's own."""

_SEQ: Final = 900_000_001
_TARGET: Final = 800_000_001
"""Sample numbers of the templates, which ``rows.js`` replaces; both stand at the start of a page, as it expects."""

_SAMPLES: Final = {
    "comment": Event(seq=_SEQ, kind="comment", at_ms=0, text="…", author_name="…", region="…", label="…", label_kind="media"),
    "tombstone": Event(seq=_SEQ, kind="comment", at_ms=0, removed_by=_TARGET, code="…", basis="…", role="…"),
    "removal": Event(seq=_SEQ, kind="removal", at_ms=0, target=_TARGET, code="…", basis="…", role="…"),
    "restoration": Event(seq=_SEQ, kind="restoration", at_ms=0, target=_TARGET, code="…", basis="…", role="…"),
    "announcement": Event(seq=_SEQ, kind="notice", at_ms=0, notice="announcement", text="…", code="…", basis="…", role="…"),
    **{
        notice: Event(
            seq=_SEQ,
            kind="notice",
            at_ms=0,
            notice=notice,
            room_mode="open",
            text="…",
            until_ms=1,
            code="…",
            basis="…",
            role="…",
        )
        for notice in ("mode", "site_mode")
    },
}


def localise(html: str, language: str) -> str:
    """HTML of the static mirror with its words in one language."""
    first, *others = html.split(_ENGLISH)
    done = [first]
    for part in others:
        english, _, rest = part.partition("</span>")
        if language != "zh-CN":
            before = done[-1]
            chinese = before[before.rfind(">") + 1 :]
            done[-1] = before.removesuffix(chinese.lstrip()) + english
        done.append(rest)
    return "".join(done)


class PageRows:
    """Renders rows for pages; ``time_zone`` is that of the static pages."""

    def __init__(self, time_zone: str) -> None:
        """Raises ValueError for an unknown time zone."""
        self._renderer = Renderer(time_zone)

    def newest_first(self, room: RoomInfo, events: Sequence[Event], language: str) -> Markup:
        """The rows of contiguous events, the newest one first."""
        if not events:
            return Markup()
        html = self._renderer.rows(RoomText(room.name, room.title), events, events[0].seq).decode()
        lines = html.rstrip("\n").split("\n")  # one row is one line
        return Markup(localise("\n".join(reversed(lines)), language))  # noqa: S704 -- the renderer has escaped it

    def templates(self, room: RoomInfo, language: str) -> Markup:
        """A row of each kind with sample values, for the page's script to copy."""
        text = RoomText(room.name, room.title)
        parts = [
            f'<div data-kind="{kind}">{self._renderer.rows(text, [event], _SEQ).decode().strip()}</div>'
            for kind, event in _SAMPLES.items()
        ]
        return Markup(localise("\n".join(parts), language))  # noqa: S704 -- our own words only


def script_labels(language: str) -> dict[str, dict[str, str]]:
    """Words of rows that depend on a value, for the page's script."""
    return {
        "roles": {name: localise(labels.role(name), language) for name in _ROLES},
        "families": {name: localise(labels.family(name), language) for name in _FAMILIES},
        "modes": {name: localise(labels.mode(name), language) for name in _MODES},
        "categories": {name: words for name in labels.CATEGORIES if (words := localise(labels.category(name), language))},
    }


def script_regions(language: str) -> dict[str, str]:
    """Names of regions for readers of another language than the regions' own."""
    if language == "zh-CN":
        return {}
    return {name: english(name) for name in (*PLACES, UNKNOWN)}


def mode_words(room: RoomInfo, slow_s: float, messages: Mapping[str, str]) -> str:
    """What the room's mode means for whoever posts, in the reader's language (``messages`` of the scripts); empty: nothing special.
    Without the end of its term, which the script adds and the row of the notice has."""
    mode = "news" if room.news and not at_least(room.mode, "review") else room.mode
    if mode == "open":
        return ""
    return messages[f"mode_{mode}"].replace("{s}", str(math.ceil(room.slow_ms / 1000 or slow_s)))


def script_config(room: RoomInfo, language: str, **settings: Any) -> dict[str, Any]:
    """What the room page's script needs to know; ``settings`` adds to it."""
    return {
        "room": room.name,
        "kind": room.kind,
        "epoch": room.epoch,
        "mode": room.mode,
        "page_rows": PAGE_ROWS,
        "labels": script_labels(language),
        "regions": script_regions(language),
        **settings,
    }
