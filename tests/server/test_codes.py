"""server/errors.py: every code of the tables is really said by the server, and each close can be provoked by a client alone."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import filters
import server as package
from server.errors import CLOSES, CODES
from tests.support.running import RunningServer, running
from tests.support.wsclient import TEXT, RawClient, close_frame, frame

TABLES = {"server/errors.py", "http/operations_table.py", "http/operations_pages.py", "web/ways.py"}
"""Modules that name codes without saying them."""
SOURCES = [
    path
    for root in (Path(package.__file__).parent, Path(filters.__file__).parent)
    for path in root.rglob("*.py")
    if f"{path.parent.name}/{path.name}" not in TABLES
]


def _strings(path: Path) -> Iterator[str]:
    """All string constants of a module but docstrings, which explain and do nothing."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


SAID = {text for path in SOURCES for text in _strings(path)}


@pytest.mark.parametrize("name", CODES)
def test_every_refusal_is_said_somewhere(name: str) -> None:
    """A code that no part gives any more is taken out of the table, so that clients need not know it."""
    assert name in SAID


def _talk(server: RunningServer, client: RawClient) -> None:
    client.send(close_frame(1000))


def _break(server: RunningServer, client: RawClient) -> None:
    client.send(frame(TEXT, b"{}", mask=None))


def _garble(server: RunningServer, client: RawClient) -> None:
    client.send(frame(TEXT, b"\xff"))


def _exaggerate(server: RunningServer, client: RawClient) -> None:
    client.send(frame(TEXT, length=10**6))


def _crash(server: RunningServer, client: RawClient) -> None:
    conversation: Any = server.parts.conversation
    conversation.on_message = None  # no client can do this: a fault of ours is put in place
    client.send_text("{}")


def _restart(server: RunningServer, client: RawClient) -> None:
    server.call(lambda: server.parts.conversation.close_some(10))


def _sleep(server: RunningServer, client: RawClient) -> None:
    server.advance(80)


def _flood(server: RunningServer, client: RawClient) -> None:
    client.send(frame(9) * 1000)


def _loiter(server: RunningServer, client: RawClient) -> None:
    client.ask({"op": "leave", "room": "demo"}, "left")
    server.advance(31)


def _fall_behind(server: RunningServer, client: RawClient) -> None:
    while not server.parts.stats.stalled:
        server.append(20, "弹" * 90)
    server.advance(61)


WAYS: dict[str, Callable[[RunningServer, RawClient], None]] = {
    "normal": _talk,
    "protocol_error": _break,
    "invalid_utf8": _garble,
    "too_big": _exaggerate,
    "internal_error": _crash,
    "restarting": _restart,
    "idle": _sleep,
    "too_slow": _fall_behind,
    "too_many_frames": _flood,
    "no_room": _loiter,
}


@pytest.mark.parametrize("name", CLOSES)
def test_every_close_is_reached(tmp_path: Path, name: str) -> None:
    """For each close code of the table there is a way to get it, and it is counted under its name."""
    with running(tmp_path, send_buffer=4096, tick_ms=1) as server, server.connect(receive_buffer=4096) as client:
        WAYS[name](server, client)
        assert client.read_close()[0] == CLOSES[name].code
        assert server.parts.stats.closes == {name: 1}
        assert bool(server.take_errors()) is (name == "internal_error")
