"""Every message between client and server, both ways, and the event that they carry.

Inbound messages are decoded with types (msgspec); outbound ones are built with orjson, and the event of the hot path is
encoded once for all viewers (:func:`encode_event`). Positions and times are integers in milliseconds; ``at_ms`` is Unix time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, get_args

import msgspec
import orjson

from server.errors import CODES, Refusal

VERSION: Final = 1

Kind = Literal["comment", "removal", "restoration", "notice"]
Mode = Literal["scroll", "top", "bottom", "reverse"]
SIZES: Final = (12, 16, 18, 25, 36, 45, 64)

MAX_KEY: Final = 64
MAX_TOKEN: Final = 4096
MAX_POSITION_MS: Final = 48 * 3600 * 1000
ROOM_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"


class Event(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One entry of a room's log.

    ``seq`` counts from 1 without gaps. For a comment, ``author_id`` is the public id (a keyed hash), ``author_name`` the
    nickname. ``removed_by`` is the sequence number of the removal that turned a comment into a tombstone (0: none); then
    the fields named by :data:`SAID` are empty and ``code``, ``basis``, ``role`` say why.

    ``region`` is the Chinese name of the province or country that the comment came from (empty: not told). ``label`` is the
    label of a public account and ``label_kind`` the code of its category; both come from the account's state alone, never from
    anything that an author writes, and both are empty for everybody else.

    For removals and restorations ``target`` is the comment's number, with ``code``, ``basis`` and ``role``; a restoration carries
    the fields of the restored comment as well (``text``, ``author_name``, ``color``, ...; ``pos_ms`` is that of the comment).
    For notices ``notice`` is its kind (``announcement``, ``mode`` or ``site_mode``), ``text`` the announcement, ``room_mode`` the
    mode of the room or of the site from now on, ``until_ms`` its end if it has a term, ``slow_ms`` the pace that it sets;
    ``code``, ``basis`` and ``role`` say why.
    """

    seq: int
    kind: Kind
    at_ms: int
    pos_ms: int = 0
    text: str = ""
    mode: Mode = "scroll"
    color: str = "#ffffff"
    size: int = 25
    author_id: str = ""
    author_name: str = ""
    target: int = 0
    code: str = ""
    basis: str = ""
    role: str = ""
    removed_by: int = 0
    notice: str = ""
    room_mode: str = ""
    region: str = ""
    label: str = ""
    label_kind: str = ""
    until_ms: int = 0
    slow_ms: int = 0


SAID: Final = ("text", "author_id", "author_name", "region", "label", "label_kind")
"""The fields of a comment that say what was said and by whom: a tombstone has none of them."""


# ---------------------------------------------------------------------------------------------------------------------
# From the client


class Since(msgspec.Struct, frozen=True):
    """Where a client stopped reading: the log's epoch and the last sequence number it has."""

    epoch: str
    seq: int = 0


class Auth(msgspec.Struct, frozen=True, tag_field="op", tag="auth"):
    """Present a token; may be sent again to change it."""

    token: str


class Join(msgspec.Struct, frozen=True, tag_field="op", tag="join"):
    """Receive a room's events, from ``since`` on where given."""

    room: str
    since: Since | None = None


class Say(msgspec.Struct, frozen=True, tag_field="op", tag="say"):
    """Post a comment. ``key`` names this comment among the author's own: a retry with the same key does nothing twice."""

    room: str
    key: str
    text: str
    pos_ms: int | None = None
    mode: Mode = "scroll"
    color: str = "#ffffff"
    size: int = 25


class Recall(msgspec.Struct, frozen=True, tag_field="op", tag="recall"):
    """Take back one's own comment."""

    room: str
    seq: int
    key: str = ""


class Leave(msgspec.Struct, frozen=True, tag_field="op", tag="leave"):
    """Stop receiving a room's events."""

    room: str


class Ping(msgspec.Struct, frozen=True, tag_field="op", tag="ping"):
    """Ask for a ``pong``; for clients that cannot see WebSocket pings."""


