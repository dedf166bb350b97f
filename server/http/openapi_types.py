"""The rows that the description of the HTTP interface is made of."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from server.http.requests import SEQ_MAX
from server.wire import ROOM_PATTERN


class Problem(msgspec.Struct, frozen=True):
    """A refusal: a code of the table in docs/protocol.md, with its sentence in English and in Chinese. ``temporary``: the same
    request may succeed later, not before ``Retry-After``."""

    code: str
    message: str
    message_zh: str
    temporary: bool
    detail: str


class Parameter(msgspec.Struct, frozen=True):
    """A parameter of the path or the query, with its JSON schema."""

    name: str
    place: str
    schema: dict[str, Any]
    text: str = ""

    def describe(self) -> dict[str, Any]:
        """As OpenAPI writes it."""
        found: dict[str, Any] = {"name": self.name, "in": self.place, "required": self.place == "path", "schema": self.schema}
        return {**found, "description": self.text} if self.text else found


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path. ``answer`` is the type of the 200 (None: no JSON), ``media`` its content type, or several;
    ``security`` lists alternatives, ``a+b`` being both; ``pages``: refusals are pages for people."""

    method: str
    path: str
    tag: str
    summary: str
    answer: Any = None
    media: str | tuple[str, ...] = "application/json"
    successes: dict[int, str] = msgspec.field(default_factory=lambda: {200: "Done."})
    body: Any = None
    form: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    refusals: tuple[str, ...] = ()
    security: tuple[str, ...] = ()
    pages: bool = False

    @property
    def id(self) -> str:
        """A name for the operation that generated clients can use."""
        words = re.sub(r"[^a-z0-9]+", "_", self.path.lower()).strip("_") or "index"
        return f"{self.method.lower()}_{words}"


def query_number(name: str, low: int, high: int, text: str = "") -> Parameter:
    """A whole number of the query."""
    return Parameter(name, "query", {"type": "integer", "minimum": low, "maximum": high}, text)


def query_text(name: str, text: str = "", **schema: Any) -> Parameter:
    """A text of the query."""
    return Parameter(name, "query", {"type": "string", **schema}, text)


def in_path(name: str, **schema: Any) -> Parameter:
    """A part of the path."""
    return Parameter(name, "path", {"type": "string", "minLength": 1, **schema})


ROOM: Final = in_path("room", pattern=ROOM_PATTERN)
AFTER: Final = query_number("after", 0, SEQ_MAX, "Go on after this number.")
CONDITIONAL: Final = {200: "The data.", 304: "The reader has these very bytes."}
