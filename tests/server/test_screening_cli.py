"""Tests of server.screening_cli."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from server.screening_cli import screen


def run(*arguments: str | Path, given: str = "") -> Result:
    return CliRunner().invoke(screen, [str(argument) for argument in arguments], input=given)


@pytest.fixture
def rule_file(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(
        'format = 1\nname = "mine"\nversion = "7"\n[[rule]]\ncode = "a"\ntitle = "t"\ncategory = "c"\ntier = "reject"\n'
        'basis = "house rule"\nterms = ["坏词语"]\n[samples]\ngood = ["你好"]\nbad = ["坏词语"]\n',
        encoding="utf-8",
    )
    return path


def test_a_text_is_explained() -> None:
    """A text in place of a command is explained in words, or as JSON."""
    result = run("加V：abc12345", "你好")
    assert result.exit_code == 0
    assert "held for review" in result.output
    assert "ads.contact" in result.output
    found = json.loads(run("--json", "加V：abc12345").output)
    assert (found["action"], found["reasons"][0]["rule"]) == ("hold", "ads.contact")


def test_help_and_nothing() -> None:
    """Help lists the commands; neither text nor --batch is a mistake that is explained."""
    assert "rollback" in run("--help").output
    assert "give a text" in run("--tier", "hold").output


def test_batch(tmp_path: Path) -> None:
    """Each line of JSON gets one line with its verdict, in order, by the given list; a bad line gets an error and exit code 1."""
    terms = tmp_path / "terms.txt"
    terms.write_text("歧视\n坏词语\n", encoding="utf-8")
    lines = '{"text":"我七市你的观点","id":1}\n\n{"text":"你好","id":2}\n'
    result = run("--batch", "--terms", terms, "--tier", "reject", given=lines)
    found = [json.loads(line) for line in result.output.splitlines()]
    assert [(line["id"], line["action"], line["accepted"]) for line in found] == [(1, "hold", False), (2, "accept", True)]
    assert (
        json.loads(run("--batch", "--terms", terms, "--tier", "reject", given='{"text":"坏词语"}').output)["action"] == "refuse"
    )
    bad = run("--batch", given='x\n{"no":1}\n{"text":"你好"}\n')
    assert bad.exit_code == 1
    assert ["error" in json.loads(line) for line in bad.output.splitlines()] == [True, True, False]


def test_rules_that_cannot_be_used(tmp_path: Path) -> None:
    """A bad rule file is one sentence and exit code 1."""
    path = tmp_path / "bad.toml"
    path.write_text("format = 2")
    result = run("--rules", path, "你好")
    assert result.exit_code == 1
    assert "bad.toml" in result.output


def test_eval(tmp_path: Path) -> None:
    """The evaluation prints a row for each set, the starter pack's share, and the trade-off on request."""
    (tmp_path / "screening").mkdir()
    line = '{"family":"homophone","perturbed":"我七市你的观点","terms":["歧视"]}\n'
    (tmp_path / "screening" / "evasion_dev.jsonl").write_text(line * 2, encoding="utf-8")
    (tmp_path / "screening" / "clean_dev.jsonl").write_text('{"text":"你好"}\n{"text":"加V：abc12345"}\n', encoding="utf-8")
    result = run("eval", "--data", tmp_path, "--curve")
    assert result.exit_code == 0, result.output
    assert "0.95 reached" in result.output
    assert "clean_dev: 1 of 2 (50.000%): ads.contact 1" in result.output
    assert "bits" in result.output
    assert run("eval", "--data", tmp_path / "none").exit_code == 1
    result = run("eval", "--data", tmp_path, "--folds", "2")
    assert "bits chosen on the other parts: " in result.output
    assert run("eval", "--data", tmp_path, "--folds", "1").exit_code == 2


def test_bench() -> None:
    """The benchmark prints its lines."""
    result = run("bench", "--terms", "200", "--comments", "60", "--no-peers")
    assert "everything on" in result.output


