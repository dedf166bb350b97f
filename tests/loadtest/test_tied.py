"""loadtest/tied.py"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from loadtest import tied

STARTER = """
import subprocess, sys, time
from loadtest.tied import tied
child = subprocess.Popen(tied([sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]), stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


def run(*command: str) -> tuple[int, str]:
    done = subprocess.run(tied.tied(command), capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_command_runs_as_it_is() -> None:
    """With its arguments, found like any other command, and with its own status."""
    assert run("sh", "-c", "echo $0 $1; exit 3", "a b", "c") == (3, "a b c\n")


def test_a_command_that_there_is_not_says_so() -> None:
    """In one line."""
    assert run("no-such-command", "x") == (1, "no-such-command: No such file or directory\n")


def test_it_ends_with_whoever_started_it() -> None:
    """Also where that one is killed and can stop nothing any more."""
    with subprocess.Popen([sys.executable, "-c", STARTER], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        starter.send_signal(signal.SIGKILL)
    end = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < end, "it is still there"
        time.sleep(0.02)


def test_where_the_starter_is_gone_nothing_starts() -> None:
    """Whoever ended before the kernel was told is told apart by the parent."""
    command = tied.tied(["/bin/true"])
    command[command.index(str(os.getpid()))] = "1"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "who started this is gone\n")
