"""People against a small server: they behave as good clients do."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest

from loadtest import participants
from loadtest.feed import Feed
from loadtest.frames import HandshakeError
from loadtest.ledger import Ledger, Submission
from loadtest.participants import Look, Participant, enter_all, leave_all, until
from loadtest.site import Mint, Site
from tests.loadtest.support import SECRET, eventually
from tests.support.fake_barrage import ROOM, FakeBarrage, Faults

Maker = Callable[..., Participant]


def maker(server: FakeBarrage, *, room: str = ROOM, deflate: bool = False) -> Maker:
    """Makes people of one server, one feed and one ledger."""
    site, feed, ledger = Site.of(server.url, room, deflate=deflate), Feed(ROOM), Ledger()
    mint = Mint(SECRET.encode())

    def make(name: str, index: int = 0, *, stay: bool = False) -> Participant:
        return Participant(site, feed, name, index, token=mint.token(name, name), ledger=ledger, stay=stay)

    return make


@pytest.mark.parametrize(
    ("deflate", "mask", "fragment"), [(False, False, 0), (True, False, 0), (False, True, 0), (True, True, 50)]
)
async def test_say_and_see(deflate: bool, mask: bool, fragment: int) -> None:
    """What one posts is acknowledged, and everybody gets it, in any encoding."""
    async with FakeBarrage(fragment=fragment) as server:
        make = maker(server, deflate=deflate)
        people = [make("ann"), make("bob", 1)]
        people[0].random_mask = mask
        await enter_all(people, per_s=1000)
        submission = people[0].say("k", "你好" * 100, 1.0, Look(pos_ms=5, mode="top", color="#ff0000", size=36))
        await eventually(lambda: all(person.stream.last == 1 for person in people))
        await eventually(lambda: submission.outcome == "acked")
        assert (submission.seq, submission.tries) == (1, 1)
        seen = people[1].feed.contents.events[1]
        assert (seen.author.name, seen.pos_ms, seen.mode, seen.color, seen.size) == ("ann", 5, "top", "#ff0000", 36)
        assert people[0].room_kind == "live"
        assert people[0].open_submissions == {}
        await leave_all(people)
    assert [person.losses for person in people] == [[], []]
    assert [person.stream.violations for person in people] == [[], []]


async def test_coming_back() -> None:
    """One who stays comes back after a cut, gets what it missed, and sends what was not answered again under the same key."""
    async with FakeBarrage() as server:
        make = maker(server)
        cut, other = make("ann", stay=True), make("bob", 1)
        await enter_all([cut, other], per_s=1000)
        cut.cut()
        await eventually(lambda: not cut.present)
        lost = cut.say("k", "while away", 1.0)
        assert lost.tries == 0
        other.say("k2", "meanwhile", 1.0)
        await eventually(lambda: cut.present and cut.stream.last == 2)
        await eventually(lambda: lost.outcome == "acked")
        assert cut.stream.received == [(1, 2)]
        assert len(cut.losses) == 1
        await leave_all([cut, other])


async def test_coming_back_to_a_gap() -> None:
    """What a room does not resend is announced as a gap, and the stream goes on after it."""
    async with FakeBarrage(resume_max=2) as server:
        make = maker(server)
        cut, other = make("ann", stay=True), make("bob", 1)
        await enter_all([cut, other], per_s=1000)
        cut.away_s = 0.2
        cut.cut()
        for number in range(5):
            other.say(f"k{number}", f"t{number}", 1.0)
        await eventually(lambda: cut.present and cut.stream.last == 5)
        await eventually(lambda: cut.stream.gaps == [(1, 3)])
        assert cut.stream.received == [(4, 5)]
        assert list(cut.stream.check(5)) == []
        await leave_all([cut, other])


async def test_staying_away() -> None:
    """One who does not stay is gone after a cut; one who leaves does not come back either."""
    async with FakeBarrage() as server:
        make = maker(server)
        gone, leaving = make("ann"), make("bob", 1, stay=True)
        await enter_all([gone, leaving], per_s=1000)
        gone.cut()
        leaving.away_s = 0.05
        leaving.cut()
        await eventually(lambda: not gone.present and not leaving.present)
        await leave_all([gone, leaving])
        await asyncio.sleep(0.1)
        assert server.accepted == 2
        late = make("joe", 2, stay=True)
        late.leaving = True
        await late.come_back()
        assert server.accepted == 2


async def test_temporary_refusals_are_tried_again() -> None:
    """A comment that is refused for a time goes out again with the same key until it is taken."""
    async with FakeBarrage(Faults(busy=3)) as server:
        person = maker(server)("ann")
        await person.enter()
        submission = person.say("k", "hello", 1.0)
        await eventually(lambda: submission.outcome == "acked")
        assert submission.tries == 4
        assert person.ledger.refusals == {"overloaded": 3}
        await leave_all([person])


@pytest.mark.parametrize(("tries", "patience_s"), [(2, 60.0), (40, 0.0)])
async def test_trying_again_is_bounded(monkeypatch: pytest.MonkeyPatch, tries: int, patience_s: float) -> None:
    """A refusal that stays temporary counts as final after a number of tries, or when patience is at its end."""
    monkeypatch.setattr(participants, "TRIES_MAX", tries)
    async with FakeBarrage(Faults(busy=99)) as server:
        person = maker(server)("ann")
        person.patience_s = patience_s
        told: list[Submission] = []
        person.settled = lambda who, submission: told.append(submission)
        await person.enter()
        submission = person.say("k", "hello", 1.0)
        await eventually(lambda: told == [submission])
        assert (submission.outcome, submission.code, submission.tries) == ("refused", "overloaded", 2 if patience_s else 1)
        await leave_all([person])


async def test_a_comment_whose_answer_may_be_lost() -> None:
    """After a cut nobody knows whether the log has what was sent: a later refusal does not settle it."""
    async with FakeBarrage(Faults(busy=99)) as server:
        person = maker(server)("ann", stay=True)
        await person.enter()
        submission = person.say("k", "hello", 1.0)
        person.cut()
        await eventually(lambda: not person.present)
        assert submission.doubtful
        person.patience_s = 0.0
        await eventually(lambda: not person.open_submissions)
        assert (submission.outcome, submission.code) == ("open", "overloaded")
        await leave_all([person])


async def test_a_comment_that_waits_is_not_sent_early() -> None:
    """One that was told to wait sends again when its time has come, not when it comes back to the room."""
    async with FakeBarrage(Faults(busy=1, wait_ms=400)) as server:
        person = maker(server)("ann", stay=True)
        await person.enter()
        submission = person.say("k", "hello", 1.0)
        await eventually(lambda: submission.code == "overloaded")
        person.cut()
        await eventually(lambda: not person.present)
        await eventually(lambda: person.present)
        assert submission.tries == 1
        await eventually(lambda: submission.outcome == "acked")
        await leave_all([person])


async def test_permanent_answers_settle() -> None:
    """Refused and held comments are not sent again; whoever wants to know is told."""
    async with FakeBarrage(Faults(refuse={"bad": "banned_content"}, hold={"hmm"})) as server:
        person = maker(server)("ann")
        told: list[str] = []
        person.settled = lambda who, submission: told.append(f"{submission.text} {submission.outcome}")
        await person.enter()
        assert person.client is not None
        person.client.write(person.compose("k1", "bad", 1.0) + person.compose("k2", "hmm", 1.0))
        await eventually(lambda: told == ["bad refused", "hmm held"])
        await leave_all([person])


async def test_entering_a_server_that_is_not_there() -> None:
    """Without a server the error is that of the system; one who stays away keeps no connection."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    person = Participant(Site.of(url, ROOM), Feed(ROOM), "ann", 0)
    with pytest.raises(OSError, match="Connect call failed"):
        await enter_all([person], per_s=1000)
    assert person.client is None