def test_import_and_check(tmp_path: Path) -> None:
    """A list is imported with a report and a rule file, which can be checked."""
    source, out = tmp_path / "list.txt", tmp_path / "list.toml"
    source.write_text("赌场|博彩\n賭場|博彩\n枪\n加微信\n", encoding="utf-8")
    result = run("import", source, "--out", out)
    assert "2 terms kept" in result.output
    assert "1 fold to a term that is there already (such as 賭場 = 赌场)" in result.output
    assert "1 shorter" in result.output
    assert "tags: 博彩 2" in result.output
    assert "2 terms, hash" in run("check", out).output
    assert "kept" in run("import", source).output


def test_check(rule_file: Path) -> None:
    """Checking tells notes and a wrong sample; without a file it checks the starter pack; the schema can be printed."""
    assert "mine 7: 1 rules, 1 terms" in run("check", rule_file).output
    assert "starter" in run("check").output
    assert "RuleSet" in run("check", "--schema").output
    rule_file.write_text(
        rule_file.read_text().replace('["你好"]', '["坏词语呀"]').replace('"坏词语"]\n[s', '"坏词语", "坏"]\n[s')
    )
    result = run("check", rule_file)
    assert result.exit_code == 1
    assert "good sample is stopped" in result.output
    assert "single character" in result.output


def test_train(tmp_path: Path) -> None:
    """Training writes a model and tells its figures; a bad line and samples of one kind are explained."""
    samples, out = tmp_path / "samples.jsonl", tmp_path / "model.json"
    lines = [{"text": f"点击领取{number}" if number % 2 else f"今天好看{number}", "label": number % 2} for number in range(100)]
    samples.write_text("\n".join(json.dumps(line) for line in lines))
    result = run("train", samples, "--out", out, "--folds", "2")
    assert "over 2 parts" in result.output
    assert "texts (" in result.output
    assert "kept aside:" in result.output
    assert "harmless to flag  threshold  flagged  recall  precision" in result.output
    assert out.exists()
    samples.write_text('{"text":"x"}')
    assert "line 1" in run("train", samples, "--out", out).output
    samples.write_text('{"text":"x","label":1}')
    assert "both kinds" in run("train", samples, "--out", out).output


def test_reload_rollback_history(tmp_path: Path, rule_file: Path) -> None:
    """Rules come into force, go back and are listed; a text can be judged under the rules of a time; bad rules are not taken."""
    data = ("--data", tmp_path / "data")
    taken = run("reload", rule_file, *data, "--by", "lin")
    assert "mine 7" in taken.output
    new = taken.output.split("(")[1][:16]
    assert "starter" in run("rollback", *data).output
    listed = run("history", *data).output.splitlines()
    assert [line.split()[-2:] for line in listed[1:]] == [["reload", "lin"], ["rollback", "operator"]]
    assert "refused" in run("history", *data, "--replay", "坏词语", "--hash", new).output
    assert "accepted" in run("history", *data, "--replay", "坏词语").output
    rule_file.write_text(rule_file.read_text().replace("你好", "坏词语"))
    result = run("reload", rule_file, *data)
    assert result.exit_code == 1
    assert "not taken" in result.output


def test_nothing_to_go_back_to(tmp_path: Path) -> None:
    """A rollback without earlier rules says so."""
    result = run("rollback", "--data", tmp_path / "data")
    assert (result.exit_code, "no earlier rules" in result.output) == (1, True)


def test_emergency_terms_of_a_folder(tmp_path: Path, rule_file: Path) -> None:
    """Without a server emergency terms wait in the folder for its next start; a file or --clear has to be given, and not both."""
    data = ("--data", tmp_path / "data")
    assert run("emergency", rule_file, *data).output == "emergency terms in force: 1\n"
    assert run("emergency", "--clear", *data).output == "emergency terms in force: 0\n"
    assert run("emergency", *data).exit_code == 2
    assert run("emergency", rule_file, "--clear", *data).exit_code == 2


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    """A rule file that is not UTF-8 is one sentence, and so is a hash that was never in force."""
    path = tmp_path / "bad.toml"
    path.write_bytes(b"\xff")
    result = run("reload", path, "--data", tmp_path / "data")
    assert (result.exit_code, "bad.toml" in result.output) == (1, True)
    result = run("history", "--data", tmp_path, "--replay", "x", "--hash", "0" * 16)
    assert (result.exit_code, "no rules" in result.output) == (1, True)