ClientMessage = Auth | Join | Say | Recall | Leave | Ping


class _Addressed(msgspec.Struct, frozen=True):
    """Of a message that does not fit: what its answer needs."""

    op: Literal["say", "recall"]
    room: str
    key: str


_CONTENT: Final = re.compile(r"(?<=value) .*(?= - at )", re.DOTALL)  # how msgspec quotes the offending value
_CHOICES: Final = {
    "Invalid value - at `$.op`": "auth, join, say, recall, leave, ping",
    "Invalid enum value - at `$.mode`": ", ".join(get_args(Mode)),
}
_decoder: Final[msgspec.json.Decoder[ClientMessage]] = msgspec.json.Decoder(ClientMessage)
_addressed: Final[msgspec.json.Decoder[_Addressed]] = msgspec.json.Decoder(_Addressed)


def decode(data: bytes) -> ClientMessage:
    """Decode one text frame's payload (valid UTF-8).

    Raises :class:`Refusal` ``bad_json`` or ``bad_message``; the detail names the offending field, never its content.
    """
    try:
        return _decoder.decode(data)
    except msgspec.ValidationError as error:
        detail = _CONTENT.sub("", str(error))
        choices = _CHOICES.get(detail)
        raise Refusal("bad_message", f"{detail}: one of {choices}" if choices else detail) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refusal("bad_json", str(error)) from None


def addressed(data: bytes) -> tuple[str, str] | None:
    """Room and key of a ``say`` or ``recall`` that :func:`decode` refused: whoever waits for the fate of that key hears of it. None:
    there is no such key."""
    try:
        found = _addressed.decode(data)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return found.room, found.key


# ---------------------------------------------------------------------------------------------------------------------
# To the client


def event_object(event: Event) -> dict[str, Any]:
    """The event as it stands in messages and in the history interface; a tombstone has no text and no author."""
    out: dict[str, Any] = {"seq": event.seq, "kind": event.kind, "at_ms": event.at_ms}
    if event.kind == "notice":
        out["notice"] = event.notice
        if event.room_mode:
            out["mode"] = event.room_mode
        out.update((name, value) for name in _OF_NOTICE if (value := getattr(event, name)))
        if event.text:
            out["text"] = event.text
        return out
    if event.kind != "comment":
        out.update(target=event.target, code=event.code, basis=event.basis, role=event.role)
        if event.kind == "restoration":
            out["comment"] = _comment_fields(event)
        return out
    if event.removed_by:
        out["pos_ms"] = event.pos_ms
        out["removed"] = {"by": event.removed_by, "code": event.code, "basis": event.basis, "role": event.role}
        return out
    out.update(_comment_fields(event))
    return out


_OF_NOTICE: Final = ("until_ms", "slow_ms", "code", "basis", "role")


def _comment_fields(event: Event) -> dict[str, Any]:
    out: dict[str, Any] = {
        "pos_ms": event.pos_ms,
        "text": event.text,
        "mode": event.mode,
        "color": event.color,
        "size": event.size,
        "author": {"id": event.author_id, "name": event.author_name},
    }
    if event.region:
        out["region"] = event.region
    if event.label:
        out["label"] = {"kind": event.label_kind, "text": event.label}
    return out


def encode_event(event: Event) -> bytes:
    """The event as JSON bytes; made once, used by live frames, resume and history alike."""
    # Copied: what the encoder gives keeps its whole buffer of 4 KB, and rings hold a thousand of these for each room.
    return bytes(memoryview(orjson.dumps(event_object(event))))


def encode_events(room: str, events: Iterable[bytes]) -> bytes:
    """``events``: a batch of encoded events, in order."""
    return b'{"op":"events","room":"%b","events":[%b]}' % (room.encode(), b",".join(events))


def encode_sampled(room: str, first: int, last: int, left_out: int, events: Iterable[bytes]) -> bytes:
    """``events`` that stands for the numbers ``first`` to ``last``, ``left_out`` of which are comments that it does not carry."""
    head = b'{"op":"events","room":"%b","first":%d,"last":%d,"left_out":%d,"events":[%b]}'
    return head % (room.encode(), first, last, left_out, b",".join(events))


