"""server/accounts/desk.py"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from server.accounts.desk import HASHES_AT_ONCE, WAITING_MAX, Hashing, StaffDesk
from server.errors import Refusal
from server.settings import Settings


def test_authenticators_know_the_site_by_its_public_address(tmp_path: Path) -> None:
    """Where none is set, by that of the request; the port is part of the origin and not of the host's name."""
    public = StaffDesk(Settings(data_dir=tmp_path, public_url="https://danmaku.example:8443", site_name="S"))
    assert public.site("http", "10.0.0.1:80") == ("danmaku.example", "https://danmaku.example:8443", "S")
    plain = StaffDesk(Settings(data_dir=tmp_path))
    assert plain.site("http", "localhost:8080")[:2] == ("localhost", "http://localhost:8080")


def test_known_clients_outlive_a_restart(tmp_path: Path) -> None:
    """The key of their cookies is the data folder's."""
    cookie = StaffDesk(Settings(data_dir=tmp_path)).devices.issue("ann")
    assert StaffDesk(Settings(data_dir=tmp_path)).devices.knows(cookie, "ann")
    assert not StaffDesk(Settings(data_dir=tmp_path / "other")).devices.knows(cookie, "ann")


async def test_so_many_wait_for_their_turn_at_hashing_and_no_more() -> None:
    """Two at once, a bounded number behind them; whoever comes then hears to come again, and turns given back are taken."""
    hashing = Hashing()
    for _ in range(HASHES_AT_ONCE):
        await hashing.__aenter__()
    waiting = [asyncio.ensure_future(hashing.__aenter__()) for _ in range(WAITING_MAX)]
    await asyncio.sleep(0)
    with pytest.raises(Refusal, match="too_many_requests") as refused:
        await hashing.__aenter__()
    assert refused.value.retry_after_ms
    waiting[0].cancel()
    await asyncio.gather(waiting[0], return_exceptions=True)
    last = asyncio.ensure_future(hashing.__aenter__())
    for _ in range(HASHES_AT_ONCE + WAITING_MAX):
        await hashing.__aexit__(None, None, None)
    await asyncio.gather(*waiting[1:], last)
