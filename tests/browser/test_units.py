"""The modules that need no document: their tests under node, and the types of all modules."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.browser.conftest import TOOLS

UNITS = Path(__file__).parent / "units"


@pytest.fixture(scope="module")
def node() -> str:
    """The path of node."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("needs node 20 or newer (Debian: apt-get install nodejs)")
    return found


@pytest.mark.parametrize("file", sorted(UNITS.glob("*.test.mjs")), ids=lambda file: file.name.removesuffix(".test.mjs"))
def test_modules_pass_their_own_tests(node: str, file: Path) -> None:
    """Each file of tests passes under node's runner."""
    done = subprocess.run([node, "--test", str(file)], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout
    assert "# fail 0" in done.stdout


def test_modules_keep_their_types(node: str) -> None:
    """TypeScript, strict, finds nothing wrong in the modules' JSDoc types."""
    compiler = TOOLS / "node_modules/typescript/bin/tsc"
    if not compiler.is_file():
        pytest.skip("needs TypeScript (npm ci --prefix tests/tools)")
    done = subprocess.run([node, str(compiler), "-p", str(TOOLS)], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout) == (0, "")
