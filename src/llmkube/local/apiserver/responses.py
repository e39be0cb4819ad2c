"""Answers of the API: JSON, Tables for those who ask for them, and watches as lines. It decides nothing."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web

from llmkube.local.apiserver import negotiation, tables
from llmkube.local.apiserver.errors import StatusError, status_object

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from llmkube.local.apiserver.negotiation import Form
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


def shown(request: web.Request, resource: Resource, objects: list[Object], meta: Object) -> Object:
    """A list of objects, the Table of them, or what is said about them."""
    form = _form(request)
    if form.kind == negotiation.TABLE:
        return _table(request, resource, objects, meta)
    if form.kind == negotiation.PARTIAL:
        kind = f"{resource.kind}List"
        raise negotiation.not_acceptable(f"you requested {form.kind}, but the requested object is a list ({kind})")
    if form.kind:
        items = [tables.partial(one, form.api_version) for one in objects]
        return {"kind": form.kind, "apiVersion": form.api_version, "metadata": meta, "items": items}
    items = objects if resource.is_custom else [_untyped(one) for one in objects]
    more = {"continue": ""} if resource.is_custom else {}
    return {
        "kind": f"{resource.kind}List",
        "apiVersion": resource.api_version,
        "metadata": {**more, **meta},
        "items": items,
    }


def _form(request: web.Request) -> Form:
    return negotiation.form(request.headers.getall("Accept", ()))


def _untyped(obj: Object) -> Object:
    """In a list of a built-in kind, only the list says which."""
    return {name: value for name, value in obj.items() if name not in {"kind", "apiVersion"}}


def _table(request: web.Request, resource: Resource, objects: list[Object], meta: Object) -> Object:
    include, version = request.query.get("includeObject", ""), _form(request).api_version
    now = datetime.now(UTC)
    return tables.table(resource, objects, list_meta=meta, now=now, include=include, api_version=version)


def one(request: web.Request, resource: Resource, obj: Object) -> web.Response:
    return answer(_one(request, resource, obj))


def _one(request: web.Request, resource: Resource, obj: Object) -> Object:
    form = _form(request)
    if form.kind == negotiation.TABLE:
        meta = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        return _table(request, resource, [obj], meta)
    if form.kind == negotiation.PARTIAL_LIST:
        raise negotiation.not_acceptable(
            f"you requested {form.kind}, but the requested object is not a list ({resource.kind})"
        )
    return tables.partial(obj, form.api_version) if form.kind else obj


async def stream(
    request: web.Request, resource: Resource, events: AsyncIterator[Object], seconds: float
) -> web.StreamResponse:
    """Watch events as lines, for at most so long."""
    show = _events(request, resource)
    response = web.StreamResponse(headers={"Content-Type": JSON})
    response.enable_chunked_encoding()
    await response.prepare(request)
    try:
        async with asyncio.timeout(seconds):
            async for event in events:
                await response.write(encoded(show(event)) + b"\n")
    except TimeoutError:
        pass  # the time that the client or the server set is over: clients watch again
    await response.write_eof()
    return response


def _events(request: web.Request, resource: Resource) -> Callable[[Object], Object]:
    """How events are shown; the columns of a Table are told once."""
    form, is_told = _form(request), False
    if form.kind == negotiation.PARTIAL_LIST:
        raise negotiation.not_acceptable(f"you requested {form.kind}, but a watch tells of objects")

    def show(event: Object) -> Object:
        nonlocal is_told
        if not form.kind or event["type"] == "ERROR":
            return event
        obj = _one(request, resource, event["object"])
        if form.kind == negotiation.TABLE and (is_told or event["type"] == "BOOKMARK"):
            obj["columnDefinitions"] = None
        is_told = is_told or event["type"] != "BOOKMARK"
        return {**event, "object": obj}

    return show
