"""server/verification.py (damaged pages on disk are in test_commands.py)"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from server.operations import LocalOperations
from server.store.base import CommentDraft, Draft, NoticeDraft, RemovalDraft, RestorationDraft
from server.store.memory import MemoryStore
from server.verification import CHUNK_EVENTS, Expected, _differences, _expected, check_room, expected_of, served, stored
from server.wire import Event
from static_mirror import Mirror, rebuild
from static_mirror.verify import PageFault, Row
from tests.support.services import FakeServices

EVENTS = CHUNK_EVENTS + 30


def comment(seq: int, text: str = "") -> Event:
    return Event(
        seq=seq, kind="comment", at_ms=1_790_000_000_000 + seq, text=text or f"第{seq}条 <b>&", author_id="p", author_name="明"
    )


@pytest.fixture
def log() -> list[Event]:
    return [comment(seq) for seq in range(1, EVENTS + 1)]


@pytest.fixture
def pages(tmp_path: Path, log: list[Event]) -> Path:
    """Pages of the log as it is at the start of the test."""
    mirror = Mirror(tmp_path, tz="UTC", max_open=4)
    rebuild(mirror, "demo", "演示", len(log), lambda after, limit: log[after : after + limit])
    mirror.close()
    return tmp_path


class Log:
    """Reads a list; ``before_read`` lets a test change it while it is looked at."""

    def __init__(self, events: list[Event]) -> None:
        self.events = events
        self.reads = 0

    async def __call__(self, after: int, limit: int) -> Sequence[Expected]:
        self.reads += 1
        return [_expected(event) for event in self.events[after : after + limit]]


async def test_pages_that_show_the_log_are_good(pages: Path, log: list[Event]) -> None:
    """Every row of several chunks and pages is compared, and fits."""
    check = await check_room(pages, "demo", Log(log))
    assert (check.head, check.rows, check.pages, check.problems) == (EVENTS, EVENTS, 4, [])


@pytest.mark.parametrize("seq", [1, CHUNK_EVENTS, CHUNK_EVENTS + 1, EVENTS])
async def test_another_text_is_found(pages: Path, log: list[Event], seq: int) -> None:
    """A difference in the text of one row is named, wherever it is."""
    log[seq - 1] = comment(seq, "other")
    assert (await check_room(pages, "demo", Log(log))).problems == [f"#{seq} has another text than the log"]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"region": "广东"}, "#5 has another region than the log"),
        ({"region": ""}, "#5 has another region than the log"),
        ({"label": "南方日报"}, "#5 has another label than the log"),
        ({"label": "", "label_kind": ""}, "#5 has another label than the log"),
        ({"label_kind": "media"}, "#5 has another label than the log"),
        ({"label_kind": "news_unit"}, ""),
    ],
)
async def test_another_region_or_label_is_found(tmp_path: Path, log: list[Event], fields: dict[str, str], told: str) -> None:
    """A page must show what the log says of the author, and no more; rows without either are as they always were."""
    log[4] = msgspec.structs.replace(log[4], region="北京", label="日报", label_kind="news_unit")
    mirror = Mirror(tmp_path, tz="UTC", max_open=4)
    rebuild(mirror, "demo", "演示", len(log), lambda after, limit: log[after : after + limit])
    mirror.close()
    log[4] = msgspec.structs.replace(log[4], **fields)
    assert (await check_room(tmp_path, "demo", Log(log))).problems == ([told] if told else [])


def test_a_category_of_a_later_version_is_that_of_some_public_account() -> None:
    """Pages show it under the general word, and are right to."""
    event = msgspec.structs.replace(comment(1), label="x", label_kind="guild")
    assert _expected(event).label == expected_of(
        {"seq": 1, "kind": "comment", "text": "x", "label": {"kind": "guild", "text": "x"}}
    ).label == ("other", "x")  # fmt: skip


async def test_a_comment_that_should_be_gone_is_found(pages: Path, log: list[Event]) -> None:
    """A comment that the log shows as removed and the page as standing is a difference."""
    log[6] = msgspec.structs.replace(log[6], text="", removed_by=9)
    assert (await check_room(pages, "demo", Log(log))).problems == ["#7 is not the comment that the log has"]


async def test_missing_rows_are_found(pages: Path, log: list[Event]) -> None:
    """Events that the log has and the pages have not are a difference; rows that came after the log was read are none."""
    assert (await check_room(pages, "demo", Log([*log, comment(EVENTS + 1)]))).problems == [
        f"#{EVENTS + 1} and what follows is missing on the pages"
    ]
    assert (await check_room(pages, "demo", Log(log[:-1]))).problems == []


async def test_many_differences_are_told_in_part(pages: Path, log: list[Event]) -> None:
    """The list of problems is bounded."""
    assert len((await check_room(pages, "demo", Log([comment(e.seq, "x") for e in log]))).problems) == 20


async def test_what_settles_is_no_difference(pages: Path, log: list[Event], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a running server a difference counts only when it is still there on looking again."""
    monkeypatch.setattr("server.verification._RETRY_GAP_S", 0)

    class Settling(Log):
        async def __call__(self, after: int, limit: int) -> Sequence[Expected]:
            rows = list(await super().__call__(after, limit))
            return [rows[0]._replace(text="not yet"), *rows[1:]] if self.reads == 1 else rows

    log_once = Settling(log)
    assert (await check_room(pages, "demo", log_once)).problems != []
    log_again = Settling(log)
    assert (await check_room(pages, "demo", log_again, tries=3)).problems == []


