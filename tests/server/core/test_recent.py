"""The memory of comments that were let through."""

from __future__ import annotations

from server.core.recent import Recent


def test_the_very_same_comment_is_found() -> None:
    """A retry, same author, key, room and text, gets what the comment became at first."""
    recent: Recent[int] = Recent(10)
    recent.put("ann", "k1", "demo", "hello", 7)
    assert recent.find("ann", "k1", "demo", "hello") == 7


def test_anything_else_is_a_new_comment() -> None:
    """Another author, key, room or text is no retry, so nothing passes the screening under a key that passed once."""
    recent: Recent[int] = Recent(10)
    recent.put("ann", "k1", "demo", "hello", 7)
    assert recent.find("bob", "k1", "demo", "hello") is None
    assert recent.find("ann", "k2", "demo", "hello") is None
    assert recent.find("ann", "k1", "film", "hello") is None
    assert recent.find("ann", "k1", "demo", "something else") is None


def test_the_oldest_is_forgotten_first() -> None:
    """The memory is bounded; what falls out is the oldest entry."""
    recent: Recent[int] = Recent(2)
    for number in range(3):
        recent.put("ann", f"k{number}", "demo", "hello", number)
    assert len(recent) == 2
    assert [recent.find("ann", f"k{number}", "demo", "hello") for number in range(3)] == [None, 1, 2]


def test_of_many_some_are_forgotten_at_once() -> None:
    """A 256th part of a large memory goes in one step, and never more are kept than there is room for."""
    recent: Recent[int] = Recent(512)
    for number in range(513):
        recent.put("ann", f"k{number}", "demo", "hello", number)
    assert len(recent) == 510
    assert [recent.find("ann", f"k{number}", "demo", "hello") for number in (2, 3, 512)] == [None, 3, 512]
