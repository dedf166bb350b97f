"""What staff look for in a store, and what they get: comments that were published, or that were held or refused, newest first.

A search looks through a bounded number of records at a time and says how far it came, so that no search keeps a reader busy for
long; whoever wants to go on asks again from there.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

LOOKED_MAX: Final = 200_000
"""How many records one search looks through at most."""

What = Literal["published", "screened"]


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for; empty and 0 mean "whatever it is".

    ``text`` is a part of the text (capitals count only beyond ASCII), ``author`` an account or a public id, ``code`` that of the
    removal in force or, of what was held or refused, that of the screening. Times are Unix ms, from ``from_ms`` to before
    ``until_ms``. ``before``: go on with the records before this place.
    """

    what: What = "published"
    room: str = ""
    text: str = ""
    author: str = ""
    code: str = ""
    from_ms: int = 0
    until_ms: int = 0
    before: int = 0


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A comment that was found, with its text also when it was removed (empty: erased).

    ``seq`` is its number in the room (0: it was not published), ``state`` one of ``public removed held refused``, ``code`` that of
    the removal or of the screening.
    """

    room: str
    seq: int
    at_ms: int
    author: str
    author_id: str
    author_name: str
    text: str
    state: Literal["public", "removed", "held", "refused"]
    code: str


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a search has found. ``next``: the place before which to go on (0: there is nothing more), ``looked`` how many records it
    looked through, ``oldest_ms`` the time of the oldest of them (0: there was none)."""

    hits: list[Hit]
    next: int
    looked: int
    oldest_ms: int
