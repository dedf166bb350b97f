"""server/staff_cli.py: each command on a data folder without a server (what they do is in test_account_operations.py)."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from server.__main__ import main
from server.accounts import public
from tests.support.commands import Barrage, barrage_on, in_book


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def barrage(data: Path, monkeypatch: pytest.MonkeyPatch) -> Barrage:
    return barrage_on(data, monkeypatch)


def test_staff_and_keys(barrage: Barrage) -> None:
    """Members are added, given roles, switched; keys are rotated."""
    told = barrage("staff", "add", "ann", "--role", "admin").output
    assert "ann enrols within 24 hours at http://localhost:8080/staff/enrol?name=ann" in told
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
    assert (
        f"{licence}\tprovider\tactive\t2099-01-01 00:00Z\tnews public_accounts\t许可证 7" in barrage("licence", "list").output
    )
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
