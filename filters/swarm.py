"""Paid or automated posting: groups of accounts that share several texts across rooms in short windows.

Volume of one text is not guilt, and neither is a song that a whole room sings. What ordinary crowds do not do is *the same few
accounts saying the same several texts, in more than one room, within minutes*, and saying little else. An account is named
when, within :data:`WINDOW_MS`,

* at least :data:`MIN_TEXTS` of its texts, and :data:`MIN_SHARE` of all it said, were said by others too, in two rooms or more, and
* at least :data:`MIN_PEERS` other accounts each share :data:`MIN_SHARED` or more of them with it, and :data:`LIFT` times as many as
  would if everybody chose from the same sayings on their own.

Texts are compared by their syllables, by their beginning and by their end, so that homophones, punctuation,
digits and a changed character do not hide them. Memory is bounded and decays: what is older than the window is forgotten.
Once a group is known, its texts are known: an account that says two of them belongs to it. The same structure serves likes
and reports: the target is the text.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from operator import eq
from typing import Final

import msgspec

from filters.normalize import SOUNDS, SYLLABLE_OF

WINDOW_MS: Final = 120_000
MIN_TEXTS: Final = 3
MIN_SHARE: Final = 0.6
MIN_PEERS: Final = 3
MIN_SHARED: Final = 2
LIFT: Final = 2.0
# A crowd smaller than this is reckoned to be as large: among a few accounts nothing is chance.
LEAST_CROWD: Final = 200
MIN_LENGTH: Final = 4
KNOWN_MS: Final = 600_000
MAX_POSTS: Final = 16
MAX_SPEAKERS: Final = 256
MAX_ROOMS: Final = 16
MAX_KNOWN: Final = 10_000
EDGE: Final = 6


class _Spoken(dict[int, str | None]):
    """A table that keeps syllables and letters, and nothing else."""

    def __missing__(self, code: int) -> None:
        return None


_SPOKEN: Final = _Spoken({code: sound for code, sound in SOUNDS.items() if sound in SYLLABLE_OF})
_SPOKEN.update((code, chr(code)) for code in range(ord("a"), ord("z") + 1))
_RUN: Final = re.compile(r"(.)\1+")


class Evidence(msgspec.Struct, frozen=True):
    """Why an account is thought to belong to a group: who shares texts with it, how many texts, in how many rooms."""

    account: str
    peers: tuple[str, ...]
    texts: int
    rooms: int
    at_ms: int

    def words(self) -> str:
        """One line for people."""
        return f"{self.texts} texts shared with {len(self.peers)} accounts in {self.rooms} rooms within {WINDOW_MS // 1000} s"


class _Saying(msgspec.Struct):
    """Who said a text, and where, each with the last moment (within a window), in order of time."""

    speakers: dict[str, int]
    rooms: dict[str, int]


class _Post(msgspec.Struct, frozen=True, gc=False):
    at_ms: int
    room: str
    marks: tuple[int, ...]


def marks_of(folded: str) -> tuple[int, ...]:
    """Numbers that texts of nearly the same syllables share at least one of; empty: too short to tell.

    The beginning and the end (of a short text, the whole): a character changed, added or left out spares one of them.
    """
    spoken = folded.translate(_SPOKEN)
    if any(map(eq, spoken, spoken[1:])):
        spoken = _RUN.sub(r"\1", spoken)
    if len(spoken) < MIN_LENGTH:
        return ()
    if len(spoken) < EDGE + 2:
        return (hash(spoken),)
    return hash("<" + spoken[:EDGE]), hash(">" + spoken[-EDGE:])


class Swarm:
    """What was said lately, by account and by text. Pure, bounded; used by one thread."""

    def __init__(self, max_accounts: int = 200_000) -> None:
        """``max_accounts`` bounds the accounts and the texts remembered; those heard longest ago are forgotten first."""
        self._max = max_accounts
        self._posts: dict[str, deque[_Post]] = {}
        self._said: dict[int, _Saying | tuple[str, str, int]] = {}
        # Texts of groups until when, and the accounts that were named; both in order of time.
        self._known: dict[int, int] = {}
        self._named: dict[str, Evidence] = {}

    def __len__(self) -> int:
        """Number of accounts remembered."""
        return len(self._posts)

    def post(self, account: str, room: str, folded: str, now_ms: int) -> Evidence | None:
        """Take note of a comment; evidence when its account belongs to a group by now."""
        return self._note(account, room, marks_of(folded), now_ms)

    def act(self, account: str, room: str, target: str, now_ms: int) -> Evidence | None:
        """Take note of a like or a report of ``target``; evidence when its account acts with a group."""
        return self._note(account, room, (hash(f"target {target}"),), now_ms)

    def _note(self, account: str, room: str, marks: tuple[int, ...], now_ms: int) -> Evidence | None:
        posts = self._posts.pop(account, None)
        self._forget(now_ms)
        if posts is None:
            posts = deque(maxlen=MAX_POSTS)
            if len(self._posts) >= self._max:
                del self._posts[next(iter(self._posts))]
        self._posts[account] = posts
        while posts and posts[0].at_ms < now_ms - WINDOW_MS:
            posts.popleft()
        posts.append(_Post(now_ms, room, marks))
        for mark in marks:
            self._hear(mark, account, room, now_ms)
        if not marks:
            return None
        return self._judge(account, posts, now_ms)

    def _forget(self, now_ms: int) -> None:
        """Let accounts go that have been silent for a whole window; at most three for each note, so that none is costly."""
        for _ in range(min(3, len(self._posts))):
            account = next(iter(self._posts))
            if self._posts[account][-1].at_ms >= now_ms - WINDOW_MS:
                return
            del self._posts[account]

    def _hear(self, mark: int, account: str, room: str, now_ms: int) -> None:
        """What one account alone has said is only a note of it; most texts stay that."""
        before = self._said.pop(mark, None)
        if before is None:
            if len(self._said) >= self._max:
                del self._said[next(iter(self._said))]
            self._said[mark] = (account, room, now_ms)
            return
        if isinstance(before, tuple):
            if before[0] == account or before[2] < now_ms - WINDOW_MS:
                self._said[mark] = (account, room, now_ms)
                return
            before = _Saying({before[0]: before[2]}, {before[1]: before[2]})
        self._said[mark] = before
        for heard, name, most in ((before.speakers, account, MAX_SPEAKERS), (before.rooms, room, MAX_ROOMS)):
            heard.pop(name, None)
            heard[name] = now_ms
            # In order of time: old ones are in front.
            while len(heard) > most or next(iter(heard.values())) < now_ms - WINDOW_MS:
                del heard[next(iter(heard))]

    def _shared(self, marks: tuple[int, ...]) -> list[_Saying]:
        """The sayings behind marks that several accounts said, in several rooms."""
        found = []
        for mark in marks:
            saying = self._said.get(mark)
            if isinstance(saying, _Saying) and len(saying.speakers) > 1 and len(saying.rooms) > 1:
                found.append(saying)
        return found

    def _judge(self, account: str, posts: deque[_Post], now_ms: int) -> Evidence | None:
        """A text that one account says again and again counts once."""
        known = self._known
        latest = posts[-1].marks
        before = self._named.get(account)
        if before is not None and now_ms < before.at_ms + KNOWN_MS and any(known.get(mark, 0) > now_ms for mark in latest):
            return before
        if not self._shared(latest):
            return None
        spoken = {post.marks for post in posts}
        shared: dict[tuple[int, ...], list[_Saying]] = {}
        for marks in spoken:
            sayings = self._shared(marks)
            if sayings:
                shared[marks] = sayings
        seen = sum(any(known.get(mark, 0) > now_ms for mark in marks) for marks in shared)
        if len(shared) < (MIN_SHARED if seen >= MIN_SHARED else MIN_TEXTS) or len(shared) < MIN_SHARE * len(spoken):
            return None
        return self._weigh(account, shared, now_ms)

    def _weigh(self, account: str, shared: dict[tuple[int, ...], list[_Saying]], now_ms: int) -> Evidence | None:
        common: Counter[str] = Counter()
        sizes = []
        rooms: set[str] = set()
        for sayings in shared.values():
            speakers = set().union(*(saying.speakers for saying in sayings))
            rooms.update(*(saying.rooms for saying in sayings))
            common.update(speakers)
            sizes.append(len(speakers) - 1)
        del common[account]
        peers = [speaker for speaker, count in common.items() if count >= MIN_SHARED]
        if len(peers) < max(MIN_PEERS, 1 + LIFT * self._by_chance(sizes)):
            return None
        for marks in shared:
            for mark in marks:
                self._known.pop(mark, None)
                self._known[mark] = now_ms + KNOWN_MS
        evidence = Evidence(account, tuple(sorted(peers)[:50]), len(shared), len(rooms), now_ms)
        self._named.pop(account, None)
        self._named[account] = evidence
        while len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]
        while len(self._named) > MAX_KNOWN:
            del self._named[next(iter(self._named))]
        return evidence

    def _by_chance(self, sizes: list[int]) -> float:
        """How many accounts would share two of the texts if everybody chose texts on their own."""
        return sum(one * two for place, one in enumerate(sizes) for two in sizes[place + 1 :]) / max(
            len(self._posts), LEAST_CROWD
        )
