"""Servers that end with whoever started them, also where that one is killed and can stop nothing any more.

Left behind, a server would take its share of a core from every later measurement.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

_TIED: Final = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)  # PR_SET_PDEATHSIG
if os.getppid() != int(sys.argv[1]):
    sys.exit("who started this is gone")
try:
    os.execvp(sys.argv[2], sys.argv[2:])
except OSError as error:
    sys.exit(f"{sys.argv[2]}: {error.strerror}")
"""
"""What such a process runs first. The kernel keeps the signal over ``exec``; whoever ended before it was asked for is told apart
by the parent. A function between fork and exec would do the same, but is not safe in a process with threads."""


def tied(command: Sequence[str]) -> list[str]:
    """The command that runs ``command`` as a process which is asked to end (SIGTERM) when the thread that starts it ends."""
    return [sys.executable, "-I", "-S", "-c", _TIED, str(os.getpid()), *command]
