"""Viewers of a peer, and the one who publishes. They are the people of the other load tests, taught another language."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from loadtest import frames
from loadtest.clients import Client
from loadtest.feed import Feed
from loadtest.frames import ProtocolError
from loadtest.messages import Events, Fault, LogEvent, Pong, ServerMessage
from loadtest.participants import Participant
from loadtest.peers.dialects import GREETING, SIGN_OF_LIFE, Dialect
from loadtest.site import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSite(Site):
    """A peer as its clients address it; ``address`` is the path and query of every connection."""

    address: str = "/ws"

    @classmethod
    def at(cls, site: Site, address: str) -> Self:
        """The same server and connections, at another address."""
        return cls(
            host=site.host, port=site.port, room=site.room, deflate=site.deflate, per_address=site.per_address, address=address
        )

    def target(self, token: str | None, *, join: bool) -> str:
        """Path and query."""
        return self.address

    def publishing(self, dialect: Dialect) -> Self:
        """The address of the publisher, which never compresses."""
        return replace(self, address=dialect.address(self.room, publishes=True), deflate=False)


class PeerFeed(Feed):
    """What a peer's viewers get. ``published`` holds the text of each comment by its number: what arrives must be equal to it."""

    def __init__(self, room: str, dialect: Dialect) -> None:
        super().__init__(room)
        self.published: dict[int, bytes] = {}
        self._dialect = dialect

    def decode(self, payload: bytes, *, deflated: bool) -> ServerMessage:
        """A comment is an event that bears its number; what else a peer says is a Fault with its word. Raises ProtocolError."""
        said = self._dialect.read(frames.inflate(payload) if deflated else payload)
        if isinstance(said, str):
            return Fault(said) if said != "other" else Pong()
        number, text = said
        if self.published.get(number) != text:
            raise ProtocolError(f"comment {number} is not what was published")
        return Events(self.room, [LogEvent(seq=number, kind="comment", at_ms=0)])


class PeerPerson(Participant):
    """One connection to a peer. ``present``: the handshake is over, and the greeting where the dialect has one."""

    dialect: Dialect

    def on_open(self, client: Client) -> None:
        """Most peers let a viewer in with the handshake."""
        if not self.dialect.greets:
            self._arrive()

    def on_fault(self, client: Client, message: Fault) -> None:
        """Answer what a peer says beside comments."""
        if message.code == "open":
            client.send(GREETING)
        elif message.code == "ping":
            client.send(SIGN_OF_LIFE)
        elif not self.present:
            self._arrive()

    def _arrive(self) -> None:
        self.present = True
        self.stream.joined("peer", 0, 0, 0)
        if self._joined is not None and not self._joined.done():
            self._joined.set_result(None)