def test_a_page_that_breaks_while_it_is_read_is_a_difference() -> None:
    """What the reader of the pages complains of between two looks is told in its words."""

    def broken() -> Iterator[Row]:
        yield Row(1, "comment", "one", False, 0)
        raise PageFault("0.html cannot be read")

    expected = [Expected(1, "comment", "one", False), Expected(2, "comment", "two", False)]
    assert _differences(broken(), expected) == ["0.html cannot be read"]


async def test_a_room_without_pages_is_found(tmp_path: Path) -> None:
    """A folder that is not there is a problem, not a crash."""
    assert "no pages" in (await check_room(tmp_path, "demo", Log([]))).problems[0]


async def test_both_sources_of_the_log_say_the_same(tmp_path: Path) -> None:
    """A store and a server with the same events give the same rows to expect, of every kind of event."""
    services = FakeServices(tmp_path)
    services.add_room("demo")
    store = MemoryStore()
    store.create_room("demo", "d", "live", 1)
    drafts: list[Draft] = [
        *(
            CommentDraft(
                room="demo", author="u", key=f"c{n}", at_ms=1, pos_ms=0, text=f"t{n}", mode="scroll", color="#ffffff", size=25,
                author_id="p", author_name="n", region="日本", label="日报", label_kind="media",
            )
            for n in range(3)
        ),
        NoticeDraft(room="demo", author="o", key="n1", at_ms=1, notice="announcement", text="hello"),
        NoticeDraft(room="demo", author="o", key="n2", at_ms=1, notice="mode", room_mode="closed"),
        RemovalDraft(room="demo", author="o", key="r1", at_ms=1, target=1, code="L5", basis="b", role="operator"),
        RemovalDraft(room="demo", author="o", key="r2", at_ms=1, target=2, code="L5", basis="b", role="operator"),
        RestorationDraft(room="demo", author="o", key="r3", at_ms=1, target=2, code="R1", basis="b", role="operator"),
    ]  # fmt: skip
    store.append(drafts)
    for draft in drafts:
        services.append(draft)
    from_store = list(await stored(store, "demo")(0, 100))
    from_server = list(await served(LocalOperations(services, "alice"), "demo")(0, 100))
    assert from_store == from_server
    assert [row.region for row in from_store] == ["", "日本", "日本", "", "", "", "", ""]
    assert [row.label[0] for row in from_store] == ["", "media", "media", "", "", "", "", ""]
    assert [(row.kind, row.text, row.removed) for row in from_store] == [
        ("comment", "", True), ("comment", "t1", False), ("comment", "t2", False), ("notice", "hello", False),
        ("notice", "", False), ("removal", "", False), ("removal", "", False), ("restoration", "", False),
    ]  # fmt: skip
    assert expected_of({"seq": 4, "kind": "comment", "removed": {"by": 9}}) == Expected(4, "comment", "", True)
