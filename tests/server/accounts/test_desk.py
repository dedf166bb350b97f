"""server/accounts/desk.py"""

from __future__ import annotations

from pathlib import Path

from server.accounts.desk import StaffDesk
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
