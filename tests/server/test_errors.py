"""server/errors.py"""

from __future__ import annotations

import re

import pytest

from server.errors import (
    CLOSES,
    CODES,
    BarrageError,
    Close,
    Code,
    ConfigError,
    Refusal,
    StoreError,
    StoreUnavailable,
    StoreUnknown,
)


@pytest.mark.parametrize("code", CODES.values(), ids=lambda code: code.name)
def test_every_refusal_speaks_both_languages(code: Code) -> None:
    """Names are in snake case; people read one or two sentences in English and in Chinese."""
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", code.name)
    assert CODES[code.name] is code
    assert code.en[0].isupper()
    assert code.en.endswith(".")
    assert code.zh.endswith("。")
    assert not re.search(r"[\u4e00-\u9fff]", code.en)
    assert re.search(r"[\u4e00-\u9fff]", code.zh)


@pytest.mark.parametrize("code", CODES.values(), ids=lambda code: code.name)
def test_what_may_be_sent_again_has_a_status_that_says_so(code: Code) -> None:
    """HTTP clients that know the status alone come to the same decision: 408, 429, 500 and 503 are exactly the temporary ones."""
    assert 200 <= code.http < 600
    assert code.temporary == (code.http in (408, 429, 500, 503))


def test_names_are_unique() -> None:
    """No entry hides another."""
    assert len(CODES) == len({(code.en, code.http) for code in CODES.values()})
    assert len({close.code for close in CLOSES.values()}) == len(CLOSES)


@pytest.mark.parametrize("close", CLOSES.values(), ids=lambda close: close.name)
def test_close_codes_are_those_a_server_may_send(close: Close) -> None:
    """Codes of RFC 6455 that may stand in a frame, and private ones from 4000 on; each says what happened."""
    assert close.code in {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013} or 4000 <= close.code <= 4999
    assert CLOSES[close.name] is close
    assert close.meaning
    assert len(close.name.encode()) <= 123, "it is sent as the reason"


def test_only_faults_that_pass_ask_for_another_connection() -> None:
    """A client that broke the protocol is not told to come back; one that met a restart or fell behind is."""
    assert {close.name for close in CLOSES.values() if not close.reconnect} == {
        "normal", "protocol_error", "invalid_utf8", "too_big", "too_many_frames", "no_room",
    }  # fmt: skip


def test_a_refusal_carries_its_code_and_what_the_developer_needs() -> None:
    """Code by name, detail and waiting time; the text is the name and the detail."""
    refusal = Refusal("too_fast", "one per second", 700)
    assert (refusal.code, refusal.detail, refusal.retry_after_ms) == (CODES["too_fast"], "one per second", 700)
    assert str(refusal) == "too_fast: one per second"
    assert str(Refusal("too_fast")) == "too_fast"


def test_a_code_outside_the_table_cannot_be_raised() -> None:
    """A misspelt code is found where it is raised."""
    with pytest.raises(KeyError):
        Refusal("too_fats")


def test_the_hierarchy_tells_outcomes_apart() -> None:
    """Every error of ours is a BarrageError; nothing written and unknown are different store errors; a refusal is neither."""
    for error in (Refusal, StoreError, ConfigError):
        assert issubclass(error, BarrageError)
    assert issubclass(StoreUnavailable, StoreError)
    assert issubclass(StoreUnknown, StoreError)
    assert not issubclass(StoreUnknown, StoreUnavailable)
    assert not issubclass(Refusal, StoreError)
