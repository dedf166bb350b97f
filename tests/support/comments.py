"""What tests say to a server, and how they read what it thinks of it."""

from __future__ import annotations

from typing import Any, Final

from server.errors import CODES

UNBOUNDED: Final[dict[str, Any]] = {
    "joins_per_s": 10_000, "joins_burst": 10_000, "frames_burst": 10_000, "rate_account_burst": 10_000, "rate_room_burst": 10_000,
    "rate_address_burst": 10_000, "connections_per_account": 10_000,
}  # fmt: skip
"""Settings under which no rate stands in a test's way."""


def say(words: str = "弹幕", key: str = "k", room: str = "demo", **fields: Any) -> dict[str, Any]:
    """The message that posts a comment."""
    return {"op": "say", "room": room, "key": key, "text": words, **fields}


def refusal(answer: dict[str, Any]) -> tuple[str, str, str]:
    """Kind, key and code of an answer to a comment, whose sentences must be those of the table."""
    code = CODES[answer["code"]]
    assert (answer["message"], answer["message_zh"]) == (code.en, code.zh)
    if answer["op"] == "refused":
        assert answer["temporary"] is code.temporary
    return answer["op"], answer["key"], answer["code"]
