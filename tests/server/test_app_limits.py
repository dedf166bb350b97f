"""server/app.py: the limit of open files."""

from __future__ import annotations

import resource

import pytest
from structlog.testing import capture_logs

from server import app
from server.settings import Settings


@pytest.mark.parametrize(("hard", "warned"), [(20_000, True), (65_536, False), (resource.RLIM_INFINITY, False)])
def test_too_few_open_files_are_told_at_the_start(hard: int, warned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """20,000 viewers need more than 20,000 descriptors: the operator learns of it before they come."""
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: given.append(limits))
    with capture_logs() as logs:
        app._raise_file_limit(Settings())
    assert given == [(hard, hard)]
    assert [each["log_level"] for each in logs] == ["warning"] * warned
    if warned:
        assert logs[0]["allowed"] == hard < logs[0]["needed"]
        with capture_logs() as logs:
            app._raise_file_limit(Settings(demo=True))
        assert logs == []
