"""The programs in the documents run as they stand there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.support.running import running
from tests.support.waiting import eventually

DOCS = Path(__file__).parents[1] / "docs"


def example(document: str, function: str) -> Callable[..., Coroutine[Any, Any, Any]]:
    """A function of the Python program in a document."""
    for code in re.findall(r"```python\n(.*?)```", (DOCS / document).read_text(encoding="utf-8"), re.DOTALL):
        names: dict[str, Any] = {}
        exec(compile(code, document, "exec"), names)
        if function in names:
            found: Callable[..., Coroutine[Any, Any, Any]] = names[function]
            return found
    raise AssertionError(f"no {function} in {document}")


async def test_the_documented_reader_misses_nothing_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It prints each event once and in order: what was there, what comes, and what came while it was cut off, also where the server
    hands out a gap."""
    follow = example("protocol.md", "follow")
    monkeypatch.setattr("random.random", lambda: 0.0)
    seen: list[int] = []
    with running(tmp_path, join_recent=3, resume_max=5, tick_ms=1) as server:
        await asyncio.to_thread(server.append, 10)
        reading = asyncio.create_task(follow(server.url, "demo", lambda event: seen.append(event["seq"])))
        try:
            await eventually(lambda: seen == [8, 9, 10])
            await asyncio.to_thread(server.append, 2)
            await eventually(lambda: seen[-1] == 12)

            def cut() -> None:
                for conn in list(server.parts.conversation.connections):
                    conn.abort()

            server.parts.conversation.admission.draining = True
            await asyncio.to_thread(server.call, cut)
            await asyncio.to_thread(server.append, 20)
            server.parts.conversation.admission.draining = False
            await eventually(lambda: seen[-1] == 32)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
    assert seen == list(range(8, 33))


async def test_the_documented_sender_tells_what_became_of_a_comment(tmp_path: Path) -> None:
    """It answers the number of a comment that is recorded, and says why another is not."""
    say = example("protocol.md", "say")
    with running(tmp_path) as server:
        assert (await say(server.url, server.token(), "demo", "你好", color="#ffcc00"))["seq"] == 1
        refused = await say(server.url, server.token(), "demo", "a坏词b")
        assert (refused["op"], refused["code"]) == ("refused", "banned_content")
