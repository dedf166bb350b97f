"""server/moderation/features.py"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from server.errors import ConfigError, Refusal
from server.moderation import features
from server.moderation.book import ReviewBook
from server.moderation.features import FEATURES
from server.settings import Settings
from tests.support import review
from tests.support.accounts import DAY_MS, START_MS, Clock
from tests.support.authority import CARL

PAPER = "b" * 64
FLAGGED = Settings(assessed_features=("embedding", "news_rooms"), allowed_origins=("https://video.example",))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(tmp_path: Path, clock: Clock) -> Iterator[ReviewBook]:
    with review.book(tmp_path, clock) as found:
        yield found


def assess(book: ReviewBook, **changes: Any) -> str:
    given: dict[str, Any] = {
        "feature": "embedding", "assessor": "Institute 3", "result": "passed", "sha256": PAPER, "assessed_ms": START_MS - DAY_MS,
        "until_ms": START_MS + 40 * DAY_MS, **CARL, **changes,
    }  # fmt: skip
    return book.write_now(lambda tx: features.record(tx, **given))


def refusal(work: Callable[[], Any]) -> str:
    with pytest.raises(Refusal) as caught:
        work()
    return caught.value.code.name


def start(book: ReviewBook, clock: Clock, settings: Settings = FLAGGED) -> list[str]:
    return [found.feature.name for found in book.read_now(lambda c: features.check_settings(c, settings, clock.now_ms))]


def test_duty_p4_a_flagged_feature_does_not_switch_on_without_an_assessment(book: ReviewBook, clock: Clock) -> None:
    """By settings: the server does not start, and says which setting and what to do. By staff: refused. A failed assessment is none,
    nor is one that is over or was revoked."""
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"allowed_origins: .* barrage feature assess embedding"):
            start(book, clock)
        assess(book, result="failed")
    name = assess(book)
    assert start(book, clock) == []
    clock.forward(days=11)
    assert start(book, clock) == ["embedding"], "it ends within a month"
    clock.forward(days=29)
    with pytest.raises(ConfigError, match="none is in force"):
        start(book, clock)
    again = assess(book, assessed_ms=clock.now_ms, until_ms=clock.now_ms + 400 * DAY_MS)
    assert start(book, clock) == []
    book.write_now(lambda tx: features.revoke(tx, again, "the report was wrong", **CARL))
    with pytest.raises(ConfigError):
        start(book, clock)
    assert refusal(lambda: book.write_now(lambda tx: features.revoke(tx, again, "twice", **CARL))) == "bad_step"
    assert {found.id for found in book.read_now(features.listed)} >= {name, again}

    def require() -> None:
        book.read_now(lambda c: features.require(c, FLAGGED, "news_rooms", clock.now_ms))

    assert refusal(require) == "assessment_required"
    assess(book, feature="news_rooms", assessed_ms=clock.now_ms, until_ms=clock.now_ms + DAY_MS)
    require()


def test_what_is_not_flagged_or_not_switched_on_needs_nothing(book: ReviewBook, clock: Clock) -> None:
    """The setting says which features do; a name that is none of the table is said."""
    assert start(book, clock, Settings()) == []
    assert start(book, clock, Settings(assessed_features=(), oidc_file=Path("x"))) == []
    book.read_now(lambda c: features.require(c, Settings(), "news_rooms", clock.now_ms))
    with pytest.raises(ConfigError, match=r"assessed_features: teleport is not accepted\. Accepted: embedding"):
        start(book, clock, Settings(assessed_features=("teleport",)))


def test_each_feature_of_the_table_knows_its_switch() -> None:
    """Off with the settings as they come, but for what staff switch."""
    for feature in FEATURES.values():
        assert feature.switched_on is None or not feature.switched_on(Settings())
    on = Settings(allowed_origins=("*",), oidc_file=Path("x"), token_jwks_url="https://x", region_file=Path("y"))
    assert [f.name for f in FEATURES.values() if f.switched_on and f.switched_on(on)] == [
        "embedding", "sign_in_providers", "host_accounts", "regions",
    ]  # fmt: skip


def test_the_registry_shows_how_each_feature_stands(book: ReviewBook, clock: Clock) -> None:
    """Of several assessments the one that ends last."""
    assess(book)
    assess(book, until_ms=START_MS + 80 * DAY_MS, reference="备案 8 号")
    found = {each.feature.name: each for each in book.read_now(lambda c: features.standings(c, FLAGGED, clock.now_ms))}
    assert (found["embedding"].needed, found["embedding"].on) == (True, True)
    assert found["embedding"].assessment is not None
    assert found["embedding"].assessment.reference == "备案 8 号"
    assert (found["regions"].needed, found["regions"].on, found["regions"].assessment) == (False, False, None)
    assert found["news_rooms"].on is None


def test_what_is_entered_is_checked(book: ReviewBook) -> None:
    """Feature, who, result, the digest of the report, and when."""
    for changes in (
        {"feature": "x"}, {"assessor": ""}, {"assessor": "x" * 121}, {"result": "maybe"}, {"sha256": "x"}, {"reference": "x" * 121},
        {"assessed_ms": START_MS + 1}, {"until_ms": START_MS - DAY_MS}, {"until_ms": START_MS + features.LONGEST_MS + 1},
    ):  # fmt: skip
        assert refusal(lambda: assess(book, **changes)) == "bad_message", changes  # noqa: B023
    assert refusal(lambda: book.write_now(lambda tx: features.revoke(tx, "s-none", "x", **CARL))) == "not_found"
