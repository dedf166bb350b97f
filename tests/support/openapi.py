"""Whether an answer is one that the OpenAPI description has."""

from __future__ import annotations

import functools
import re
from typing import Any

import httpx
import jsonschema_rs

from server.http.openapi import describe


@functools.cache
def _description() -> dict[str, Any]:
    return describe("test")


def conforms(method: str, path: str, answer: httpx.Response) -> None:
    """Assert that the description names the answer's status and media type, and that its body fits the schema."""
    description = _description()
    path = path.partition("?")[0]
    patterns = {each: re.sub(r"\{\w+\}", "[^/]+", each) for each in description["paths"]}
    found = [each for each, pattern in patterns.items() if each == path] or [
        each for each, pattern in patterns.items() if re.fullmatch(pattern, path)
    ]
    assert found, f"{path} is not described"
    answers = description["paths"][found[0]][method.lower()]["responses"]
    described = answers.get(str(answer.status_code)) or answers.get("default")
    assert described is not None, f"{method} {path}: {answer.status_code} is not described: {answer.text[:200]}"
    media = answer.headers["content-type"].partition(";")[0]
    assert media in described["content"], f"{method} {path}: {media}"
    schema = described["content"][media].get("schema")
    if schema is not None:
        jsonschema_rs.validate({**schema, "components": description["components"]}, answer.json())
