"""What must be true of a simulated site when everything has come to its end: log, answers, pages and viewers say the same."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from server.store.base import Committed
from server.wire import Event, encode_event
from static_mirror.verify import read_rows, verify
from tests.sim.people import ROOMS, Entry, Watcher
from tests.sim.world import World


def check(world: World) -> list[str]:
    """Everything that is wrong, in words; empty when all is well."""
    return [*world.faults, *_problems(world)]


def _problems(world: World) -> Iterator[str]:
    for room in ROOMS:
        log = world.log(room)
        if [event.seq for event in log] != list(range(1, len(log) + 1)):
            yield f"{room}: the log has gaps"
        yield from _memory(world, room, log)
        yield from _pages(world, room, log)
    yield from _answers(world)
    for viewer in world.viewers:
        yield from (f"a viewer of {viewer.name}: {fault}" for fault in [*viewer.faults, *_stream(world, viewer)])


def _memory(world: World, name: str, log: list[Event]) -> Iterator[str]:
    """The room stands at the log's end, and its ring is the end of the log."""
    room = world.parts.hub.rooms[name]
    if (room.head, room.visible) != (len(log), len(log)):
        yield f"{name}: head {room.head} and visible {room.visible} of {len(log)}"
    held = [entry.data for entry in room.newest(100_000)]
    if held != [encode_event(event) for event in log[room.first - 1 :]]:
        yield f"{name}: the ring is not the end of the log"


def _pages(world: World, name: str, log: list[Event]) -> Iterator[str]:
    """The pages are whole, and row by row they are the log."""
    folder = world.root / "rooms" / name / "comments"
    report = verify(folder)
    yield from (f"{name}: {problem}" for problem in report.problems)
    if report.problems:
        return
    for row, event in zip_longest(read_rows(folder), log):
        if row is None or event is None:
            yield f"{name}: {report.rows} rows of {len(log)} events"
            return
        text = "" if event.kind == "restoration" else event.text
        if (row.seq, row.kind, row.text, row.removed) != (event.seq, event.kind, text, bool(event.removed_by)):
            yield f"{name}: {row} is not {event}"


def _answers(world: World) -> Iterator[str]:
    """Everybody has an answer, and the log holds exactly what was acknowledged, each once."""
    acknowledged: dict[tuple[str, int], Entry] = {}
    for entry in world.entries():
        if entry.final is None:
            yield f"{entry.draft} has no answer"
        elif isinstance(entry.final, Committed):
            place = entry.final.room, entry.final.event.seq
            if place in acknowledged:
                yield f"{place} is the answer to {acknowledged[place].draft} and to {entry.draft}"
            acknowledged[place] = entry
    logged = {(room, event.seq): event for room in ROOMS for event in world.log(room)}
    if set(logged) != set(acknowledged):
        yield f"logged and acknowledged differ by {sorted(set(logged) ^ set(acknowledged))[:5]}"
    for place in set(logged) & set(acknowledged):
        entry, event = acknowledged[place], logged[place]
        if entry.text and event.text != entry.text and not event.removed_by:
            yield f"{place} is {event}, not {entry.draft}"


def _stream(world: World, viewer: Watcher) -> Iterator[str]:
    """What a viewer got live, by resume and by reading its gaps, is the log from its begin on, each number once."""
    log = world.log(viewer.name)
    begin = viewer.begin or 0
    if sorted(viewer.events) != list(range(begin + 1, len(log) + 1)) or viewer.position != len(log):
        yield f"has {len(viewer.events)} events from {begin + 1} to {viewer.position} of {len(log)}"
    for seq, event in viewer.events.items():
        entry = log[seq - 1]
        if event["kind"] != entry.kind or event.get("target", 0) != entry.target:
            yield f"{event} is not {entry}"
        if event.get("text") and entry.text and event["text"] != entry.text:
            yield f"{event} is not {entry}"
    for seq in viewer.left_out:
        entry = log[seq - 1]
        if entry.kind != "comment":
            yield f"{entry} was left out of a frame"
        elif entry.author_id == viewer.author_id and not entry.removed_by and not world.moderated(viewer.name, seq):
            yield f"{entry} was left out, and {viewer.author_id} wrote it"
