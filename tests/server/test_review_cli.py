"""server/review_cli.py: each command on a data folder without a server (what they do is in test_review_operations.py)."""

from __future__ import annotations

import datetime as dt
import json
import zoneinfo
from pathlib import Path

import pytest

from server.store.sql import SqlStore
from tests.support.commands import Barrage, barrage_on
from tests.support.drafts import held


@pytest.fixture
def barrage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Barrage:
    """Commands on a folder with two comments of room ``a`` held."""
    data = tmp_path / "data"
    found = barrage_on(data, monkeypatch)
    store = SqlStore.open(data / "barrage.db")
    store.create_room("a", "A", "live", 1)
    store.append([held("h1"), held("h2", text="other")])
    store.close()
    return found


def test_the_desk_from_a_terminal(barrage: Barrage) -> None:
    """List, decide, reverse, stats; each prints a line for people, or JSON."""
    assert barrage("review", "list").output.splitlines()[0] == "1\t0\t1970-01-01 00:00Z\ta\t-\theld_for_review\t0\t'加V'"
    assert barrage("review", "stats").output.splitlines()[0] == "held\t2 open\t0 claimed\t2 overdue\tsince 1970-01-01 00:00Z"
    done = barrage("review", "decide", "1", "publish", "--code", "K1", "--basis", "fine", "--version", "0")
    assert done.output == "decision 1: publish (room a, event 1)\n"
    assert "item_changed" in barrage("review", "decide", "1", "refuse", "--code", "S1", "--basis", "x", code=1).stderr
    refused = json.loads(barrage("review", "decide", "2", "refuse", "--code", "S1", "--basis", "ads", "--json").output)
    assert refused == {"decision": 2, "what": "refuse", "room": "a", "item": 2, "seq": 0}
    back = barrage("review", "reverse", "2", "--code", "K1", "--basis", "no ads")
    assert back.output == "decision 3: publish (room a, event 2)\n"
    assert barrage("review", "list", "--json").output == ""
    records = barrage("records", "--what", "publish").output.splitlines()
    assert [line.split("\t")[0] for line in records] == ["3", "1"]
    (refused,) = [json.loads(line) for line in barrage("records", "--code", "S", "--json").output.splitlines()]
    assert (refused["id"], refused["basis"], refused["detail"]["queue"]) == (2, "ads", "held")
    month = f"{dt.datetime.now(zoneinfo.ZoneInfo('Asia/Shanghai')):%Y-%m}"
    figures = json.loads(barrage("transparency", month).output)
    assert figures["decisions"]["by_what"] == {"publish": 2, "refuse": 1}
    assert "not_found" in barrage("transparency", "1969-01", code=1).stderr
