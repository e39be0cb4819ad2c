"""The requests that are made of the API server, typed by kind. Every one is one request; nothing is kept here."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from llmkube.kube import objects
from llmkube.kube.errors import NotFound
from llmkube.kube.kinds import POD, Key, Kind
from llmkube.kube.listing import list_pages
from llmkube.kube.received import decoder_of, received, unexpected
from llmkube.kube.transport import APPLY_PATCH, JSON, Transport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

T = TypeVar("T", bound=objects.Object)
Manifest = dict[str, Any]
Manifests = list[Manifest]
Objects = list[T]

LOG_IDLE_TIMEOUT = 3600.0
LOG_BYTES = 1 << 20


class Client:
    """The API server, as one user."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    @property
    def namespace(self) -> str:
        """The namespace that is meant when none is named."""
        return self.transport.config.namespace

    async def get(self, kind: Kind[T], key: Key) -> T:
        """Return one object; raise NotFound."""
        return decode(kind, await self.transport.request("GET", _path(kind, key)))

    async def get_raw(self, kind: Kind[T], key: Key) -> Manifest:
        """Return one object with every field it has."""
        return manifest_of(await self.transport.request("GET", _path(kind, key)))

    async def list(
        self, kind: Kind[T], namespace: str | None = None, *, label_selector: str = "", field_selector: str = ""
    ) -> Objects[T]:
        """Return the objects of a namespace, or of all."""
        raw = await self.list_raw(kind, namespace, label_selector=label_selector, field_selector=field_selector)
        return [_typed(kind, each) for each in raw]

    async def list_raw(
        self, kind: Kind[T], namespace: str | None = None, *, label_selector: str = "", field_selector: str = ""
    ) -> Manifests:
        """Return the objects with every field they have, page by page."""
        selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
        params = {name: value for name, value in selectors.items() if value}
        found, _ = await list_pages(self.transport, kind.path(namespace), params, Manifest)
        return [{"apiVersion": kind.api_version, "kind": kind.kind, **item} for item in found]

    async def create(self, kind: Kind[T], obj: Manifest, *, manager: str = "") -> T:
        """Create an object, as a field manager (the User-Agent's, where none is named); raise AlreadyExists."""
        path = kind.path(obj["metadata"].get("namespace"))
        params = {"fieldManager": manager} if manager else None
        return decode(kind, await self.transport.request("POST", path, params=params, body=msgspec.json.encode(obj)))

    async def replace(self, kind: Kind[T], obj: Manifest) -> T:
        """Replace an object; raise Conflict when its resourceVersion is not the current one."""
        key = Key(obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        return decode(kind, await self.transport.request("PUT", _path(kind, key), body=msgspec.json.encode(obj)))

    async def delete(self, kind: Kind[T], key: Key, *, propagation: str = "Background", uid: str | None = None) -> bool:
        """Delete an object; whether it was there. With a uid, only that very object (else Conflict)."""
        options: Manifest = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if uid:
            options["preconditions"] = {"uid": uid}
        try:
            content = await self.transport.request("DELETE", _path(kind, key), body=msgspec.json.encode(options))
        except NotFound:
            return False
        if manifest_of(content).get("kind") not in {"Status", kind.kind}:
            raise unexpected(f"a Status or a {kind.kind}", content)
        return True

    async def patch(
        self,
        kind: Kind[T],
        key: Key,
        body: Any,
        *,
        content_type: str,
        subresource: str = "",
        params: Mapping[str, str] | None = None,
    ) -> T:
        """Patch an object or one of its subresources."""
        answer = await self.transport.request(
            "PATCH",
            _path(kind, key, subresource),
            body=msgspec.json.encode(body),
            content_type=content_type,
            params=params,
        )
        return decode(kind, answer)

    async def apply(
        self,
        kind: Kind[T],
        obj: Manifest,
        *,
        manager: str,
        force: bool = True,
        subresource: str = "",
    ) -> T:
        """Server-side apply (KEP-555) of the full intent of one field manager."""
        params = {"fieldManager": manager, "force": "true" if force else "false"}
        key = Key(obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        body = {"apiVersion": kind.api_version, "kind": kind.kind, **obj}
        return await self.patch(kind, key, body, content_type=APPLY_PATCH, subresource=subresource, params=params)

    async def logs(
        self,
        pod: Key,
        *,
        container: str = "",
        tail: int | None = None,
        previous: bool = False,
        limit_bytes: int = 1 << 20,
    ) -> str:
        """Return the last lines of a container's log, at most `limit_bytes` of them."""
        params = _log_params(container=container, tail=tail, previous=previous) | {"limitBytes": str(limit_bytes)}
        answer = await self.transport.request("GET", _path(POD, pod, "log"), params=params, accept="*/*")
        return answer.decode(errors="replace")

    @asynccontextmanager
    async def stream_logs(
        self,
        pod: Key,
        *,
        container: str = "",
        tail: int | None = None,
        previous: bool = False,
        since_seconds: int | None = None,
        follow: bool = True,
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield the lines of a container's log, as they are written when following."""
        params = _log_params(container=container, tail=tail, previous=previous, since=since_seconds, follow=follow)
        path = _path(POD, pod, "log")
        async with self.transport.stream(
            path, params=params, idle_timeout=LOG_IDLE_TIMEOUT, headers={"Accept": "*/*"}
        ) as lines:
            yield lines

    async def raw(self, method: str, path: str, body: Any = None, *, content_type: str = JSON) -> Manifest:
        """One request to any path (discovery, scale, a kind that is known by name only)."""
        sent = None if body is None else msgspec.json.encode(body)
        return manifest_of(await self.transport.request(method, path, body=sent, content_type=content_type))


def decode(kind: Kind[T], content: bytes) -> T:
    """Return the Struct of an object that the API server keeps; TransportError for what is not one of this kind.

    A gateway's own JSON, `{"status": "ok"}`, would pass for an object without anything in it: a renewed lease, even.
    """
    found: T = received(content, decoder_of(kind.type), f"a {kind.kind}")
    if found.kind != kind.kind or not found.metadata.name or not found.metadata.resource_version:
        raise unexpected(f"a {kind.kind} with a name and a version", content)
    return found


def _typed(kind: Kind[T], obj: Manifest) -> T:
    return decode(kind, msgspec.json.encode(obj))


def manifest_of(content: bytes) -> Manifest:
    """Return a JSON object with every field; what is not one is a TransportError."""
    return received(content, decoder_of(Manifest), "a JSON object")


def _path(kind: Kind[Any], key: Key, subresource: str = "") -> str:
    return kind.path(key.namespace, key.name, subresource)


def _log_params(
    *, container: str, tail: int | None, previous: bool, since: int | None = None, follow: bool = False
) -> dict[str, str]:
    params = {
        "container": container,
        "tailLines": "" if tail is None else str(tail),
        "previous": "true" if previous else "",
        "sinceSeconds": "" if since is None else str(since),
        "follow": "true" if follow else "",
    }
    return {name: value for name, value in params.items() if value}
