"""tests/conftest.py"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

HOOKS = Path(__file__).with_name("conftest.py").read_text(encoding="utf-8")

TESTS = """
import pytest

def test_tool():
    pytest.skip("needs a browser")

@pytest.mark.skipif(True, reason="needs Java")
def test_java():
    pass

def test_other():
    pytest.skip("only on Mondays")
"""


@pytest.mark.parametrize(("ci", "failed", "errors", "skipped"), [("", 0, 0, 3), ("1", 1, 1, 1)])
def test_a_skip_for_lack_of_a_tool_fails_in_ci(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, failed: int, errors: int, skipped: int
) -> None:
    """With BARRAGE_CI=1 a reason that begins with "needs " turns a skip into a failure; other skips stay."""
    monkeypatch.setenv("BARRAGE_CI", ci)
    pytester.makeconftest(HOOKS)
    pytester.makepyfile(TESTS)
    pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:asyncio").assert_outcomes(
        failed=failed, errors=errors, skipped=skipped
    )


@pytest.mark.parametrize(("ci", "errors", "skipped"), [("", 0, 1), ("1", 1, 0)])
def test_a_skipped_module_fails_in_ci(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, errors: int, skipped: int
) -> None:
    """The same holds for a module that skips itself whole."""
    monkeypatch.setenv("BARRAGE_CI", ci)
    pytester.makeconftest(HOOKS)
    pytester.makepyfile('import pytest\npytest.skip("needs npm", allow_module_level=True)\n')
    pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:asyncio").assert_outcomes(errors=errors, skipped=skipped)


def test_every_skip_for_a_tool_is_seen_by_ci() -> None:
    """Whatever skip in tests/ names a tool that ``.ci/run`` installs gives a reason that begins with "needs "."""
    skip = re.compile(r'(?:pytest\.skip\(|\breason=)f?"([^"]+)"')
    tool = re.compile(r"java|npm|node|chromium|browser|typescript|axe|html checker", re.IGNORECASE)
    files = [
        path for path in Path(__file__).parent.rglob("*.py") if "node_modules" not in path.parts and path != Path(__file__)
    ]
    reasons = [reason for path in files for reason in skip.findall(path.read_text(encoding="utf-8")) if tool.search(reason)]
    assert len(reasons) >= 7
    assert [reason for reason in reasons if not reason.startswith("needs ")] == []
