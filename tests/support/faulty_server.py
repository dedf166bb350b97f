"""A server composed in a wrong order, for tests that a checker must fail: ``python -m tests.support.faulty_server FAULT serve ...``

- ``live-first``: frames go to the viewers before the rows are on the static page.
- ``ack-first``: comments are acknowledged before they are committed.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from server import parts
from server.__main__ import main as barrage
from server.core.room import Room
from server.flush import Flusher, Viewer
from server.posting import NO_SINK
from server.publish import Publisher, Sink
from server.store.base import CommentDraft, Committed, Draft
from server.wire import Event

LATE_S = 0.1
"""For how long what should have come first is missing."""


class LiveFirst(Flusher):
    """Sends, and writes the page later."""

    def _flush(self, room: Room[Viewer], state: Any) -> None:
        if not room.pending or state.busy:
            return
        events = [entry.event for entry in room.batch()]
        self._publish(room, state, room.head)
        self._send(room, state)
        asyncio.get_running_loop().call_later(LATE_S, self._mirror.append, room.name, events)


class AckFirst(Publisher):
    """Acknowledges under the number that it expects, and commits later."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._promised = 0

    def submit(self, draft: Draft, sink: Sink) -> None:
        """Tell the author that all is well before it is."""
        if not isinstance(draft, CommentDraft):
            super().submit(draft, sink)
            return
        self._promised = max(self._promised, self._hub.rooms[draft.room].head) + 1
        event = Event(seq=self._promised, kind="comment", at_ms=draft.at_ms, text=draft.text)
        sink.answer(draft, Committed(draft.room, event, True))
        self._after_batch()
        asyncio.get_running_loop().call_later(LATE_S, super().submit, draft, NO_SINK)


def main() -> None:
    """Run ``barrage`` with the fault that the first argument names."""
    fault = sys.argv.pop(1)
    if fault == "live-first":
        vars(parts).update(Flusher=LiveFirst)
    elif fault == "ack-first":
        vars(parts).update(Publisher=AckFirst)
    else:
        sys.exit(f"no such fault: {fault}")
    barrage(prog_name="faulty_server")


if __name__ == "__main__":
    main()
