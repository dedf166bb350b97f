"""server/wire.py"""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from server import wire
from server.errors import CODES, Refusal
from server.wire import Auth, Event, Join, Leave, Ping, Recall, Say, Since, decode
from tests.support.events import comment, removal, restoration, tombstone

SAY = {"op": "say", "room": "r", "key": "k", "text": "前方高能", "pos_ms": 5, "mode": "top", "color": "#ff0000", "size": 36}
SECRET = "秘密"
CONTENT = st.text(max_size=30)

# -- from the client --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"op": "auth", "token": "t"}, Auth("t")),
        ({"op": "join", "room": "r"}, Join("r")),
        ({"op": "join", "room": "r", "since": None}, Join("r")),
        ({"op": "join", "room": "r", "since": {"epoch": "e", "seq": 7}}, Join("r", Since("e", 7))),
        ({"op": "join", "room": "r", "since": {"epoch": "e"}}, Join("r", Since("e", 0))),
        (SAY, Say("r", "k", "前方高能", 5, "top", "#ff0000", 36)),
        ({"op": "say", "room": "r", "key": "k", "text": "t"}, Say("r", "k", "t", None, "scroll", "#ffffff", 25)),
        ({"op": "recall", "room": "r", "seq": 3}, Recall("r", 3, "")),
        ({"op": "leave", "room": "r"}, Leave("r")),
        ({"op": "ping"}, Ping()),
        ({"op": "ping", "later": {"version": [2]}}, Ping()),
    ],
)
def test_every_message_is_decoded_with_its_defaults(message: dict[str, Any], expected: object) -> None:
    """Each op gives its type; fields of later versions are ignored."""
    assert decode(json.dumps(message).encode()) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{",
        b"nonsense",
        b'{"op":"ping"} x',
        b'{"op":"ping"}{"op":"ping"}',
        b'{"op":"say","text":"\\ud800"}',
        b"\x00",
    ],
)
def test_what_is_not_json_is_refused(data: bytes) -> None:
    """Broken JSON is ``bad_json``."""
    with pytest.raises(Refusal) as refusal:
        decode(data)
    assert refusal.value.code.name == "bad_json"


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ([], "object"),
        (None, "object"),
        ("ping", "object"),
        ({}, "op"),
        ({"op": "dance"}, "$.op"),
        ({"op": 1}, "$.op"),
        ({"op": "join"}, "room"),
        ({"op": "join", "room": 7}, "$.room"),
        ({"op": "join", "room": "r", "since": {"epoch": "e", "seq": 1.5}}, "$.since.seq"),
        ({"op": "join", "room": "r", "since": 7}, "$.since"),
        (SAY | {"mode": "sideways"}, "$.mode"),
        (SAY | {"pos_ms": "5"}, "$.pos_ms"),
        (SAY | {"text": None}, "$.text"),
        (SAY | {"size": True}, "$.size"),
        ({"op": "recall", "room": "r"}, "seq"),
        ({"op": "auth", "token": ["t"]}, "$.token"),
    ],
)
def test_what_does_not_fit_the_protocol_is_refused_with_the_fields_name(message: object, field: str) -> None:
    """Types, ops and missing fields are ``bad_message``, and the developer of the client is told where."""
    with pytest.raises(Refusal) as refusal:
        decode(json.dumps(message).encode())
    assert refusal.value.code.name == "bad_message"
    assert field in refusal.value.detail


def test_deep_nesting_is_refused_and_not_a_traceback() -> None:
    """A message nested ten thousand levels deep ends in a refusal wherever the nesting stands."""
    deep = b"[" * 10_000 + b"]" * 10_000
    for data in (deep, b'{"op":"ping","x":' + deep + b"}", b'{"op":"ping","x":' + b'{"y":' * 10_000):
        with pytest.raises(Refusal):
            decode(data)


