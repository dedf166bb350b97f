"""A writing process that is killed at any moment loses nothing that it acknowledged, and doubles nothing."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

from server.store.base import Committed, Draft
from server.store.sql import SqlStore
from tests.support.drafts import comment, removal

ROUNDS = 5


def killed_writer(path: Path, turn: int, lines: int) -> list[str]:
    """Run the writer, kill it without warning after so many lines, and return all that it told."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.server.store.crash_writer", str(path), str(turn)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(lines)]
    process.send_signal(signal.SIGKILL)
    told += process.stdout.readlines()
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    return [line for line in told if line.endswith("\n")]


def test_kill_9_loses_nothing_acknowledged(sql: SqlStore, path: Path) -> None:
    """After each of several kills: every acknowledged key has its number, the log has no gap, and a retry writes nothing."""
    sql.close()
    chance = random.Random(20)
    promised: dict[str, str] = {}
    for turn in range(ROUNDS):
        lines = killed_writer(path, turn, chance.randrange(1, 40))
        assert lines
        for pair in " ".join(lines).split():
            key, place = pair.split("=")
            promised[key] = place
    store = SqlStore.open(path)
    heads = {room.name: room.head for room in store.rooms()}
    for name, head in heads.items():
        assert [event.seq for event in store.read(name, 0, 1_000_000)] == list(range(1, head + 1))
    drafts: dict[str, Draft] = {}
    for key, place in promised.items():
        removed = int(promised[key.removesuffix("rm") + "0"][1:]) if key.endswith("rm") else 0
        drafts[key] = removal(removed, key) if removed else comment(key, room=place[0])
    outcomes = dict(zip(drafts, store.append(list(drafts.values())), strict=True))
    for key, outcome in outcomes.items():
        assert isinstance(outcome, Committed), key
        assert (outcome.fresh, f"{outcome.room}{outcome.event.seq}") == (False, promised[key])
    assert {room.name: room.head for room in store.rooms()} == heads
    store.close()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    placed = connection.execute(
        "SELECT count(*), count(DISTINCT room_id || '/' || seq) FROM keys WHERE seq IS NOT NULL"
    ).fetchone()
    assert placed == (sum(heads.values()), sum(heads.values()))
    connection.close()
