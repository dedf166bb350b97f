"""Structured logs on standard error: one line per event, without comment text or personal data.

Our own parts log with structlog; the libraries' standard loggers pass through the same processors. What must not be written is
named in :data:`PERSONAL` and :data:`SECRET`: such keys are dropped and the line says that they were (``withheld``), so that a
mistake is found without a leak.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Final, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from server.settings import Settings

PERSONAL: Final = frozenset(
    {"text", "nickname", "address", "addresses", "peer", "port", "subject", "author", "author_name", "actor", "key", "query"}
)
"""Keys that are written at debug level only."""
SECRET: Final = frozenset({"token", "secret", "password", "authorization", "cookie", "claims"})
"""Keys that are never written."""

_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_CHATTY: Final = ("httpx", "httpcore", "websockets", "asyncio", "multipart", "alembic")
"""Libraries whose debug lines hold frames, addresses or tokens: they log warnings only, whatever our level is."""


def withhold(_: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Processor: drop what must not be written at this level."""
    forbidden = SECRET if method == "debug" else SECRET | PERSONAL
    found = sorted(key for key in event if key.lower() in forbidden)
    for key in found:
        del event[key]
    if found:
        event["withheld"] = found
    return event


def _json(event: Any, **_: Any) -> str:
    return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS).decode("utf-8", "backslashreplace")


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Send all logs of the process to ``stream`` (standard error), by ``log_level`` and ``log_format``. May be called again."""
    level = _LEVELS[settings.log_level]
    out = sys.stderr if stream is None else stream
    common: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        withhold,
    ]
    if settings.log_format == "json":
        # Locals stay out of tracebacks: they would hold comments.
        final: list[Processor] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_json)]
    else:
        final = [structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback)]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *common,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=common,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, level))
