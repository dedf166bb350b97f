"""kill -9 at random moments under load: what was acknowledged stays, and what was live is static.

``BARRAGE_KILL_ROUNDS`` (default 4) says how often, ``BARRAGE_KILL_SEED`` repeats the moments of an earlier run.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from tests.sim.crash.crowd import KilledServer
from tests.support.checker import told

ROUNDS = int(os.environ.get("BARRAGE_KILL_ROUNDS", "4"))
SEED = int(os.environ.get("BARRAGE_KILL_SEED") or secrets.randbits(32))


@pytest.mark.slow
@pytest.mark.timeout(120 + 20 * ROUNDS)
async def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    """After any number of kills every acknowledged comment is in the log once, every event that was live is on the pages,
    and every viewer that came back has an unbroken stream."""
    print(f"BARRAGE_KILL_SEED={SEED} BARRAGE_KILL_ROUNDS={ROUNDS}")
    run = KilledServer(tmp_path, SEED, ROUNDS)
    violations = await run.run()
    print(f"{run.acknowledged} acknowledged, {run.seen_live} seen live")
    assert not violations, told(violations)
    assert run.acknowledged > 20 * ROUNDS


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("fault", "rules"),
    [
        ("live-first", {"live_not_static"}),
        ("ack-first", {"ack_lost", "ack_altered", "ack_shared"}),
    ],
)
async def test_the_checker_finds_a_wrong_order(tmp_path: Path, fault: str, rules: set[str]) -> None:
    """A server that sends before the page is written, or acknowledges before the commit, is found out by the same run."""
    run = KilledServer(tmp_path, SEED, rounds=3, fault=fault)
    violations = await run.run()
    assert rules & {violation.rule for violation in violations}, told(violations)
