"""What the API server passes through: HTTP to a Service's endpoint.

Bytes are streamed as they come, both ways. A client's Kubernetes token is never passed on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web
from yarl import URL

from llmkube.local.apiserver import errors
from llmkube.local.apiserver.errors import StatusError
from llmkube.local.objects import bad_request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmkube.local.apiserver.registry import Registry
    from llmkube.local.apiserver.requests import Target
    from llmkube.local.objects import Object

SLICES = "endpointslices.discovery.k8s.io"
SERVICE_LABEL = "kubernetes.io/service-name"
UNVERIFIED = False
"""aiohttp's word for a certificate that nobody verifies: kube-apiserver does not verify that of a pod either."""
CONNECT_SECONDS = 10.0
IDLE_SECONDS = 600.0
HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailers", "transfer-encoding"}
    | {"upgrade", "host", "authorization", "content-length", "accept-encoding"}
)


@dataclass(frozen=True)
class Destination:
    """scheme, name and port of a Service as a proxy path names them: [SCHEME:]NAME[:PORT]."""

    scheme: str
    name: str
    port: str

    @staticmethod
    def parse(text: str) -> Destination:
        parts = text.split(":")
        if len(parts) == 3:
            return Destination(parts[0] or "http", parts[1], parts[2])
        if len(parts) <= 2:
            return Destination("http", parts[0], "".join(parts[1:]))
        raise bad_request(f"invalid service request {text!r}: expected [SCHEME:]NAME[:PORT]")


async def proxy(
    registry: Registry, session: aiohttp.ClientSession, request: web.Request, target: Target, rest: str
) -> web.StreamResponse:
    """The answer of one ready endpoint of a Service; 503 when it has none."""
    destination = Destination.parse(target.name)
    address, port = endpoint(registry, target.namespace or "", destination)
    if destination.scheme not in {"http", "https"}:
        raise bad_request(f"invalid scheme {destination.scheme!r}: expected http or https")
    url = URL.build(scheme=destination.scheme, host=address, port=port, path=f"/{rest}", query=request.query)
    try:
        return await _passed(session, request, url)
    except (aiohttp.ClientError, TimeoutError) as error:
        why = f"error trying to reach service: {type(error).__name__}: {error}"
        raise StatusError(503, "ServiceUnavailable", why) from None


async def _passed(session: aiohttp.ClientSession, request: web.Request, url: URL) -> web.StreamResponse:
    body = await request.read() if request.body_exists else None
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=IDLE_SECONDS)
    headers = _passed_headers(request.headers)
    async with session.request(
        request.method, url, data=body, headers=headers, timeout=timeout, allow_redirects=False, ssl=UNVERIFIED
    ) as found:
        response = web.StreamResponse(status=found.status, headers=_passed_headers(found.headers))
        await response.prepare(request)
        async for chunk in found.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
        return response


def _passed_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in HOP_BY_HOP}


def endpoint(registry: Registry, namespace: str, destination: Destination) -> tuple[str, int]:
    """Address and port of a ready endpoint."""
    service = registry.get("services", namespace, destination.name)
    wanted = _service_port(service, destination.port)
    slices = registry.list(SLICES, namespace, label_selector=f"{SERVICE_LABEL}={destination.name}")
    for one in slices:
        ports = [port for port in one.get("ports") or () if port.get("name", "") == wanted.get("name", "")]
        ready = [found for found in one.get("endpoints") or () if (found.get("conditions") or {}).get("ready")]
        if ports and ready:
            return ready[0]["addresses"][0], int(ports[0]["port"])
    why = f'no endpoints available for service "{destination.name}"'
    raise StatusError(503, "ServiceUnavailable", why)


def _service_port(service: Object, wanted: str) -> Object:
    ports = service["spec"].get("ports") or []
    if not wanted and len(ports) >= 1:
        return dict(ports[0])
    for port in ports:
        if wanted in {port.get("name"), str(port.get("port"))}:
            return dict(port)
    raise errors.StatusError(503, "ServiceUnavailable", f"no service port {wanted!r} found for service")


def new_session() -> aiohttp.ClientSession:
    """The proxy's own connections: no cookies, nothing decoded, no environment's proxies."""
    return aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)
