"""Processes and their descendants."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from loadtest.peers.family import FamilyWatch, family, sample_all
from loadtest.processes import sample

# The child is heard before the parent tells its number: both have started wholly then, and only wait; their memory stands still.
PARENT = """
import subprocess, sys
waiting = "import sys; print('here', flush=True); sys.stdin.readline()"
child = subprocess.Popen([sys.executable, "-c", waiting], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
sys.stdin.readline()
child.stdin.close()
child.wait()
"""


@contextmanager
def parent_and_child() -> Iterator[tuple[int, int]]:
    """Ids of a process and of its child, both idle."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
        process.communicate("\n")


def test_children_belong_to_the_family() -> None:
    """All that descend from a process are found, and their memory is added up."""
    with parent_and_child() as (parent, child):
        assert family(parent) == [parent, child]
        together = sample_all([parent, child])
        assert together.rss_bytes == pytest.approx(sample(parent).rss_bytes + sample(child).rss_bytes, rel=0.05)


def test_one_that_has_ended_counts_no_more() -> None:
    """A family without members is an error; one with some is what these have."""
    with parent_and_child() as (parent, child):
        pass
    assert sample_all([parent, os.getpid()]).rss_bytes > 0
    with pytest.raises(ProcessLookupError):
        sample_all([parent, child])
    assert family(parent) == [parent]


async def test_a_watch_adds_up_the_family() -> None:
    """The server's samples are those of all its processes."""
    with parent_and_child() as (parent, child):
        watch = FamilyWatch(parent)
        async with watch:
            pass
        assert len(watch.server) == 2
        assert watch.server[0].rss_bytes > sample(parent).rss_bytes
        assert watch.server[0].rss_bytes > sample(child).rss_bytes
