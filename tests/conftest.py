"""What holds for all tests: a missing tool skips a test on a developer's machine, and fails it in CI.

A test that needs a tool which ``.ci/run`` installs (a browser, Java, npm packages) is skipped with a reason that begins with
``needs ``; with ``BARRAGE_CI=1`` in the environment such a skip is a failure, so that CI never passes by not looking. Skips for
what a clean clone cannot have (a folder of data, a size of machine) are worded otherwise and stay skips.

Tests that draw their examples judge what code does, not how fast a busy machine does it. In CI they draw the same examples in each
run, so that a change is refused for what it does alone; a developer's runs look further.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from server.store import migrate
from tests.support.schemas import remembering

NEEDS = "needs "
LONGEST = ("tests/sim/", "tests/faults/", "tests/duties/", "tests/browser/", "tests/server/test_reload")
"""Beginnings of the paths of tests that start servers and browsers."""

settings.register_profile(
    "tests",
    deadline=None,  # 200 ms of the wall clock for each example otherwise
    suppress_health_check=[HealthCheck.too_slow],  # a second of the wall clock for drawing the first ones
    derandomize=os.environ.get("BARRAGE_CI") == "1",
)
settings.load_profile("tests")


def missing_tool(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The reason of a skip for lack of a tool, or an empty string."""
    if not report.skipped or not isinstance(report.longrepr, tuple):
        return ""
    reason = report.longrepr[2].removeprefix("Skipped: ")
    return reason if reason.startswith(NEEDS) else ""


def _fail_in_ci(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = missing_tool(report)
    if reason and os.environ.get("BARRAGE_CI") == "1":
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Skips of single tests."""
    report = yield
    _fail_in_ci(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Skips of whole modules."""
    report = yield
    _fail_in_ci(report)
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take longest come first, so that at the end no worker waits for another (``--no-loadscope-reorder`` keeps this)."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


@pytest.fixture(scope="module", autouse=True)
def migrations() -> Iterator[None]:
    """New databases of a module's tests get their schema quickly; modules about migrations have a fixture of their own instead."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate, "upgrade", remembering(migrate.upgrade))
        yield
