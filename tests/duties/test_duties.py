"""What the law asks, shown on a whole server; each test is named after its duty (docs/duties.md)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.errors import Refusal
from server.mode_operations import SetMode
from server.operations import LocalOperations, Remove, Restore
from static_mirror.verify import read_rows
from tests.support.running import RunningServer, running
from tests.support.waiting import quickest_s
from tests.support.wsclient import RawClient

FREE: dict[str, Any] = {
    "rate_account_per_s": 1000, "rate_account_burst": 1000, "rate_room_per_s": 1000, "rate_room_burst": 1000,
    "rate_address_per_s": 1000, "rate_address_burst": 1000, "frames_per_s": 1000, "frames_burst": 1000,
}  # fmt: skip
"""No limit of rates comes in the way of a test about something else."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with running(tmp_path / "data", sql=True, **FREE) as found:
        yield found


def pages(server: RunningServer) -> Path:
    return server.settings.data_dir / "pages" / "rooms" / "demo" / "comments"


def say(client: RawClient, text: str, key: str) -> dict[str, Any]:
    """Post, and read the answer."""
    return client.ask({"op": "say", "room": "demo", "key": key, "text": text}, "ack", "held", "refused")


def operate(server: RunningServer, work: Callable[[LocalOperations], Any]) -> dict[str, Any]:
    result: dict[str, Any] = server.run(work(LocalOperations(server.parts.site, "alice")))
    return result


def everything_public(server: RunningServer) -> str:
    """All that the server hands out over HTTP about the room, and all files of the pages folder."""
    with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client:
        answers = [client.get(path).text for path in ("/", "/rooms/demo", "/api/rooms", "/api/rooms/demo/events?limit=1000")]
        with client.stream("GET", "/api/rooms/demo/stream?after=0") as stream:
            for piece in stream.iter_text():
                answers.append(piece)
                if "event: events" in piece:
                    break
    files = [path.read_text() for path in server.settings.data_dir.joinpath("pages").rglob("*") if path.is_file()]
    return "\n".join(answers + files)


def test_duty_p5_1_without_a_verified_identity_nothing_is_posted(server: RunningServer) -> None:
    """Anonymous and unverified people get a clear refusal, and nothing of what they wrote goes anywhere; a verified one posts."""
    with server.connect() as viewer, server.connect() as anonymous, RawClient(server.port) as unverified:
        assert say(anonymous, "canary-anonymous", "k1")["code"] == "sign_in_required"
        unverified.handshake(f"/ws?room=demo&token={server.token('u2', 'Nick', verified=False)}")
        refusal = say(unverified, "canary-unverified", "k1")
        assert (refusal["code"], refusal["temporary"]) == ("not_verified", False)
        assert "认证" in refusal["message_zh"]
        with server.connect(account="u1") as verified:
            assert say(verified, "canary-verified", "k1")["seq"] == 1
        (event,) = viewer.follow(1)
        assert event["text"] == "canary-verified"
    public = everything_public(server)
    assert "canary-verified" in public
    assert "canary-anonymous" not in public
    assert "canary-unverified" not in public


def test_duty_p5_1_the_real_name_stays_behind(server: RunningServer) -> None:
    """The account behind a nickname, and the address, are in no frame, answer, page or log line; the nickname is."""
    frames: list[Any] = []
    with server.connect() as viewer, server.connect(account="canary-subject-7f") as author:
        frames.append(say(author, "hello", "k1"))
        frames.append(author.ask({"op": "recall", "room": "demo", "seq": 1}, "ack", "refused"))
        frames.append(say(author, "again", "k2"))
        frames += viewer.follow(3)
    handed_out = everything_public(server) + json.dumps(frames, ensure_ascii=False)
    assert "小明" in handed_out
    assert server.parts.tokens.public_id("canary-subject-7f") in handed_out
    for logs in ("debug", "info", "warning", "error"):
        handed_out += str(server.logged(logs))
    assert "canary-subject-7f" not in handed_out
    assert "127.0.0.1" not in handed_out.replace(server.url, "")


def test_duty_p5_4_what_is_live_is_on_the_static_page_already(server: RunningServer) -> None:
    """When a viewer has an event, its row can be read on the page: same platform, same page, same time."""
    with server.connect() as viewer, server.connect(account="u1") as author:
        for number in range(1, 301):
            author.send_text({"op": "say", "room": "demo", "key": f"k{number}", "text": f"第{number}条"})
        seen = 0
        while seen < 300:
            for event in viewer.read_until("events")["events"]:
                seen = event["seq"]
                page = (pages(server) / f"{(seen - 1) // 256}.html").read_text()
                assert f'id="c{seen}"' in page
                assert event["text"] in page
    rows = list(read_rows(pages(server)))
    assert [row.seq for row in rows] == list(range(1, 301))


