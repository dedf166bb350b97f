"""The description of all HTTP routes, OpenAPI 3.1, made from one table (:data:`server.http.operations_table.OPERATIONS`).

``/api/openapi.json`` serves it. Schemas come from the very types that requests are read into and answers are made of, refusals from
the table of codes in :mod:`server.errors`; a test fails when a route of the application is missing, or none stands behind a row.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import server
from server.errors import CODES
from server.http.openapi_types import Operation, Problem
from server.http.operations_table import OPERATIONS, TAGS
from server.http.requests import services
from server.http.sessions import FORM_HEADER, VIEWERS

_HTML: Final = "text/html"
_JSON: Final = "application/json"
_REF: Final = "#/components/schemas/{name}"
_SECURITY: Final = {
    "session": {"type": "apiKey", "in": "cookie", "name": VIEWERS.name, "description": "Set by the pages for signing in."},
    "form": {
        "type": "apiKey", "in": "header", "name": FORM_HEADER,
        "description": "The form token of the page, beside the session's cookie, wherever something changes.",
    },
    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "As connections present it."},
    "operator": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "Signed by `operator.key`."},
}  # fmt: skip


def describe(site_name: str, public_url: str = "") -> dict[str, Any]:
    """The whole description, as JSON data."""
    types = [Problem, *dict.fromkeys(each for row in OPERATIONS for each in (row.body, row.answer) if each is not None)]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    refs = dict(zip(types, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for row in OPERATIONS:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row, refs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{site_name}: HTTP interface",
            "version": server.__version__,
            "summary": "Live comments with a static page for each: rooms, history, accounts, operation.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": public_url or "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _SECURITY},
    }


def _operation(row: Operation, refs: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {"tags": [row.tag], "summary": row.summary, "operationId": row.id, "responses": _answers(row, refs)}
    if row.parameters:
        found["parameters"] = [each.describe() for each in row.parameters]
    if row.body is not None:
        found["requestBody"] = {"required": True, "content": {_JSON: {"schema": refs[row.body]}}}
    elif row.form:
        schema = {"type": "object", "properties": {name: {"type": "string"} for name in row.form}}
        found["requestBody"] = {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": schema}}}
    if row.security:
        found["security"] = [{name: [] for name in each.split("+")} for each in row.security]
    return found


def _answers(row: Operation, refs: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    """What an operation answers: its successes, and its refusals by status."""
    answers: dict[str, Any] = {}
    for status, text in row.successes.items():
        answers[str(status)] = {"description": text}
        if 200 <= status < 300:
            schema = {"schema": refs[row.answer]} if row.answer is not None else {}
            kinds = (row.media,) if isinstance(row.media, str) else row.media
            answers[str(status)]["content"] = dict.fromkeys(kinds, schema)
    by_status: dict[int, list[str]] = {}
    for name in row.refusals:
        by_status.setdefault(CODES[name].http, []).append(name)
    for status, names in sorted(by_status.items()):
        description = "; ".join(f"`{name}`: {CODES[name].en}" for name in names)
        content = {_JSON: {"schema": refs[Problem]}}
        if str(status) in answers:  # a success of the same status: a comment that is held, 202
            answers[str(status)]["description"] += f" {description}"
        else:
            answers[str(status)] = {"description": description, "content": content}
    if row.pages:
        # What a script asks is refused to the script, and by a page where it could not be asked at all.
        content = {_HTML: {}} if row.media == _HTML else {_HTML: {}, _JSON: {}}
        answers["default"] = {"description": "Why not, and what to do.", "content": content}
    return answers


async def document(request: Request) -> Response:
    """``GET /api/openapi.json``."""
    state = request.app.state
    if not hasattr(state, "openapi"):
        settings = services(request).settings
        state.openapi = orjson.dumps(describe(settings.site_name, settings.public_url))
    headers = {"Cache-Control": "no-cache", "Access-Control-Allow-Origin": "*"}
    return Response(state.openapi, media_type=_JSON, headers=headers)


routes = [Route("/api/openapi.json", document)]
