"""The path of a comment from its first check to its draft: the same for a WebSocket connection and for a form without script.

Order: form of the message, who speaks (token, standing, agreement, measures, credit level: :class:`server.accounts.permit.Permit`),
the room, the position, room for it in the queue, and only then the screening. Whoever speaks hears a refusal at once; a draft goes
to the publisher with the speaker's sink, which is answered after the commit.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, Protocol

import msgspec

from filters.pipeline import Pipeline
from filters.rate import Gcra
from filters.verdict import Action, Candidate, Reason, Verdict
from server.accounts.agreement import clause_of_rule
from server.accounts.identity import Identity, Tokens
from server.accounts.people import People
from server.accounts.permit import Permit
from server.accounts.public import label_of, refusal
from server.accounts.standing import Standing
from server.bases import RECALLED
from server.core import session
from server.core.address import limit_key
from server.core.hub import Hub
from server.core.modes import DEMANDS, SHIELD_LEVEL, Demands
from server.core.raids import Raids
from server.core.recent import Recent
from server.core.room import Room
from server.errors import CODES, Refusal
from server.flush import Viewer
from server.metrics import Stats
from server.publish import Publisher, Sink
from server.regions import Regions
from server.settings import Settings
from server.store.base import CommentDraft, ConnectionDraft, Draft, Outcome, RemovalDraft, RoomInfo, ScreenedDraft
from server.wire import Recall, Say

_KEYS: Final = 200_000
"""Accounts whose rate of recorded refusals is remembered; the longest unused is forgotten first."""
_RECALL: Final = ("U1", RECALLED.recorded)
_THINNED: Final = frozenset({"too_fast", "repeated_text", "text_too_long"})
"""Refusals for pace and length: what a flood is made of. Of each, one a minute is recorded of an account."""
_THINNED_MS: Final = 60_000


def _held(rule: str, basis: str) -> Reason:
    return Reason(action=Action.HOLD, code="held_for_review", rule=rule, basis=basis)


_LEVEL: Final = _held("credit.review", "credit: comments of level 0 are reviewed first")
_NEWS: Final = _held("news.review", "rooms of news: comments are reviewed before they are published")
_REVIEWED: Final = _held("mode.review", "mode of the room: all comments are reviewed first")
_SHIELDED: Final = _held("mode.shield", f"shield of the room: comments below credit level {SHIELD_LEVEL} are reviewed first")


class Speaker(Protocol):
    """Who says something, and from where. ``standing`` is None while it could not be read; ``permit`` belongs to :class:`Posting`,
    and whoever changes ``identity`` or ``standing`` sets it to None."""

    address: str
    identity: Identity | None
    standing: Standing | None
    permit: Permit | None

    def origin(self) -> str:
        """The id of the record that tells where this comes from (:class:`ConnectionDraft`)."""


class Voice(Permit):
    """A speaker's permit, with what else stays the same from one of their comments to the next and is looked up once.

    ``address`` is the key by which the speaker's address is counted, ``author_id`` and ``region`` are what is shown of account and
    address. ``label`` and ``label_kind`` (empty: none) change with the standing, or at a moment at which the permit ends.
    """

    __slots__ = ("address", "author_id", "label", "label_kind", "region")

    def __init__(
        self, standing: Standing, identity: Identity, required: str, now_ms: int, address: str, author_id: str, region: str
    ) -> None:
        super().__init__(standing, identity, required, now_ms)
        self.address: Final = limit_key(address)
        self.author_id: Final = author_id
        self.region: Final = region
        label = label_of(standing, now_ms)
        self.label: Final = label.text if label is not None else ""
        self.label_kind: Final = label.kind if label is not None else ""


class _NoSink:
    """For records that nobody waits for."""

    def answer(self, draft: Draft, outcome: Outcome | Refusal) -> None:
        """A record that could not be written was counted by the publisher."""


NO_SINK: Final = _NoSink()


class Posting:
    """See the module's text. Belongs to the event loop; nothing in it waits. ``rooms`` are the stored rooms by name."""

    def __init__(
        self,
        settings: Settings,
        hub: Hub[Viewer],
        publisher: Publisher,
        pipeline: Callable[[], Pipeline],
        tokens: Tokens,
        people: People,
        regions: Regions,
        stats: Stats,
        rooms: dict[str, RoomInfo],
    ) -> None:
        self.settings = settings
        self._hub = hub
        self._publisher = publisher
        self._pipeline = pipeline
        self._tokens = tokens
        self._people = people
        self._regions = regions
        self._stats = stats
        self._rooms = rooms
        self.raids = Raids()
        self._refusals = Gcra(_THINNED_MS, 1, _KEYS)
        self._recent: Recent[CommentDraft | ScreenedDraft] = Recent(settings.queue_max)

    def find(self, name: str) -> Room[Viewer]:
        """The room in memory. Raises Refusal ``room_not_found``."""
        room = self._hub.rooms.get(name)
        if room is None:
            raise Refusal("room_not_found")
        return room

    def permit(self, speaker: Speaker, now_ms: int) -> Voice:
        """The speaker's permit, made anew when the old one holds no longer. Raises Refusal ``storage_unavailable`` while the
        standing cannot be read: posting fails closed."""
        required = self._people.required
        permit = speaker.permit
        if type(permit) is Voice and permit.holds(required, now_ms):
            return permit
        identity, standing = speaker.identity, speaker.standing
        assert identity is not None
        if standing is None:
            raise Refusal("storage_unavailable", "the account cannot be read", retry_after_ms=1000)
        author_id, region = self._tokens.public_id(identity.subject), self._regions.of(speaker.address)
        voice = speaker.permit = Voice(standing, identity, required, now_ms, speaker.address, author_id, region)
        return voice

    def say(self, speaker: Speaker, say: Say, sink: Sink) -> None:
        """Check, screen and submit a comment. Raises Refusal for what is not published; ``sink`` is answered otherwise."""
        room = self.find(say.room)
        session.check_form(say)
        now_ms = unix_ms()
        identity = session.authorise(speaker.identity, now_ms)
        voice = self.permit(speaker, now_ms)
        voice.check(say)
        if speaker.standing is not None and speaker.standing.public:
            lapsed = refusal(speaker.standing, "post", "general", now_ms, self._people.provider)
            if lapsed:
                raise Refusal(lapsed, "public accounts")
        mode = self._hub.intake(room, now_ms)
        session.check_mode(mode)
        demands = DEMANDS[mode]
        info = self._rooms[say.room]
        pos_ms = session.position(say.pos_ms, info.kind == "live", info.started_ms, now_ms)
        self._publisher.check(say.room)
        passed = self._recent.find(identity.subject, say.key, say.room, say.text)
        waits = _waits(info.news, demands, voice)
        # What passed while nothing waited, and was not written then, waits now.
        if passed is not None and not (waits and isinstance(passed, CommentDraft)):
            self._publisher.submit(msgspec.structs.replace(passed, at_ms=now_ms), sink)
            return
        slow_ms = (room.slow_ms or round(self.settings.slow_mode_s * 1000)) if demands.pace else 0
        candidate = Candidate(
            text=say.text, room=say.room, author=identity.subject, address=voice.address, level=voice.level, slow_ms=slow_ms,
            raided=demands.shield,
        )  # fmt: skip
        steady_ns = time.monotonic_ns()
        self._hub.touch(room, steady_ns // 1_000_000_000)
        verdict = self._screen(candidate, waits, now_ms, steady_ns)
        draft = CommentDraft(
            room=say.room, author=identity.subject, key=say.key, at_ms=now_ms, pos_ms=pos_ms, text=verdict.text, mode=say.mode,
            color=say.color, size=say.size, author_id=voice.author_id, author_name=identity.nickname, verdict=_record_of(verdict),
            connection=speaker.origin(), region=voice.region, label=voice.label, label_kind=voice.label_kind,
        )  # fmt: skip
        if verdict.action <= Action.MASK:
            self._submit(say, draft, sink)
        else:
            self._stop(say, verdict, draft, sink)

    def _screen(self, candidate: Candidate, waits: Reason | None, now_ms: int, steady_ns: int) -> Verdict:
        """What the screening says; where comments wait for review whatever their text, this one does if it is not refused.

        ``steady_ns`` is the present moment by a clock that nobody sets back: rates count by it.
        """
        clock_ms = steady_ns // 1_000_000
        verdict = self._pipeline().screen(candidate, now_ms, clock_ms)
        self._stats.screen_s.observe((time.monotonic_ns() - steady_ns) / 1e9)
        reasons = verdict.reasons
        bad = verdict.action >= Action.HOLD or (bool(reasons) and any(reason.rule == "repeat.crowd" for reason in reasons))
        self.raids.note(candidate.room, candidate.author, candidate.level, bad, clock_ms)
        if waits is not None and verdict.action <= Action.HOLD:
            # First of the reasons: it says which queue the comment is for.
            verdict = msgspec.structs.replace(verdict, action=Action.HOLD, text=candidate.text, reasons=(waits, *reasons))
        return verdict

    def _stop(self, say: Say, verdict: Verdict, comment: CommentDraft, sink: Sink) -> None:
        """Hold or refuse what was screened; ``comment`` is what it would have been. Raises the Refusal of what is refused."""
        most = 4 * self.settings.comment_max_chars
        held = verdict.action is Action.HOLD
        decisive = next(reason for reason in verdict.reasons if reason.action is verdict.action and not reason.observer)
        code = decisive.code
        fields: dict[str, Any] = msgspec.structs.asdict(comment)
        fields["text"] = say.text if len(say.text) <= most else say.text[:most] + "…"
        draft = ScreenedDraft(action="held" if held else "refused", code=code, **fields)
        if held:
            self._submit(say, draft, sink)
            return
        self._record_refusal(draft)
        detail = next((reason.detail for reason in verdict.reasons if reason.code == code), "")
        if code == "banned_content":
            cited = f"agreement, clause {clause_of_rule(decisive.category)}"
            detail = f"{detail}; {cited}" if detail else cited
        raise Refusal(code, detail, verdict.retry_after_ms)

    def _record_refusal(self, draft: ScreenedDraft) -> None:
        """Record a refused comment. One that is left out does not take its key: sent again, it is judged again."""
        if draft.code in _THINNED and self._refusals.allow(f"{draft.code} {draft.author}", steady_ms()):
            self._stats.records_thinned += 1
            return
        if CODES[draft.code].temporary:
            # The author is asked to send it again with this key, so the record must not take it. Keys have no space.
            draft = msgspec.structs.replace(draft, key=f"{draft.key} {draft.at_ms}")
        self.record(draft)

    def _submit(self, say: Say, draft: CommentDraft | ScreenedDraft, sink: Sink) -> None:
        self._recent.put(draft.author, say.key, say.room, say.text, draft)
        self._publisher.submit(draft, sink)

    def recall(self, speaker: Speaker, recall: Recall, key: str, sink: Sink) -> None:
        """Take back the speaker's own comment. Raises Refusal; ``sink`` is answered otherwise."""
        room = self.find(recall.room)
        session.check_key(key)
        if speaker.identity is None:
            raise Refusal("sign_in_required")
        now_ms = unix_ms()
        self.permit(speaker, now_ms).check_function("recall")
        self._publisher.check(recall.room, control=True)
        code, basis = _RECALL
        # One space of keys for all of an author's drafts: no client's key has a space, and no refused comment's begins with one.
        draft = RemovalDraft(
            room=room.name, author=speaker.identity.subject, key=f" {room.name} {key}", at_ms=now_ms, target=recall.seq,
            code=code, basis=basis, role="author", owner=speaker.identity.subject,
            not_before_ms=now_ms - int(self.settings.recall_window_s * 1000),
        )  # fmt: skip
        self._publisher.submit(draft, sink)

    def record(self, draft: ScreenedDraft | ConnectionDraft) -> None:
        """Queue a record that nobody waits for. Overflow action: it is dropped and counted."""
        if self._publisher.queued >= self.settings.records_max:
            self._stats.records_dropped += 1
        else:
            self._publisher.submit(draft, NO_SINK)


class FormSpeaker:
    """A person who posts by a form: one comment from one request. The record of where it came from is made when it is asked for."""

    def __init__(self, posting: Posting, id_: str, identity: Identity, standing: Standing, address: str, port: int) -> None:
        self.address = address
        self.identity: Identity | None = identity
        self.standing: Standing | None = standing
        self.permit: Permit | None = None
        self._posting = posting
        self._id = id_
        self._author = identity.subject
        self._port = port

    def origin(self) -> str:
        """See :class:`Speaker`."""
        now_ms = unix_ms()
        draft = ConnectionDraft(
            id=self._id, author=self._author, address=self.address, port=self._port, opened_ms=now_ms, closed_ms=now_ms
        )
        self._posting.record(draft)
        return self._id


def _waits(news: bool, demands: Demands, permit: Permit) -> Reason | None:
    """Why the author's comments wait for review in this room, whatever they say; None: they do not."""
    if news:
        return _NEWS
    if demands.review:
        return _REVIEWED
    if demands.shield and permit.level < SHIELD_LEVEL:
        return _SHIELDED
    return _LEVEL if permit.rule.reviewed else None


def unix_ms() -> int:
    """Unix time."""
    return time.time_ns() // 1_000_000


def steady_ms() -> int:
    """For rates: a clock that nobody sets back."""
    return time.monotonic_ns() // 1_000_000


def _record_of(verdict: Verdict) -> bytes:
    """The verdict as it is recorded: everything but the text, which stands beside it."""
    if verdict.reasons:
        return _record(verdict.rules, verdict.action, verdict.reasons)
    return _bare_record(verdict.rules, verdict.action)


def _record(rules: str, action: Action, reasons: tuple[Reason, ...]) -> bytes:
    record: dict[str, Any] = {"rules": rules, "action": action.name.lower()}
    if reasons:
        record["reasons"] = reasons
    return msgspec.json.encode(record)


@lru_cache(maxsize=16)
def _bare_record(rules: str, action: Action) -> bytes:
    """That of nearly every comment: it is the same for all that nothing was found in, as long as the rules are."""
    return _record(rules, action, ())