def test_duty_p5_5_a_removal_reaches_viewers_history_and_page(server: RunningServer) -> None:
    """Viewers know of the decision, and the text is in nothing that the server hands out."""
    with server.connect() as viewer, server.connect(account="u1") as author:
        say(author, "canary-unlawful", "k1")
        viewer.follow(1)
        operate(server, lambda found: found.remove(Remove(room="demo", seq=1, code="L5", basis="article 15")))
        (removal,) = viewer.follow(2)
        assert (removal["kind"], removal["target"], removal["code"]) == ("removal", 1, "L5")
        assert "canary-unlawful" not in everything_public(server)
        with server.connect() as late:
            joined = late.ask({"op": "join", "room": "demo"}, "joined")
            assert "canary-unlawful" not in json.dumps(joined)
            assert "text" not in joined["events"][0]


def test_duty_p5_5_a_removal_reaches_viewers_within_a_second(server: RunningServer) -> None:
    """From the decision to the viewer's frame."""
    with server.connect() as viewer, server.connect(account="u1") as author:

        def attempt(number: int) -> float:
            seq = say(author, f"unlawful {number}", f"k{number}")["seq"]
            viewer.follow(seq)
            started = time.monotonic()
            operate(server, lambda found: found.remove(Remove(room="demo", seq=seq, code="L5", basis="article 15")))
            viewer.follow(seq + 1)
            return time.monotonic() - started

        assert quickest_s(attempt, 1) < 1


def test_duty_p5_5_a_mode_takes_effect_at_once(server: RunningServer) -> None:
    """A room that is set to read only takes no comment more, tells its viewers, and opens again."""
    with server.connect() as viewer, server.connect(account="u1") as author:
        operate(server, lambda found: found.set_mode(SetMode(room="demo", mode="read_only")))
        assert say(author, "too late", "k1")["code"] == "room_read_only"
        (notice,) = viewer.follow(1)
        assert (notice["notice"], notice["mode"]) == ("mode", "read_only")
        operate(server, lambda found: found.set_mode(SetMode(room="demo", mode="open")))
        assert say(author, "now", "k2")["seq"] == 3


def test_duty_p7_no_removal_without_reason_and_none_in_silence(server: RunningServer) -> None:
    """A removal without code and basis is refused; each one shows code, basis and role to everyone; its number stays."""
    with server.connect(account="u1") as author:
        for number in (1, 2, 3):
            say(author, f"text {number}", f"k{number}")
    found = LocalOperations(server.parts.site, "alice")
    for code, basis in (("", "b"), ("L5", ""), ("X1", "b")):
        with pytest.raises(Refusal, match="bad_code"):
            server.run(found.remove(Remove(room="demo", seq=2, code=code, basis=basis)))
    operate(server, lambda found: found.remove(Remove(room="demo", seq=2, code="S1", basis="advertising")))
    events = httpx.get(f"{server.url}/api/rooms/demo/events", timeout=30, trust_env=False).json()["events"]
    assert [event["seq"] for event in events] == [1, 2, 3, 4]
    assert events[1]["removed"] == {"by": 4, "code": "S1", "basis": "advertising", "role": "operator"}
    row = list(read_rows(pages(server)))[1]
    assert (row.seq, row.removed, row.target) == (2, True, 4)
    page = (pages(server) / "0.html").read_text()
    assert "S1" in page
    assert "advertising" in page


def test_duty_p8_a_removal_can_be_taken_back_and_both_stay_on_record(server: RunningServer) -> None:
    """A restoration names what it rests on; removal and restoration stay in the log with their reasons."""
    with server.connect(account="u1") as author:
        say(author, "lawful after all", "k1")
    operate(server, lambda found: found.remove(Remove(room="demo", seq=1, code="L8", basis="complaint")))
    operate(server, lambda found: found.restore(Restore(room="demo", seq=1, code="R2", basis="appeal upheld")))
    rows = list(read_rows(pages(server)))
    assert [(row.kind, row.removed, row.target) for row in rows] == [
        ("comment", False, 0), ("removal", False, 1), ("restoration", False, 1),
    ]  # fmt: skip
    assert rows[0].text == "lawful after all"


def test_duty_p8_the_author_is_told_of_a_refusal_and_it_is_recorded(server: RunningServer) -> None:
    """Nobody is shadow-banned: a refused comment is answered with its code, and kept with its verdict."""
    with server.connect(account="u1") as author:
        refusal = say(author, "x" * 101, "k1")
        assert (refusal["op"], refusal["code"]) == ("refused", "text_too_long")
    server.eventually(lambda: server.parts.store.screened(0, 10))
    (record,) = server.run(server.parts.site.screened(0, 10, "refused"))
    assert (record.code, record.text, record.author) == ("text_too_long", "x" * 101, "u1")
    assert json.loads(record.verdict)
