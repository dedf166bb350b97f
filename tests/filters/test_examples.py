"""The example verdicts of docs/screening.md are what the tool says: ``python -m tests.filters.test_examples`` writes them anew."""

from __future__ import annotations

from pathlib import Path

from filters import STARTER_PACK
from filters.config import ScreeningConfig
from filters.explain import explain
from filters.pipeline import Pipeline
from filters.rules import load

DOCUMENT = Path(__file__).parents[2] / "docs" / "screening.md"
BEGIN, END = "<!-- examples: begin -->", "<!-- examples: end -->"
NOON_MS = 1_790_000_000_000
EXAMPLES = (
    "茜特菈莉不歪，玩到关服！",
    "第12集 3:21 泪目，比分108:102",
    "只要998元吗？6666666",
    "赌神来了，反诈宣传片",
    "加V：abc12345",
    "扣群 123456789",
    "QQ群：七八九六五四三二一",
    "威❤同号 138 1234 5678",
    "兼职日结三百加我",
    "www.abc-win.com 免费领取",
    "澳门赌场上线了",
    "澳門賭場上線了",
    "网 上 赌 场",
    "往上堵常注册",
    "线上赌场不要去，打击网络博彩",
    "百家乐平台送彩金",
    "同城约炮加我",
    "铜城约炮",
    "刷单返现，日入过千",
    "shua dan fan xian",
    "无抵押贷款，秒批贷款",
    "拒绝校园贷",
    "校园贷找我",
    "代开发票",
    "操你妈的",
    "操伱媽的",
    "你这个脑残玩意",
    "go kill yourself",
    "我知道你住哪",
    "11010519491231002X",
    "身份证11010519491231002x 卡6222021234567890128",
    "\u202e倒过来",
    " \u200b ",
)


def examples() -> str:
    """The block between the marks."""
    pipeline = Pipeline(load(STARTER_PACK), ScreeningConfig())
    blocks = [explain(text, pipeline.inspect(text, "", NOON_MS)) for text in EXAMPLES]
    return "\n\n```text\n" + "\n\n".join(blocks) + "\n```\n\n"


def test_examples_have_not_drifted() -> None:
    """Every example verdict of the document is what the tool says today."""
    content = DOCUMENT.read_text(encoding="utf-8")
    assert content.split(BEGIN)[1].split(END)[0] == examples()
    assert len(EXAMPLES) >= 30


if __name__ == "__main__":
    before, rest = DOCUMENT.read_text(encoding="utf-8").split(BEGIN)
    DOCUMENT.write_text(before + BEGIN + examples() + END + rest.split(END)[1], encoding="utf-8")