@given(st.sampled_from(["op", "mode"]), CONTENT.filter(lambda text: text not in {"scroll", "top", "bottom", "reverse", "say"}))
def test_the_detail_never_repeats_what_the_client_sent(field: str, content: str) -> None:
    """A wrong value is not sent back or written to a log, whatever stands in it."""
    with pytest.raises(Refusal) as refusal:
        decode(json.dumps(SAY | {field: f"{SECRET}{content}{SECRET}"}).encode())
    assert refusal.value.code.name == "bad_message"
    assert SECRET not in refusal.value.detail
    assert f"`$.{field}`: one of " in refusal.value.detail


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
OPS = st.sampled_from(["auth", "join", "say", "recall", "leave", "ping", "dance"])
FIELDS = st.dictionaries(
    st.sampled_from(["token", "room", "since", "key", "text", "pos_ms", "mode", "color", "size", "seq"]), JSON
)


MESSAGES = st.builds(lambda op, fields: json.dumps({"op": op} | fields), OPS, FIELDS)


def decode_or_refuse(data: str) -> object:
    """The message, or the refusal's code."""
    try:
        return decode(data.encode())
    except Refusal as refusal:
        orjson.dumps(refusal.detail)
        return refusal.code.name


@given(MESSAGES | st.text(max_size=60))
def test_nothing_but_a_message_or_a_refusal_comes_out(data: str) -> None:
    """Messages with fields of any type, and any text: one of ours, or one of two refusals."""
    outcome = decode_or_refuse(data)
    assert isinstance(outcome, Auth | Join | Say | Recall | Leave | Ping) or outcome in ("bad_json", "bad_message")


@given(st.data())
def test_a_mutated_message_is_never_a_traceback(data: st.DataObject) -> None:
    """A good message with some characters changed, dropped or doubled is decoded or refused."""
    raw = json.dumps(SAY, ensure_ascii=False)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw)))
        raw = raw[:at] + data.draw(st.text(max_size=3)) + raw[at + data.draw(st.integers(0, 3)) :]
    outcome = decode_or_refuse(raw)
    assert isinstance(outcome, Say | Ping | Leave) or outcome in ("bad_json", "bad_message")


@given(st.text(max_size=60), st.text(max_size=20))
def test_what_was_decoded_can_be_encoded(text: str, key: str) -> None:
    """No text that a client can send makes our own encoder fail."""
    message = decode(json.dumps({"op": "say", "room": "r", "key": key, "text": text}).encode())
    assert isinstance(message, Say)
    assert json.loads(wire.encode_event(comment(1, message.text or "-")))["text"] == (text or "-")
    assert json.loads(wire.encode_ack("r", message.key, 1))["key"] == key


# -- events -----------------------------------------------------------------------------------------------------------------


def test_a_comment_carries_what_an_overlay_needs() -> None:
    """Number, time, position, text, look and author."""
    event = comment(7, "你好", mode="top", color="#ff0000", size=36)
    assert wire.event_object(event) == {
        "seq": 7, "kind": "comment", "at_ms": 1007, "pos_ms": 70, "text": "你好", "mode": "top", "color": "#ff0000", "size": 36,
        "author": {"id": "p-ann", "name": "安"},
    }  # fmt: skip


def test_region_and_label_are_fields_of_their_own() -> None:
    """A comment has them beside text and author, never in them; where they are empty the frame is as it was before they were."""
    plain = comment(7, text="你好")
    told = wire.event_object(replace(plain, region="广东", label="南方日报", label_kind="news"))
    assert told.pop("region") == "广东"
    assert told.pop("label") == {"kind": "news", "text": "南方日报"}
    assert told == wire.event_object(plain)
    assert len(wire.encode_event(replace(plain, region="广东"))) == len(wire.encode_event(plain)) + len(
        ',"region":"广东"'.encode()
    )


@given(name=st.text(), text=st.text(), color=st.text(max_size=9))
def test_nothing_that_an_author_writes_becomes_a_label(name: str, text: str, color: str) -> None:
    """Whatever nickname, text and colour say, the object of a comment without a label has no label and no region."""
    told = wire.event_object(comment(7, text=text, author_name=name, color=color))
    assert set(told) == {"seq", "kind", "at_ms", "pos_ms", "text", "mode", "color", "size", "author"}
    assert set(told["author"]) == {"id", "name"}


