"""What all tests of the load tool share."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Pinning and the pace of the garbage collector are for the process of a measurement, not for the tests."""
    cores, pace = os.sched_getaffinity(0), gc.get_threshold()
    yield
    os.sched_setaffinity(0, cores)
    gc.set_threshold(*pace)