def encode_echo(room: str, events: Iterable[bytes]) -> bytes:
    """``echo``: the receiver's own comments among those that the next ``events`` leaves out, in order."""
    return b'{"op":"echo","room":"%b","events":[%b]}' % (room.encode(), b",".join(events))


def encode_joined(room: str, epoch: str, head: int, state: Mapping[str, Any], events: Iterable[bytes], page: str) -> bytes:
    """``joined``: ``head`` is the newest number the client has after this message; ``page`` the newest static page."""
    head_part = orjson.dumps({"op": "joined", "room": room, "epoch": epoch, "head": head, "state": state, "page": page})
    return b'%b,"events":[%b]}' % (head_part[:-1], b",".join(events))


def encode_ack(room: str, key: str, seq: int) -> bytes:
    """``ack``: the comment is recorded as number ``seq``."""
    return orjson.dumps({"op": "ack", "room": room, "key": key, "seq": seq})


def encode_refused(
    op: Literal["refused", "held"], room: str, key: str, code: str, detail: str = "", retry_after_ms: int = 0
) -> bytes:
    """``refused`` or ``held``: the comment was not published, and why."""
    entry = CODES[code]
    out: dict[str, Any] = {"op": op, "room": room, "key": key, "code": code, "message": entry.en, "message_zh": entry.zh}
    if op == "refused":
        out["temporary"] = entry.temporary
    if detail:
        out["detail"] = detail
    if retry_after_ms:
        out["retry_after_ms"] = retry_after_ms
    return orjson.dumps(out)


def encode_error(code: str, detail: str = "", room: str = "") -> bytes:
    """``error``: a message other than ``say`` or ``recall`` could not be served."""
    entry = CODES[code]
    out: dict[str, Any] = {
        "op": "error", "code": code, "message": entry.en, "message_zh": entry.zh, "temporary": entry.temporary,
    }  # fmt: skip
    if detail:
        out["detail"] = detail
    if room:
        out["room"] = room
    return orjson.dumps(out)


def encode_gap(room: str, first: int, last: int, page: str) -> bytes:
    """``gap``: events ``first`` to ``last`` (both included) were not sent; they stand from ``page`` on and in the history."""
    return orjson.dumps({"op": "gap", "room": room, "from": first, "to": last, "page": page})


def encode_hello(identity: Mapping[str, Any] | None, limits: Mapping[str, int]) -> bytes:
    """``hello``: first message of a connection and the answer to ``auth``; ``identity`` is null for a reader."""
    return orjson.dumps({"op": "hello", "version": VERSION, "identity": identity, "limits": limits})


def encode_letter(kind: str, at_ms: int, data: Mapping[str, Any]) -> bytes:
    """``letter``: the account was told something; ``data`` is what the words are made of, the same as in the account's screen."""
    return orjson.dumps({"op": "letter", "kind": kind, "at_ms": at_ms, "data": data})


def encode_state(room: str, state: Mapping[str, Any]) -> bytes:
    """``state``: mode and approximate number of viewers of a room, sent when one of them changed."""
    return orjson.dumps({"op": "state", "room": room, "state": state})


def encode_left(room: str) -> bytes:
    """``left``: answer to ``leave``."""
    return orjson.dumps({"op": "left", "room": room})


PONG: Final = b'{"op":"pong"}'


PAGE_ROWS: Final = 256
"""Rows of a static page."""


def page_number(seq: int, rows: int = PAGE_ROWS) -> int:
    """The number of the static page that event ``seq`` stands on: page n holds n*rows+1 ... (n+1)*rows."""
    return (seq - 1) // rows if seq > 0 else 0


def page_path(room: str, seq: int) -> str:
    """Address of the static page of event ``seq``, relative to the site's root."""
    return f"/rooms/{room}/comments/{page_number(seq)}.html"
