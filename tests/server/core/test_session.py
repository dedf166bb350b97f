"""server/core/session.py"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from server.core.modes import ORDER
from server.core.session import authorise, check_form, check_key, check_mode, position
from server.errors import Refusal
from server.store.base import RoomMode
from server.wire import MAX_POSITION_MS, SIZES, Say

NOW_MS = 1_790_000_000_000


class Person(NamedTuple):
    """A poster."""

    subject: str = "ann"
    expires_ms: int = 0


def say(**fields: Any) -> Say:
    """A comment of good form but for ``fields``."""
    return Say(**({"room": "r", "key": "k", "text": "t"} | fields))


# -- who --------------------------------------------------------------------------------------------------------------------


def test_who_is_signed_in_is_given_back() -> None:
    """A token without end, or one that ends later, is good."""
    for person in (Person(), Person(expires_ms=NOW_MS + 1)):
        assert authorise(person, NOW_MS) is person


@pytest.mark.parametrize(
    ("poster", "code"),
    [
        (None, "sign_in_required"),
        (Person(expires_ms=NOW_MS), "token_expired"),
        (Person(expires_ms=1), "token_expired"),
    ],
)
def test_others_are_told_why_not(poster: Person | None, code: str) -> None:
    """Each reason has its code."""
    with pytest.raises(Refusal) as refusal:
        authorise(poster, NOW_MS)
    assert refusal.value.code.name == code


@pytest.mark.parametrize(("mode", "code"), [("closed", "room_closed"), ("read_only", "room_read_only")])
def test_rooms_that_are_read_only_or_closed_take_no_comments(mode: RoomMode, code: str) -> None:
    """Each has its code; all other modes take comments."""
    for other in ORDER[: ORDER.index("read_only")]:
        check_mode(other)
    with pytest.raises(Refusal) as refusal:
        check_mode(mode)
    assert refusal.value.code.name == code


# -- form -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["k", "!", "~", "0192-ab_C:d", "x" * 64])
def test_visible_ascii_keys_are_good(key: str) -> None:
    """1 to 64 visible ASCII characters."""
    check_key(key)


@pytest.mark.parametrize("key", ["", "x" * 65, "a b", "k\n", "\n", "k\x7f", "键", "k\u00a0", "\x00"])
def test_other_keys_are_refused(key: str) -> None:
    """Spaces, controls, line ends and other scripts are not part of a key; the answer names the field."""
    with pytest.raises(Refusal, match="key: 1 to 64 visible ASCII characters") as refusal:
        check_key(key)
    assert refusal.value.code.name == "bad_message"


@pytest.mark.parametrize("size", SIZES)
def test_every_size_of_the_protocol_is_good(size: int) -> None:
    """All sizes of the table pass."""
    check_form(say(size=size, color="#00FfaA"))


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"key": ""}, "key"),
        ({"color": "red"}, "color"),
        ({"color": "#fff"}, "color"),
        ({"color": "#ffffff0"}, "color"),
        ({"color": "#fffff\n"}, "color"),
        ({"color": "#ffffff\n"}, "color"),
        ({"color": "x#ffffff"}, "color"),
        ({"color": "#１２３４５６"}, "color"),
        ({"size": 24}, "size"),
        ({"size": -25}, "size"),
        ({"size": 10**30}, "size"),
    ],
)
def test_other_forms_are_refused_with_the_fields_name(fields: dict[str, Any], detail: str) -> None:
    """Key, colour and size outside the protocol are ``bad_message``."""
    with pytest.raises(Refusal) as refusal:
        check_form(say(**fields))
    assert refusal.value.code.name == "bad_message"
    assert refusal.value.detail.startswith(detail)


# -- position ---------------------------------------------------------------------------------------------------------------


def test_a_live_comment_stands_at_the_present_unless_it_says_otherwise() -> None:
    """Position 0 of a live room is its start; an earlier position is kept."""
    assert position(None, True, NOW_MS - 5_000, NOW_MS) == 5_000
    assert position(1_234, True, NOW_MS - 5_000, NOW_MS) == 1_234
    assert position(0, True, NOW_MS - 5_000, NOW_MS) == 0


def test_a_live_comment_may_run_ahead_by_an_inexact_clock_only() -> None:
    """Ten seconds ahead of the room's own clock pass, more does not."""
    assert position(15_000, True, NOW_MS - 5_000, NOW_MS) == 15_000
    with pytest.raises(Refusal, match="at most 5000, the present of this live room") as refusal:
        position(15_001, True, NOW_MS - 5_000, NOW_MS)
    assert refusal.value.code.name == "bad_position"


def test_a_live_room_that_starts_later_is_at_its_begin() -> None:
    """Before its start the present is 0."""
    assert position(None, True, NOW_MS + 60_000, NOW_MS) == 0
    with pytest.raises(Refusal, match="at most 0"):
        position(10_001, True, NOW_MS + 60_000, NOW_MS)


def test_a_live_room_older_than_the_longest_video_stays_at_its_end() -> None:
    """Positions never pass the protocol's maximum."""
    assert position(None, True, 0, NOW_MS) == MAX_POSITION_MS
    with pytest.raises(Refusal, match=f"0 to {MAX_POSITION_MS}"):
        position(MAX_POSITION_MS + 1, True, 0, NOW_MS)


def test_a_videos_comment_must_say_where_it_belongs() -> None:
    """A missing position is refused, any within the bounds is kept."""
    assert position(0, False, 0, NOW_MS) == 0
    assert position(MAX_POSITION_MS, False, 0, NOW_MS) == MAX_POSITION_MS
    with pytest.raises(Refusal, match="needs its position") as refusal:
        position(None, False, 0, NOW_MS)
    assert refusal.value.code.name == "bad_position"


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("pos_ms", [-1, -(10**30)])
def test_no_position_lies_before_the_begin(pos_ms: int, live: bool) -> None:
    """Negative positions are refused in both kinds of room."""
    with pytest.raises(Refusal, match="pos_ms: 0 to"):
        position(pos_ms, live, 0, NOW_MS)


@pytest.mark.parametrize("pos_ms", [MAX_POSITION_MS + 1, 10**30])
def test_no_position_lies_beyond_the_longest_video(pos_ms: int) -> None:
    """Positions above the protocol's maximum are refused."""
    with pytest.raises(Refusal, match="pos_ms: 0 to"):
        position(pos_ms, False, 0, NOW_MS)
