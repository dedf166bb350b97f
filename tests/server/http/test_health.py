"""server/http/health.py"""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog.testing
from starlette.applications import Starlette

from server.http import health
from server.settings import Settings
from tests.support.services import FakeServices
from tests.support.web import application, browsing


@pytest.fixture
def services(tmp_path: Path) -> FakeServices:
    return FakeServices(tmp_path)


@pytest.fixture
def app(services: FakeServices) -> Starlette:
    return application(services, health.routes)


async def test_a_living_process_says_so(app: Starlette, services: FakeServices) -> None:
    """``/healthz`` is good as long as the process answers, also when it is not ready."""
    services.checks["store"] = "the disk is full"
    async with browsing(app) as client:
        answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_readiness_tells_what_is_wrong(app: Starlette, services: FakeServices) -> None:
    """``/readyz`` turns to 503 with the sentence of the check that fails, and at drain."""
    async with browsing(app) as client:
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()) == (200, {"ready": True, "checks": {"store": "ok"}})
        services.checks["store"] = "the disk is full"
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()) == (503, {"ready": False, "checks": {"store": "the disk is full"}})
        services.checks["store"] = "ok"
        services.drain()
        assert (await client.get("/readyz")).status_code == 503


async def test_strangers_are_not_told_what_is_wrong(app: Starlette, services: FakeServices) -> None:
    """Outside ``metrics_networks`` a check is ``ok`` or ``unavailable``; the sentence goes to the inside and to the log, once."""
    sentence = "/var/lib/barrage/log.db: disk I/O error"
    services.checks.update(store=sentence, pages="ok")
    with structlog.testing.capture_logs() as logs:
        async with browsing(app, "203.0.113.7") as client:
            answers = [await client.get("/readyz") for _ in range(2)]
            services.checks["store"] = "ok"
            await client.get("/readyz")
    assert answers[0].status_code == answers[1].status_code == 503
    assert answers[0].json() == {"ready": False, "checks": {"store": "unavailable", "pages": "ok"}}
    assert [(line["log_level"], line["event"], line.get("store")) for line in logs] == [
        ("warning", "not ready", sentence),
        ("info", "ready again", None),
    ]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_health_is_never_stored(app: Starlette, path: str) -> None:
    """No cache keeps an old state."""
    async with browsing(app) as client:
        assert (await client.get(path)).headers["cache-control"] == "no-store"


async def test_metrics_are_in_the_text_format(app: Starlette) -> None:
    """``/metrics`` has the type that Prometheus asks for."""
    async with browsing(app) as client:
        answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert b"# TYPE barrage_rooms gauge" in answer.content


@pytest.mark.parametrize("source", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
async def test_metrics_are_for_the_inside(app: Starlette, source: str) -> None:
    """By default this machine alone may read the metrics, also by mapped addresses."""
    async with browsing(app, source) as client:
        assert (await client.get("/metrics")).status_code == 200


@pytest.mark.parametrize("source", ["203.0.113.7", "10.9.9.9", "fd00::7", "2001:db8::1", "::ffff:192.168.1.1", "", "unix"])
async def test_metrics_are_not_for_the_public(app: Starlette, source: str) -> None:
    """Others are told that there is nothing."""
    async with browsing(app, source) as client:
        answer = await client.get("/metrics")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_the_networks_are_a_setting(tmp_path: Path) -> None:
    """With another list this machine is outside too."""
    app = application(FakeServices(tmp_path, Settings(metrics_networks=("203.0.113.0/24",))), health.routes)
    async with browsing(app, "203.0.113.7") as client:
        assert (await client.get("/metrics")).status_code == 200
    async with browsing(app) as client:
        assert (await client.get("/metrics")).status_code == 404
