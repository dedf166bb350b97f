"""The server's messages as the load tool reads them, held against the server's own encoders."""

from __future__ import annotations

import orjson
import pytest

from loadtest import messages
from loadtest.messages import Ack, Author, Events, Fault, Gap, Held, Hello, Joined, Left, LogEvent, Pong, Refused, State
from server import wire
from server.wire import Event

EVENT = Event(seq=7, kind="comment", at_ms=5, pos_ms=3, text="你好", author_id="p-1", author_name="安")
READ = LogEvent(
    seq=7, kind="comment", at_ms=5, pos_ms=3, text="你好", mode="scroll", color="#ffffff", size=25, author=Author("p-1", "安")
)


def test_every_message_of_the_server_is_read() -> None:
    """What the server's encoders make is decoded to the same values."""
    encoded = [wire.encode_event(EVENT)]
    pairs: list[tuple[bytes, messages.ServerMessage]] = [
        (wire.encode_hello(None, {"text_max": 1}), Hello(1)),
        (
            wire.encode_joined("r", "e", 7, {"kind": "vod", "viewers": 3}, encoded, "/p"),
            Joined("r", "e", 7, messages.RoomState("vod", 3), [READ]),
        ),
        (wire.encode_events("r", encoded), Events("r", [READ])),
        (wire.encode_gap("r", 2, 5, "/p"), Gap("r", 2, 5, "/p")),
        (wire.encode_ack("r", "k", 7), Ack("r", "k", 7)),
        (wire.encode_refused("held", "r", "k", "held_for_review"), Held("r", "k", "held_for_review")),
        (wire.encode_refused("refused", "r", "k", "too_fast", retry_after_ms=9), Refused("r", "k", "too_fast", True, 9)),
        (wire.encode_error("not_found", "detail"), Fault("not_found", "detail")),
        (wire.encode_state("r", {"viewers": 1}), State("r")),
        (wire.encode_left("r"), Left("r")),
        (wire.PONG, Pong()),
    ]
    assert [messages.decode(payload) for payload, _ in pairs] == [message for _, message in pairs]


def test_every_kind_of_event_is_read() -> None:
    """Removals, restorations, notices and tombstones are read from the server's encoding."""
    tombstone = Event(seq=1, kind="comment", at_ms=5, removed_by=2, code="L5", basis="b", role="reviewer")
    removal = Event(seq=2, kind="removal", at_ms=5, target=1, code="L5", basis="b", role="reviewer")
    restoration = Event(seq=3, kind="restoration", at_ms=5, target=1, code="R", basis="b", role="reviewer", text="back")
    notice = Event(seq=4, kind="notice", at_ms=5, notice="announcement", text="hello")
    read = [
        messages.decode_history(orjson.dumps({"events": [wire.event_object(event)], "epoch": "e", "head": 4})).events[0]
        for event in (tombstone, removal, restoration, notice)
    ]
    assert read[0].removed == messages.Removed(2, "L5", "b", "reviewer")
    assert (read[1].target, read[1].code) == (1, "L5")
    assert read[2].comment is not None
    assert read[2].comment.text == "back"
    assert (read[3].notice, read[3].text) == ("announcement", "hello")


@pytest.mark.parametrize("payload", [b"", b"{}", b'{"op":"dance"}', b'{"op":"ack"}', b"\xff"])
def test_what_is_no_message(payload: bytes) -> None:
    """Anything else is a ValueError."""
    with pytest.raises(ValueError, match="not a message"):
        messages.decode(payload)


def test_what_is_no_history() -> None:
    """An answer without events is a ValueError."""
    with pytest.raises(ValueError, match="not an answer"):
        messages.decode_history(b"{}")
