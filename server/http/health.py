"""``/healthz`` (the process answers), ``/readyz`` (traffic is welcome), ``/metrics`` (Prometheus)."""

from __future__ import annotations

import ipaddress

import orjson
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.core.address import parse_networks
from server.errors import Refusal
from server.http.requests import address, services

_NO_STORE = {"Cache-Control": "no-store"}


async def healthz(request: Request) -> Response:
    """200 as long as the event loop turns: a supervisor restarts a process that does not answer this."""
    return Response(b'{"status":"ok"}', media_type="application/json", headers=_NO_STORE)


async def readyz(request: Request) -> Response:
    """200 when traffic is welcome, else 503; the body says what is wrong. A balancer asks this."""
    readiness = services(request).readiness()
    body = orjson.dumps({"ready": readiness.ready, "checks": readiness.checks})
    return Response(body, 200 if readiness.ready else 503, media_type="application/json", headers=_NO_STORE)


async def metrics(request: Request) -> Response:
    """The metrics, for addresses of ``metrics_networks``; others are told that there is nothing."""
    found = services(request)
    if not _may_scrape(address(request), found.settings.metrics_networks):
        raise Refusal("not_found")
    return Response(found.metrics(), media_type=CONTENT_TYPE_LATEST, headers=_NO_STORE)


def _may_scrape(source: str, networks: tuple[str, ...]) -> bool:
    try:
        parsed = ipaddress.ip_address(source)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in parse_networks(networks))


routes = [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]
