"""Everything that a running server hands out about a room, to search it for what must not be there; and its command line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx

from loadtest.local import UNBOUND
from server.settings import PREFIX
from tests.support import nursery
from tests.support.server import ServerProcess
from tests.support.wsclient import RawClient

ROOM: Final = "demo"
SETTINGS: Final = {**UNBOUND, "drain_s": "0", "log_level": "info", "reports_burst": "1000", "repeat_interval_s": "0"}
"""No limit of rates comes in the way of a test about something else."""
_EVIDENCE: Final = re.compile(r"(barrage|accounts|review)\.db(-wal|-shm)?")
"""The room log, the book that names the accounts about which something was decided, and the desk's book with the texts that were
judged: kept, and handed out to nobody."""


def command(server: ServerProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``barrage`` on the server's data folder."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return nursery.run([*arguments, "--data", str(server.data)], clean, timeout_s=100)


def enter(server: ServerProcess, account: str = "", nickname: str = "小明", *, room: str = ROOM) -> RawClient:
    """A client that is in the room; ``account`` signs in."""
    token = f"&token={server.token(account, nickname)}" if account else ""
    client = RawClient(server.port)
    client.handshake(f"/ws?room={room}{token}")
    client.read_until("joined")
    return client


def say(client: RawClient, text: str, key: str, **fields: Any) -> dict[str, Any]:
    """Post a comment; the answer."""
    client.send_text({"op": "say", "room": ROOM, "key": key, "text": text, **fields})
    while True:
        answer = client.read_until("ack", "held", "refused")
        if answer["key"] == key:
            return answer


def say_many(client: RawClient, texts: list[str], prefix: str) -> list[int]:
    """Post comments one after the other without waiting; their numbers."""
    for number, text in enumerate(texts):
        client.send_text({"op": "say", "room": ROOM, "key": f"{prefix}{number}", "text": text})
    acks = [client.read_until("ack", "held", "refused") for _ in texts]
    assert {ack["op"] for ack in acks} == {"ack"}, acks[:3]
    return [ack["seq"] for ack in acks]


def page_of(server: ServerProcess, number: int) -> Path:
    """The file of a static page."""
    return server.data / "pages" / "rooms" / ROOM / "comments" / f"{number}.html"


def wait_for(server: ServerProcess, seq: int) -> None:
    """Until event ``seq`` is live; an acknowledgement comes up to a tick before that."""
    deadline = time.monotonic() + 30
    while httpx.get(f"{server.url}/api/rooms/{ROOM}", timeout=30, trust_env=False).json()["head"] < seq:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def events_of(server: ServerProcess) -> list[dict[str, Any]]:
    """The whole log that is live, by the history interface."""
    found: list[dict[str, Any]] = []
    with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client:
        while True:
            after = found[-1]["seq"] if found else 0
            events = client.get(f"/api/rooms/{ROOM}/events", params={"after": after, "limit": 1000}).json()["events"]
            if not events:
                return found
            found += events


def documents(server: ServerProcess, *seqs: int) -> list[str]:
    """Paths of every document of the site about the room, those for comments ``seqs`` included."""
    paths = [
        "/",
        "/api/rooms",
        f"/api/rooms/{ROOM}",
        f"/rooms/{ROOM}",
        f"/rooms/{ROOM}/report",
        "/metrics",
        "/healthz",
        "/readyz",
    ]
    paths += [f"/rooms/{ROOM}/report?seq={seq}" for seq in seqs]
    paths += [f"/rooms/{ROOM}/comments/{path.name}" for path in page_of(server, 0).parent.iterdir()]
    return [*paths, f"/rooms/{ROOM}/comments/", "/rooms/nowhere", "/assets/pages.css", "/favicon.ico"]


def handed_out(server: ServerProcess, *seqs: int) -> Iterator[tuple[str, str]]:
    """Everything by name: documents in both languages, the history in ranges of every size, the event stream and the WebSocket from
    several places, all files of the data folder but the database, and the logs."""
    with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client:
        for path in documents(server, *seqs):
            for language in ("zh-CN", "en"):
                answer = client.get(
                    path, params={"lang": language} if "?" not in path else None, headers={"Accept-Language": language}
                )
                yield f"{language} {path}", str(answer.headers) + answer.text
        head: int = client.get(f"/api/rooms/{ROOM}").json()["head"]
        for limit in (1, 7, 1000):
            places = range(0, head, limit) if limit > 1 else [max(0, seq - 1) for seq in seqs]
            for after in places:
                path = f"/api/rooms/{ROOM}/events?after={after}&limit={limit}"
                yield path, client.get(path).text
        for after in sorted({0, 1, head, *(max(0, seq - 1) for seq in seqs)}):
            yield f"event stream after {after}", _stream(client, after, head)
    for since in (None, *sorted({0, head, *(max(0, seq - 1) for seq in seqs)})):
        yield f"WebSocket since {since}", _join(server, since, head)
    for file in server.data.rglob("*"):
        if file.is_file() and not _EVIDENCE.fullmatch(file.name):
            yield str(file.relative_to(server.data)), file.read_bytes().decode("utf-8", "replace")
    yield "standard output", server.output()
    yield "logs", server.logs()


def _stream(client: httpx.Client, after: int, head: int) -> str:
    """What the event stream says up to ``head``."""
    lines: list[str] = []
    with client.stream("GET", f"/api/rooms/{ROOM}/stream", headers={"Last-Event-ID": str(after)}) as stream:
        lines.append(str(stream.headers))
        reached = -1
        for line in stream.iter_lines():
            lines.append(line)
            if line.startswith("id: "):
                reached = int(line[4:])
            if not line and reached >= head:  # the message is complete
                break
    return "\n".join(lines)


def _join(server: ServerProcess, since: int | None, head: int) -> str:
    """What a viewer gets that joins afresh, or with ``since``."""
    with RawClient(server.port) as client:
        client.handshake("/ws")
        client.read_until("hello")
        client.send_text({"op": "join", "room": ROOM})
        joined = client.read_until("joined")
        if since is not None:
            client.send_text({"op": "leave", "room": ROOM})
            client.send_text({"op": "join", "room": ROOM, "since": {"epoch": joined["epoch"], "seq": since}})
            joined = client.read_until("joined")
            assert joined["head"] >= head
        return json.dumps(joined, ensure_ascii=False)


def found_in(server: ServerProcess, needles: list[str], *seqs: int) -> list[str]:
    """Where any of the needles is handed out, by name."""
    return [name for name, text in handed_out(server, *seqs) if any(needle in text for needle in needles)]
