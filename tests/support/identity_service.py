"""A reference service for verifications and SMS, over real HTTP on this machine: it checks what it is asked with, and can fail."""

from __future__ import annotations

import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from server.accounts.verify.config import ServiceConfig

SECRET: Final = "a secret that both sides share, 32 bytes or more"
LATEST_S: Final = 300


class IdentityService:
    """Knows ``people`` (number to name) and ``tokens`` (token to the answer's fields); ``yes`` is how it says that they match;
    ``messages`` are the SMS that it was given.

    ``fault``: ``status``, ``unsigned``, ``replayed``, ``list``, ``text``, ``large``, ``slow`` or ``refuse`` (of SMS).
    """

    def __init__(self, port: int, clock_ms: int) -> None:
        self.url: Final = f"http://127.0.0.1:{port}"
        self.people: dict[str, str] = {}
        self.tokens: dict[str, dict[str, Any]] = {}
        self.yes: Any = True
        self.messages: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.asked = 0
        self.most_at_once = 0
        self.fault = ""
        self.nonces: set[str] = set()
        self.clock_ms = clock_ms
        self.lock = threading.Lock()
        self.at_once = 0

    def config(self, path: str, **fields: Any) -> ServiceConfig:
        """The configuration of a client of this service."""
        return ServiceConfig(url=self.url + path, secret=SECRET, **fields)

    def answer(self, path: str, question: dict[str, Any]) -> Any:
        """What the service says."""
        if path == "/match":
            name = self.people.get(question["number"])
            match = self.yes if name is not None and name == question["name"] else False
            return {"match": match, "reference": "ref-1"}
        return self.tokens.get(question["token"], {"valid": False})


class _Handler(BaseHTTPRequestHandler):
    service: IdentityService

    def do_POST(self) -> None:
        service = self.service
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with service.lock:
            service.asked += 1
            service.at_once += 1
            service.most_at_once = max(service.most_at_once, service.at_once)
        if service.fault == "slow":
            time.sleep(0.3)
        with service.lock:  # before the answer: with it the client may already ask the next question
            service.at_once -= 1
        if service.fault == "status":
            self._send(503, b"{}", "")
        elif self.path == "/sms":
            self._sms(body)
        else:
            self._signed(body)

    def _sms(self, body: bytes) -> None:
        self.service.messages.append(json.loads(body))
        self.service.headers.append(dict(self.headers))
        answers = {"refuse": b'{"Code": "LIMIT"}', "text": b"OK"}
        self._send(200, answers.get(self.service.fault, b'{"Code": "OK"}'), "")

    def _signed(self, body: bytes) -> None:
        service = self.service
        nonce, seconds = self.headers["Barrage-Nonce"], self.headers["Barrage-Time"]
        expected = _sign(f"{seconds}\n{nonce}\n".encode() + body)
        fresh = abs(int(seconds) - service.clock_ms // 1000) <= LATEST_S and nonce not in service.nonces
        if not hmac.compare_digest(expected, self.headers["Barrage-Signature"]) or not fresh:
            self._send(403, b"{}", "")
            return
        service.nonces.add(nonce)
        content = json.dumps(service.answer(self.path, json.loads(body))).encode()
        content = {"list": b"[]", "text": b"yes", "large": b" " * 100_000 + content}.get(service.fault, content)
        signed_for = "0" * 32 if service.fault == "replayed" else nonce
        self._send(200, content, "" if service.fault == "unsigned" else _sign(f"{signed_for}\n".encode() + content))

    def _send(self, status: int, content: bytes, signature: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        if signature:
            self.send_header("Barrage-Signature", signature)
        self.end_headers()
        try:
            self.wfile.write(content)
        except OSError:  # the client has given up
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        """Nothing."""


def _sign(message: bytes) -> str:
    return hmac.digest(SECRET.encode(), message, "sha256").hex()


@contextmanager
def identity_service(clock_ms: int) -> Iterator[IdentityService]:
    """The service, running; ``clock_ms`` is the time by which it judges signatures."""

    class Handler(_Handler):
        pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Handler.service = IdentityService(server.server_address[1], clock_ms)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield Handler.service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
