"""Sending codes to phones: an HTTP gateway, or the terminal where a demo has none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import httpx
import msgspec

from server.accounts.verify.client import Client
from server.accounts.verify.config import SmsConfig
from server.accounts.verify.numbers import HOME, hint


class Sender(Protocol):
    """Brings a code to a phone."""

    async def send(self, phone: str, code: str, minutes: int) -> None:
        """Send ``code``, good for ``minutes``, to a number in E.164; once, without a second attempt. Raises Refusal
        ``verification_unavailable``."""
        ...

    async def aclose(self) -> None:
        """Release connections."""
        ...


class HttpGateway:
    """A gateway that takes JSON by POST. What it was told and what it says is in no log."""

    def __init__(self, config: SmsConfig, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._client = Client("sms", config.url, config.timeout_s, config.concurrency, transport)
        self._config = config

    async def send(self, phone: str, code: str, minutes: int) -> None:
        """See :class:`Sender`."""
        values = {"{phone}": phone, "{number}": phone.removeprefix(HOME), "{code}": code, "{minutes}": str(minutes)}
        content = msgspec.json.encode(_filled(self._config.body, values))
        _, answer = await self._client.post(self._config.headers, content)
        if self._config.expect:
            try:
                found = msgspec.json.decode(answer, type=dict[str, Any])
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                found = {}
            if any(str(found.get(name)) != value for name, value in self._config.expect.items()):
                raise self._client.unavailable("the gateway did not take the message")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class Terminal:
    """Shows codes to whoever runs the demo. Of the number it shows two digits, since terminals are kept and copied."""

    def __init__(self, write: Callable[[str], object] | None = None) -> None:
        """``write`` None: standard error."""
        self._write = write or (lambda text: sys.stderr.write(text))

    async def send(self, phone: str, code: str, minutes: int) -> None:
        """See :class:`Sender`."""
        self._write(f"\n  Phone code for {hint(phone)}: {code}  (good for {minutes} minutes)\n\n")

    async def aclose(self) -> None:
        """Nothing is held."""


def _filled(template: Any, values: Mapping[str, str]) -> Any:
    """The template with the placeholders of its texts filled in."""
    match template:
        case str():
            for name, value in values.items():
                template = template.replace(name, value)
            return template
        case dict():
            return {key: _filled(value, values) for key, value in template.items()}
        case list():
            return [_filled(value, values) for value in template]
        case _:
            return template
