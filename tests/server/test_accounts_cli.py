"""server/accounts_cli.py: each command on a data folder without a server (what they do is in test_account_operations.py)."""

from __future__ import annotations

import csv
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import update

from server.__main__ import main
from server.accounts import appeals, public, tables
from server.accounts.book import Accounts, Transaction
from tests.support.accounts import add_person

Barrage = Callable[..., Result]
DAY_MS = 86_400_000


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("BARRAGE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with one verified account."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def in_book(data: Path, work: Callable[[Transaction], object]) -> None:
    book = Accounts(data / "accounts.db", lambda: int(time.time() * 1000))
    book.write_now(work)
    book.close()


@pytest.fixture
def barrage(data: Path, monkeypatch: pytest.MonkeyPatch) -> Barrage:
    """Runs a command on the data folder as the person ``user``."""
    book = Accounts(data / "accounts.db", lambda: 1_790_000_000_000)
    add_person(book)
    book.write_now(lambda tx: tx.sql.execute(update(tables.accounts).values(nickname="小明")))
    book.close()

    def run(*arguments: str, code: int = 0, user: str = "alice") -> Result:
        monkeypatch.setattr("server.cli.getpass.getuser", lambda: user)
        result = CliRunner().invoke(main, [*arguments, "--data", str(data)], catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    return run


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


def test_staff_and_keys(barrage: Barrage) -> None:
    """Members are added, given roles, switched; keys are rotated."""
    assert "ann enrols within 24 hours at /staff/enrol?name=ann" in barrage("staff", "add", "ann", "--role", "admin").output
    barrage("staff", "add", "bob", "--role", "admin", "--role", "senior")
    assert "secret=" in barrage("staff", "enrol", "bob").output
    assert barrage("staff", "roles", "bob", "--role", "inspector").output == "bob is inspector\n"
    assert barrage("staff", "disable", "bob").output == "bob is disabled\n"
    assert barrage("staff", "list").output == "ann\tadmin\tnot enrolled yet\nbob\tinspector\tdisabled\n"
    assert barrage("staff", "enable", "bob").output == "bob is enabled\n"
    assert barrage("vault", "rotate").output.startswith("everything is under key ")
    assert "key" in json.loads(barrage("vault", "rotate", "--keep-key", "--json").output)


def test_licences_and_public_accounts(barrage: Barrage, data: Path, tmp_path: Path) -> None:
    """From the provider's licence to an active public account, its filing and an approval."""
    added = barrage("licence", "add", "provider", "--kind", "许可证", "--number", "7", "--issuer", "CAC", "--feature", "news",
                    "--feature", "public_accounts", "--from", "2020-01-01", "--until", "2099-01-01")  # fmt: skip
    licence = added.output.split()[1]
    assert f"{licence}\tprovider\tactive\t2099-01-01 00:00\tnews public_accounts\t许可证 7" in barrage("licence", "list").output
    in_book(data, lambda tx: public.apply_for(tx, "a-1", name="某大学", purpose="Courses", category="institution"))
    who = ("--account", "a-1", "--basis", "b")
    assert barrage("public", "step", "review", *who).output.startswith("a-1 is reviewed")
    assert "second_person_required" in barrage("public", "classify", "institution", *who, code=1).stderr
    barrage("public", "classify", "institution", *who, user="bob")
    assert json.loads(barrage("public", "export").output)["label"] == "某大学"
    table = tmp_path / "filing.csv"
    assert barrage("public", "export", "--csv", str(table)).output == f"1 accounts in {table}\n"
    with table.open(encoding="utf-8-sig", newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["某大学"]
    barrage("public", "file", "F-1", "--account", "a-1")
    barrage("public", "step", "activate", *who)
    assert barrage("public", "list", "--state", "active").output == "a-1\tactive\tinstitution\t某大学\t某大学\n"
    barrage("public", "approve", "post", "politics", *who, "--until", "2099-01-01")
    assert "public_approval by operator:alice" in barrage("account", "show", "--account", "a-1").output
    barrage("public", "approve", "post", "politics", *who, "--withdraw")
    assert "news_unit\tNews unit\t新闻单位" in CliRunner().invoke(main, ["public", "categories"]).output
    assert barrage("licence", "revoke", licence, "--basis", "given back").output == f"revoked {licence} of provider\n"
