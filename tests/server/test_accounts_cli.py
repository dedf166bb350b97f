"""server/accounts_cli.py: each command on a data folder without a server (what they do is in test_account_operations.py)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from server.accounts import appeals
from tests.support.commands import Barrage, barrage_on, in_book


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def barrage(data: Path, monkeypatch: pytest.MonkeyPatch) -> Barrage:
    return barrage_on(data, monkeypatch)


def test_accounts_measures_and_appeals(barrage: Barrage, data: Path) -> None:
    """Find, show, measure, lift, decide, withdraw; each prints a line for people, or JSON."""
    assert barrage("account", "find", "小").output == "a-1\tprivate\tlocal\t小明\n"
    taken = barrage("account", "measure", "restrict", "--nickname", "小明", "--code", "S1", "--basis", "b", "--function", "color",
                    "--for", "12h", "--json")  # fmt: skip
    measure = json.loads(taken.output)["measure"]
    in_book(data, lambda tx: appeals.file(tx, "a-1", measure, "why?"))
    [line] = barrage("account", "appeals").output.splitlines()
    assert line.endswith("'why?'")
    appeal = line.split("\t")[0]
    same = barrage("account", "decide", appeal, "reject", "--code", "S1", "--basis", "b", code=1)
    assert "second_person_required" in same.stderr
    shown = barrage("account", "show", "--account", "a-1").output
    assert f"measure   {measure} in_force restrict S1" in shown
    assert f"appeal    {appeal} of {measure}, waits" in shown
    decided = barrage("account", "decide", appeal, "uphold", "--code", "R2", "--basis", "b", user="bob")
    assert decided.output == f"appeal {appeal} decided (measure {measure} of a-1)\n"
    again = json.loads(
        barrage("account", "measure", "warn", "--account", "a-1", "--code", "S1", "--basis", "b", "--json").output
    )
    lifted = barrage("account", "lift", again["measure"], "--code", "R1", "--basis", "b")
    assert lifted.output == f"lifted {again['measure']} (warn) of a-1\n"
    withdrawn = barrage("account", "verify-withdraw", "--account", "a-1", "--reason", "given up")
    assert withdrawn.output == "a-1 is not verified any more\n"
    log = [json.loads(each) for each in barrage("account", "log", "--subject", "a-1", "--json").output.splitlines()]
    assert {"operator:alice"} == {each["actor"] for each in log}
    assert "account.view" in barrage("account", "log").output


def test_terms_and_days_are_checked(barrage: Barrage) -> None:
    """What cannot be understood is said so before anything is done."""
    common = ("--account", "a-1", "--code", "S1", "--basis", "b")
    assert "'soon' is no time" in barrage("account", "measure", "suspend", *common, "--for", "soon", code=2).stderr
    days = ("--kind", "k", "--number", "1", "--issuer", "i", "--feature", "news", "--from", "tomorrow", "--until", "2027-01-01")
    assert "'tomorrow' is no day" in barrage("licence", "add", "provider", *days, code=2).stderr
    assert "room and seq" in barrage("account", "show", "--room", "demo", code=1).stderr


def test_holds_erasure_and_purge(barrage: Barrage) -> None:
    """An account is erased after a question; a hold keeps it until it ends; purging says what went."""
    held = barrage("hold", "place", "a-1", "--reason", "a court asks", "--case", "7").output
    hold = held.split()[1]
    assert held == f"hold {hold} on a-1\n"
    assert barrage("hold", "list").output.startswith(f"{hold}\ta-1\t")
    barrage("account", "erase", "--account", "a-1", code=1)
    done = barrage("account", "erase", "--account", "a-1", "--yes").output
    assert done == "a-1 is closed and kept under a legal hold\n"
    assert barrage("hold", "release", hold).output.startswith(f"released {hold} on a-1; deleted: ")
    assert barrage("purge").output == "deleted: nothing\n"