@pytest.mark.parametrize("extra", ["label", "label_kind", "region"])
def test_a_client_cannot_send_a_label_or_a_region(extra: str) -> None:
    """They are unknown fields of ``say``, which are ignored as all are."""
    assert decode(json.dumps({**SAY, extra: "新华社"}).encode()) == Say("r", "k", "前方高能", 5, "top", "#ff0000", 36)


def test_a_tombstone_says_why_and_nothing_else() -> None:
    """A removed comment keeps number, time and position; it has neither text nor author nor look."""
    assert wire.event_object(tombstone(comment(7), 9)) == {
        "seq": 7, "kind": "comment", "at_ms": 1007, "pos_ms": 70,
        "removed": {"by": 9, "code": "L5", "basis": "house rule 3", "role": "reviewer"},
    }  # fmt: skip


def test_a_tombstone_never_carries_a_text() -> None:
    """Even an event that wrongly kept its text and author goes out without them once it is removed."""
    event = Event(seq=7, kind="comment", at_ms=1, text=SECRET, author_id=SECRET, author_name=SECRET, removed_by=9, code="L5")
    assert SECRET.encode() not in wire.encode_event(event)


def test_a_removal_names_its_target_and_reason() -> None:
    """Viewers learn of a removal as of any event; it holds nothing of the comment."""
    assert wire.event_object(removal(9, 7)) == {
        "seq": 9, "kind": "removal", "at_ms": 1009, "target": 7, "code": "L5", "basis": "house rule 3", "role": "reviewer",
    }  # fmt: skip


def test_a_restoration_brings_the_comment_back() -> None:
    """Viewers that saw a tombstone get everything to show the comment again."""
    assert wire.event_object(restoration(9, comment(7, "你好"))) == {
        "seq": 9, "kind": "restoration", "at_ms": 1009, "target": 7, "code": "R1", "basis": "appeal granted", "role": "reviewer",
        "comment": {
            "pos_ms": 70, "text": "你好", "mode": "scroll", "color": "#ffffff", "size": 25,
            "author": {"id": "p-ann", "name": "安"},
        },
    }  # fmt: skip


def test_notices_carry_a_mode_or_a_text() -> None:
    """A change of mode tells the mode, an announcement its text."""
    mode = Event(seq=1, kind="notice", at_ms=5, notice="mode", room_mode="read_only")
    assert wire.event_object(mode) == {"seq": 1, "kind": "notice", "at_ms": 5, "notice": "mode", "mode": "read_only"}
    said = Event(seq=2, kind="notice", at_ms=5, notice="announcement", text="维护")
    assert wire.event_object(said) == {"seq": 2, "kind": "notice", "at_ms": 5, "notice": "announcement", "text": "维护"}


# -- messages ---------------------------------------------------------------------------------------------------------------


def test_a_batch_holds_the_encoded_events_in_order() -> None:
    """Live frames join bytes that were made once; the result is one JSON object."""
    events = [comment(1), removal(2, 1)]
    data = wire.encode_events("r", [wire.encode_event(event) for event in events])
    assert json.loads(data) == {"op": "events", "room": "r", "events": [wire.event_object(event) for event in events]}
    assert json.loads(wire.encode_events("r", []))["events"] == []


def test_a_sampled_batch_says_for_what_it_stands() -> None:
    """Besides what it carries it names the numbers that it covers, and how many of them it leaves out; perhaps all."""
    data = wire.encode_sampled("r", 1, 4, 2, [wire.encode_event(event) for event in (comment(2), removal(4, 1))])
    assert json.loads(data) == {
        "op": "events", "room": "r", "first": 1, "last": 4, "left_out": 2,
        "events": [wire.event_object(comment(2)), wire.event_object(removal(4, 1))],
    }  # fmt: skip
    assert json.loads(wire.encode_sampled("r", 7, 9, 3, [])) == {
        "op": "events", "room": "r", "first": 7, "last": 9, "left_out": 3, "events": [],
    }  # fmt: skip


def test_an_echo_holds_the_reader_s_own_events() -> None:
    """They have the form that they have in a batch."""
    assert json.loads(wire.encode_echo("r", [wire.encode_event(comment(3))])) == {
        "op": "echo", "room": "r", "events": [wire.event_object(comment(3))],
    }  # fmt: skip


