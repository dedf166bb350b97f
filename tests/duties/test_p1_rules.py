"""Rules rest on law: no rule without a basis, dates in force, and every decision can be made again under the rules of its time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.duties.public import SETTINGS, command, enter, say
from tests.support.server import ServerProcess

RULES: Final = """
format = 1
name = "{name}"
version = "1"
[[rule]]
code = "test.term"
title = "A term"
category = "test"
tier = "reject"
basis = "{basis}"
{dates}
terms = ["{term}"]
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server whose rules are changed."""
    with ServerProcess(tmp_path / "data", settings=SETTINGS) as found:
        yield found


def reload(server: ServerProcess, *, basis: str = "第十五条", dates: str = "", term: str = "坏词语", name: str = "one") -> int:
    """Put rules into force by the command; its exit code."""
    path = server.data.with_name("rules.toml")
    path.write_text(RULES.format(name=name, basis=basis, dates=dates, term=term), encoding="utf-8")
    done = command(server, "screen", "reload", str(path))
    assert "Traceback" not in done.stderr
    return done.returncode


def refused(server: ServerProcess) -> list[dict[str, Any]]:
    """The refused comments on record."""
    return [json.loads(line) for line in command(server, "screened", "--json").stdout.splitlines()]


def test_duty_p1_a_rule_without_a_legal_basis_does_not_load(server: ServerProcess) -> None:
    """Such a rule is not taken, the rules stay as they are; one with a basis is, and a refusal is recorded with rule, basis and the
    hash of the rules."""
    with enter(server, "p1") as author:
        assert reload(server, basis="") == 1
        assert say(author, "坏词语", "k1")["op"] == "ack"
        assert reload(server) == 0
        answer = say(author, "坏词语", "k2")
        assert (answer["op"], answer["code"]) == ("refused", "banned_content")
    (record,) = refused(server)
    (reason,) = record["verdict"]["reasons"]
    assert (reason["rule"], reason["basis"]) == ("test.term", "第十五条")
    assert record["verdict"]["rules"] in command(server, "screen", "history").stdout


def test_duty_p1_a_rule_applies_on_its_dates_only(server: ServerProcess) -> None:
    """Before the day it comes into force and after its last day a rule refuses nothing."""
    with enter(server, "p1") as author:
        for number, dates in enumerate(("until = 2020-12-31", "since = 2999-01-01", "since = 2020-01-01\nuntil = 2999-12-31")):
            assert reload(server, dates=dates) == 0
            op = say(author, "坏词语", f"k{number}")["op"]
            assert op == ("refused" if number == 2 else "ack")


def test_duty_p1_a_decision_is_made_again_under_the_rules_of_its_time(server: ServerProcess) -> None:
    """After the rules have changed, the recorded decision is explained by the rules that were in force then."""
    with enter(server, "p1") as author:
        assert reload(server) == 0
        assert say(author, "坏词语", "k1")["op"] == "refused"
        assert reload(server, term="别的词", name="two") == 0
        assert say(author, "坏词语", "k2")["op"] == "ack"
    (record,) = refused(server)
    rules, at_ms = record["verdict"]["rules"], record["at_ms"]
    then = command(server, "screen", "history", "--replay", record["text"], "--hash", rules, "--at-ms", str(at_ms))
    now = command(server, "screen", "history", "--replay", record["text"])
    assert (then.returncode, now.returncode) == (0, 0)
    assert "refused" in then.stdout
    assert "第十五条" in then.stdout
    assert "accepted" in now.stdout
