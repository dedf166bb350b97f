"""server/authority_cli.py and authority_operations.py: each command on a data folder without a server."""

from __future__ import annotations

import json
import time
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from server.__main__ import main
from server.authority_operations import ShowSigningKey
from tests.support.commands import Barrage, barrage_on
from tests.support.services import FakeServices
from tests.support.web import operator_client

SPAN = ("--since", "2020-01-01", "--until", "2099-01-01")


@pytest.fixture
def barrage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Barrage:
    return barrage_on(tmp_path / "data", monkeypatch)


def test_duty_p5_8_an_inspection_is_exported_and_verified_by_command(barrage: Barrage, tmp_path: Path) -> None:
    """Asked for by one person, approved by another, exported, verified without a server; a changed bundle fails."""
    barrage("room", "create", "demo")
    asked = barrage("inspection", "ask", "C-7", "--basis", "order 9", *SPAN, "--room", "demo", "--inspector", "ida").output
    name, state = asked.split()
    assert state == "asked"
    barrage("inspection", "approve", name, "--basis", "in order", code=1)
    assert barrage("inspection", "approve", name, "--basis", "in order", user="bob").output == f"{name} active\n"
    assert "C-7" in barrage("inspection", "list").output
    bundle, key = tmp_path / "bundle.zip", tmp_path / "key.json"
    assert "0 events" in barrage("inspection", "export", name, str(bundle)).output
    assert "is there already" in barrage("inspection", "export", name, str(bundle), code=2).output
    barrage("inspection", "export", name, str(tmp_path / "no" / "folder.zip"), code=2)
    key.write_text(barrage("inspection", "key").output)
    verify(bundle, key)
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(tmp_path / "folder")
    verify(tmp_path / "folder", key)
    other = tmp_path / "other.json"
    other.write_text(json.dumps({**json.loads(key.read_text()), "x": "A" * 43}))
    assert "not by the key that was given" in verify(bundle, other, code=1)
    bundle.write_bytes(bundle.read_bytes().replace(b"order 9", b"order 8"))
    assert "NOT as it was made." in verify(bundle, key, code=1)
    assert barrage("inspection", "revoke", name, "--basis", "done").output == f"{name} revoked\n"
    refused = barrage("inspection", "ask", "C-8", "--basis", "b", *SPAN, "--room", "demo", "--inspector", "ida").output.split()[
        0
    ]
    assert "refused" in barrage("inspection", "approve", refused, "--basis", "no", "--refuse", user="bob").output


def verify(path: Path, key: Path, code: int = 0) -> str:
    """What the command says with the key; without it, it says that the key was not checked."""
    told = CliRunner().invoke(main, ["verify-export", str(path), "--key", str(key)], catch_exceptions=False)
    assert told.exit_code == code, told.output
    if not code:
        assert "Whose key this is was not checked" in CliRunner().invoke(main, ["verify-export", str(path)]).output
    return told.output


def test_findings_are_filed_and_acknowledged(barrage: Barrage) -> None:
    """To an authority of the settings, with evidence."""
    filing = ("--title", "t", "--summary", "s", "--code", "L5", "--basis", "b", "--account", "a-1")
    barrage("outbox", "file", "nobody", *filing, code=1)
    first, second = (barrage("outbox", "file", "authority", *filing).output.split()[0] for _ in range(2))
    assert first in barrage("outbox", "list").output
    assert barrage("outbox", "send", first).output == f"{first} open\n"
    assert barrage("outbox", "acknowledge", first, "R-7").output == f"{first} acknowledged\n"
    assert barrage("outbox", "withdraw", second, "--basis", "a mistake").output == f"{second} withdrawn\n"
    rows = [json.loads(line) for line in barrage("outbox", "list", "--ended", "--json").output.splitlines()]
    assert {(row["id"], row["state"], row["sealed"]) for row in rows} == {
        (first, "acknowledged", False), (second, "withdrawn", False),
    }  # fmt: skip


def test_cases_close_with_the_digest_of_a_file(barrage: Barrage, tmp_path: Path) -> None:
    """Which stays where it is."""
    opened = barrage("case", "open", "rectification", "authority", "--title", "t", "--facts", "f", "--due", "2028-01-01",
                     "--reference", "3").output  # fmt: skip
    name = opened.split()[0]
    barrage("case", "step", name, "close", "--words", "done", code=1)
    paper = tmp_path / "roster.txt"
    paper.write_text("roster")
    barrage("case", "step", name, "note", "--words", "two seats")
    barrage("case", "step", name, "penalty", "--words", "warned", "--decision", "1")
    barrage("case", "step", name, "deadline", "--words", "agreed", "--due", "2028-02-01")
    assert "sha256 " in barrage("case", "step", name, "evidence", "--words", "roster", "--file", str(paper)).output
    assert f"{name} rectification closed" in barrage("case", "step", name, "close", "--words", "done").output
    assert name in barrage("case", "list", "--closed").output
    assert "reopened" in barrage("case", "step", name, "reopen", "--words", "not over", "--due", "2028-03-01").output
    assert "decision 1" in barrage("case", "show", name).output
    assert name in barrage("case", "list").output


def test_duty_p4_assessments_are_entered_by_command(barrage: Barrage, tmp_path: Path) -> None:
    """With the digest of the report; the list says what is still missing."""
    report = tmp_path / "report.pdf"
    report.write_bytes(b"report")
    assert "sign_in_providers\tneeded\toff\tnot assessed" in barrage("feature", "list").output
    done = barrage("feature", "assess", "sign_in_providers", "--by", "Institute 3", "--report", str(report), "--on", "2026-01-01",
                   "--until", "2028-01-01").output  # fmt: skip
    assert done.endswith("of sign_in_providers\n")
    assert "needed\toff\t2028-01-01 00:00" in barrage("feature", "list").output
    assert "revoked" in barrage("feature", "revoke", done.split()[1], "--basis", "wrong").output


async def test_the_operator_interface_takes_them(tmp_path: Path) -> None:
    """By one route, whose body says which."""
    services = FakeServices(tmp_path)
    services.clock_ms = time.time_ns() // 1_000_000
    async with operator_client(services) as remote:
        key = await remote.authority(ShowSigningKey())
    assert key == services.moderation.inspections.key.jwk()
    await services.end()