def test_joined_holds_the_place_the_state_and_the_events() -> None:
    """A newcomer learns the epoch, its place, the room's state, the newest page and the events up to its place."""
    data = wire.encode_joined("r", "e", 2, {"mode": "open"}, [wire.encode_event(comment(2))], "/rooms/r/comments/0.html")
    assert json.loads(data) == {
        "op": "joined", "room": "r", "epoch": "e", "head": 2, "state": {"mode": "open"}, "page": "/rooms/r/comments/0.html",
        "events": [wire.event_object(comment(2))],
    }  # fmt: skip
    assert json.loads(wire.encode_joined("r", "e", 0, {}, [], ""))["events"] == []


def test_small_messages_have_the_fields_of_the_protocol() -> None:
    """ack, gap, hello, state, left and pong."""
    assert json.loads(wire.encode_ack("r", "k", 5)) == {"op": "ack", "room": "r", "key": "k", "seq": 5}
    assert json.loads(wire.encode_gap("r", 3, 9, "/p")) == {"op": "gap", "room": "r", "from": 3, "to": 9, "page": "/p"}
    assert json.loads(wire.encode_hello(None, {"text_max": 100})) == {
        "op": "hello", "version": 1, "identity": None, "limits": {"text_max": 100},
    }  # fmt: skip
    assert json.loads(wire.encode_state("r", {"viewers": 3})) == {"op": "state", "room": "r", "state": {"viewers": 3}}
    assert json.loads(wire.encode_left("r")) == {"op": "left", "room": "r"}
    assert json.loads(wire.PONG) == {"op": "pong"}


@pytest.mark.parametrize("code", sorted(CODES))
def test_refusals_say_the_code_in_words_and_whether_to_retry(code: str) -> None:
    """Every code of the table makes a ``refused`` and an ``error`` with sentences in both languages."""
    refused = json.loads(wire.encode_refused("refused", "r", "k", code, "why", 1500))
    assert refused == {
        "op": "refused", "room": "r", "key": "k", "code": code, "message": CODES[code].en, "message_zh": CODES[code].zh,
        "temporary": CODES[code].temporary, "detail": "why", "retry_after_ms": 1500,
    }  # fmt: skip
    error = json.loads(wire.encode_error(code, "why", "r"))
    assert error == {
        "op": "error", "code": code, "message": CODES[code].en, "message_zh": CODES[code].zh,
        "temporary": CODES[code].temporary, "detail": "why", "room": "r",
    }  # fmt: skip


def test_empty_parts_of_a_refusal_are_left_out() -> None:
    """No detail, no waiting time and no room means no such field; a held comment is not called temporary."""
    assert set(json.loads(wire.encode_refused("refused", "r", "k", "too_fast"))) == {
        "op", "room", "key", "code", "message", "message_zh", "temporary",
    }  # fmt: skip
    assert "temporary" not in json.loads(wire.encode_refused("held", "r", "k", "held_for_review"))
    assert set(json.loads(wire.encode_error("bad_json"))) == {"op", "code", "message", "message_zh", "temporary"}


# -- pages ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seq", "page"), [(0, 0), (1, 0), (256, 0), (257, 1), (512, 1), (513, 2)])
def test_page_n_holds_256_events(seq: int, page: int) -> None:
    """Page n holds events n*256+1 to (n+1)*256; a room without events has page 0."""
    assert wire.page_number(seq) == page
    assert wire.page_path("r", seq) == f"/rooms/r/comments/{page}.html"


@given(st.integers(1, 10**9), st.integers(1, 1000))
def test_every_event_lies_on_its_page(seq: int, rows: int) -> None:
    """The page's first and last number enclose the event."""
    page = wire.page_number(seq, rows)
    assert page * rows < seq <= (page + 1) * rows


def test_an_encoded_event_takes_no_more_memory_than_its_bytes() -> None:
    """Rings hold a thousand of them for each room, so an encoder's larger buffer must not stay behind them."""
    event = comment(1)
    tracemalloc.start()
    try:
        encoded = [wire.encode_event(event) for _ in range(100)]
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held < sum(len(each) + 100 for each in encoded)
