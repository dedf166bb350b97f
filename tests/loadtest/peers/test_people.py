"""Viewers of a peer, and what they take for a comment."""

from __future__ import annotations

import pytest

from loadtest.frames import ProtocolError
from loadtest.messages import Events, Fault, Pong
from loadtest.participants import leave_all, until
from loadtest.peers.dialects import PLAIN, SOCKET_IO, comment
from loadtest.peers.people import PeerFeed, PeerPerson, PeerSite
from loadtest.site import Site
from tests.loadtest.peers.support import FaithlessPeer

TEXT = comment("demo", "abc", 3, "text")


def test_only_what_was_published_is_a_comment() -> None:
    """A comment is an event with its number; one that was altered, or never published, breaks the protocol."""
    feed = PeerFeed("demo", PLAIN)
    feed.published[3] = TEXT
    message = feed.decode(TEXT, deflated=False)
    assert isinstance(message, Events)
    assert [event.seq for event in message.events] == [3]
    for wrong in (TEXT.replace(b"text", b"texT"), TEXT.replace(b"-3", b"-4")):
        with pytest.raises(ProtocolError):
            feed.decode(wrong, deflated=False)


def test_other_messages() -> None:
    """What a dialect has a word for is passed on with it, and the rest is nothing."""
    feed = PeerFeed("demo", SOCKET_IO)
    assert feed.decode(b"2", deflated=False) == Fault("ping")
    assert isinstance(feed.decode(b"6", deflated=False), Pong)


def test_the_publisher_has_an_address_of_its_own() -> None:
    """It does not compress, whatever viewers do."""
    site = PeerSite.at(Site.of("http://127.0.0.1:1", "demo", deflate=True), PLAIN.address("demo", publishes=False))
    assert site.target(None, join=True) == "/ws?room=demo"
    publishing = site.publishing(PLAIN)
    assert (publishing.target(None, join=True), publishing.deflate) == ("/publish?room=demo", False)


async def test_a_greeting_is_answered_before_the_room_is_joined() -> None:
    """A viewer of socket.io enters the namespace first, and gives signs of life when asked."""
    async with FaithlessPeer(greeting='0{"sid":"x"}') as server:
        site = PeerSite.at(Site.of(server.url, "demo"), SOCKET_IO.address("demo", publishes=False))
        person = PeerPerson(site, PeerFeed("demo", SOCKET_IO), "ann", 0)
        person.dialect = SOCKET_IO
        await person.enter()
        assert person.present
        assert person.client is not None
        person.on_fault(person.client, Fault("ping"))
        assert await until(lambda: server.heard == ["40", "3"], 2.0)
        await leave_all([person])
