"""``/healthz`` (the process answers), ``/readyz`` (traffic is welcome), ``/metrics`` (Prometheus)."""

from __future__ import annotations

import ipaddress

import orjson
import structlog
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.core.address import parse_networks
from server.errors import Refusal
from server.http.requests import address, services
from server.http.services import Readiness

log = structlog.get_logger("health")

_NO_STORE = {"Cache-Control": "no-store"}


async def healthz(request: Request) -> Response:
    """200 as long as the event loop turns: a supervisor restarts a process that does not answer this."""
    return Response(b'{"status":"ok"}', media_type="application/json", headers=_NO_STORE)


async def readyz(request: Request) -> Response:
    """200 when traffic is welcome, else 503, and each check by name. A balancer asks this.

    What is wrong may name files of ours: addresses of ``metrics_networks`` and the log get the sentence, others ``unavailable``.
    """
    found = services(request)
    readiness = found.readiness()
    _note(request.app, readiness)
    checks = readiness.checks
    if not _is_inside(address(request), found.settings.metrics_networks):
        checks = {name: text if text == "ok" else "unavailable" for name, text in checks.items()}
    body = orjson.dumps({"ready": readiness.ready, "checks": checks})
    return Response(body, 200 if readiness.ready else 503, media_type="application/json", headers=_NO_STORE)


def _note(app: Starlette, readiness: Readiness) -> None:
    """One line in the log when the set of failing checks changes: neither each request nor each wording makes one."""
    failing = {name: text for name, text in readiness.checks.items() if text != "ok"}
    if failing.keys() == getattr(app.state, "failing", frozenset()):
        return
    app.state.failing = frozenset(failing)
    if failing:
        log.warning("not ready", **failing)
    else:
        log.info("ready again")


async def metrics(request: Request) -> Response:
    """The metrics, for addresses of ``metrics_networks``; others are told that there is nothing."""
    found = services(request)
    if not _is_inside(address(request), found.settings.metrics_networks):
        raise Refusal("not_found")
    return Response(found.metrics(), media_type=CONTENT_TYPE_LATEST, headers=_NO_STORE)


def _is_inside(source: str, networks: tuple[str, ...]) -> bool:
    """Whether a source address lies in one of the networks."""
    try:
        parsed = ipaddress.ip_address(source)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in parse_networks(networks))


routes = [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]
