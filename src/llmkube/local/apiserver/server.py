"""The Kubernetes API over HTTPS on loopback, for kubectl, the CLI and the operator.

One token opens it; without it only health answers. Every error is a Status object, worded as Kubernetes words it.
"""

from __future__ import annotations

import hmac
import logging
from typing import TYPE_CHECKING

from aiohttp import web

from llmkube.local.apiserver import discovery, errors, openapi, paths, podlogs, proxying, responses, verbs
from llmkube.local.apiserver.errors import StatusError
from llmkube.local.apiserver.requests import Target

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    import aiohttp

    from llmkube.local.apiserver.podlogs import LogReader
    from llmkube.local.apiserver.registry import Registry

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LARGEST_BODY = 3 * 1024 * 1024
SHUTDOWN_SECONDS = 2.0
OPEN_PATHS = frozenset({"/healthz", "/livez", "/readyz"})
VERBS = {"GET": verbs.read, "POST": verbs.create, "PUT": verbs.update, "PATCH": verbs.patch, "DELETE": verbs.delete}
SUBRESOURCE_VERBS = {
    "status": frozenset({"GET", "PUT", "PATCH"}),
    "scale": frozenset({"GET", "PUT", "PATCH"}),
    "finalize": frozenset({"PUT"}),
    "binding": frozenset({"POST"}),
    "log": frozenset({"GET"}),
}
log = logging.getLogger(__name__)


class ApiServer:
    """Serves a registry. `start` binds (OSError when the port is taken); `stop` ends watches and connections."""

    def __init__(
        self,
        registry: Registry,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str,
        tls: ssl.SSLContext | None,
        log_reader: LogReader,
    ) -> None:
        self._registry = registry
        self._address = (host, port)
        self._token = token
        self._tls = tls
        self._log_reader = log_reader
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self.port = port

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self._address[0]}:{self.port}"

    async def start(self) -> None:
        app = web.Application(client_max_size=LARGEST_BODY, middlewares=[self._guard])
        app.router.add_route("*", "/{path:.*}", self._route)
        self._session = proxying.new_session()
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS, handler_cancellation=True)
        await self._runner.setup()
        host, port = self._address
        site = web.TCPSite(self._runner, host, port, ssl_context=self._tls)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Who asks, and every failure as a Status."""
        if request.path not in OPEN_PATHS and not self._is_known(request):
            return responses.failure(StatusError(401, "Unauthorized", "Unauthorized"))
        try:
            return await handler(request)
        except StatusError as error:
            return responses.failure(error)
        except web.HTTPRequestEntityTooLarge:
            return responses.failure(errors.plain(413))

    def _is_known(self, request: web.Request) -> bool:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token.encode())

    async def _route(self, request: web.Request) -> web.StreamResponse:
        parts = [part for part in request.path.split("/") if part]
        if (found := self._described(request, parts)) is not None:
            return found
        path = paths.parse(parts)
        if path is None:
            raise errors.plain(404)
        return await self._resource(request, path)

    def _described(self, request: web.Request, parts: list[str]) -> web.Response | None:
        """Health, version, discovery and OpenAPI; None when the path is about objects."""
        if request.path in OPEN_PATHS:
            return web.Response(text="ok")
        if parts == ["version"]:
            return responses.answer(discovery.version_info())
        if parts[:2] == ["openapi", "v3"]:
            return responses.answer(self._schema(parts[2:]))
        if parts[:1] in (["api"], ["apis"]) and len(parts) <= 3 and not (parts[0] == "api" and len(parts) == 3):
            return self._discovery(request, parts)
        return None

    def _schema(self, parts: list[str]) -> dict[str, object]:
        if not parts:
            return openapi.index(self._registry.catalog)
        group = parts[1] if parts[0] == "apis" and len(parts) == 3 else ""
        found = openapi.document(self._registry.catalog, group, parts[-1])
        if not found:
            raise errors.plain(404)
        return found

    def _discovery(self, request: web.Request, parts: list[str]) -> web.Response:
        catalog, is_core = self._registry.catalog, parts[0] == "api"
        accepted = ",".join(request.headers.getall("Accept", ()))
        if len(parts) == 1 and "as=APIGroupDiscoveryList" in accepted and "v=v2;" in accepted.replace(" ", "") + ";":
            body = responses.encoded(discovery.aggregated(catalog, core=is_core))
            kind = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
            return web.Response(body=body, headers={"Content-Type": kind})
        if len(parts) == 1:
            return responses.answer(discovery.versions() if is_core else discovery.groups(catalog))
        if len(parts) == 2 and not is_core:
            return responses.answer(discovery.group(catalog, parts[1]))
        group, version = ("", parts[1]) if is_core else (parts[1], parts[2])
        return responses.answer(discovery.resources(catalog, group, version))

    async def _resource(self, request: web.Request, path: paths.ResourcePath) -> web.StreamResponse:
        resource = self._registry.catalog.served(path.group, path.version, path.plural)
        if resource is None:
            raise errors.plain(404)
        if path.namespace is not None and not resource.namespaced:
            raise errors.plain(404)
        target = Target(resource, path.namespace, path.name, path.subresource)
        if path.subresource and path.subresource not in resource.subresources:
            is_custom = resource.is_custom and path.name
            raise errors.not_found(resource.plural, resource.group, path.name) if is_custom else errors.plain(404)
        return await self._verb(request, target, path.rest)

    async def _verb(self, request: web.Request, target: Target, rest: str) -> web.StreamResponse:
        if target.subresource == "log" and request.method == "GET":
            return await podlogs.logs(self._registry, self._log_reader, request, target)
        if target.subresource == "proxy" and self._session is not None:
            return await proxying.proxy(self._registry, self._session, request, target, rest)
        allowed = SUBRESOURCE_VERBS.get(target.subresource, VERBS.keys())
        if request.method not in allowed or (request.method in {"PUT", "PATCH"} and not target.name):
            raise errors.plain(405)
        if target.name and target.resource.namespaced and target.namespace is None:
            raise errors.plain(404)
        log.debug("%s %s", request.method, request.path)
        return await VERBS[request.method](self._registry, request, target)