async def test_entering_is_refused() -> None:
    """A server that does not upgrade is a HandshakeError; one that breaks the protocol is noted in the stream."""
    async with FakeBarrage(Faults(binary=True)) as server:
        broken = maker(server)("ann")
        with pytest.raises(Exception, match="binary"):
            await broken.enter()
        assert [violation.rule for violation in broken.stream.violations] == ["protocol_broken"]
        other = Participant(Site.of(server.url, ROOM), Feed(ROOM), "ann", 0)
        other.site = _Elsewhere.of(server.url, ROOM)
        with pytest.raises(HandshakeError, match="404"):
            await other.enter()


class _Elsewhere(Site):
    __slots__ = ()

    def target(self, token: str | None, *, join: bool) -> str:
        return "/nowhere"


async def test_giving_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """One who cannot come back notes why, and gives up after a number of tries."""
    monkeypatch.setattr(participants, "TRIES_MAX", 3)
    monkeypatch.setattr(participants, "BACKOFF_FIRST_S", 0.001)
    async with FakeBarrage() as server:
        person = maker(server)("ann", stay=True)
        await person.enter()
    await eventually(lambda: len(person.losses) == 4)
    assert "Connect call failed" in person.losses[-1]
    await leave_all([person])


async def test_a_room_that_cannot_be_joined() -> None:
    """An error before the join ends the attempt with its code; a server that closes before it does so too."""
    async with FakeBarrage() as server:
        with pytest.raises(ConnectionRefusedError, match="room_not_found"):
            await maker(server, room="other")("ann").enter()
    async with FakeBarrage(Faults(closing=True)) as server:
        with pytest.raises(ConnectionResetError, match="closed with 1012 before the join"):
            await maker(server)("ann").enter()


async def test_until() -> None:
    """Waiting ends when the condition holds, or with False when time is up."""
    assert await until(lambda: True, 0.0)
    assert not await until(lambda: False, 0.03)
