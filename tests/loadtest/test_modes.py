"""loadtest/modes.py: how soon viewers know of a mode."""

from __future__ import annotations

import itertools
import math
import re

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from loadtest import modes
from loadtest.modes import Changes

STATE = b'{"op":"state","mode":"slow","slow_ms":1000}'
NOTICE = b'{"kind":"notice","room_mode":"slow","slow_ms":1000,"code":"E1"}'


@given(cuts=st.lists(st.integers(1, 400), max_size=8))
def test_each_telling_counts_once_however_the_bytes_are_cut(cuts: list[int]) -> None:
    """A state and a notice are told apart, also where a piece of bytes ends within them; other paces are not looked for."""
    stream = b"x" * 50 + STATE + b"y" * 40 + NOTICE + STATE.replace(b"1000", b"999") + b"z" * 60 + STATE
    told, tail = Changes(), b""
    told.begin(1000)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    for low, high in itertools.pairwise(edges):
        seen = tail + stream[low:high]
        told.scan(seen[modes._begin(tail, seen) :], 1.0)
        tail = seen[-modes._TAIL :]
    assert (len(told.states[1000]), len(told.notices[1000])) == (2, 1)


def test_figures_count_who_was_not_told_in_time() -> None:
    """Late ones and those that were never told; without any the times are endless."""
    told = Changes()
    told.begin(1000)
    told.states[1000] = [10.5, 11.0, 13.0]
    found = modes._figures(told, {1000: 10.0}, [0.25], 4)
    assert found["answer to the operator, slowest ms"] == 250
    assert (found["state: viewers told"], found["state: not within 2 s"]) == (3, 2)
    assert (found["state: median ms"], found["state: slowest ms"]) == (1000, 3000)
    assert (found["notice: not within 2 s"], found["notice: median ms"]) == (4, math.inf)


def test_the_command_measures_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every viewer and sender of a small run is told of the change, by state and by notice, in time."""
    monkeypatch.setattr(modes, "_WARM_S", 0.1)
    monkeypatch.setattr(modes, "_BETWEEN_S", 0.0)
    done = CliRunner().invoke(modes.main, ["--viewers", "3", "--senders", "2", "--rate", "20", "--changes", "1"])
    assert done.exit_code == 0, done.output
    for name in ("state", "notice"):
        assert re.search(rf"^{name}: viewers told +5$", done.output, re.MULTILINE), done.output
    assert re.search(r"^connections lost +0$", done.output, re.MULTILINE), done.output
