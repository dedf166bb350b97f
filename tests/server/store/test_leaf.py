"""Leaves are canonical, and outlive texts."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from server.store.leaf import SALT_BYTES, leaf, text_hash
from server.wire import Event

COMMENT = Event(seq=7, kind="comment", at_ms=1_000, pos_ms=500, text="你好", author_id="p-ann", author_name="安")
REMOVAL = Event(seq=8, kind="removal", at_ms=2_000, target=7, code="L5", basis="规则 3", role="reviewer")
NOTICE = Event(seq=9, kind="notice", at_ms=3_000, text="Hi", notice="announcement")
SALT = bytes(range(SALT_BYTES))


def test_the_text_hash_is_sha256_over_salt_and_text() -> None:
    """Anyone with salt and text can check the hash with a standard function."""
    assert text_hash(SALT, "你好") == hashlib.sha256(SALT + "你好".encode()).digest()
    with pytest.raises(UnicodeEncodeError):
        text_hash(SALT, "\ud800")


def test_leaves_are_these_bytes() -> None:
    """The documented form, byte for byte: it may never change under this version tag."""
    digest = "ab" * 32
    assert leaf("e1", COMMENT, bytes.fromhex(digest)) == (
        b"14:barrage-leaf-1,2:e1,1:7,7:comment,4:1000,64:%b,3:500,6:scroll,7:#ffffff,2:25,5:p-ann," % digest.encode()
    )
    assert leaf("e1", REMOVAL, b"") == (
        b"14:barrage-leaf-1,2:e1,1:8,7:removal,4:2000,0:,1:7,2:L5,8:" + "规则 3".encode() + b",8:reviewer,"
    )
    assert leaf("e1", NOTICE, b"") == b"14:barrage-leaf-1,2:e1,1:9,6:notice,4:3000,0:,12:announcement,0:,"


def test_the_hash_covers_the_region_where_there_is_one() -> None:
    """Behind the text and a NUL, which no text has: so no two pairs of text and region share what is hashed."""
    assert text_hash(SALT, "你好", "广东") == hashlib.sha256(SALT + "你好\0广东".encode()).digest()
    assert text_hash(SALT, "你好", "") == text_hash(SALT, "你好")


def test_a_comment_with_a_label_has_a_leaf_of_the_second_form() -> None:
    """The second form, byte for byte; the first stays that of comments without a label, which older databases are full of."""
    assert leaf("e1", replace(COMMENT, region="广东", label="日报", label_kind="news"), b"") == (
        b"14:barrage-leaf-2,2:e1,1:7,7:comment,4:1000,0:,3:500,6:scroll,7:#ffffff,2:25,5:p-ann,4:news,6:%b," % "日报".encode()
    )
    for name in ("label", "label_kind"):
        assert leaf("e1", replace(COMMENT, **{name: "x"}), b"").startswith(b"14:barrage-leaf-2,")
        assert leaf("e1", replace(REMOVAL, kind="restoration", **{name: "x"}), b"").startswith(b"14:barrage-leaf-1,")


def test_a_notice_that_says_why_has_a_leaf_of_the_second_form() -> None:
    """The second form, byte for byte; notices of before, which said the mode alone, keep the first."""
    notice = Event(
        seq=3, kind="notice", at_ms=9, notice="mode", room_mode="shield", code="E1", basis="raid", role="senior", until_ms=60
    )
    assert leaf("e", notice, b"") == (
        b"14:barrage-leaf-2,1:e,1:3,6:notice,1:9,0:,4:mode,6:shield,2:E1,4:raid,6:senior,2:60,1:0,"
    )
    for name, other in {"code": "E2", "basis": "", "role": "", "until_ms": 0, "slow_ms": 1}.items():
        assert leaf("e", replace(notice, **{name: other}), b"") != leaf("e", notice, b"")
    assert leaf("e", Event(seq=3, kind="notice", at_ms=9, notice="mode", room_mode="closed"), b"").startswith(
        b"14:barrage-leaf-1,"
    )


def test_text_region_and_nickname_are_not_in_the_leaf() -> None:
    """Erasing text and region or changing the nickname leaves the leaf as it was."""
    written = replace(COMMENT, region="广东", label="日报", label_kind="news")
    erased = replace(written, text="", author_name="", region="")
    assert leaf("e", erased, text_hash(SALT, "你好", "广东")) == leaf("e", written, text_hash(SALT, "你好", "广东"))


def test_a_restoration_has_the_leaf_of_its_decision() -> None:
    """The fields of the restored comment, which may go again, are not in the restoration's leaf."""
    bare = replace(REMOVAL, kind="restoration")
    assert leaf("e", replace(bare, pos_ms=5, text="x", author_id="p"), b"") == leaf("e", bare, b"")


def test_a_tombstone_has_no_leaf() -> None:
    """A tombstone lacks its author, so its leaf cannot be made from it."""
    with pytest.raises(ValueError, match="event 7 is a tombstone"):
        leaf("e", replace(COMMENT, removed_by=8), b"")


FIELD = st.sampled_from(["seq", "at_ms", "pos_ms", "mode", "color", "size", "author_id", "label", "label_kind"])


@given(field=FIELD, value=st.text(max_size=5) | st.integers(0, 99))
def test_different_events_have_different_leaves(field: str, value: str | int) -> None:
    """A change of any committed field changes the leaf: no field can spill into the next."""
    value = str(value) if isinstance(getattr(COMMENT, field), str) else value
    changed = replace(COMMENT, **{field: value})
    same = str(getattr(COMMENT, field)) == str(value)
    assert (leaf("e", changed, b"") == leaf("e", COMMENT, b"")) == same
