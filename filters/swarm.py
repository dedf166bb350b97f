"""Paid or automated posting: groups of accounts that share several texts across rooms in short windows.

Volume of one text is not guilt, and neither is a song that a whole room sings. What ordinary crowds do not do is *the same few
accounts saying the same several texts, in more than one room, within minutes*, and saying little else. Within :data:`WINDOW_MS`,

* a text is *shared* when several accounts said it, in two rooms or more;
* an account is *of little own* when at least :data:`MIN_SHARED` texts, and :data:`MIN_SHARE` of all it said, are shared ones;
* a shared text is *closed* when at least :data:`CLOSED` of the others who said it are accounts of little own. What a crowd chants
  is said by people who mostly say other things, and is open however rare or loud it is.

An account is named when :data:`MIN_TEXTS` of its texts, and :data:`MIN_SHARE` of all it said, are closed, and so many others of
little own share several of them with it that chance is no explanation (:data:`NATS`): everybody choosing texts on their own, each as
often as it was said, and being of little own as often as is usual on this site just now. So a site where everybody repeats what
everybody says names nobody for it. Closed texts that are said by the group (:data:`GROUP`) are known then, and whoever fills
:data:`MIN_SHARE` of what they say with known texts, two at least, belongs to it without further proof.

Texts are compared by their syllables and by pieces of them, so that homophones, punctuation, digits, a changed character and
words put in front or behind do not hide them; versions of one text count as one. Memory is bounded and decays: what is older
than the window is forgotten. The same structure serves likes and reports: the target is the text.

A comment does not wait for all that: it is put down, and weighed in order when :meth:`Swarm.settle` is called, or by later
comments, two at a time, once :data:`LAG_MS` have passed or :data:`MAX_WAITING` are waiting. Where it matters for the comment
itself, it is weighed before it is answered: an account of little own, a text that is known; at most :data:`AT_ONCE` a second.
Further ones are told at the account's next comment.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from itertools import islice
from math import log
from typing import Final

import msgspec

from filters.versions import Said, said, same, triples_of

WINDOW_MS: Final = 120_000
MIN_TEXTS: Final = 3
MIN_SHARED: Final = 2
MIN_SHARE: Final = 0.6
MIN_PEERS: Final = 3
CLOSED: Final = 0.5
GROUP: Final = 0.3
# Chance would do it once in e^7, about 1,100, such cases at the most.
NATS: Final = 7.0
LIFT: Final = 2.0
# A crowd smaller than this is reckoned to be as large: among a few accounts nothing is chance.
LEAST_CROWD: Final = 200
KNOWN_MS: Final = 600_000
MAX_POSTS: Final = 16
MAX_SPEAKERS: Final = 64
MAX_ASKED: Final = 48
MAX_ROOMS: Final = 16
# Accounts weighed in a second: where a whole site chants, this bounds what it costs.
MAX_WEIGHED: Final = 100
# Comments weighed before they are answered, in a second.
AT_ONCE: Final = 8
# Comments are weighed within this time, or within so many further ones, where nobody calls for it.
LAG_MS: Final = 1_000
MAX_WAITING: Final = 4_096
MAX_KNOWN: Final = 10_000
MAX_NAMES: Final = 50
# Findings that wait to be taken; the oldest is dropped for a new one.
MAX_FOUND: Final = 1_000
# The memory of what is usual halves after so many judgements.
USUAL: Final = 4_000
# Begins the mark of a target; no text has it.
TARGET: Final = "\0"


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
    """Who said a piece, and where, each with the last moment (within a window), in order of time."""

    speakers: dict[str, int]
    rooms: dict[str, int]


_Alone = tuple[str, str, int]
"""The account that alone said a piece, the room, and the moment."""


class _Account(msgspec.Struct):
    """The latest posts of an account with their moments, in order of time; whether it was of little own when last judged
    (None: one text tells nothing)."""

    posts: list[tuple[int, Said]]
    little_own: bool | None = None


class _Text(msgspec.Struct):
    """A text as one account said it, in all its versions, and what is known of its pieces where they are shared."""

    marks: set[str] = set()
    sayings: list[_Saying] = []

    def others(self, account: str) -> dict[str, int]:
        """Who else said it, and when last."""
        found: dict[str, int] = {}
        for saying in self.sayings:
            for speaker, at_ms in saying.speakers.items():
                if at_ms > found.get(speaker, -1):
                    found[speaker] = at_ms
        found.pop(account, None)
        return found


class Swarm:
    """What was said lately, by account and by text. Pure, bounded; used by one thread."""

    def __init__(self, max_accounts: int = 200_000) -> None:
        """``max_accounts`` bounds the accounts and the pieces of texts remembered; those heard longest ago go first."""
        self._max = max_accounts
        # Pieces of texts, of this window and of the one before; then those that nobody needs, taken apart bit by bit: all at once
        # would be a pause. Most pieces stay what one account alone said.
        self._said: dict[str, _Saying | _Alone] = {}
        self._said_before = dict(self._said)
        self._spent = dict(self._said)
        self._turn_ms = 0
        # In order of time.
        self._accounts: OrderedDict[str, _Account] = OrderedDict()
        # Texts of groups until when, and the accounts that were named.
        self._known: OrderedDict[str, int] = OrderedDict()
        self._named: OrderedDict[str, Evidence] = OrderedDict()
        self._found: deque[Evidence] = deque(maxlen=MAX_FOUND)
        # Posts in memory, and the sum of the squares of their numbers per account.
        self._posts = 0
        self._squares = 0
        # Of those who said several texts, the latest a shared one (decayed): all, and those of little own. At first: half.
        self._judged = 10.0
        self._second = self._weighed = 0
        self._little = 5.0
        # Comments to be weighed, in order: account, room, text, moment.
        self._waiting: deque[tuple[str, str, Said, int]] = deque()
        self._urgent_second = self._urgent = 0

    def __len__(self) -> int:
        """Number of accounts remembered."""
        return len(self._accounts)

    def post(self, account: str, room: str, words: str | Said, now_ms: int) -> Evidence | None:
        """Put a comment down to be weighed; evidence when its account is known to belong to a group by now.

        ``words`` are its folded text, or what that comes down to.
        """
        what = words if isinstance(words, Said) else said(words)
        waiting = self._waiting
        if waiting and (waiting[0][3] < now_ms - LAG_MS or len(waiting) >= MAX_WAITING):
            self.settle(2)
        known = self._known
        is_known = bool(known) and any(known.get(mark, 0) > now_ms for mark in what.marks)
        if is_known:
            before = self._named.get(account)
            if before is not None and now_ms < before.at_ms + KNOWN_MS:
                waiting.append((account, room, what, now_ms))
                return before
        record = self._accounts.get(account)
        if record is not None and (is_known or record.little_own) and self._may_be_urgent(now_ms):
            return self._note(account, room, what, now_ms)
        waiting.append((account, room, what, now_ms))
        return None

    def take(self) -> list[Evidence]:
        """What was found since the last call, the oldest first: each account when it was named, and when it was named anew."""
        found = list(self._found)
        self._found.clear()
        return found

    def settle(self, most: int = MAX_WAITING) -> bool:
        """Weigh at most so many of the comments that wait for it; whether others are left."""
        waiting = self._waiting
        for _ in range(min(most, len(waiting))):
            self._note(*waiting.popleft())
        return bool(waiting)

    def _may_be_urgent(self, now_ms: int) -> bool:
        if now_ms // 1000 != self._urgent_second:
            self._urgent_second, self._urgent = now_ms // 1000, 0
        self._urgent += 1
        return self._urgent <= AT_ONCE

    def act(self, account: str, room: str, target: str, now_ms: int) -> Evidence | None:
        """Take note of a like or a report of ``target``, which is in ``room``; evidence when its account acts with a group.

        A target has one room, so it is the targets together that have to be in several. Likes and reports are best kept in
        memories of their own.
        """
        return self._note(account, room, Said("", (TARGET + target,)), now_ms)

    # -----------------------------------------------------------------------------------------------------------------
    # Memory

    def _note(self, account: str, room: str, what: Said, now_ms: int) -> Evidence | None:
        since = now_ms - WINDOW_MS
        self._forget(since)
        record = self._accounts.get(account)
        if record is None:
            record = self._accounts[account] = _Account([(now_ms, what)])
            self._posts += 1
            self._squares += 1
        else:
            self._accounts.move_to_end(account)
            posts = record.posts
            count = len(posts)
            self._posts += 1
            self._squares += 2 * count + 1
            posts.append((now_ms, what))
            while posts[0][0] < since or count >= MAX_POSTS:
                del posts[0]
                self._posts -= 1
                self._squares -= 2 * count + 1
                count -= 1
        shared = False
        heard, before = self._said, self._said_before
        alone = (account, room, now_ms)
        for mark in what.marks:
            saying = heard.get(mark) or before.get(mark)
            if saying is None:
                heard[mark] = alone
            elif self._hear(mark, saying, alone):
                shared = True
        if shared:
            return self._judge(account, record, now_ms)
        if record.little_own is None and len(record.posts) > 1:
            record.little_own = False
        return None

    def _forget(self, since: int) -> None:
        """Let go what was silent for a whole window, and what is too much; a few for each note, so that none is costly."""
        accounts = self._accounts
        for _ in range(2):
            if not accounts:
                break
            account = next(iter(accounts))
            posts = accounts[account].posts
            if posts[-1][0] >= since and len(accounts) < self._max:
                break
            self._posts -= len(posts)
            self._squares -= len(posts) * len(posts)
            del accounts[account]
        spent = self._spent
        if spent:
            for _ in range(min(8, len(spent))):
                spent.popitem()
        if since >= self._turn_ms or len(self._said) >= self._max // 2:
            self._said, self._said_before, self._spent = {}, self._said, self._said_before
            self._turn_ms = since + WINDOW_MS

    def _hear(self, mark: str, saying: _Saying | _Alone, now: _Alone) -> bool:
        """Take note of who says a piece that was said before; whether it is shared."""
        heard = self._said
        account, room, now_ms = now
        if isinstance(saying, tuple):
            if saying[0] == account or saying[2] < now_ms - WINDOW_MS:
                heard[mark] = now
                return False
            saying = _Saying({saying[0]: saying[2]}, {saying[1]: saying[2]})
        heard[mark] = saying
        _note_last(saying.speakers, account, MAX_SPEAKERS, now_ms)
        _note_last(saying.rooms, room, MAX_ROOMS, now_ms)
        return _is_shared(mark, saying)

    # -----------------------------------------------------------------------------------------------------------------
    # Judgement

    def _judge(self, account: str, record: _Account, now_ms: int) -> Evidence | None:
        """Judge an account that just said a shared text."""
        known = self._known
        before = self._named.get(account)
        if (
            before is not None
            and now_ms < before.at_ms + KNOWN_MS
            and any(known.get(mark, 0) > now_ms for mark in record.posts[-1][1].marks)
        ):
            return before
        texts = self._texts(record)
        if len(texts) < MIN_SHARED:
            record.little_own = None
            return None
        shared = sum(bool(text.sayings) for text in texts)
        record.little_own = shared >= MIN_SHARED and shared >= MIN_SHARE * len(texts)
        usual = self._usual(record.little_own)
        if not record.little_own:
            return None
        if now_ms // 1000 != self._second:
            self._second, self._weighed = now_ms // 1000, 0
        self._weighed += 1
        return self._weigh(account, texts, usual, now_ms) if self._weighed <= MAX_WEIGHED else None

    def _weigh(self, account: str, texts: list[_Text], usual: float, now_ms: int) -> Evidence | None:
        """Whether an account of little own belongs to a group."""
        others = [(text, text.others(account)) for text in texts if text.sayings]
        closed = [(text, speakers) for text, speakers in others if self._is_closed(speakers)]
        rooms = {room for text, _ in closed for saying in text.sayings for room in saying.rooms}
        if len(closed) < MIN_SHARED or len(closed) < MIN_SHARE * len(texts) or len(rooms) < 2:
            return None
        # One post may be a version of two texts: it counts once.
        common = Counter(speaker for speaker, _ in {said for _, speakers in closed for said in speakers.items()})
        seen = sum(any(self._known.get(mark, 0) > now_ms for mark in text.marks) for text, _ in closed)
        peers: list[str] = []
        if seen >= MIN_SHARED and seen >= MIN_SHARE * len(texts):
            peers = [speaker for speaker in common if speaker in self._named]
        if not peers and len(closed) >= MIN_TEXTS:
            peers = self._together(common, [len(speakers) for _, speakers in closed], usual)
        if not peers:
            return None
        evidence = Evidence(account, tuple(sorted(peers)[:MAX_NAMES]), len(closed), len(rooms), now_ms)
        self._name(evidence, closed, set(peers))
        return evidence

    def _texts(self, record: _Account) -> list[_Text]:
        """What an account said lately, versions of one text together; what is too short to tell is one text of its own."""
        heard = self._said
        found: list[tuple[_Text, frozenset[str]]] = []
        for what in dict.fromkeys(what for _, what in record.posts):
            triples = triples_of(what.spoken)
            for text, others in found:
                if same(triples, others) or not text.marks.isdisjoint(what.marks):
                    break
            else:
                text = _Text()
                found.append((text, triples))
            for mark in what.marks:
                saying = heard.get(mark) or self._said_before.get(mark)
                if mark not in text.marks and isinstance(saying, _Saying) and _is_shared(mark, saying):
                    text.sayings.append(saying)
                text.marks.add(mark)
        return [text for text, _ in found]

    def _usual(self, little_own: bool) -> float:
        """The share of those who are of little own among all who say a shared text, on this site just now."""
        if self._judged > USUAL:
            self._judged /= 2
            self._little /= 2
        usual = self._little / self._judged
        self._judged += 1
        self._little += little_own
        return usual

    def _is_closed(self, speakers: dict[str, int]) -> bool:
        """Whether the others who said a text (the first ones of a great many) say little else, as far as that can be told."""
        accounts = self._accounts
        told = little = 0
        for speaker in islice(speakers, MAX_ASKED):
            record = accounts.get(speaker)
            if record is not None and record.little_own is not None:
                told += 1
                little += record.little_own
        return told > 0 and little >= CLOSED * told

    def _together(self, common: Counter[str], sizes: list[int], usual: float) -> list[str]:
        """Those of little own who share so many of the texts that chance does not explain it; nobody where it does.

        Chance: each account says each text, independently, as often as the text's share of all accounts. Accounts that speak
        much meet more often, as if there were fewer of them. The bound on how likely that is is Chernoff's.
        """
        accounts = self._accounts
        little = [(name, count) for name, count in common.items() if (record := accounts.get(name)) and record.little_own]
        if len(little) < MIN_PEERS:
            return []
        crowd = max(self._posts**2 / max(1, self._squares), LEAST_CROWD)
        # Chances to share exactly 0, 1, 2, ... of the texts.
        chances = [1.0]
        for size in sizes:
            share = min(1.0, size / crowd)
            chances = [was * (1 - share) + less * share for was, less in zip([*chances, 0.0], [0.0, *chances], strict=True)]
        best: tuple[float, list[str]] = (NATS, [])
        for least in range(MIN_SHARED, len(sizes) + 1):
            peers = [name for name, count in little if count >= least]
            expected = usual * crowd * sum(chances[least:]) + 1e-9
            if len(peers) >= 1 + LIFT * expected:
                unlikely = len(peers) * (log(len(peers) / expected) - 1) + expected
                if unlikely > best[0]:
                    best = unlikely, peers
        return best[1]

    def _name(self, evidence: Evidence, closed: list[tuple[_Text, dict[str, int]]], peers: set[str]) -> None:
        """Remember an account as named, and the closed texts that are mostly said by the group as known."""
        named = self._named
        self._found.append(evidence)
        named[evidence.account] = evidence
        named.move_to_end(evidence.account)
        for text, speakers in closed:
            if sum(speaker in named or speaker in peers for speaker in speakers) >= GROUP * len(speakers):
                for mark in text.marks:
                    self._known[mark] = evidence.at_ms + KNOWN_MS
                    self._known.move_to_end(mark)
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        while len(named) > MAX_KNOWN:
            named.popitem(last=False)


def _note_last(names: dict[str, int], name: str, most: int, now_ms: int) -> None:
    """Put a name and its moment at the end; let go what is older than a window, and the oldest of too many."""
    if len(names) > 1 or name not in names:  # else it is the only one: so it is of most texts' rooms
        names.pop(name, None)
        names[name] = now_ms
        while len(names) > most or next(iter(names.values())) < now_ms - WINDOW_MS:
            del names[next(iter(names))]
    else:
        names[name] = now_ms


def _is_shared(mark: str, saying: _Saying) -> bool:
    return len(saying.speakers) > 1 and (len(saying.rooms) > 1 or mark[0] == TARGET)
