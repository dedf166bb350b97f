"""server/parts.py"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from server.control import DataFolderBusy, DataLock
from server.errors import ConfigError, StoreError
from server.parts import Parts, build, build_offline, screening_config
from server.settings import Settings
from tests.support.running import settings_for


async def test_what_is_built_holds_the_rooms_and_their_pages(tmp_path: Path) -> None:
    """All rooms are in memory with their heads and modes, and what is missing on disk is made again before anybody is served."""
    settings = settings_for(tmp_path, demo=True)
    async with build(settings) as parts:
        await parts.ensure_demo_room()
        await parts.ensure_demo_room()
        assert [room.kind for room in parts.site.rooms()] == ["live"]
        page = tmp_path / "pages" / "rooms" / "demo" / "comments" / "0.html"
        assert page.exists()
    page.unlink()
    async with build(settings) as parts:
        assert list(parts.infos) == ["demo"]
        assert page.exists()


async def test_the_demo_room_may_have_a_video(tmp_path: Path) -> None:
    """With a video's address the demo room is one for a video."""
    async with build(settings_for(tmp_path, demo_video_url="https://video.example/v.mp4")) as parts:
        await parts.ensure_demo_room()
        info = parts.infos["demo"]
        assert (info.kind, info.video_url) == ("vod", "https://video.example/v.mp4")


@pytest.mark.parametrize("content", [None, "no toml", 'format = 1\nname = "x"\nversion = "1"\n[[rule]]\n'])
async def test_bad_rules_are_an_error_of_the_settings(tmp_path: Path, content: str | None) -> None:
    """A server does not start with rules that cannot be read; the error names the file."""
    settings = settings_for(tmp_path)
    assert settings.rules_file is not None
    if content is None:
        settings.rules_file.unlink()
    else:
        settings.rules_file.write_text(content)
    with pytest.raises(ConfigError, match=r"rules_file .*rules\.toml"):
        async with build(settings):
            pass


async def test_without_a_server_the_services_work_on_the_folder(tmp_path: Path) -> None:
    """Commands get the same services over the data folder, which nobody else may hold meanwhile; what they did is whole."""
    settings = settings_for(tmp_path)
    async with build_offline(settings) as site:
        await site.create_room("demo", "Demo", "live")
        with pytest.raises(DataFolderBusy):
            DataLock(tmp_path, wait_s=0)
    with DataLock(tmp_path, wait_s=0):
        assert (tmp_path / "pages" / "rooms" / "demo" / "comments" / "0.html").exists()


async def test_metrics_say_whether_traffic_is_welcome_and_the_desk_can_work(tmp_path: Path) -> None:
    """A desk without its book is seen although comments go on; a drain is seen, too."""

    def shown(parts: Parts) -> list[bytes]:
        return re.findall(rb"^barrage_(?:ready|desk_ready) ([01])\.0$", parts.site.metrics(), re.MULTILINE)

    async with build(settings_for(tmp_path)) as parts:
        assert shown(parts) == [b"1", b"1"]
        (tmp_path / "review.db").rename(tmp_path / "elsewhere")
        (tmp_path / "review.db").touch()
        with pytest.raises(StoreError):
            await parts.moderation.book.write(lambda tx: None)
        assert shown(parts) == [b"1", b"0"]
        parts.site.drain()
        assert shown(parts) == [b"0", b"0"]


def test_the_screening_goes_by_the_settings() -> None:
    """Rates per second become intervals, and each bound finds its place."""
    config = screening_config(
        Settings(
            comment_max_chars=50, rate_account_per_s=2, rate_account_burst=3, rate_room_per_s=0.5, rate_room_burst=4,
            rate_address_per_s=100, rate_address_burst=5,
        )
    )  # fmt: skip
    assert (config.max_chars, config.account_interval_ms, config.account_burst) == (50, 500, 3)
    assert (config.room_interval_ms, config.room_burst) == (2000, 4)
    assert (config.address_interval_ms, config.address_burst) == (10, 5)
