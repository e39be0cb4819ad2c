"""Answers of the API: JSON, Tables for those who ask for them, and watches as lines. It decides nothing."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web

from llmkube.local.apiserver import tables
from llmkube.local.apiserver.errors import StatusError, status_object

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from llmkube.local.apiserver.resources import Resource
    from llmkube.local.objects import Object

JSON = "application/json"


def encoded(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def answer(value: Any, status: int = 200, *, warnings: list[str] | None = None) -> web.Response:
    response = web.Response(body=encoded(value), status=status, content_type=JSON)
    for warning in warnings or ():
        response.headers.add("Warning", f"299 - {quoted(warning)}")
    return response


def quoted(text: str) -> str:
    """A quoted-string of RFC 9110."""
    plain = " ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"'


def failure(error: StatusError) -> web.Response:
    response = answer(status_object(error), error.code)
    if error.code in {429, 504}:
        response.headers["Retry-After"] = "1"
    return response


def wants_table(request: web.Request) -> bool:
    return any("as=Table" in one and "g=meta.k8s.io" in one for one in request.headers.getall("Accept", ()))


def shown(request: web.Request, resource: Resource, objects: list[Object], meta: Object) -> Object:
    """A list of objects, or the Table of them."""
    if wants_table(request):
        return table(request, resource, objects, meta)
    items = objects if resource.is_custom else [_untyped(one) for one in objects]
    more = {"continue": ""} if resource.is_custom else {}
    return {
        "kind": f"{resource.kind}List",
        "apiVersion": resource.api_version,
        "metadata": {**more, **meta},
        "items": items,
    }


def _untyped(obj: Object) -> Object:
    """In a list of a built-in kind, only the list says which."""
    return {name: value for name, value in obj.items() if name not in {"kind", "apiVersion"}}


def table(request: web.Request, resource: Resource, objects: list[Object], meta: Object) -> Object:
    include = request.query.get("includeObject", "Metadata")
    return tables.table(resource, objects, list_meta=meta, include=include, now=datetime.now(UTC))


def one(request: web.Request, resource: Resource, obj: Object) -> web.Response:
    if not wants_table(request):
        return answer(obj)
    return answer(table(request, resource, [obj], {"resourceVersion": obj["metadata"].get("resourceVersion", "")}))


async def stream(
    request: web.Request, resource: Resource, events: AsyncIterator[Object], seconds: float
) -> web.StreamResponse:
    """Watch events as lines, for at most so long."""
    response = web.StreamResponse(headers={"Content-Type": JSON})
    response.enable_chunked_encoding()
    await response.prepare(request)
    try:
        async with asyncio.timeout(seconds):
            async for event in events:
                await response.write(encoded(_event(request, resource, event)) + b"\n")
    except TimeoutError:
        pass  # the time that the client or the server set is over: clients watch again
    await response.write_eof()
    return response


def _event(request: web.Request, resource: Resource, event: Object) -> Object:
    if not wants_table(request) or event["type"] == "ERROR":
        return event
    obj = event["object"]
    objects = [] if event["type"] == "BOOKMARK" else [obj]
    return {**event, "object": table(request, resource, objects, obj["metadata"])}
