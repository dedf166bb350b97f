"""server/logs.py"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from server.logs import PERSONAL, SECRET, configure
from server.settings import Settings

CANARY = "canary-7f3a"


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    """Give the process its logging back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_one_json_object_per_line() -> None:
    """An event is one line with level, logger, time and its own keys, whatever stands in the values."""
    out = io.StringIO()
    configure(Settings(log_level="info", log_format="json"), out)
    structlog.get_logger("part").info("room loaded", room="a\nb", count=3, odd=frozenset())
    (line,) = lines(out)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "room loaded", "level": "info", "logger": "part", "room": "a\nb", "count": 3, "odd": "frozenset()"}


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize("level", ["info", "warning", "error"])
def test_personal_data_is_withheld_from_info_up(style: Any, level: str) -> None:
    """No value under a personal or secret key is written at info or above, in either format; the line says what was dropped."""
    out = io.StringIO()
    configure(Settings(log_level="debug", log_format=style), out)
    logger = structlog.get_logger("part")
    for key in PERSONAL | SECRET:
        getattr(logger, level)("careless line", **{key: CANARY})
        getattr(logger, level)("careless line", **{key.upper(): CANARY})
    assert CANARY not in out.getvalue()
    assert out.getvalue().count("withheld") == 2 * len(PERSONAL | SECRET)


def test_bound_and_contextual_keys_are_withheld_too() -> None:
    """Binding a personal key first does not smuggle it past."""
    out = io.StringIO()
    configure(Settings(log_level="info", log_format="json"), out)
    with structlog.contextvars.bound_contextvars(address=CANARY):
        structlog.get_logger("part").bind(nickname=CANARY).info("line")
    assert lines(out)[0]["withheld"] == ["address", "nickname"]
    assert CANARY not in out.getvalue()


def test_debug_shows_personal_keys_but_never_secrets() -> None:
    """At debug level a developer sees texts; tokens stay hidden."""
    out = io.StringIO()
    configure(Settings(log_level="debug", log_format="json"), out)
    structlog.get_logger("part").debug("line", text=CANARY, token="secret-canary")
    assert lines(out)[0]["text"] == CANARY
    assert "secret-canary" not in out.getvalue()


def test_level_is_kept() -> None:
    """Lines below the level are not written."""
    out = io.StringIO()
    configure(Settings(log_level="warning", log_format="json"), out)
    logger = structlog.get_logger("part")
    logger.info("quiet")
    logger.warning("loud")
    assert [line["event"] for line in lines(out)] == ["loud"]


def test_standard_loggers_pass_through_the_same_lines() -> None:
    """uvicorn's records come out as our lines, once each, with arguments filled in."""
    out = io.StringIO()
    logging.getLogger("uvicorn").addHandler(logging.NullHandler())
    configure(Settings(log_level="info", log_format="json"), out)
    logging.getLogger("uvicorn.error").warning("Invalid %s received.", "request")
    (line,) = lines(out)
    assert (line["event"], line["level"], line["logger"]) == ("Invalid request received.", "warning", "uvicorn.error")


def test_chatty_libraries_are_silent_below_warning() -> None:
    """Frames that a library would print at debug level do not reach the log, even at our debug level."""
    out = io.StringIO()
    configure(Settings(log_level="debug", log_format="json"), out)
    logging.getLogger("websockets.server").debug("< TEXT %s", CANARY)
    logging.getLogger("httpx").info("GET %s", CANARY)
    assert out.getvalue() == ""


@pytest.mark.parametrize("style", ["json", "console"])
def test_tracebacks_hold_no_local_values(style: Any) -> None:
    """An exception is written with its traceback, without the values of local variables."""
    out = io.StringIO()
    configure(Settings(log_level="info", log_format=style), out)

    def fail(comment: str) -> None:
        raise ValueError("broken")

    try:
        fail("".join(reversed("a3f7-yranac")))
    except ValueError:
        structlog.get_logger("part").exception("failed")
    assert "ValueError: broken" in out.getvalue()
    assert CANARY not in out.getvalue()


def test_console_lines_are_for_people() -> None:
    """The console format has no colours in a file, and has them on a terminal."""
    plain, terminal = io.StringIO(), Terminal()
    for out in (plain, terminal):
        configure(Settings(log_level="info", log_format="console"), out)
        structlog.get_logger("part").info("room loaded", room="demo")
    assert "room loaded" in plain.getvalue()
    assert "\x1b[" not in plain.getvalue()
    assert "\x1b[" in terminal.getvalue()


def test_standard_error_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    """Logs go to standard error: standard output belongs to commands."""
    configure(Settings())
    structlog.get_logger("part").info("line")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["event"] == "line"
