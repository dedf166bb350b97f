"""server/screening.py"""

from __future__ import annotations

from pathlib import Path

import pytest

from filters.config import ScreeningConfig
from filters.verdict import Action, Candidate
from server.errors import ConfigError
from server.screening import Screening
from tests.support.running import RULES


def action(screening: Screening, text: str) -> Action:
    return screening.current().screen(Candidate(text=text, room="demo", author=text), 1).action


def test_the_built_in_rules_are_in_force_without_a_file(tmp_path: Path) -> None:
    """A site that names no rules gets the starter pack: the pipeline is there, and an ordinary comment passes."""
    screening = Screening(tmp_path / "rules", None, ScreeningConfig())
    assert screening.current().rules.name == "starter"
    assert action(screening, "哈哈哈哈") is Action.ACCEPT


def test_a_rules_file_takes_their_place(tmp_path: Path) -> None:
    """The rules of the file are in force, with the bounds of the settings, and the pipeline stays the same object."""
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES, encoding="utf-8")
    screening = Screening(tmp_path / "rules", rules, ScreeningConfig(max_chars=5))
    assert screening.current() is screening.current()
    assert [action(screening, text) for text in ("你好", "坏词", "遮词", "待审", "太长的一句话")] == [
        Action.ACCEPT, Action.REFUSE, Action.MASK, Action.HOLD, Action.REFUSE,
    ]  # fmt: skip


@pytest.mark.parametrize("content", [None, "", "nonsense", "format = 99", RULES.replace("reject", "shoot"), "\udcff"])
def test_a_rules_file_that_cannot_be_used_names_itself(tmp_path: Path, content: str | None) -> None:
    """A missing or bad file is an error of the settings, with the file's name and the reason."""
    rules = tmp_path / "rules.toml"
    if content is not None:
        rules.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=r"^rules_file .*rules\.toml: ."):
        Screening(tmp_path / "rules", rules, ScreeningConfig())
