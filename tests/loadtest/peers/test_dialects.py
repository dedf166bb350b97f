"""How comments are wrapped, and how they are found again."""

from __future__ import annotations

import pytest

from loadtest.frames import ProtocolError
from loadtest.peers.dialects import PLAIN, SOCKET_IO, Dialect, comment

TEXT = comment("demo", "a1b2c3", 17, "主队加油あ")


@pytest.mark.parametrize("dialect", [PLAIN, SOCKET_IO])
def test_a_comment_comes_back_with_its_number(dialect: Dialect) -> None:
    """What a peer hands on is read as the number and the text that were published."""
    said = dialect.write(TEXT)
    arrived = dialect.receives[0] + said[len(dialect.sends[0]) : len(said) - len(dialect.sends[1])] + dialect.receives[1]
    assert dialect.read(arrived) == (17, TEXT)


def test_a_comment_has_about_a_hundred_bytes() -> None:
    """The payload is of the size that the comparison speaks of."""
    assert 80 <= len(TEXT) <= 120


def test_a_wrong_wrapping_is_no_comment() -> None:
    """A comment without its wrapping breaks the protocol."""
    with pytest.raises(ProtocolError):
        SOCKET_IO.read(TEXT)


@pytest.mark.parametrize(
    ("dialect", "message", "word"),
    [
        (SOCKET_IO, b'0{"sid":"x"}', "open"),
        (SOCKET_IO, b'40{"sid":"x"}', "joined"),
        (SOCKET_IO, b"2", "ping"),
        (SOCKET_IO, b"6", "other"),
        (PLAIN, b'{"messages":1}', "other"),
        (PLAIN, b"2", "other"),
    ],
)
def test_other_messages_have_a_word(dialect: Dialect, message: bytes, word: str) -> None:
    """Greetings and signs of life are told from comments."""
    assert dialect.read(message) == word


def test_addresses() -> None:
    """Publishers and viewers come by different addresses, and both name the room."""
    assert PLAIN.address("demo", publishes=True) == "/publish?room=demo"
    assert PLAIN.address("demo", publishes=False) == "/ws?room=demo"
    assert SOCKET_IO.address("demo", publishes=False) == "/ws/?room=demo&EIO=4&transport=websocket"
    assert SOCKET_IO.address("demo", publishes=True).endswith("&publishes=1")
